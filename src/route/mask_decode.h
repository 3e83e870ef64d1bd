/*
 * The inner loop of decoding masks, for each CPU level.  It computes integers, so every
 * level gives the same bits.
 */
#ifndef S3R_ROUTE_MASK_DECODE_H
#define S3R_ROUTE_MASK_DECODE_H

#include <string.h>

#include "route/mask_coder.h"

#define S3R_CODER_SCALE ((uint32_t)1 << S3R_CODER_SCALE_BITS)
#define S3R_CODER_LAST  (S3R_CODER_CLASSES - 1)

#define S3R_CODER_WORD_BITS 16u
/* What a step of all lanes takes in at most. */
#define S3R_CODER_STEP_BYTES (S3R_CODER_LANES * sizeof(uint16_t))

/* A table made ready.  The class of a weight comes from the 16 highest bits of the
 * element: without the sign and shifted, they are exponent and two bits of mantissa in
 * every type. */
typedef struct s3r_class_lookup {
    size_t element_bytes;
    unsigned shift, base;
    uint16_t
        kept[S3R_CODER_CLASSES]; /* of S3R_CODER_SCALE; at least 1 and less than it */
} s3r_class_lookup;

static inline uint16_t s3r_weight_top(const uint8_t *weights, size_t element_bytes,
                                      size_t index)
{
    uint16_t top;
    memcpy(&top, weights + (index + 1) * element_bytes - sizeof top, sizeof top);
    return top;
}

/* Exponent and two bits of mantissa. */
static inline unsigned s3r_weight_scale(const s3r_class_lookup *lookup,
                                        const uint8_t *weights, size_t index)
{
    return (s3r_weight_top(weights, lookup->element_bytes, index) & 0x7fffu) >>
           lookup->shift;
}

static inline unsigned s3r_weight_class(const s3r_class_lookup *lookup,
                                        const uint8_t *weights, size_t index)
{
    unsigned scale = s3r_weight_scale(lookup, weights, index);
    unsigned above = scale > lookup->base ? scale - lookup->base : 0;
    return S3R_MIN(above, S3R_CODER_LAST);
}

/* Decodes a row: bits [ceil(cols / 64)] of its weights. */
typedef void (*s3r_decode_row_fn)(s3r_mask_decoder *decoder,
                                  const s3r_class_lookup *lookup, const uint8_t *weights,
                                  size_t cols, uint64_t *bits);

/* Columns first .. cols - 1; first is a multiple of S3R_CODER_LANES, and the bits of
 * these columns are 0. */
void s3r_decode_columns(s3r_mask_decoder *decoder, const s3r_class_lookup *lookup,
                        const uint8_t *weights, size_t first, size_t cols,
                        uint64_t *bits);

#if defined(__x86_64__)
void s3r_decode_row_avx2(s3r_mask_decoder *decoder, const s3r_class_lookup *lookup,
                         const uint8_t *weights, size_t cols, uint64_t *bits);
void s3r_decode_row_avx512(s3r_mask_decoder *decoder, const s3r_class_lookup *lookup,
                           const uint8_t *weights, size_t cols, uint64_t *bits);
#endif

#endif
