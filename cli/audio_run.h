/*
 * The common part of the verbs that run a model over many audio files: options, inputs,
 * progress, Ctrl-C, failing files, exit code.
 */
#ifndef S3R_CLI_AUDIO_RUN_H
#define S3R_CLI_AUDIO_RUN_H

#include <s3r/identify.h>

#include "path_list.h"
#include "session.h"

/* What audio_option_list.h fills; the first member of a verb's options. */
typedef struct s3r_audio_verb_options {
    const char *model, *mask, *masks, *language, *files_from;
    size_t jobs;
    int dtype; /* enum s3r_dtype_choice */
    double window_s, context_s, batch_s;
    size_t raw_rate_hz;
    bool is_without_ffmpeg;
} s3r_audio_verb_options;

enum s3r_dtype_choice { S3R_DTYPE_CHOICE_F32, S3R_DTYPE_CHOICE_BF16 };

/* Makes the line of a result in *line (malloc, with its newline; NULL = no line).  A
 * failure ends the run. */
typedef s3r_status (*s3r_audio_line_fn)(void *context, const s3r_result *result,
                                        char **line, s3r_error *err);

typedef struct s3r_audio_job {
    const char *label;         /* of the progress bar */
    bool identifies_languages; /* s3r_identify instead of s3r_transcribe */
    /* Of s3r_transcribe. */
    const char *emissions_folder, *features_folder;
    int layer;
    const s3r_decoder *decoder; /* NULL = none */
    bool is_voice_only;
    bool is_by_segment; /* with several masks (session.h) */
    double temperature; /* of confidences; 0: the library's default */
    s3r_audio_line_fn line;
    void *line_context;
} s3r_audio_job;

/* The session options that the audio options stand for. */
s3r_session_options s3r_audio_verb_session(const s3r_audio_verb_options *options);

/* The options of s3r_identify that they stand for; --raw-rate fits. */
void s3r_audio_verb_identify(s3r_identify_options *out,
                             const s3r_audio_verb_options *options);

/*
 * Runs all paths; lines go to stdout in the order of the paths, failing files to stderr
 * as they fail.  S3R_ERR_PARTIAL, with the failed files in the message, when some failed;
 * the status of the first failed file when all did.  A broken stdout ends the run with
 * S3R_OK: main() finds and reports it.
 */
s3r_status s3r_audio_run(const s3r_command *command, const s3r_session *session,
                         const s3r_audio_verb_options *options,
                         const s3r_path_list *paths, const s3r_audio_job *job,
                         s3r_error *err);

/* S3R_ERR_USAGE: no rate of raw samples. */
s3r_status s3r_audio_verb_check(const s3r_audio_verb_options *options, s3r_error *err);

#endif
