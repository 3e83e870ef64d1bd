/*
 * The diversity of a quantiser: all code vectors should be in use. (Baevski et al. 2020;
 * spec 2.10)
 */
#ifndef S3R_TASKS_CODE_DIVERSITY_H
#define S3R_TASKS_CODE_DIVERSITY_H

#include "ops/tape.h"

typedef struct s3r_code_diversity {
    double loss;            /* rows * (entries - perplexity) / entries, of all groups */
    double perplexity;      /* sum over groups of exp(entropy of the mean softmax) */
    double code_perplexity; /* the same of the chosen codes */
} s3r_code_diversity;

/*
 * Computes the diversity of logits [rows, groups * entries] and of codes [rows * groups];
 * when the logits want a gradient, that of weight * loss is added to it.  Memory comes
 * from the tape; s3r_tape_status tells.
 */
void s3r_code_diversity_add(s3r_tape *tape, s3r_value *logits, const uint32_t *codes,
                            size_t groups, double weight, s3r_code_diversity *out);

#endif
