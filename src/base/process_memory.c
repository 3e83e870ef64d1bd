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

/* The files of a version of control groups. */
typedef struct group_files {
    const char *root, *limit, *used;
} group_files;

static const group_files version_1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                      "memory.usage_in_bytes"};
static const group_files version_2 = {"/sys/fs/cgroup", "memory.max", "memory.current"};

/* What the group at root + group leaves; pages of files that nobody uses now count as
 * free. */
static size_t left_of_group(const group_files *files, const char *group)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s%s/%s", files->root, group, files->limit);
    size_t limit = read_number(path);
    snprintf(path, sizeof path, "%s%s/%s", files->root, group, files->used);
    size_t used = read_number(path);
    snprintf(path, sizeof path, "%s%s/memory.stat", files->root, group);
    size_t cached = read_keyed(path, "inactive_file ");
    if (cached != SIZE_MAX && used != SIZE_MAX)
        used -= S3R_MIN(used, cached);
    if (limit == SIZE_MAX || used == SIZE_MAX)
        return SIZE_MAX;
    return limit > used ? limit - used : 0;
}

/* The least that a group ("/a/b", which this changes) and those around it leave. */
static size_t left_of_groups(const group_files *files, char *group)
{
    size_t least = SIZE_MAX;
    for (;;) {
        least = S3R_MIN(least, left_of_group(files, group));
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
static size_t left_of_control_groups(void)
{
    char line[PATH_BYTES / 2], root[] = "";
    size_t least =
        S3R_MIN(left_of_group(&version_1, root), left_of_group(&version_2, root));
    FILE *file = fopen("/proc/self/cgroup", "r");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        size_t length = (size_t)(group - controllers - 1);
        if (length == 0)
            least = S3R_MIN(least, left_of_groups(&version_2, group + 1));
        else if (has_memory(controllers + 1, length))
            least = S3R_MIN(least, left_of_groups(&version_1, group + 1));
    }
    if (file)
        fclose(file);
    return least;
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
    size_t machine = read_available(), groups = left_of_control_groups();
    return S3R_MIN(S3R_MIN(machine, groups), left_of_address_space());
}
