/*
 * Folder listing on POSIX, sorted, so that results do not depend on the file system.
 */
#define _POSIX_C_SOURCE 200809L
#include "base/folder_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_wanted(const char *name, const char *suffix)
{
    size_t length = strlen(name), suffix_length = strlen(suffix);
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && length >= suffix_length &&
           strcmp(name + length - suffix_length, suffix) == 0;
}

static bool append(s3r_folder_list *list, size_t *capacity, const char *name)
{
    if (list->count == *capacity) {
        size_t larger = *capacity ? 2 * *capacity : 16;
        char **grown = s3r_realloc(list->names, *capacity, larger, sizeof *grown);
        if (!grown)
            return false;
        list->names = grown;
        *capacity = larger;
    }
    list->names[list->count] = s3r_strdup(name);
    return list->names[list->count++] != NULL;
}

s3r_status s3r_folder_list_read(s3r_folder_list *out, const char *folder,
                                const char *suffix, s3r_status code, s3r_error *err)
{
    s3r_folder_list list = {0};
    size_t capacity = 0;
    s3r_status status = S3R_OK;
    DIR *stream = opendir(folder);
    if (!stream)
        return s3r_fail(err, code, "%s: cannot read the folder: %s", folder,
                        strerror(errno));
    while (status == S3R_OK) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (!entry && errno != 0)
            status = s3r_fail(err, code, "%s: cannot read the folder: %s", folder,
                              strerror(errno));
        if (!entry)
            break;
        if (is_wanted(entry->d_name, suffix) && !append(&list, &capacity, entry->d_name))
            status = s3r_fail_memory(err, "a list of files", capacity);
    }
    closedir(stream);
    if (status != S3R_OK) {
        s3r_folder_list_release(&list);
        return status;
    }
    if (list.count > 0)
        qsort(list.names, list.count, sizeof *list.names, compare_names);
    *out = list;
    return S3R_OK;
}

void s3r_folder_list_release(s3r_folder_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        s3r_free(list->names[i]);
    s3r_free(list->names);
    *list = (s3r_folder_list){0};
}
