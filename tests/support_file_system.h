/*
 * Test support: a file system that lacks what some lack.
 */
#ifndef S3R_TESTS_SUPPORT_FILE_SYSTEM_H
#define S3R_TESTS_SUPPORT_FILE_SYSTEM_H

#include <stdbool.h>

/* Calls run in a thread for which no file without a name can be made (O_TMPFILE) and no
 * two names can be exchanged (RENAME_EXCHANGE).  False when the system does not let a
 * program forbid itself such calls; run was not called then. */
bool test_on_simple_file_system(void (*run)(void *context), void *context);

#endif
