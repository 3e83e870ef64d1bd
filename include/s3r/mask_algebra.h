/*
 * Masks of one backbone as sets of kept connections: combining, drawing and comparing
 * them.  Results are ordinary mask files, which say what they were made from
 * (docs/masks.md).
 *
 * backbone may be NULL when all files are plain; compact ones (s3r_mask_pack) need it.  A
 * mask that it was opened with plays no part.
 */
#ifndef S3R_MASK_ALGEBRA_H
#define S3R_MASK_ALGEBRA_H

#include "s3r/model.h"
#include "s3r/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct s3r_mask_combine_options {
    size_t struct_size; /* set by _init */
    /* "and": kept by all; "or": by one at least; "xor": by an odd number; "minus": by the
     * first and no other; "vote": by at_least.  Default "and". */
    const char *operation;
    size_t at_least; /* votes, 1 to the number of files; default 0: more than half */
    /* The file whose other parts (head, vocabulary, normalisation, replaced values) the
     * result has; "none": nobody's.  Default NULL: the first file's. */
    const char *head;
} s3r_mask_combine_options;

S3R_API void s3r_mask_combine_options_init(s3r_mask_combine_options *options);

/* How much of the result is masked. */
typedef struct s3r_mask_counts {
    size_t matrices, elements, removed;
} s3r_mask_counts;

/*
 * Combines files into one.  A matrix that only some of them mask is whole in the others.
 *
 *   paths   at most 255; at least 2, for a vote 1
 *   counts  may be NULL
 *
 * S3R_ERR_USAGE: an unknown operation, too many or too few files, votes that cannot be,
 * nothing masked at all.  S3R_ERR_MODEL names the file: damaged, of another backbone than
 * the first (both hashes), a matrix in two shapes, a compact file without a backbone, a
 * head from a file without one.  S3R_ERR_RUNTIME, S3R_ERR_RESOURCE.
 */
S3R_API s3r_status s3r_mask_combine(s3r_context *context, const s3r_model *backbone,
                                    const char *const *paths, size_t count,
                                    const s3r_mask_combine_options *options,
                                    const char *out_path, s3r_mask_counts *counts,
                                    s3r_error *err);

typedef struct s3r_mask_random_options {
    size_t struct_size; /* set by _init */
    /* As many connections removed of each matrix as in this file, whose other parts the
     * result has too.  Default NULL: by the next two. */
    const char *like;
    double sparsity;     /* part removed of each matrix; default 0.1 */
    const char *modules; /* "ffn", "attention" or "both"; default "ffn" */
    uint64_t seed;       /* default 1; at most INT64_MAX */
    const char *head;    /* as above; without `like` the default is nobody's */
} s3r_mask_random_options;

S3R_API void s3r_mask_random_options_init(s3r_mask_random_options *options);

/* Draws a mask; the same seed gives the same file.  Without `like` the backbone is
 * needed.  Errors as of s3r_mask_combine. */
S3R_API s3r_status s3r_mask_draw_random(s3r_context *context, const s3r_model *backbone,
                                        const s3r_mask_random_options *options,
                                        const char *out_path, s3r_mask_counts *counts,
                                        s3r_error *err);

/*
 * How alike masks are, each two of them, as a JSON document in a new string
 * (s3r_mask_compare_free): counts, cosine, Jaccard index and phi, and what independent
 * masks of the same sparsities would have (docs/masks.md has the keys).
 *
 *   paths  at least 2
 *
 * S3R_ERR_USAGE, S3R_ERR_MODEL (also: two files that mask no matrix in common),
 * S3R_ERR_RESOURCE.
 */
S3R_API s3r_status s3r_mask_compare(s3r_context *context, const s3r_model *backbone,
                                    const char *const *paths, size_t count, char **json,
                                    s3r_error *err);
S3R_API void s3r_mask_compare_free(char *json); /* NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
