/*
 * wav2vec 2.0's objective: telling the quantised features of a masked frame from those of
 * other masked frames of the utterance. (Baevski et al. 2020; spec 2.10)
 *
 *   context c = P h + b                 of the encoder's output
 *   target  t = R q + r                 q: one code vector a group, chosen by
 *   codes     = W norm(features) + w    hard Gumbel softmax
 *   loss = sum over masked frames of -log softmax over {own, negatives} (cos(c, t) / T)
 *        + diversity_weight * masked * (G V - sum of perplexities) / (G V)
 */
#ifndef S3R_TASKS_CONTRASTIVE_H
#define S3R_TASKS_CONTRASTIVE_H

#include "ops/tape.h"

typedef struct s3r_contrastive_weights {
    s3r_weight code_projection, code_bias;     /* [G V, channels], [1, G V] */
    s3r_weight vectors;                        /* [G V, dim] fp32 */
    s3r_weight target_projection, target_bias; /* [P, G dim], [1, P] */
    s3r_weight hidden_projection, hidden_bias; /* [P, hidden], [1, P] */
} s3r_contrastive_weights;

typedef struct s3r_contrastive_options {
    size_t groups;       /* 2 */
    size_t negatives;    /* 100 */
    double temperature;  /* 0.1, of the similarities */
    double gumbel;       /* temperature of the choice; it falls during training */
    double feature_drop; /* dropout of the quantiser's input: 0.1 */
    double diversity;    /* weight: 0.1 */
    double norm_eps;     /* of the norm of the features */
    uint64_t noise_seed; /* of this step: Gumbel noise and negatives */
} s3r_contrastive_options;

typedef struct s3r_contrastive_input {
    s3r_value *hidden;     /* [frames, hidden], the encoder's */
    s3r_value *features;   /* [frames, channels], the extractor's */
    s3r_weight *norm_gain; /* [1, channels] of the norm between them; NULL = 1 */
    s3r_weight *norm_bias; /* NULL = 0 */
    s3r_ragged frames;     /* where the utterances are */
    const uint64_t *keys;  /* [utterances] one number that identifies each */
    const size_t *masked;  /* [masked_count] masked rows, ascending */
    size_t masked_count;
} s3r_contrastive_input;

/* Sums over the masked frames; to be added up over micro-batches. */
typedef struct s3r_contrastive_result {
    double loss;            /* contrastive part, natural log */
    double diversity;       /* masked * (G V - perplexity) / (G V), without its weight */
    double perplexity;      /* sum over groups, of the mean softmax of this batch */
    double code_perplexity; /* the same of the chosen codes */
    size_t masked, correct; /* correct: own similarity above those of all negatives */
} s3r_contrastive_result;

/*
 * Index among n of negative `number` for position `own`: any other one with the same
 * chance.  n > 1; key: see the code.
 */
size_t s3r_contrastive_negative(uint64_t key, size_t number, size_t own, size_t n);

/*
 * Records the objective, computes the loss and puts its gradient where the backward pass
 * begins: of loss + options->diversity * diversity.  The caller divides by the masked
 * frames when it updates.
 *
 * While the tape trains, codes are drawn with Gumbel noise; else the best ones are taken
 * and the quantiser's logits learn from the diversity alone.  Noise and negatives of a
 * frame depend on noise_seed, the utterance's key and the frame, nothing else; a frame
 * that is the only masked one of its utterance has no negatives and no loss.  The
 * diversity alone sees the batch as a whole.  Negatives with the codes of the frame
 * itself do not count.  Memory comes from the tape; s3r_tape_status tells.
 */
void s3r_contrastive_loss(s3r_tape *tape, const s3r_contrastive_input *input,
                          s3r_contrastive_weights *weights,
                          const s3r_contrastive_options *options,
                          s3r_contrastive_result *result);

#endif
