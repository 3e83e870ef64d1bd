/*
 * From /proc and the control group's files (versions 1 and 2).
 */
#include "base/process_memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* The number behind a key in a file of lines "KEY NUMBER ..."; SIZE_MAX without. */
static size_t read_keyed(const char *path, const char *key)
{
    char line[256];
    unsigned long long number;
    size_t length = strlen(key), found = SIZE_MAX;
    FILE *file = fopen(path, "r");
    if (!file)
        return SIZE_MAX;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, length) == 0 &&
            sscanf(line + length, "%llu", &number) == 1)
            found = (size_t)number;
    fclose(file);
    return found;
}

size_t s3r_process_peak_bytes(void)
{
    size_t kib = read_keyed("/proc/self/status", "VmHWM:");
    return kib == SIZE_MAX ? 0 : kib * 1024u;
}

/* The number in a file that holds one ("max" and the like: SIZE_MAX). */
static size_t read_number(const char *path)
{
    return read_keyed(path, "");
}

static size_t read_available(void)
{
    size_t kib = read_keyed("/proc/meminfo", "MemAvailable:");
    return kib == SIZE_MAX ? kib : kib * 1024u;
}

/* What a control group leaves; pages of files that nobody uses now count as free. */
static size_t left_of(const char *limit_path, const char *used_path,
                      const char *stat_path)
{
    size_t limit = read_number(limit_path), used = read_number(used_path);
    size_t files = read_keyed(stat_path, "inactive_file ");
    if (files != SIZE_MAX && used != SIZE_MAX)
        used -= S3R_MIN(used, files);
    if (limit == SIZE_MAX || used == SIZE_MAX)
        return SIZE_MAX;
    return limit > used ? limit - used : 0;
}

/* What the limit of the address space (ulimit -v) leaves. */
static size_t left_of_address_space(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    size_t kib = read_keyed("/proc/self/status", "VmSize:");
    if (kib == SIZE_MAX)
        return SIZE_MAX;
    return limit.rlim_cur > kib * 1024u ? (size_t)limit.rlim_cur - kib * 1024u : 0;
}

size_t s3r_machine_available_bytes(void)
{
    size_t machine = read_available();
    size_t group2 = left_of("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current",
                            "/sys/fs/cgroup/memory.stat");
    size_t group1 = left_of("/sys/fs/cgroup/memory/memory.limit_in_bytes",
                            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
                            "/sys/fs/cgroup/memory/memory.stat");
    size_t group = S3R_MIN(group1, group2);
    return S3R_MIN(S3R_MIN(machine, group), left_of_address_space());
}
