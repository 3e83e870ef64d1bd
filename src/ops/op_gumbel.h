/*
 * Choosing code vectors: hard Gumbel softmax with a straight-through gradient.
 * (Jang et al. 2017; Baevski et al. 2020; spec 2.10)
 */
#ifndef S3R_OPS_OP_GUMBEL_H
#define S3R_OPS_OP_GUMBEL_H

#include "ops/tape.h"

typedef struct s3r_gumbel_options {
    size_t groups;
    /* [rows] random numbers, the keys of the noise; NULL: no noise, the largest logit is
     * chosen and the logits get no gradient.  Must live as long as the step. */
    const uint64_t *keys;
    double temperature; /* > 0; with noise only */
} s3r_gumbel_options;

/* Standard Gumbel noise of element `index` of the row with this key. */
double s3r_gumbel_noise(uint64_t key, size_t index);

/*
 *   logits   [rows, groups * entries]
 *   vectors  [groups * entries, dim] fp32, group after group
 *   codes    [rows * groups] receives the chosen entry of each group
 *
 * Returns [rows, groups * dim]: of each group the vector with the largest logit + noise.
 * The gradient of the choice is that of softmax((logits + noise) / temperature).
 */
s3r_value *s3r_op_gumbel(s3r_tape *tape, s3r_value *logits, s3r_weight *vectors,
                         const s3r_gumbel_options *options, uint32_t *codes);

#endif
