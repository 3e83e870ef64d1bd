/*
 * Which language is spoken in audio files, with a mask file of the task "lid".
 *
 * The mean of the last hidden state over all frames of a file, also of a long one that
 * runs in windows, gives each language a probability.  A file gives the same bits in any
 * batch and with any number of threads.
 */
#ifndef S3R_IDENTIFY_H
#define S3R_IDENTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "s3r/transcribe.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct s3r_identify_options {
    size_t struct_size;                  /* set by _init */
    double window_s, context_s, batch_s; /* as in s3r_transcribe_options */
    uint32_t raw_rate_hz;                /* of raw samples on stdin; default 16000 */
    bool allow_ffmpeg;                   /* default true */
    s3r_progress_fn progress;            /* NULL = none */
    void *progress_context;
} s3r_identify_options;

S3R_API void s3r_identify_options_init(s3r_identify_options *options);

/*
 * Names the language of all paths; "-" is stdin.  Of the result `languages` are set and
 * `confidence` is the probability of the first; there is no text.  A file that fails,
 * also because it is shorter than a frame, is reported through its result and the others
 * go on: S3R_ERR_PARTIAL then.  Other errors end the run: S3R_ERR_USAGE, S3R_ERR_MODEL
 * (the model tells no languages apart), S3R_ERR_RESOURCE, S3R_ERR_INTERRUPTED.
 * The callback must not use the context.  options may be NULL.  One
 * call at a time a context.
 */
S3R_API s3r_status s3r_identify(s3r_context *context, const s3r_model *model,
                                const char *const *paths, size_t path_count,
                                const s3r_identify_options *options, s3r_result_fn result,
                                void *result_context, s3r_error *err);

typedef struct s3r_identify_summary {
    size_t language_count; /* of the model; s3r_model_language names them */
    size_t *confusion;     /* [language_count, language_count] utterances: spoken in the
                              language of the row, named that of the column */
    size_t utterances, right; /* judged; of them named right */
    size_t failed;            /* not judged */
    double accuracy;          /* right / utterances */
    double mean_accuracy;     /* mean over the languages that are spoken at all */
    double duration_s;        /* audio of what was judged */
} s3r_identify_summary;

/* Utterances of a language that were judged, and named right. */
S3R_API void s3r_identify_count(const s3r_identify_summary *summary, size_t language,
                                size_t *utterances, size_t *right);
/* Frees what the summary holds; a zeroed one is allowed. */
S3R_API void s3r_identify_summary_release(s3r_identify_summary *summary);

/*
 * Names the languages of a manifest's utterances and compares them with its "lang".
 *
 *   result   NULL = not wanted; index counts utterances, path is that of the audio
 *   summary  complete also with S3R_ERR_PARTIAL: some utterances failed; released by the
 *            caller, empty after other errors
 *
 * S3R_ERR_DATA: the manifest, with file and line where "lang" is missing or a language
 * that the model does not know; or every utterance failed.  Otherwise as s3r_identify.
 */
S3R_API s3r_status s3r_identify_manifest(s3r_context *context, const s3r_model *model,
                                         const char *manifest_path,
                                         const s3r_identify_options *options,
                                         s3r_result_fn result, void *result_context,
                                         s3r_identify_summary *summary, s3r_error *err);

#ifdef __cplusplus
}
#endif
#endif
