/*
 * Each weight is first laid out tap by tap in fp32, [out][kernel][in], then divided by
 * its norm, then packed, for int8 rounded as weight_quantize.h says.  The fp32 layout is
 * a scratch buffer that all weights share, unless it is to be kept.
 */
#include "model/conv_prepare.h"

#include <assert.h>
#include <string.h>

#include "model/stored_values.h"
#include "model/weight_quantize.h"
#include "ops/conv_int8.h"
#include "ops/conv_pairs.h"
#include "ops/op_weight_norm.h"

#define ROWS_A_TASK 16u

typedef struct conv_job {
    const s3r_conv_source *source;
    const s3r_kernels *kernels;
    s3r_pool *pool;
    size_t depth;  /* columns of the weight: kernel * in / groups */
    float *layout; /* [out, depth] */
    bool is_bf16, is_int8;
    unsigned char *packed;
    float *scales; /* [out] of int8 */
} conv_job;

/* Channels [first, first + count) of one stored row, through the worker's scratch. */
static void lay_out_part(const conv_job *job, size_t row, size_t first, size_t count,
                         float *scratch)
{
    const s3r_tensor *tensor = job->source->tensor;
    size_t kernel = job->source->shape.kernel, in = job->depth / kernel;
    float *out = job->layout + row * job->depth + first;
    s3r_stored_to_f32(scratch, tensor->data, tensor->dtype,
                      row * job->depth + first * kernel, count * kernel);
    for (size_t tap = 0; tap < kernel; tap++)
        for (size_t i = 0; i < count; i++)
            out[tap * in + i] = scratch[i * kernel + tap];
}

static void lay_out_rows(void *context, size_t task, size_t worker)
{
    const conv_job *job = context;
    float *scratch = s3r_pool_scratch(job->pool, worker);
    size_t kernel = job->source->shape.kernel, in = job->depth / kernel;
    size_t fitting = S3R_POOL_SCRATCH_BYTES / sizeof(float) / kernel;
    size_t end = S3R_MIN((task + 1) * ROWS_A_TASK, job->source->shape.out);
    for (size_t row = task * ROWS_A_TASK; row < end; row++)
        for (size_t first = 0; first < in; first += fitting)
            lay_out_part(job, row, first, S3R_MIN(fitting, in - first), scratch);
}

static size_t group_out(const conv_job *job)
{
    return job->source->shape.out / job->source->shape.groups;
}

/* Task: one panel of one group. */
static void pack_panel(void *context, size_t task, size_t worker)
{
    const conv_job *job = context;
    size_t out = group_out(job), panels = S3R_CEIL_DIV(out, (size_t)S3R_PANEL);
    size_t group = task / panels, panel = task % panels;
    size_t cols = S3R_MIN(out - panel * S3R_PANEL, (size_t)S3R_PANEL);
    const float *rows = job->layout + (group * out + panel * S3R_PANEL) * job->depth;
    unsigned char *packed = job->packed +
                            group * s3r_packed_bytes(job->depth, out, job->is_bf16) +
                            panel * s3r_packed_bytes(job->depth, S3R_PANEL, job->is_bf16);
    (void)worker;
    s3r_pack_panels(job->kernels, job->depth, cols, rows, S3R_B_TRANSPOSED, S3R_DTYPE_F32,
                    job->depth, job->is_bf16, packed);
    if (s3r_conv_has_pairs(&job->source->shape))
        s3r_conv_pair_panel(&job->source->shape, job->is_bf16, job->packed, panel);
}

/* Task: one panel of a weight with one group. */
static void pack_panel_int8(void *context, size_t panel, size_t worker)
{
    const conv_job *job = context;
    size_t first = panel * S3R_PANEL;
    size_t cols = S3R_MIN(job->source->shape.out - first, (size_t)S3R_PANEL);
    int8_t *rows = s3r_pool_scratch(job->pool, worker);
    for (size_t i = 0; i < cols; i++)
        job->scales[first + i] = s3r_quantize_weights(
            job->depth, job->layout + (first + i) * job->depth, rows + i * job->depth);
    s3r_conv_int8_panel(job->kernels, &job->source->shape, rows, cols, panel,
                        job->packed);
}

static s3r_status divide_by_norm(conv_job *job, const s3r_conv_prepare_options *options,
                                 s3r_error *err)
{
    const s3r_conv_shape *shape = &job->source->shape;
    size_t elements = shape->out * job->depth;
    float *direction = NULL;
    if (options->keeps_unpacked) {
        direction = s3r_arena_alloc(options->arena, elements, sizeof *direction);
        if (!direction)
            return s3r_fail_memory(err, "convolution weights",
                                   elements * sizeof *direction);
        memcpy(direction, job->layout, elements * sizeof *direction);
    }
    *job->source->direction =
        (s3r_weight){.data = direction, .rows = shape->out, .cols = job->depth};
    s3r_weight_norm(options->pool, options->kernels, job->source->gain, job->layout,
                    shape->out, shape->kernel, job->depth / shape->kernel, job->layout);
    return S3R_OK;
}

static s3r_status prepare_one(conv_job *job, const s3r_conv_prepare_options *options,
                              s3r_error *err)
{
    const s3r_conv_source *source = job->source;
    const s3r_conv_shape *shape = &source->shape;
    size_t bytes = job->is_int8 ? s3r_conv_int8_bytes(shape)
                                : s3r_conv_packed_bytes(shape, job->is_bf16);
    job->packed = s3r_arena_alloc(options->arena, bytes, 1);
    if (job->packed && job->is_int8)
        job->scales = s3r_arena_alloc(options->arena, shape->out, sizeof *job->scales);
    if (!job->packed || (job->is_int8 && !job->scales))
        return s3r_fail_memory(err, "packed convolution weights", bytes);
    s3r_pool_run(options->pool, S3R_CEIL_DIV(shape->out, (size_t)ROWS_A_TASK),
                 lay_out_rows, job);
    if (source->gain)
        S3R_TRY(divide_by_norm(job, options, err));
    s3r_pool_run(options->pool,
                 shape->groups * S3R_CEIL_DIV(group_out(job), (size_t)S3R_PANEL),
                 job->is_int8 ? pack_panel_int8 : pack_panel, job);
    *source->weight = (s3r_weight){.data = options->keeps_unpacked ? job->layout : NULL,
                                   .rows = shape->out,
                                   .cols = job->depth,
                                   .scales = job->scales};
    if (job->is_int8)
        source->weight->packed_int8 = job->packed;
    else if (job->is_bf16)
        source->weight->packed_bf16 = job->packed;
    else
        source->weight->packed_f32 = job->packed;
    return S3R_OK;
}

static size_t source_depth(const s3r_conv_source *source)
{
    return source->shape.in / source->shape.groups * source->shape.kernel;
}

s3r_status s3r_conv_prepare(const s3r_conv_source *sources, size_t count,
                            const s3r_conv_prepare_options *options, s3r_error *err)
{
    size_t largest = 0;
    assert(!options->is_int8 || !options->keeps_unpacked);
    /* The tensors exist, so these products fit. */
    for (size_t i = 0; i < count; i++)
        largest = S3R_MAX(largest, sources[i].shape.out * source_depth(&sources[i]));
    float *shared =
        options->keeps_unpacked ? NULL : s3r_alloc_raw(largest, sizeof(float));
    if (!options->keeps_unpacked && !shared)
        return s3r_fail_memory(err, "convolution weights", largest * sizeof(float));
    s3r_status status = S3R_OK;
    for (size_t i = 0; status == S3R_OK && i < count; i++) {
        const s3r_conv_shape *shape = &sources[i].shape;
        conv_job job = {.source = &sources[i],
                        .kernels = options->kernels,
                        .pool = options->pool,
                        .depth = source_depth(&sources[i]),
                        .layout = shared,
                        .is_bf16 = options->is_bf16 && s3r_conv_allows_bf16(shape),
                        .is_int8 = options->is_int8 && s3r_conv_allows_int8(shape)};
        if (options->keeps_unpacked)
            job.layout =
                s3r_arena_alloc(options->arena, shape->out * job.depth, sizeof(float));
        status = job.layout ? prepare_one(&job, options, err)
                            : s3r_fail_memory(err, "convolution weights",
                                              shape->out * job.depth * sizeof(float));
    }
    s3r_free(shared);
    return status;
}
