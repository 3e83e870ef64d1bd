/*
 * Writing a mask that was computed, not trained.
 */
#ifndef S3R_ANALYZE_MASK_RESULT_H
#define S3R_ANALYZE_MASK_RESULT_H

#include "analyze/mask_combine.h"

typedef struct s3r_named_mask {
    const char *name; /* of the matrix */
    s3r_mask mask;
} s3r_named_mask;

typedef struct s3r_mask_result {
    const char *operation; /* the method of the file: "and", "random" */
    s3r_named_mask *masks;
    size_t count;
    const s3r_mask_file *head; /* whose other parts; NULL: nobody's */
    /* What a file without head says of the backbone: an object with backbone, normalize
     * and sample_rate. */
    const json_t *backbone_facts;
    json_t *made_from;   /* operands and settings; taken */
    const char *license; /* of all that went in; "" when unknown */
} s3r_mask_result;

/* S3R_ERR_RUNTIME, S3R_ERR_RESOURCE. */
s3r_status s3r_mask_result_save(const char *out_path, s3r_mask_result *result,
                                s3r_combine_result *counts, s3r_error *err);

#endif
