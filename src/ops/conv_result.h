/*
 * Inside the convolution: where its result goes, for each of the ways to compute it.
 */
#ifndef S3R_OPS_CONV_RESULT_H
#define S3R_OPS_CONV_RESULT_H

#include "ops/gemm.h"

/* [frames, out]; with `narrow` the result is there alone, and c is room
 * for sums. */
typedef struct s3r_conv_result {
    float *c;
    size_t stride;
    bool gelu;
    float *pre_activation; /* with the stride of c, or NULL */
    uint16_t *narrow;      /* or NULL */
    size_t narrow_stride;
} s3r_conv_result;

/* Frames first, first + step, ..., channels from `column` on, as what a product makes. */
static inline void s3r_conv_set_result(s3r_product *product,
                                       const s3r_conv_result *result, size_t first,
                                       size_t step, size_t column)
{
    size_t at = first * result->stride + column;
    product->c = result->c + at;
    product->c_stride = step * result->stride;
    product->gelu = result->gelu;
    product->pre_activation = result->pre_activation ? result->pre_activation + at : NULL;
    if (result->narrow) {
        product->narrow = result->narrow + first * result->narrow_stride + column;
        product->narrow_stride = step * result->narrow_stride;
        product->only_narrow = true;
    }
}

#endif
