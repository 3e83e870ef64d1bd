/*
 * Convolution weights from a checkpoint to the panels of their matrix products.
 */
#ifndef S3R_MODEL_CONV_PREPARE_H
#define S3R_MODEL_CONV_PREPARE_H

#include "base/memory.h"
#include "base/thread_pool.h"
#include "ops/op_conv.h"

typedef struct s3r_conv_source {
    s3r_conv_shape shape;
    const s3r_tensor *tensor; /* [out, in / groups, kernel]; weight_v under weight norm */
    const float *gain;        /* [kernel] weight norm; NULL = none */
    s3r_weight *weight;       /* receives panels, and data when kept */
    s3r_weight *direction;    /* receives weight_v when kept; NULL without weight norm */
} s3r_conv_source;

typedef struct s3r_conv_prepare_options {
    bool is_bf16, keeps_unpacked;
    bool is_int8; /* where s3r_conv_allows_int8; not with keeps_unpacked */
    const s3r_kernels *kernels;
    s3r_pool *pool;
    s3r_arena *arena; /* for what stays */
} s3r_conv_prepare_options;

/* S3R_ERR_RESOURCE. */
s3r_status s3r_conv_prepare(const s3r_conv_source *sources, size_t count,
                            const s3r_conv_prepare_options *options, s3r_error *err);

#endif
