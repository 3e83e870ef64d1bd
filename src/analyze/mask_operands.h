/*
 * Mask files of one backbone, opened together with their bits.
 */
#ifndef S3R_ANALYZE_MASK_OPERANDS_H
#define S3R_ANALYZE_MASK_OPERANDS_H

#include "tasks/mask_bits.h"

typedef struct s3r_mask_operand {
    s3r_mask_file file;
    s3r_weighed_mask *masks; /* in the order of the file's facts */
    size_t count;
} s3r_mask_operand;

typedef struct s3r_mask_operands {
    s3r_mask_operand *items;
    size_t count;
    s3r_arena owned;
} s3r_mask_operands;

/* How masks are read: backbone NULL for plain files only; pool NULL is allowed. */
typedef struct s3r_mask_reader {
    const s3r_mask_backbone *backbone;
    s3r_cpu_level level;
    s3r_pool *pool;
} s3r_mask_reader;

/*
 * Opens at least one file.  S3R_ERR_MODEL names the file: what opening and reading its
 * bits find; another backbone than the first file's (both hashes) or the reader's; a
 * matrix that the two have in different shapes.  S3R_ERR_RESOURCE.  *out is empty after a
 * failure.
 */
s3r_status s3r_mask_operands_open(s3r_mask_operands *out, const char *const *paths,
                                  size_t count, const s3r_mask_reader *reader,
                                  s3r_error *err);
void s3r_mask_operands_close(s3r_mask_operands *operands); /* zeroed: allowed */

/* The file is of the same backbone as the first operand.  S3R_ERR_MODEL. */
s3r_status s3r_mask_operands_check_file(const s3r_mask_operands *operands,
                                        const s3r_mask_file *file, s3r_error *err);

/* The mask of a matrix by name; NULL: the file keeps all of it. */
const s3r_mask *s3r_mask_operand_find(const s3r_mask_operand *operand, const char *name);

#endif
