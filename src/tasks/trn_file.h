/*
 * Transcripts for scoring: NIST's trn format, "WORD WORD (ID)" a line, and plain lines.
 */
#ifndef S3R_TASKS_TRN_FILE_H
#define S3R_TASKS_TRN_FILE_H

#include "base/file.h"
#include "base/memory.h"
#include "base/text_buffer.h"
#include "tasks/error_rate.h"

/*
 * Adds a text as one line, its tokens apart, so that sclite counts what
 * s3r_error_counts_add counts.  A character's space is the token "<space>".
 *
 * sclite gives many characters a meaning (";" ends a word's spelling, "{" begins
 * alternatives and can crash it), so in tokens and ids ASCII characters become %XX but
 * for letters, digits and "'-_.,:!?"; ids keep "/" too.
 */
void s3r_trn_add_line(s3r_text_buffer *out, const char *text, const char *id,
                      s3r_token_unit unit);
/* One token of such a line; also is one more character that stays, or NUL. */
void s3r_trn_add_token(s3r_text_buffer *line, const char *text, size_t size, char also);
/* Writes the line.  S3R_ERR_RESOURCE, S3R_ERR_RUNTIME. */
s3r_status s3r_trn_write_line(s3r_file_writer *writer, const char *text, const char *id,
                              s3r_token_unit unit, s3r_error *err);

typedef struct s3r_transcript {
    const char *id; /* the line's number where there are no ids */
    const char *text;
    size_t line; /* from 1 */
} s3r_transcript;

/* Read it freely; strings live in the arena. */
typedef struct s3r_transcripts {
    s3r_transcript *items;
    size_t count;
    bool has_ids; /* the file is trn */
    s3r_arena owned;
} s3r_transcripts;

/*
 * Reads transcripts: trn when every line that is not empty ends in "(ID)", else each line
 * is a text (empty lines are empty texts).  Of a trn file the lines that begin with ";;"
 * are comments, and what s3r_trn_write_line escaped is as it was.
 *
 * S3R_ERR_DATA names file and line: not UTF-8, two lines with one id, alternatives
 * ("{ a / b }"), which are not understood.  S3R_ERR_RESOURCE.
 */
s3r_status s3r_transcripts_open(s3r_transcripts *out, const char *path, s3r_error *err);
/* The same from bytes that label names. */
s3r_status s3r_transcripts_parse(s3r_transcripts *out, const char *bytes, size_t size,
                                 const char *label, s3r_error *err);
void s3r_transcripts_close(s3r_transcripts *transcripts); /* a zeroed one is allowed */

/* The transcript with that id; NULL when there is none. */
const s3r_transcript *s3r_transcripts_find(const s3r_transcripts *transcripts,
                                           const char *id);

#endif
