/*
 * What says which language is spoken: the mean of the last hidden state over an
 * utterance's frames, a linear layer, a softmax.
 *
 * The mean is the op of training (ops/op_mean_rows.h); what follows it is here, in double
 * and for one utterance, so that nothing depends on batches.
 */
#ifndef S3R_TASKS_LANGUAGE_HEAD_H
#define S3R_TASKS_LANGUAGE_HEAD_H

#include "base/memory.h"
#include "model/model_weights.h"

/*
 * The probabilities of one utterance.
 *
 *   head           [classes, width] with a bias, fp32
 *   pooled         [width], the mean of its last hidden state
 *   probabilities  [classes] receives them; they add up to 1
 *
 * False when a number is not finite (damaged audio or weights).  Thread-safe.
 */
bool s3r_language_probabilities(const s3r_linear_weights *head, const float *pooled,
                                double *probabilities);

/* An utterance's frames as they come, whole or in windows. */
typedef struct s3r_language_pool {
    double *sums; /* [width], zeros before the first */
    float *mean;  /* [width], of s3r_language_pool_judge */
    size_t width, frames;
} s3r_language_pool;

/* S3R_ERR_RESOURCE. */
s3r_status s3r_language_pool_init(s3r_language_pool *pool, size_t width, s3r_error *err);
void s3r_language_pool_release(s3r_language_pool *pool); /* a zeroed one is allowed */
/* For the next utterance. */
void s3r_language_pool_clear(s3r_language_pool *pool);
void s3r_language_pool_add(s3r_language_pool *pool, const float *rows, size_t stride,
                           size_t count);

/* s3r_language_probabilities of what was added; false also when that is nothing. */
bool s3r_language_pool_judge(s3r_language_pool *pool, const s3r_linear_weights *head,
                             double *probabilities);

#endif
