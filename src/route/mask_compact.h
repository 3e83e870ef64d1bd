/*
 * The compact form of the masks of a file: all matrices, entropy-coded (mask_coder.h), as
 * the bytes of one tensor.
 *
 *   tables    of each matrix: base u16, kept u8 [32]
 *   heads     of each stream: words u32, states u32 [32]
 *   words     u16, stream by stream
 *
 * A stream is a run of matrices that share the states, closed when it has 2^21 elements;
 * streams are independent, so that threads can take them.  Little-endian, no gaps.
 */
#ifndef S3R_ROUTE_MASK_COMPACT_H
#define S3R_ROUTE_MASK_COMPACT_H

#include "base/error.h"
#include "base/thread_pool.h"
#include "route/mask_coder.h"

/* A matrix with its mask and the backbone's weights. */
typedef struct s3r_weighed_mask {
    s3r_mask mask;
    s3r_mask_weights weights;
} s3r_weighed_mask;

/* Codes the masks; *out (s3r_free) has *size bytes.  The same bytes for any number of
 * threads; pool may be NULL.  S3R_ERR_RESOURCE. */
s3r_status s3r_masks_encode(uint8_t **out, size_t *size, const s3r_weighed_mask *masks,
                            size_t count, s3r_pool *pool, s3r_error *err);

/*
 * Decodes into the masks' bits.  S3R_ERR_MODEL names the file (label) and the matrices of
 * a stream that does not end as it was begun; S3R_ERR_RESOURCE.
 *
 *   bytes  that s3r_masks_check_size has found good
 */
s3r_status s3r_masks_decode(s3r_weighed_mask *masks, size_t count, const uint8_t *bytes,
                            size_t size, s3r_cpu_level level, s3r_pool *pool,
                            const char *label, s3r_error *err);

/* Whether the bytes can be the coded masks of matrices of these shapes (bits and weights
 * play no part).  S3R_ERR_MODEL names the file (label), expected and found. */
s3r_status s3r_masks_check_size(const s3r_weighed_mask *masks, size_t count,
                                const uint8_t *bytes, size_t size, const char *label,
                                s3r_error *err);

#endif
