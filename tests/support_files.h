/*
 * Test support: temporary folders.
 */
#ifndef S3R_TESTS_SUPPORT_FILES_H
#define S3R_TESTS_SUPPORT_FILES_H

#include <stddef.h>

/* A new empty folder under $TMPDIR, removed with its content at exit.  Static storage is
 * never reused: each call returns another folder. */
const char *test_folder(void);
/* "folder/name" in storage that lives until exit. */
const char *test_path(const char *folder, const char *name);
/* Writes bytes to path or fails the test. */
void test_write_file(const char *path, const void *bytes, size_t size);
/* How many files and folders a folder holds; SIZE_MAX when it cannot be read.  May be
 * called by any thread. */
size_t test_entry_count(const char *folder);

#endif
