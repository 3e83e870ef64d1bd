/*
 * The Adam optimiser in the two forms in use. (Kingma and Ba 2015; spec 2.8)
 */
#ifndef S3R_TRAIN_ADAM_H
#define S3R_TRAIN_ADAM_H

#include "base/thread_pool.h"
#include "train/train_config.h"

/* What one update of all tensors shares. */
typedef struct s3r_adam_step {
    s3r_adam_form form;
    double beta1, beta2, eps, weight_decay;
    size_t update;     /* 1 for the first */
    double grad_scale; /* gradients are multiplied by it first */
} s3r_adam_step;

/*
 * values, first and second [count] are updated from grad [count] at the learning rate.
 *
 *   m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
 *   fairseq:  p -= rate * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)
 *   PyTorch:  p -= rate / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)
 *
 * Weight decay is decoupled: p -= rate * weight_decay * p before.  In parallel; the bits
 * do not depend on the threads.
 */
void s3r_adam_update(s3r_pool *pool, const s3r_adam_step *step, double rate,
                     float *values, float *first, float *second, const float *grad,
                     size_t count);

/* Sum of squares in double, in a fixed order.  partial: scratch of
 * s3r_square_sum_parts(count) doubles. */
size_t s3r_square_sum_parts(size_t count);
double s3r_square_sum(s3r_pool *pool, const float *values, size_t count, double *partial);

#endif
