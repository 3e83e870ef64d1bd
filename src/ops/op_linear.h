/*
 * y = x W^T + b, and in the same pass what often follows: GELU, dropout, a residual.
 */
#ifndef S3R_OPS_OP_LINEAR_H
#define S3R_OPS_OP_LINEAR_H

#include "ops/tape.h"

typedef struct s3r_linear_options {
    bool gelu;
    s3r_value *addend;        /* [rows, out], added before GELU; NULL = none */
    s3r_dropout_mask dropout; /* of what follows GELU (s3r_dropout_draw) */
    s3r_value *residual;      /* [rows, out], added last; NULL = none */
    /* Only products of this tape's numbers read y. With GELU and in bf16 it is then made
     * and kept in bf16 alone (y->narrow), as they want it; without dropout by a GELU that
     * is as exact as that asks for (s3r_kernels.gelu_rows_bf16). */
    bool is_for_products;
} s3r_linear_options;

/*
 *   x        [rows, in]
 *   weight   [out, in]; may be frozen in any stored type
 *   bias     [1, out] or NULL
 *
 * Returns [rows, out].
 */
s3r_value *s3r_op_linear(s3r_tape *tape, s3r_value *x, s3r_weight *weight,
                         s3r_weight *bias, bool gelu);

/* y = residual + drop(gelu(x W^T + addend + b)), each part by option. */
s3r_value *s3r_op_linear_with(s3r_tape *tape, s3r_value *x, s3r_weight *weight,
                              s3r_weight *bias, const s3r_linear_options *options);

/* Rows of x that have a weight of their own. */
typedef struct s3r_linear_part {
    size_t rows;
    s3r_weight *weight, *bias; /* of one output width; bias may be NULL */
    s3r_value *addend;         /* [rows, out], as in the options; NULL = none */
} s3r_linear_part;

/*
 * The same without recording, for rows that belong together but for the weight: y of part
 * after part, which together are the rows of x.  A part gives the bits that it gives
 * alone.  options->addend is not used.
 */
s3r_value *s3r_op_linear_parts(s3r_tape *tape, s3r_value *x, const s3r_linear_part *parts,
                               size_t count, const s3r_linear_options *options);

/* bias->grad += sum of the rows of dy, in a fixed order. */
void s3r_bias_grad(s3r_tape *tape, const float *dy, size_t rows, size_t cols,
                   size_t stride, s3r_weight *bias);

#endif
