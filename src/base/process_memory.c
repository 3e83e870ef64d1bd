/*
 * From /proc and the files of control groups (versions 1 and 2).
 */
#include "base/process_memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define PATH_BYTES 8192

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

static size_t read_status(const char *key)
{
    size_t kib = read_keyed("/proc/self/status", key);
    return kib == SIZE_MAX ? 0 : kib * 1024u;
}

size_t s3r_process_peak_bytes(void)
{
    return read_status("VmHWM:");
}

size_t s3r_process_resident_bytes(void)
{
    return read_status("VmRSS:");
}

static size_t read_available(void)
{
    size_t kib = read_keyed("/proc/meminfo", "MemAvailable:");
    return kib == SIZE_MAX ? kib : kib * 1024u;
}

/* The files of a version of control groups, and what its statistics call pages of files
 * that nobody uses now, of a group with all within it. */
typedef struct group_files {
    const char *folder, *limit, *used, *cached;
} group_files;

static const group_files version_1 = {"/memory", "memory.limit_in_bytes",
                                      "memory.usage_in_bytes", "total_inactive_file "};
static const group_files version_2 = {"", "memory.max", "memory.current",
                                      "inactive_file "};

static size_t read_of_group(const char *root, const group_files *files, const char *group,
                            const char *name, const char *key)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s%s%s/%s", root, files->folder, group, name);
    return read_keyed(path, key);
}

/* What a group leaves; such pages count as free. */
static size_t left_of_group(const char *root, const group_files *files, const char *group)
{
    size_t limit = read_of_group(root, files, group, files->limit, "");
    size_t used = read_of_group(root, files, group, files->used, "");
    size_t cached = read_of_group(root, files, group, "memory.stat", files->cached);
    if (limit == SIZE_MAX || used == SIZE_MAX)
        return SIZE_MAX;
    if (cached != SIZE_MAX)
        used -= S3R_MIN(used, cached);
    return limit > used ? limit - used : 0;
}

/* The least that a group ("/a/b", which this changes) and those around it leave. */
static size_t left_of_groups(const char *root, const group_files *files, char *group)
{
    size_t least = SIZE_MAX;
    for (;;) {
        size_t left = left_of_group(root, files, group);
        least = S3R_MIN(least, left);
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

/* Whether a list of controllers, "cpu,memory", has that of memory. */
static bool has_memory(const char *controllers, size_t length)
{
    static const char name[] = "memory";
    size_t bytes = sizeof name - 1;
    for (size_t i = 0; i + bytes <= length; i++)
        if ((i == 0 || controllers[i - 1] == ',') &&
            memcmp(controllers + i, name, bytes) == 0 &&
            (i + bytes == length || controllers[i + bytes] == ','))
            return true;
    return false;
}

/* Lines "ID:CONTROLLERS:/GROUP"; version 2 has ID 0 and no controllers.  A container sees
 * its own group as the root, whatever stands there. */
size_t s3r_control_groups_left_bytes(const char *root, const char *list)
{
    char line[PATH_BYTES / 2];
    size_t least = left_of_group(root, &version_1, ""),
           left = left_of_group(root, &version_2, "");
    FILE *file = fopen(list, "r");
    while (file && fgets(line, sizeof line, file)) {
        least = S3R_MIN(least, left);
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        size_t length = group ? (size_t)(group - controllers - 1) : 0;
        if (group && length == 0)
            left = left_of_groups(root, &version_2, group + 1);
        else if (group && has_memory(controllers + 1, length))
            left = left_of_groups(root, &version_1, group + 1);
    }
    if (file)
        fclose(file);
    return S3R_MIN(least, left);
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
    size_t machine = read_available(),
           groups = s3r_control_groups_left_bytes("/sys/fs/cgroup", "/proc/self/cgroup");
    return S3R_MIN(S3R_MIN(machine, groups), left_of_address_space());
}
