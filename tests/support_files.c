/*
 * Temporary folders for tests; everything is removed at exit.
 */
#define _XOPEN_SOURCE 700
#include "support_files.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/folder_list.h"

#define MAX_FOLDERS 64
#define MAX_PATHS   1024

static char *folders[MAX_FOLDERS];
static size_t folder_count;
static char *paths[MAX_PATHS];
static size_t path_count;

static int remove_entry(const char *path, const struct stat *info, int kind,
                        struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

static void remove_all(void)
{
    for (size_t i = 0; i < folder_count; i++) {
        nftw(folders[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        free(folders[i]);
    }
    for (size_t i = 0; i < path_count; i++)
        free(paths[i]);
}

const char *test_folder(void)
{
    const char *root = getenv("TMPDIR");
    char path[512];
    if (folder_count == 0)
        atexit(remove_all);
    assert_true(folder_count < MAX_FOLDERS);
    snprintf(path, sizeof path, "%s/s3r-test-XXXXXX", root ? root : "/tmp");
    assert_non_null(mkdtemp(path));
    folders[folder_count] = strdup(path);
    return folders[folder_count++];
}

const char *test_path(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    assert_true(path_count < MAX_PATHS);
    char *path = malloc(size);
    assert_non_null(path);
    snprintf(path, size, "%s/%s", folder, name);
    paths[path_count++] = path;
    return path;
}

void test_write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

size_t test_entry_count(const char *folder)
{
    s3r_folder_list list;
    if (s3r_folder_list_read(&list, folder, "", S3R_ERR_RUNTIME, NULL) != S3R_OK)
        return SIZE_MAX;
    size_t count = list.count;
    s3r_folder_list_release(&list);
    return count;
}
