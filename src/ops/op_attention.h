/*
 * Multi-head self-attention on ragged batches; memory grows linearly with length.
 * (spec 2.4; WavLM's gated relative position bias: spec 2.14)
 */
#ifndef S3R_OPS_OP_ATTENTION_H
#define S3R_OPS_OP_ATTENTION_H

#include "ops/tape.h"

typedef struct s3r_attention_options {
    size_t heads;
    float dropout; /* of the probabilities; used when the tape is training */
    const uint64_t *utterance_keys; /* [utterances]; needed with dropout */
    /* Added to the logits: gate[i, h] * position[h, j - i + center]; both or none. */
    s3r_value *position; /* [heads, 2 * center + 1], center >= longest utterance - 1 */
    s3r_value *gate;     /* [frames, heads] */
} s3r_attention_options;

/*
 *   q, k, v   [frames, dim], heads side by side, dim / heads columns each
 *
 * Returns softmax(q k^T / sqrt(dim / heads) + bias) v, [frames, dim].
 */
s3r_value *s3r_op_attention(s3r_tape *tape, s3r_value *q, s3r_value *k, s3r_value *v,
                            s3r_ragged frames, const s3r_attention_options *options);

#endif
