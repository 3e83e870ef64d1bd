/*
 * /proc/self/maps names the file that an address is mapped from, with all links resolved.
 * dladdr() would give the name that the loader was told, which may be relative to a
 * folder that is no longer the current one.
 */
#define _POSIX_C_SOURCE 200809L
#include "base/own_place.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

/* Makes the folder of path; the folder of "/name" is "/". */
static s3r_status take_folder(char **out, const char *path, s3r_error *err)
{
    const char *slash = strrchr(path, '/');
    *out = NULL;
    if (path[0] != '/' || !slash)
        return S3R_OK;
    *out = s3r_strndup(path, slash == path ? 1 : (size_t)(slash - path));
    return *out ? S3R_OK : s3r_fail_memory(err, path, strlen(path));
}

/* "FROM-TO FLAGS OFFSET DEVICE INODE   PATH\n": the path when address is in the range. */
static const char *path_of_line(char *line, uintptr_t address)
{
    char *end = NULL;
    unsigned long long from = strtoull(line, &end, 16);
    if (*end != '-')
        return NULL;
    unsigned long long to = strtoull(end + 1, &end, 16);
    line[strcspn(line, "\n")] = '\0';
    return address >= from && address < to ? strchr(end, '/') : NULL;
}

s3r_status s3r_own_library_folder(char **out, s3r_error *err)
{
    static const char here = 0; /* any object of this library */
    char line[PATH_MAX + 128];
    const char *path = NULL;
    FILE *maps = fopen("/proc/self/maps", "r");
    *out = NULL;
    if (!maps)
        return S3R_OK;
    while (!path && fgets(line, sizeof line, maps))
        path = path_of_line(line, (uintptr_t)&here);
    fclose(maps);
    return path ? take_folder(out, path, err) : S3R_OK;
}

s3r_status s3r_own_program_folder(char **out, s3r_error *err)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    *out = NULL;
    if (length <= 0 || (size_t)length >= sizeof path)
        return S3R_OK;
    path[length] = '\0';
    return take_folder(out, path, err);
}
