/*
 * Audio files in, text and numbers out: greedy CTC, emissions, hidden states.
 *
 * Files run together up to a total length (nothing is padded); a file gives the same bits
 * in any batch and with any number of threads.  Long files run in windows of bounded
 * memory that are cut where the emissions are blank.
 */
#ifndef S3R_TRANSCRIBE_H
#define S3R_TRANSCRIBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "s3r/decode.h"
#include "s3r/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One label of the greedy path, blanks removed and repeats merged.
 *
 * Frame i stands for the time from i * frame_s to (i + 1) * frame_s of the result.  It
 * hears the samples from i * frame_s on, as many as the model's receptive field (25 ms,
 * with a step of 20 ms); the CTC loss does not say where within a sound its label
 * appears, and labels are often a single frame long.
 */
typedef struct s3r_label {
    const char *text; /* as in the vocabulary */
    size_t id;
    size_t start_frame, end_frame; /* end is exclusive */
    float confidence;              /* mean probability over its frames */
} s3r_label;

/*
 * A word: labels [first_label, first_label + label_count) of the result, between word
 * delimiters; in a vocabulary without delimiter the whole text is one word.  With a
 * lexicon: its words, as it writes them, on the labels that spell them.
 */
typedef struct s3r_word {
    const char *text; /* UTF-8, never empty */
    size_t first_label, label_count;
    size_t start_frame, end_frame; /* of its first and last label; end is exclusive */
    float confidence;              /* of its least certain label */
    /* Of an alignment (s3r/align.h) only; else 0 and false. */
    float score;      /* how much less likely than the best labels, nats a label; <= 0 */
    bool is_doubtful; /* not in the audio, it seems; or no label spells it */
} s3r_word;

/* A stretch of speech. */
typedef struct s3r_segment {
    double start_s, end_s;
    const char *mask; /* that its text is of; NULL but with by_segment (s3r/router.h) */
} s3r_segment;

/* A language that might be spoken. */
typedef struct s3r_language {
    const char *name;   /* as the training data had it */
    double probability; /* those of all languages add up to 1 */
} s3r_language;

/* What became of one file.  Everything in it is valid during the callback only. */
typedef struct s3r_result {
    size_t index; /* of the file in the list */
    const char *path;
    /* A file in several masks (s3r/router.h) has several results, one after another: part
     * 0 .. part_count - 1. Else 0 and 1. */
    size_t part, part_count;
    const char *mask;    /* the name of the mask that it is of; NULL without a router */
    s3r_status status;   /* S3R_OK, or why this file failed */
    const char *message; /* the error; "" when OK */
    double duration_s;
    size_t frame_count;
    double frame_s;   /* seconds from frame to frame */
    const char *text; /* transcribe only; else NULL */
    const s3r_label *labels;
    size_t label_count;
    double confidence;     /* mean over frames of the best label's probability; 1 without
                              frames */
    const s3r_word *words; /* transcribe only */
    size_t word_count;
    const char *name; /* of outputs; NULL: the last part of the path, no extension */
    bool is_aligned;  /* labels and words are those of a given text */
    const s3r_segment *segments; /* with voice_only, else NULL: in order, apart, each with
                                    at least a label */
    size_t segment_count;
    /* With a decoder: its texts, the best, which is `text`, first; labels and words are
     * then those of its best path. */
    const s3r_hypothesis *hypotheses;
    size_t hypothesis_count; /* 0 without a decoder */
    /* Of identification (s3r/identify.h): all languages, the likeliest first. Where a
     * mask of the task lid chose (s3r/router.h, "auto"): the likeliest alone. Else NULL.
     */
    const s3r_language *languages;
    size_t language_count;
    bool is_other_language; /* no mask that was asked is of the likeliest */
    const char *id; /* of an utterance of a manifest, for formats of scorers; else NULL */
} s3r_result;

/* Called once a file, in the caller's thread, in the order in which files are done.
 * Another status than S3R_OK ends the run with it. */
typedef s3r_status (*s3r_result_fn)(void *context, const s3r_result *result);
/* Called now and then with the seconds of audio done and to do, as far as headers tell.
 * Returning false interrupts the run: S3R_ERR_INTERRUPTED. */
typedef bool (*s3r_progress_fn)(void *context, double done_s, double total_s);

#define S3R_LAYER_LAST (-1)
#define S3R_LAYER_ALL  (-2)

typedef struct s3r_transcribe_options {
    size_t struct_size;   /* set by _init */
    double window_s;      /* longest piece that runs at once; default 40 */
    double context_s;     /* heard on both sides of a piece, not kept; default 4 */
    double batch_s;       /* audio that runs together; default 40 */
    uint32_t raw_rate_hz; /* of raw samples on stdin; default 16000 */
    bool allow_ffmpeg;    /* default true */
    const char *emissions_folder; /* NAME.npy: log-probabilities [frames, labels]; NULL */
    const char *features_folder;  /* hidden states [frames, width], NAME.npy or, of all
                                     layers, NAME.LAYER.npy; NULL */
    const s3r_decoder *decoder;   /* of this model; NULL (default): the best label of each
                                     frame */
    int layer; /* of the features: 0 = input of the first block, n = output of block n,
                  S3R_LAYER_LAST (default) or S3R_LAYER_ALL */
    bool voice_only; /* frames outside of what sounds like speech count as blanks, also
                           for a decoder; default false.  Emissions are as they are. */
    double
        temperature;          /* of the probabilities that confidences are made of, see
                                       s3r/calibrate.h; default 1.  Emissions are as they are. */
    s3r_progress_fn progress; /* NULL = none */
    void *progress_context;
} s3r_transcribe_options;

S3R_API void s3r_transcribe_options_init(s3r_transcribe_options *options);

/*
 * Transcribes (or, with features_folder and a model without head, only encodes) all
 * paths; "-" is stdin.  A file that fails, also because its output cannot be written, is
 * reported through its result and the others go on: S3R_ERR_PARTIAL then.  Other errors
 * end the run: S3R_ERR_USAGE (two outputs with one name, a layer out of range),
 * S3R_ERR_MODEL (no head, no vocabulary), S3R_ERR_RESOURCE, S3R_ERR_RUNTIME (a folder
 * cannot be created), S3R_ERR_INTERRUPTED.  One call at a time a context.
 */
S3R_API s3r_status s3r_transcribe(s3r_context *context, const s3r_model *model,
                                  const char *const *paths, size_t path_count,
                                  const s3r_transcribe_options *options,
                                  s3r_result_fn result, void *result_context,
                                  s3r_error *err);

/*
 * Runs the network on samples in memory.
 *
 *   samples     [sample_count] mono at the model's rate, before normalisation
 *   log_probs   receives [frames, label_count] in a block of the library's
 *               (s3r_buffer_free), or NULL for a model without head
 *   hidden      receives [frames, hidden_size], the last hidden state; NULL = not wanted
 *
 * Frames may be 0 (too short).  S3R_ERR_DATA for samples that are not finite.
 */
S3R_API s3r_status s3r_forward(s3r_context *context, const s3r_model *model,
                               const float *samples, size_t sample_count,
                               size_t *frame_count, float **log_probs, float **hidden,
                               s3r_error *err);
S3R_API void s3r_buffer_free(float *buffer); /* NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
