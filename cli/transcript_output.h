/*
 * Where the results of transcribe and align go: one format on stdout, or any number of
 * formats as files in a folder.
 */
#ifndef S3R_CLI_TRANSCRIPT_OUTPUT_H
#define S3R_CLI_TRANSCRIPT_OUTPUT_H

#include <s3r/transcript.h>

#include "path_list.h"

/* What transcript_option_list.h fills; the member `transcript` of a verb's options. */
typedef struct s3r_transcript_verb_options {
    const char *formats; /* "srt,vtt" */
    const char *folder;
    size_t line_width, max_lines;
    double max_cue_s, min_cue_s, pause_s;
    bool overwrites;
} s3r_transcript_verb_options;

typedef struct s3r_transcript_output {
    bool wants[S3R_TRANSCRIPT_COUNT];
    s3r_transcript_format only; /* the one on stdout, when there is no folder */
    const char *folder;         /* NULL = stdout */
    bool has_path;              /* lines of text begin with the path */
    bool has_mask;              /* then with the name of the mask */
    s3r_transcript_options options;
} s3r_transcript_output;

/*
 * paths may be NULL when the names of outputs are known to differ; masks: those of the
 * paths when each may have several results (s3r_transcript_check_names), or NULL;
 * has_masks: results say of which mask they are.
 *
 * S3R_ERR_USAGE: an unknown format, several formats without a folder, subtitles of
 * several inputs on stdout, a folder that is named as a format (whisper.cpp's -osrt), two
 * inputs whose outputs would be one file, an output that is there (without --overwrite).
 */
s3r_status s3r_transcript_output_set(s3r_transcript_output *out,
                                     const s3r_transcript_verb_options *options,
                                     const char *const *paths, const char *const *masks,
                                     size_t path_count, bool is_list, bool has_masks,
                                     s3r_error *err);

/* An s3r_audio_line_fn whose context is the s3r_transcript_output. */
s3r_status s3r_transcript_output_line(void *context, const s3r_result *result,
                                      char **line, s3r_error *err);

#endif
