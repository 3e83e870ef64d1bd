/*
 * Results as files that other programs read: subtitles, word times, transcripts.
 *
 * What is in each format, how words become subtitles and what is escaped is told in
 * docs/transcription.md.  All text is UTF-8; bytes of labels that are not become U+FFFD.
 */
#ifndef S3R_TRANSCRIPT_H
#define S3R_TRANSCRIPT_H

#include <stdbool.h>
#include <stddef.h>

#include "s3r/transcribe.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum s3r_transcript_format {
    S3R_TRANSCRIPT_TXT,      /* the text as a line */
    S3R_TRANSCRIPT_JSON,     /* all that is known, as one line */
    S3R_TRANSCRIPT_SRT,      /* subtitles: SubRip */
    S3R_TRANSCRIPT_VTT,      /* subtitles: WebVTT */
    S3R_TRANSCRIPT_TSV,      /* subtitles: start and end in ms, text */
    S3R_TRANSCRIPT_CTM,      /* words: NIST's time-marked conversation */
    S3R_TRANSCRIPT_TEXTGRID, /* words and labels: Praat */
    S3R_TRANSCRIPT_STM,      /* subtitles' segments: NIST's segment time marks */
    S3R_TRANSCRIPT_TRN,      /* the text: NIST's transcript */
    S3R_TRANSCRIPT_COUNT
} s3r_transcript_format;

/* "txt", "json", "srt", "vtt", "tsv", "ctm", "textgrid", "stm", "trn"; NULL past the
 * last.  The extension of a file is the same, but "TextGrid". */
S3R_API const char *s3r_transcript_format_name(size_t format);
/* Whether the output of several files may stand in one file: txt, json, ctm, stm, trn. */
S3R_API bool s3r_transcript_format_is_lines(size_t format);

/* How words become subtitles (srt, vtt, tsv, stm). */
typedef struct s3r_transcript_options {
    size_t struct_size; /* set by _init */
    size_t line_width;  /* columns of a line; default 42 */
    size_t max_lines;   /* of a subtitle; default 2 */
    double max_cue_s;   /* a subtitle lasts no longer, but for one long word; default 7 */
    double min_cue_s;   /* nor shorter, where there is room; default 1 */
    double pause_s;     /* a pause as long as that parts subtitles; default 0.6 */
    bool keeps_files;   /* s3r_transcript_save replaces no file; default false */
} s3r_transcript_options;

S3R_API void s3r_transcript_options_init(s3r_transcript_options *options);
/* Whether render and save would take them: S3R_ERR_USAGE says what is wrong. */
S3R_API s3r_status s3r_transcript_options_check(const s3r_transcript_options *options,
                                                s3r_error *err);

/*
 * The result in a format, in a string of the library's (s3r_text_free).  options may be
 * NULL.  Of a file that failed, JSON tells the error and the others are empty.
 * S3R_ERR_USAGE (wrong options), S3R_ERR_RESOURCE.  Thread-safe.
 */
S3R_API s3r_status s3r_transcript_render(char **text, const s3r_result *result,
                                         s3r_transcript_format format,
                                         const s3r_transcript_options *options,
                                         s3r_error *err);
S3R_API void s3r_text_free(char *text); /* NULL is allowed */

/*
 * Writes the result to folder/NAME.FORMAT, atomically; NAME is the result's name, or
 * the last part of its path without extension ("stdin" for "-").  The folder is made when
 * it is missing.  As s3r_transcript_render, S3R_ERR_USAGE for a file that is there
 * (keeps_files), and S3R_ERR_RUNTIME.
 */
S3R_API s3r_status s3r_transcript_save(const s3r_result *result, const char *folder,
                                       s3r_transcript_format format,
                                       const s3r_transcript_options *options,
                                       s3r_error *err);

/*
 * Two paths whose outputs would have one NAME: S3R_ERR_USAGE names them.
 * S3R_ERR_RESOURCE.
 *
 *   masks  NULL, or [count] names of masks as in s3r_router_request: with several each
 *          has an output NAME.MASK; with NULL, one name or "auto" there is one output.
 *          "all" is S3R_ERR_USAGE: it names none
 */
S3R_API s3r_status s3r_transcript_check_names(const char *const *paths,
                                              const char *const *masks, size_t count,
                                              s3r_error *err);
/* Whether none of their outputs is there: S3R_ERR_USAGE names the first one that is, so
 * that a run with keeps_files can be refused before it begins.  S3R_ERR_RESOURCE. */
S3R_API s3r_status s3r_transcript_check_new(const char *folder,
                                            s3r_transcript_format format,
                                            const char *const *paths,
                                            const char *const *masks, size_t count,
                                            s3r_error *err);

#ifdef __cplusplus
}
#endif
#endif
