/*
 * Test support: mask files with random content for any model.  Also used by
 * tools/make_tiny_mask.c, so nothing here fails a test.
 */
#ifndef S3R_TESTS_SUPPORT_MASK_H
#define S3R_TESTS_SUPPORT_MASK_H

#include "base/memory.h"
#include "model/model_config.h"
#include "route/mask_file.h"

typedef struct test_mask_options {
    const char *method;  /* "mask" when NULL */
    bool has_masks;      /* of all matrices of the blocks */
    bool is_ffn_only;    /* of those of the feed-forward layers */
    bool has_vectors;    /* new values of all vectors of the encoder */
    bool has_all_values; /* new values of everything but the head */
    bool has_lora, has_adapters;
    bool is_st; /* the adapters' kind, else asr */
    double sparsity;
    size_t first_block;   /* masks and low-rank updates are of the blocks from here on */
    const char *language; /* "und" when NULL */
    const char *license;  /* "CC0-1.0" when NULL */
    size_t labels;        /* 2 .. 26 + 2 */
    bool identifies_languages; /* task "lid": the labels are languages "l0", "l1", ... */
    uint64_t seed;
} test_mask_options;

/* A mask file in memory, to be changed before it is written. */
typedef struct test_mask_content {
    s3r_tensor tensors[512];
    char names[512][200];
    size_t count;
    json_t *facts;
    s3r_arena owned;
} test_mask_content;

s3r_status test_mask_make(test_mask_content *out, const s3r_checkpoint *checkpoint,
                          const s3r_model_config *config,
                          const test_mask_options *options, s3r_error *err);
void test_mask_release(test_mask_content *content);

/* Both steps, for the model in path (a folder or file). */
s3r_status test_mask_write(const char *mask_path, const char *model_path,
                           const test_mask_options *options, s3r_error *err);

#endif
