/*
 * The bits of a mask file, whatever its form.
 *
 * The plain form needs nothing else.  The compact form is coded under the weights of its
 * backbone, so whoever reads it brings the backbone, and finds out here when that is
 * another one.
 */
#ifndef S3R_TASKS_MASK_BITS_H
#define S3R_TASKS_MASK_BITS_H

#include "base/memory.h"
#include "model/weight_plan.h"
#include "route/mask_compact.h"
#include "route/mask_file.h"

/* A backbone that masks belong to. */
typedef struct s3r_mask_backbone {
    const char *path;            /* for messages */
    const char *hash;            /* model_hash.h */
    const char *family;          /* s3r_family_name */
    const s3r_weight_plan *plan; /* of its checkpoint */
} s3r_mask_backbone;

/* S3R_ERR_MODEL, with both hashes and families, when the file was made for another one.
 */
s3r_status s3r_mask_file_check_backbone(const s3r_mask_file *file,
                                        const s3r_mask_backbone *backbone,
                                        s3r_error *err);

/* The matrix of that name; NULL when the backbone has none. */
const s3r_weight_entry *s3r_mask_backbone_find(const s3r_mask_backbone *backbone,
                                               const char *name);

/*
 * All masks of the file, in the order of its facts: out [s3r_mask_file_matrix_count],
 * bits in the arena.  With a backbone (of the file's hash) also the weights, and every
 * matrix must be one of it and have its shape.
 *
 *   backbone      NULL is allowed for the plain form
 *   is_read_only  nobody changes the bits, so they may stay where the file has them
 *   pool          NULL is allowed
 *
 * S3R_ERR_MODEL: a compact file without a backbone; a matrix that the backbone has not or
 * in another shape; coded masks that do not decode, or to another sparsity than the facts
 * say.  S3R_ERR_RESOURCE.
 */
s3r_status s3r_mask_bits_load(s3r_weighed_mask *out, s3r_arena *arena,
                              const s3r_mask_file *file,
                              const s3r_mask_backbone *backbone, bool is_read_only,
                              s3r_cpu_level level, s3r_pool *pool, s3r_error *err);

/* S3R_ERR_MODEL when the weights of loaded masks are int8, whose order is not that of the
 * backbone that they were made from. */
s3r_status s3r_mask_bits_check_order(const s3r_weighed_mask *masks,
                                     const s3r_mask_file *file, s3r_error *err);

#endif
