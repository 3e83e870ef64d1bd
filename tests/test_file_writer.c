/*
 * What a file writer leaves behind: the old file or the new one; links, devices and pipes
 * stay what they are.
 */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
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
#include "base/memory.h"
#include "base/temporary_file.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_file_system.h"
#include "support_files.h"

static s3r_error err;

static void expect_content(const char *path, const char *content)
{
    char bytes[64];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_int_equal(size, strlen(content));
    assert_memory_equal(bytes, content, size);
}

static void test_replaces_or_leaves(void **state)
{
    (void)state;
    const char *path = test_path(test_folder(), "file");
    s3r_file_writer *writer;
    assert_int_equal(s3r_file_write_all(path, "old", 3, &err), S3R_OK);
    expect_content(path, "old");
    assert_int_equal(s3r_file_writer_open(&writer, path, &err), S3R_OK);
    assert_int_equal(s3r_file_writer_write(writer, "new", 3, &err), S3R_OK);
    s3r_file_writer_abort(writer);
    expect_content(path, "old");
    assert_int_equal(s3r_file_write_all(path, "new", 3, &err), S3R_OK);
    expect_content(path, "new");
}

static void test_link_leads_to_the_file(void **state)
{
    (void)state;
    const char *folder = test_folder(), *file = test_path(folder, "file"),
               *link = test_path(folder, "link"), *loose = test_path(folder, "loose");
    struct stat info;
    test_write_file(file, "old", 3);
    assert_int_equal(symlink("file", link), 0);
    assert_int_equal(s3r_file_write_all(link, "new", 3, &err), S3R_OK);
    expect_content(file, "new");
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(symlink("nothing", loose), 0);
    test_expect_failure(s3r_file_write_all(loose, "new", 3, &err), &err, S3R_ERR_RUNTIME,
                        "loose: expected a file, found a link to nothing");
}

static void test_special_files_stay(void **state)
{
    (void)state;
    const char *folder = test_folder(), *pipe = test_path(folder, "pipe");
    char bytes[8];
    struct stat info;
    assert_int_equal(mkfifo(pipe, 0600), 0);
    int fd = open(pipe, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    assert_int_equal(s3r_file_write_all(pipe, "through", 7, &err), S3R_OK);
    assert_int_equal(read(fd, bytes, sizeof bytes), 7);
    assert_memory_equal(bytes, "through", 7);
    close(fd);
    assert_int_equal(lstat(pipe, &info), 0);
    assert_true(S_ISFIFO(info.st_mode));
    assert_int_equal(s3r_file_write_all("/dev/null", "gone", 4, &err), S3R_OK);
    assert_int_equal(lstat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
    test_expect_failure(s3r_file_write_all(folder, "x", 1, &err), &err, S3R_ERR_RUNTIME,
                        ": expected a file, found a folder");
}

/* /dev/stdout and the like are written to where they stand, whatever they lead to. */
static void test_descriptors(void **state)
{
    (void)state;
    const char *path = test_path(test_folder(), "log");
    char name[32];
    FILE *log = fopen(path, "wb");
    assert_non_null(log);
    assert_int_equal(fwrite("before ", 1, 7, log), 7);
    assert_int_equal(fflush(log), 0);
    snprintf(name, sizeof name, "/dev/fd/%d", fileno(log));
    assert_int_equal(s3r_file_write_all(name, "during ", 7, &err), S3R_OK);
    assert_int_equal(fseek(log, 0, SEEK_END), 0);
    assert_int_equal(fwrite("after", 1, 5, log), 5);
    fclose(log);
    expect_content(path, "before during after");
}

/* While it is written a file has no name, so nothing stays of a process that is killed;
 * on a file system without such files it has one. */
typedef struct simple_write {
    const char *folder, *path;
    size_t entries;
    s3r_status status;
} simple_write;

static void write_slowly(void *context)
{
    simple_write *w = context;
    s3r_file_writer *writer;
    w->status = s3r_file_writer_open(&writer, w->path, NULL);
    if (w->status != S3R_OK)
        return;
    w->status = s3r_file_writer_write(writer, "new", 3, NULL);
    w->entries = test_entry_count(w->folder);
    if (w->status == S3R_OK)
        w->status = s3r_file_writer_commit(writer, NULL);
    else
        s3r_file_writer_abort(writer);
}

static void give_up(void *context)
{
    simple_write *w = context;
    s3r_file_writer *writer;
    w->status = s3r_file_writer_open(&writer, w->path, NULL);
    if (w->status == S3R_OK)
        s3r_file_writer_abort(writer);
    w->entries = test_entry_count(w->folder);
}

static void test_names_while_writing(void **state)
{
    (void)state;
    const char *folder = test_folder();
    simple_write w = {.folder = folder, .path = test_path(folder, "file")};
    write_slowly(&w);
    assert_int_equal(w.status, S3R_OK);
    assert_int_equal(w.entries, 0); /* $TMPDIR is on a file system of Linux */
    expect_content(w.path, "new");
    test_write_file(w.path, "old", 3);
    if (!test_on_simple_file_system(write_slowly, &w))
        skip();
    assert_int_equal(w.status, S3R_OK);
    assert_int_equal(w.entries, 2);
    expect_content(w.path, "new");
    assert_int_equal(test_entry_count(folder), 1);
    assert_true(test_on_simple_file_system(give_up, &w));
    assert_int_equal(w.status, S3R_OK);
    assert_int_equal(w.entries, 1);
}

/* The longest name that a file system takes leaves no room for more. */
static void write_long_name(void *context)
{
    simple_write *w = context;
    w->status = s3r_file_write_all(w->path, "x", 1, NULL);
}

static void test_long_names(void **state)
{
    (void)state;
    const char *folder = test_folder();
    char name[256] = "";
    while (strlen(name) + 3 < sizeof name)
        strcat(name, "\xe8\xaa\x9e"); /* 85 characters of three bytes */
    simple_write w = {.folder = folder, .path = test_path(folder, name)};
    write_long_name(&w);
    assert_int_equal(w.status, S3R_OK);
    expect_content(w.path, "x");
    if (!test_on_simple_file_system(write_long_name, &w))
        skip();
    assert_int_equal(w.status, S3R_OK);
    assert_int_equal(test_entry_count(folder), 1);
}

static void test_permissions_stay(void **state)
{
    (void)state;
    const char *folder = test_folder(), *path = test_path(folder, "secret");
    const char *link = test_path(folder, "link");
    struct stat info;
    test_write_file(path, "old", 3);
    assert_int_equal(symlink("secret", link), 0);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(s3r_file_write_all(path, "new", 3, &err), S3R_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(s3r_file_write_all(link, "newer", 5, &err), S3R_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    expect_content(path, "newer");
}

static void test_temporary_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t base;
    } names[] = {{"best.tmp-12-0", 4},
                 {"best.tmp-12", 0},
                 {"best.tmp-12-", 0},
                 {"best.tmp--3", 0},
                 {"best.tmp-1-2x", 0},
                 {"best.old-1-2", 0},
                 {".tmp-1-2", 0},
                 {"a.tmp-1-2-3", 0},
                 {"best.tmp-mine", 0},
                 {"besttmp-1-2", 0},
                 {"a.tmp-1-2.tmp-3-4", 9},
                 {"12-3", 0},
                 {"", 0}};
    for (size_t i = 0; i < S3R_ARRAY_LEN(names); i++)
        assert_int_equal(s3r_temporary_base_bytes(names[i].name, "tmp"), names[i].base);
    char *one = s3r_temporary_sibling("a/b//", "tmp");
    char *two = s3r_temporary_sibling("a/b", "tmp");
    assert_int_equal(s3r_temporary_base_bytes(one, "tmp"), 3);
    assert_int_equal(s3r_temporary_base_bytes(two, "tmp"), 3);
    assert_string_not_equal(one, two);
    s3r_free(one);
    s3r_free(two);
}

static s3r_status attempt_write(void *path, s3r_error *error)
{
    return s3r_file_write_all(path, "bytes", 5, error);
}

static void test_allocation_failures_are_survived(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", test_path(test_folder(), "file"));
    test_survives_alloc_faults(attempt_write, path);
    expect_content(path, "bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replaces_or_leaves),
        cmocka_unit_test(test_link_leads_to_the_file),
        cmocka_unit_test(test_special_files_stay),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_names_while_writing),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_permissions_stay),
        cmocka_unit_test(test_temporary_names),
        cmocka_unit_test(test_allocation_failures_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
