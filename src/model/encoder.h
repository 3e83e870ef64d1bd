/*
 * The Transformer encoder and the CTC head, by configuration. (spec 2.3, 2.4, 2.11, 2.14)
 */
#ifndef S3R_MODEL_ENCODER_H
#define S3R_MODEL_ENCODER_H

#include "model/model_config.h"
#include "model/model_weights.h"
#include "ops/tape.h"

/* Called with each hidden state as Hugging Face numbers them: 0 is the input of block 0,
 * `block_count` the result. The value is valid during the call only. */
typedef void (*s3r_hidden_fn)(void *context, size_t layer, const s3r_value *hidden);

/* Time and channel masking of a training step (spec 2.6): the choice is the caller's. */
typedef struct s3r_encoder_masking {
    /* [frame_count] distinct rows that become the mask embedding (zeros when the model
     * has none) */
    const size_t *frames;
    size_t frame_count;
    s3r_ragged channel_lists; /* channels[offset[u]] .. of utterance u are set to 0 */
    const size_t *channels;   /* NULL = none */
} s3r_encoder_masking;

/* So many rows belong to a model of their own. */
typedef struct s3r_encoder_part {
    const s3r_model_weights *weights;
    size_t rows; /* whole utterances */
} s3r_encoder_part;

typedef struct s3r_encoder_options {
    const s3r_encoder_masking *masking; /* of the encoder's input; NULL = none */
    const uint64_t *utterance_keys;     /* [utterances]; needed when the tape trains */
    const bool *skip_block; /* [block_count] layer drop of this step; NULL = none */
    s3r_hidden_fn hidden;   /* NULL = nobody looks */
    void *hidden_context;
} s3r_encoder_options;

/*
 *   features  [frames, conv dim], the extractor's; their data stays through the step
 *   frames    where the utterances are
 *   options   may be NULL
 *
 * Returns [frames, hidden_size].  Without recording, memory stays at a few activations.
 */
s3r_value *s3r_encoder_forward(s3r_tape *tape, const s3r_model_config *config,
                               const s3r_model_weights *weights, s3r_value *features,
                               s3r_ragged frames, const s3r_encoder_options *options);

/*
 * The two halves of it, without recording.  The first returns hidden state 0; the second
 * makes of hidden state `first` hidden state `end`, after the last norm when that is the
 * last.
 *
 *   x           [rows, hidden_size], rows of part after part; it is not changed
 *   frames      where the utterances of x are
 *   parts       [part_count] models that s3r_weights_is_mixable from block `first` on
 *   options     what is looked at and nothing else; may be NULL
 *
 * A part gives the bits that it gives alone.
 */
s3r_value *s3r_encoder_input(s3r_tape *tape, const s3r_model_config *config,
                             const s3r_model_weights *weights, s3r_value *features,
                             s3r_ragged frames, const s3r_encoder_options *options);
s3r_value *s3r_encoder_blocks(s3r_tape *tape, const s3r_model_config *config,
                              const s3r_encoder_part *parts, size_t part_count,
                              s3r_value *x, s3r_ragged frames, size_t first, size_t end,
                              const s3r_encoder_options *options);

/* Logits [frames, labels] of hidden [frames, hidden_size]; the model has a head. */
s3r_value *s3r_head_forward(s3r_tape *tape, const s3r_model_config *config,
                            const s3r_model_weights *weights, s3r_value *hidden,
                            s3r_ragged frames, const uint64_t *utterance_keys);

#endif
