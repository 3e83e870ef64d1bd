/*
 * Subtitles: SubRip, WebVTT, and a table of them.
 *
 * SubRip has no way to escape: an arrow within a text, which a reader could take for a
 * line of times, loses a dash.  WebVTT knows HTML's entities.
 */
#include <string.h>

#include "api/transcript_write.h"

typedef enum cue_style { CUE_SRT, CUE_VTT, CUE_PLAIN } cue_style;

static void add_time(s3r_text_buffer *out, long long ms, char point)
{
    s3r_buffer_add(out, "%02lld:%02lld:%02lld%c%03lld", ms / 3600000, ms / 60000 % 60,
                   ms / 1000 % 60, point, ms % 1000);
}

/* The text of a cue without its lines. */
static void add_units(s3r_text_buffer *out, const s3r_cues *cues, const s3r_cue *cue,
                      cue_style style)
{
    for (size_t i = 0; i < cue->unit_count; i++) {
        const s3r_cue_unit *unit = &cues->units[cue->first_unit + i];
        if (i > 0 && unit->starts_line && style != CUE_PLAIN)
            s3r_buffer_add_string(out, "\n");
        else if (i > 0 && !unit->is_glued)
            s3r_buffer_add_string(out, " ");
        s3r_transcript_add_text(out, unit->text, unit->length, false);
    }
}

/* Any number of dashes and then ">", of which one dash may stay. */
static bool begins_arrow(const char *text)
{
    size_t dashes = strspn(text, "-");
    return dashes >= 2 && text[dashes] == '>';
}

static void add_escaped(s3r_text_buffer *out, const char *text, cue_style style)
{
    for (; *text; text++) {
        if (style == CUE_VTT && (*text == '&' || *text == '<' || *text == '>'))
            s3r_buffer_add_string(out, *text == '&'   ? "&amp;"
                                       : *text == '<' ? "&lt;"
                                                      : "&gt;");
        else if (style != CUE_SRT || !begins_arrow(text))
            s3r_buffer_add_bytes(out, text, 1);
    }
}

static void add_cue_text(s3r_text_buffer *out, const s3r_cues *cues, const s3r_cue *cue,
                         cue_style style)
{
    s3r_text_buffer text = {0};
    add_units(&text, cues, cue, style);
    if (text.text)
        add_escaped(out, text.text, style);
    out->has_failed = out->has_failed || text.has_failed;
    s3r_buffer_release(&text);
}

static void add_cues(s3r_text_buffer *out, const s3r_cues *cues, cue_style style)
{
    char point = style == CUE_SRT ? ',' : '.';
    for (size_t i = 0; i < cues->count; i++) {
        const s3r_cue *cue = &cues->items[i];
        if (style == CUE_SRT)
            s3r_buffer_add(out, "%zu\n", i + 1);
        add_time(out, cue->start_ms, point);
        s3r_buffer_add_string(out, " --> ");
        add_time(out, cue->end_ms, point);
        s3r_buffer_add_string(out, "\n");
        add_cue_text(out, cues, cue, style);
        s3r_buffer_add_string(out, "\n\n");
    }
}

void s3r_transcript_write_srt(s3r_text_buffer *out, const s3r_transcript_source *source)
{
    add_cues(out, &source->cues, CUE_SRT);
}

void s3r_transcript_write_vtt(s3r_text_buffer *out, const s3r_transcript_source *source)
{
    s3r_buffer_add_string(out, "WEBVTT\n\n");
    add_cues(out, &source->cues, CUE_VTT);
}

void s3r_transcript_write_tsv(s3r_text_buffer *out, const s3r_transcript_source *source)
{
    s3r_buffer_add_string(out, "start\tend\ttext\n");
    for (size_t i = 0; i < source->cues.count; i++) {
        const s3r_cue *cue = &source->cues.items[i];
        s3r_buffer_add(out, "%lld\t%lld\t", cue->start_ms, cue->end_ms);
        add_cue_text(out, &source->cues, cue, CUE_PLAIN);
        s3r_buffer_add_string(out, "\n");
    }
}
