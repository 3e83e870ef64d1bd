/*
 * Mean of squares: sums of rows in double, added in the order of the rows.
 */
#include "tasks/feature_penalty.h"

typedef struct penalty_run {
    const s3r_kernels *kernels;
    const s3r_value *features;
    double *sums; /* [rows] */
    float *grad;  /* layout of features; NULL = not wanted */
    float slope;
} penalty_run;

static void penalty_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const penalty_run *run = context;
    const s3r_value *features = run->features;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        const float *x = features->data + i * features->stride;
        run->sums[i] = run->kernels->sum_squares(features->cols, 0.0, x);
        if (run->grad)
            run->kernels->axpy(features->cols, run->slope, x,
                               run->grad + i * features->stride);
    }
}

double s3r_feature_penalty(s3r_tape *tape, s3r_value *features, double weight)
{
    if (!features || features->rows == 0)
        return 0.0;
    double elements = (double)features->rows * (double)features->cols, total = 0;
    penalty_run run = {.kernels = tape->kernels,
                       .features = features,
                       .sums = s3r_tape_alloc(tape, features->rows, sizeof *run.sums),
                       .slope = (float)(2.0 * weight / elements)};
    if (tape->is_recording && features->needs_grad && weight != 0.0)
        run.grad = s3r_tape_grad(tape, features);
    if (tape->is_out_of_memory)
        return 0.0;
    s3r_tape_rows(tape, features->rows, 2 * features->cols, penalty_rows, &run);
    for (size_t i = 0; i < features->rows; i++)
        total += run.sums[i];
    return total / elements;
}
