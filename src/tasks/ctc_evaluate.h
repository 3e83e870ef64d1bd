/*
 * Decoding and scoring utterances: greedy hypotheses, error counts, the share of blank
 * frames and, where labels are given, the loss.
 *
 * Utterances come as waveforms or as the extractor's output that somebody has kept; a
 * result depends on its utterance alone.
 */
#ifndef S3R_TASKS_CTC_EVALUATE_H
#define S3R_TASKS_CTC_EVALUATE_H

#include "decode/beam_search.h"
#include "tasks/ctc_inference.h"
#include "tasks/error_rate.h"
#include "text/text_normalize.h"
#include "text/vocabulary.h"

#define S3R_UNIT_COUNT 3u /* of s3r_token_unit */

typedef struct s3r_evaluation_item {
    s3r_waveform wave;      /* not looked at when there is a features function */
    size_t frames;          /* that the features function will give; else not looked at */
    const char *reference;  /* UTF-8 */
    const uint32_t *labels; /* [label_count] for the loss; NULL = not wanted */
    size_t label_count;
} s3r_evaluation_item;

/* Valid during the call of the result function only. */
typedef struct s3r_utterance_score {
    size_t item;
    const char *decoded;                /* the hypothesis as the vocabulary prints it */
    const char *reference, *hypothesis; /* made comparable: what was scored */
    s3r_error_counts counts[S3R_UNIT_COUNT]; /* by s3r_token_unit; zero unless wanted */
    size_t frames,
        blank_frames;       /* all; those where no label is likelier than the blank */
    double loss;            /* nats, as s3r_ctc_loss gives it; NaN without labels */
    const float *log_probs; /* [frames, labels]; NULL unless keeps_emissions */
    bool is_finite; /* false: the network gave NaN or infinity; the hypothesis is "" */
} s3r_utterance_score;

typedef s3r_status (*s3r_score_fn)(void *context, const s3r_utterance_score *score,
                                   s3r_error *err);
/* The extractor's output of some items, [frames, channels] in the arena of the tape;
 * frames receives where each is.  The tape was reset before. */
typedef s3r_status (*s3r_item_features_fn)(void *context, const size_t *items,
                                           size_t count, s3r_value **features,
                                           s3r_ragged *frames, s3r_error *err);

typedef struct s3r_evaluation {
    s3r_tape *tape; /* not recording, not training */
    const s3r_model_config *config;
    const s3r_model_weights *weights;
    const s3r_vocabulary *vocabulary;
    const s3r_search *search; /* NULL: the best label of each frame is the hypothesis */
    bool keeps_emissions;     /* scores have log_probs */
    bool wants_unit[S3R_UNIT_COUNT];
    s3r_normalization normalization;      /* of reference and hypothesis */
    size_t batch_frames;                  /* that run together */
    size_t window_frames, context_frames; /* of long utterances, see s3r_inference */
    s3r_item_features_fn features;        /* NULL: the items' waveforms are run */
    void *features_context;
    s3r_score_fn score; /* called once an item, in the order of the items */
    void *score_context;
    bool (*goes_on)(
        void *context); /* asked before each batch and window; NULL = always */
    void *goes_on_context;
} s3r_evaluation;

/* Batches and windows for that many seconds, with 40, 40 and 4 s as usual choices. */
void s3r_evaluation_set_seconds(s3r_evaluation *evaluation, double batch_s,
                                double window_s, double context_s);

/*
 * Runs all items.  The tape is reset.  S3R_ERR_RESOURCE, S3R_ERR_DATA (a reference that
 * is not UTF-8), S3R_ERR_INTERRUPTED, and what the functions above return.
 */
s3r_status s3r_ctc_evaluate(const s3r_evaluation *evaluation,
                            const s3r_evaluation_item *items, size_t count,
                            s3r_error *err);

#endif
