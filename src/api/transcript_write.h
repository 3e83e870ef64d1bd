/*
 * The writers behind s3r_transcript_render: one function a format.  Lack of memory is
 * remembered by the buffer.
 */
#ifndef S3R_API_TRANSCRIPT_WRITE_H
#define S3R_API_TRANSCRIPT_WRITE_H

#include "api/transcript_cues.h"
#include "base/text_buffer.h"
#include "s3r/transcript.h"

/* What a writer sees.  The result is one that succeeded; of a failed one only JSON is
 * written. */
typedef struct s3r_transcript_source {
    const s3r_result *result;
    const char *id; /* of an utterance, or the name of the output */
    s3r_cues cues;  /* empty for writers that do not want them */
} s3r_transcript_source;

typedef void (*s3r_transcript_write_fn)(s3r_text_buffer *out,
                                        const s3r_transcript_source *source);

void s3r_transcript_write_txt(s3r_text_buffer *out, const s3r_transcript_source *source);
void s3r_transcript_write_json(s3r_text_buffer *out, const s3r_transcript_source *source);
void s3r_transcript_write_srt(s3r_text_buffer *out, const s3r_transcript_source *source);
void s3r_transcript_write_vtt(s3r_text_buffer *out, const s3r_transcript_source *source);
void s3r_transcript_write_tsv(s3r_text_buffer *out, const s3r_transcript_source *source);
void s3r_transcript_write_ctm(s3r_text_buffer *out, const s3r_transcript_source *source);
void s3r_transcript_write_textgrid(s3r_text_buffer *out,
                                   const s3r_transcript_source *source);
void s3r_transcript_write_stm(s3r_text_buffer *out, const s3r_transcript_source *source);
void s3r_transcript_write_trn(s3r_text_buffer *out, const s3r_transcript_source *source);

/* Text that others chose, of `length` bytes: what is not UTF-8 becomes U+FFFD and, unless
 * keeps_controls, each control character a space. */
void s3r_transcript_add_text(s3r_text_buffer *out, const char *text, size_t length,
                             bool keeps_controls);

#endif
