/*
 * Test support: an operation must survive the failure of each of its allocations.
 */
#ifndef S3R_TESTS_SUPPORT_ALLOC_FAULTS_H
#define S3R_TESTS_SUPPORT_ALLOC_FAULTS_H

#include "base/error.h"

/* Does the operation and releases what it made. */
typedef s3r_status (*test_attempt_fn)(void *context, s3r_error *err);

/*
 * Repeats attempt with allocation 1, 2, ... failing until it succeeds, and asserts that
 * each failure is S3R_ERR_RESOURCE with a message.  jansson's allocations count too;
 * their failure may be another error. Leaks are the sanitizer's to find.
 */
void test_survives_alloc_faults(test_attempt_fn attempt, void *context);

#endif
