/*
 * NIST's formats: ctm (a line a word), stm (a line a segment), trn (a line a file).
 *
 * Fields are parted by spaces, so in names and words white space and what sclite would
 * take for more than a letter is written as %XX (tasks/trn_file.h).
 */
#include <string.h>

#include "api/transcript_write.h"
#include "tasks/trn_file.h"

/* Made UTF-8 first: a scorer counts characters. */
static void add_bytes(s3r_text_buffer *out, const char *text, size_t length, char also)
{
    s3r_text_buffer clean = {0};
    s3r_transcript_add_text(&clean, text, length, true);
    if (clean.text)
        s3r_trn_add_token(out, clean.text, clean.length, also);
    out->has_failed = out->has_failed || clean.has_failed;
    s3r_buffer_release(&clean);
}

static void add_token(s3r_text_buffer *out, const char *text, char also)
{
    add_bytes(out, text, strlen(text), also);
}

void s3r_transcript_write_ctm(s3r_text_buffer *out, const s3r_transcript_source *source)
{
    const s3r_result *result = source->result;
    for (size_t i = 0; i < result->word_count; i++) {
        const s3r_word *word = &result->words[i];
        add_token(out, source->id, '/');
        s3r_buffer_add(out, " 1 %.3f %.3f ", result->frame_s * (double)word->start_frame,
                       result->frame_s * (double)(word->end_frame - word->start_frame));
        add_token(out, word->text, '\0');
        s3r_buffer_add(out, " %.3f\n", (double)word->confidence);
    }
}

void s3r_transcript_write_stm(s3r_text_buffer *out, const s3r_transcript_source *source)
{
    const s3r_cues *cues = &source->cues;
    for (size_t i = 0; i < cues->count; i++) {
        const s3r_cue *cue = &cues->items[i];
        add_token(out, source->id, '/');
        s3r_buffer_add_string(out, " 1 ");
        add_token(out, source->id, '/');
        s3r_buffer_add(out, " %.3f %.3f", (double)cue->start_ms / 1000,
                       (double)cue->end_ms / 1000);
        for (size_t k = 0; k < cue->unit_count; k++) {
            const s3r_cue_unit *unit = &cues->units[cue->first_unit + k];
            if (k == 0 || !unit->is_glued)
                s3r_buffer_add_string(out, " ");
            add_bytes(out, unit->text, unit->length, '\0');
        }
        s3r_buffer_add_string(out, "\n");
    }
}

void s3r_transcript_write_trn(s3r_text_buffer *out, const s3r_transcript_source *source)
{
    const char *text = source->result->text ? source->result->text : "";
    s3r_text_buffer clean = {0};
    s3r_transcript_add_text(&clean, text, strlen(text), true);
    s3r_trn_add_line(out, clean.text ? clean.text : "", source->id, S3R_UNIT_WORD);
    out->has_failed = out->has_failed || clean.has_failed;
    s3r_buffer_release(&clean);
}
