/*
 * New masks from old ones, and at random, as mask files with their provenance.
 *
 * A result has the masks that were computed, and everything else of one file: head,
 * vocabulary, normalisation, language, replaced values.  That is the first operand, or
 * another, or none; then the file has the task "none".  What was measured of the old file
 * (data, metrics, recipe) is not true of the new one and left out.  "made_from" says what
 * it is made from, by content hash.
 */
#ifndef S3R_ANALYZE_MASK_COMBINE_H
#define S3R_ANALYZE_MASK_COMBINE_H

#include "analyze/mask_operands.h"
#include "model/model_config.h"
#include "route/mask_sets.h"

typedef struct s3r_combine_options {
    s3r_mask_operation operation;
    size_t at_least;       /* votes; 0 = more than half */
    const char *head_path; /* whose other parts; NULL = the first operand's */
    bool has_no_head;      /* nobody's */
} s3r_combine_options;

/* How many connections were masked and removed in the result. */
typedef struct s3r_combine_result {
    size_t matrices, elements, removed;
} s3r_combine_result;

/*
 * Combines at least two files (one for a vote).  A matrix that only some of them mask is
 * whole in the others.  S3R_ERR_USAGE: more than S3R_MASK_MAX_VOTES files or votes that
 * cannot be; nothing is masked in any.  S3R_ERR_MODEL as s3r_mask_operands_open;
 * S3R_ERR_RUNTIME; S3R_ERR_RESOURCE.
 */
s3r_status s3r_mask_files_combine(const char *out_path, const char *const *paths,
                                  size_t count, const s3r_combine_options *options,
                                  const s3r_mask_reader *reader,
                                  s3r_combine_result *result, s3r_error *err);

typedef struct s3r_random_mask_options {
    const char
        *like_path;  /* as many removed of each matrix; NULL: sparsity and modules */
    double sparsity; /* 0 .. 1 */
    bool has_ffn, has_attention;
    uint64_t seed;
    const char *head_path;
    bool has_no_head;
} s3r_random_mask_options;

/*
 * Draws a mask: like another file, or of a backbone (in `reader`) whose configuration is
 * config.  Of the same seed each matrix gets the same bits, whatever other matrices there
 * are.  Errors as above.
 */
s3r_status s3r_mask_file_draw(const char *out_path,
                              const s3r_random_mask_options *options,
                              const s3r_mask_reader *reader,
                              const s3r_model_config *config, s3r_combine_result *result,
                              s3r_error *err);

#endif
