/*
 * A folder appears complete or not at all, keeps what is not its own, and what a killed
 * process left is finished or undone.
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/folder_writer.h"
#include "support_alloc_faults.h"
#include "support_file_system.h"
#include "support_files.h"

static s3r_error err;

/* "model" and "index" are the folder's own; "notes" is somebody's. */
static bool owns(const char *name)
{
    return strcmp(name, "model") == 0 || strcmp(name, "index") == 0;
}

typedef struct write_run {
    const char *path, *content;
    s3r_status status;
} write_run;

static s3r_status write_folder(void *context, s3r_error *error)
{
    const write_run *run = context;
    s3r_folder_writer writer = {0};
    char path[4096];
    S3R_TRY(s3r_folder_writer_open(&writer, run->path, error));
    snprintf(path, sizeof path, "%s/model", writer.temporary_path);
    s3r_status status =
        s3r_file_write_all(path, run->content, strlen(run->content), error);
    if (status == S3R_OK)
        return s3r_folder_writer_commit(&writer, owns, error);
    s3r_folder_writer_abort(&writer);
    return status;
}

static void write_unseen(void *context)
{
    write_run *run = context;
    run->status = write_folder(run, NULL);
}

static void expect_content(const char *folder, const char *name, const char *content)
{
    s3r_file_map map;
    assert_int_equal(
        s3r_file_map_open(&map, test_path(folder, name), S3R_ERR_RUNTIME, &err), S3R_OK);
    assert_int_equal(map.size, strlen(content));
    assert_memory_equal(map.data, content, map.size);
    s3r_file_map_close(&map);
}

/* A folder with a model, an index that the next model has not, and things of somebody. */
static const char *make_old(const char *parent, const char *name)
{
    const char *path = test_path(parent, name);
    assert_int_equal(s3r_folder_create(test_path(path, "more"), &err), S3R_OK);
    test_write_file(test_path(path, "model"), "old", 3);
    test_write_file(test_path(path, "index"), "old", 3);
    test_write_file(test_path(path, "notes"), "mine", 4);
    test_write_file(test_path(path, "more/notes"), "mine", 4);
    return path;
}

static void expect_new(const char *parent, const char *path)
{
    expect_content(path, "model", "new");
    expect_content(path, "notes", "mine");
    expect_content(path, "more/notes", "mine");
    assert_int_equal(test_entry_count(path), 3);
    assert_int_equal(test_entry_count(parent), 1);
}

static void test_new_folder(void **state)
{
    (void)state;
    const char *parent = test_folder();
    write_run run = {.path = test_path(parent, "deep/folder/"), .content = "new"};
    assert_int_equal(write_folder(&run, &err), S3R_OK);
    expect_content(run.path, "model", "new");
    assert_int_equal(test_entry_count(test_path(parent, "deep")), 1);
}

static void test_replaced_folder(void **state)
{
    (void)state;
    const char *parent = test_folder();
    write_run run = {.path = make_old(parent, "folder"), .content = "new"};
    assert_int_equal(write_folder(&run, &err), S3R_OK);
    expect_new(parent, run.path);
    parent = test_folder();
    run.path = make_old(parent, "folder");
    if (!test_on_simple_file_system(write_unseen, &run))
        skip();
    assert_int_equal(run.status, S3R_OK);
    expect_new(parent, run.path);
}

/* The folder that a link leads to, whether or not a slash is behind its name. */
static void test_links(void **state)
{
    (void)state;
    const char *parent = test_folder(), *link = test_path(test_folder(), "link");
    const char *path = make_old(parent, "folder");
    struct stat info;
    assert_int_equal(symlink(path, link), 0);
    write_run run = {.path = link, .content = "first"};
    assert_int_equal(write_folder(&run, &err), S3R_OK);
    char slash[4096];
    snprintf(slash, sizeof slash, "%s/", link);
    run = (write_run){.path = slash, .content = "new"};
    assert_int_equal(write_folder(&run, &err), S3R_OK);
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    expect_new(parent, path);
}

static void test_recovery(void **state)
{
    (void)state;
    /* Killed before it was complete. */
    const char *parent = test_folder();
    const char *path = make_old(parent, "folder.tmp-12-0");
    assert_int_equal(unlink(test_path(path, "more/notes")), 0);
    assert_int_equal(rmdir(test_path(path, "more")), 0);
    assert_int_equal(s3r_folder_writer_recover(path, owns, &err), S3R_OK);
    assert_int_equal(test_entry_count(parent), 0);
    /* Killed when the old one was aside and the new one not in its place. */
    path = make_old(parent, "folder.old-12-1");
    assert_int_equal(s3r_folder_writer_recover(path, owns, &err), S3R_OK);
    expect_content(test_path(parent, "folder"), "model", "old");
    expect_content(test_path(parent, "folder"), "notes", "mine");
    assert_int_equal(test_entry_count(parent), 1);
    /* Killed before somebody's files had moved over. */
    parent = test_folder();
    path = make_old(parent, "folder.old-12-2");
    const char *target = test_path(parent, "folder");
    assert_int_equal(s3r_folder_create(target, &err), S3R_OK);
    test_write_file(test_path(target, "model"), "new", 3);
    assert_int_equal(s3r_folder_writer_recover(path, owns, &err), S3R_OK);
    expect_new(parent, target);
    /* Anything else is not touched. */
    path = make_old(test_folder(), "folder.old-12");
    assert_int_equal(s3r_folder_writer_recover(path, owns, &err), S3R_OK);
    assert_int_equal(test_entry_count(path), 4);
}

static s3r_status attempt(void *context, s3r_error *error)
{
    return write_folder(context, error);
}

/* What was there stays until all of the new is. */
static void test_memory_faults_are_survived(void **state)
{
    (void)state;
    const char *parent = test_folder();
    write_run run = {.path = make_old(parent, "folder"), .content = "new"};
    test_survives_alloc_faults(attempt, &run);
    expect_new(parent, run.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_folder),
        cmocka_unit_test(test_replaced_folder),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_recovery),
        cmocka_unit_test(test_memory_faults_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
