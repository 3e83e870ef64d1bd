/*
 * How well a model transcribes: error rates of a manifest, or of texts that are there.
 *
 * Counts are summed over the corpus and are those of NIST's sclite (docs/evaluation.md).
 */
#ifndef S3R_EVAL_H
#define S3R_EVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "s3r/transcribe.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum s3r_metric {
    S3R_METRIC_WER, /* words: what white space separates */
    S3R_METRIC_CER, /* characters: code points, one space between words counts */
    S3R_METRIC_PER, /* phones: what white space separates, "|" left out; of a model whose
                       labels are letters: as characters */
    S3R_METRIC_COUNT
} s3r_metric;

/* "wer", "cer", "per"; NULL past the last. */
S3R_API const char *s3r_metric_name(size_t metric);
/* "none", "nfc", "case", "basic": the values of s3r_eval_options.normalization, each
 * doing what those before it do and more; NULL past the last. */
S3R_API const char *s3r_eval_normalization_name(size_t normalization);

typedef struct s3r_eval_options {
    size_t struct_size;             /* set by _init */
    bool metrics[S3R_METRIC_COUNT]; /* wanted; default WER and CER */
    size_t normalization; /* of both texts, an index of s3r_eval_normalization_name;
                             default "case" */
    size_t resamples;     /* for the intervals; default 1000, 0 = none */
    uint64_t seed;        /* of the resampling; default 1 */
    double batch_s, window_s, context_s; /* as in s3r_transcribe_options */
    bool allow_ffmpeg;                   /* default true */
    const s3r_decoder *decoder; /* of the model; NULL (default): the best label of each
                                   frame */
    const char *trn_folder;     /* receives, for sclite, ref.trn and hyp.trn of the words,
                                   ref.cer.trn and hyp.cer.trn, ref.per.trn and hyp.per.trn,
                                   as the metric is wanted; NULL = none */
    const char *table_path;     /* receives a line an utterance; NULL = none */
    s3r_progress_fn progress;   /* NULL = none */
    void *progress_context;
} s3r_eval_options;

S3R_API void s3r_eval_options_init(s3r_eval_options *options);

typedef struct s3r_eval_counts {
    size_t substitutions, deletions, insertions;
    size_t reference; /* tokens */
} s3r_eval_counts;

/* What became of one utterance.  Valid during the callback only. */
typedef struct s3r_eval_utterance {
    size_t index;
    const char *id;
    s3r_status status;   /* S3R_OK, or why it could not be scored */
    const char *message; /* the error; "" when OK */
    double duration_s;
    const char *reference, *hypothesis; /* as they were compared */
    s3r_eval_counts counts[S3R_METRIC_COUNT];
} s3r_eval_utterance;

/* Called once an utterance, in order.  Another status than S3R_OK ends the run. */
typedef s3r_status (*s3r_eval_fn)(void *context, const s3r_eval_utterance *utterance);

typedef struct s3r_eval_rate {
    s3r_eval_counts counts; /* summed */
    double rate;            /* errors a reference token */
    double low, high;       /* central 95 % under resampling of utterances */
} s3r_eval_rate;

typedef struct s3r_eval_summary {
    s3r_eval_rate rates[S3R_METRIC_COUNT]; /* zeros unless wanted */
    size_t utterances;                     /* scored */
    size_t failed;      /* not scored: audio that cannot be read, numbers not finite */
    size_t skipped;     /* lines without text, or with an empty one */
    size_t empty;       /* hypotheses without text */
    double blank_ratio; /* frames where no label is likelier than the blank; 0 without
                           frames */
    double duration_s;  /* audio of what was scored; 0 for texts */
} s3r_eval_summary;

/*
 * Transcribes the utterances of a manifest and scores them.
 *
 *   result   NULL = not wanted
 *   summary  complete also with S3R_ERR_PARTIAL: some utterances failed
 *
 * S3R_ERR_USAGE, S3R_ERR_MODEL (no head, no vocabulary), S3R_ERR_DATA (the manifest;
 * nothing to score; or every utterance failed), S3R_ERR_RESOURCE, S3R_ERR_RUNTIME (an
 * output), S3R_ERR_INTERRUPTED.  One call at a time a context.
 */
S3R_API s3r_status s3r_eval(s3r_context *context, const s3r_model *model,
                            const char *manifest_path, const s3r_eval_options *options,
                            s3r_eval_fn result, void *result_context,
                            s3r_eval_summary *summary, s3r_error *err);

/*
 * Scores texts against texts, without a model: two trn files, whose lines are matched by
 * id, or two plain files, line by line.  S3R_ERR_DATA: one is trn and the other not, ids
 * that the other lacks, another number of lines; otherwise as s3r_eval.
 */
S3R_API s3r_status s3r_eval_texts(const char *reference_path, const char *hypothesis_path,
                                  const s3r_eval_options *options, s3r_eval_fn result,
                                  void *result_context, s3r_eval_summary *summary,
                                  s3r_error *err);

#ifdef __cplusplus
}
#endif
#endif
