/*
 * Test support: a Hugging Face folder with a small wav2vec 2.0 CTC model of random
 * weights and an upper-case English vocabulary.  Also used by tools/make_tiny_model.c, so
 * nothing here fails a test.
 */
#ifndef S3R_TESTS_SUPPORT_TINY_MODEL_H
#define S3R_TESTS_SUPPORT_TINY_MODEL_H

#include "base/error.h"

s3r_status test_tiny_model_write(const char *folder, uint64_t seed, s3r_error *err);

#endif
