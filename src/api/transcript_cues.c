/*
 * Subtitles from words, in one pass: units are added while they fit.
 */
#include "api/transcript_cues.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "text/unicode_text.h"

/* ---- units ---- */

static size_t count_columns(const char *text, size_t *graphemes)
{
    size_t columns = 0;
    for (*graphemes = 0; *text; ++*graphemes)
        columns += s3r_grapheme_next(&text);
    return columns;
}

/* The graphemes of a wide word; grapheme k of n lies at label k * labels / n. */
static void divide_word(s3r_cues *cues, const s3r_result *result, const s3r_word *word,
                        size_t graphemes)
{
    const s3r_label *labels = result->labels + word->first_label;
    const char *at = word->text;
    for (size_t k = 0; k < graphemes; k++) {
        const char *start = at;
        s3r_cue_unit unit = {.text = start, .is_glued = k > 0};
        unit.columns = s3r_grapheme_next(&at);
        unit.length = (size_t)(at - start);
        unit.start_frame = word->start_frame;
        unit.end_frame = word->end_frame;
        if (word->label_count > 0) {
            size_t first = k * word->label_count / graphemes;
            size_t last = ((k + 1) * word->label_count - 1) / graphemes;
            unit.start_frame = labels[first].start_frame;
            unit.end_frame = labels[S3R_MAX(first, last)].end_frame;
        }
        cues->units[cues->unit_count++] = unit;
    }
}

static s3r_status make_units(s3r_cues *cues, const s3r_result *result, size_t line_width,
                             s3r_error *err)
{
    size_t most = 0, graphemes;
    for (size_t i = 0; i < result->word_count; i++)
        most += strlen(result->words[i].text); /* a unit takes at least a byte */
    cues->units = s3r_alloc(most, sizeof *cues->units);
    cues->items = s3r_alloc(most, sizeof *cues->items);
    if (!cues->units || !cues->items)
        return s3r_fail_memory(err, "subtitles", most * sizeof *cues->units);
    for (size_t i = 0; i < result->word_count; i++) {
        const s3r_word *word = &result->words[i];
        size_t columns = count_columns(word->text, &graphemes);
        if (columns > line_width)
            divide_word(cues, result, word, graphemes);
        else
            cues->units[cues->unit_count++] =
                (s3r_cue_unit){.text = word->text,
                               .length = strlen(word->text),
                               .columns = columns,
                               .start_frame = word->start_frame,
                               .end_frame = word->end_frame};
    }
    return S3R_OK;
}

/* ---- cues ---- */

typedef struct cue_maker {
    s3r_cues *cues;
    const s3r_transcript_options *options;
    double frame_s;
} cue_maker;

static double pause_before(const cue_maker *maker, size_t unit)
{
    const s3r_cue_unit *units = maker->cues->units;
    if (units[unit].start_frame < units[unit - 1].end_frame)
        return 0;
    return maker->frame_s * (double)(units[unit].start_frame - units[unit - 1].end_frame);
}

/* Breaks units [first, end) into lines; returns how many. */
static size_t break_lines(const cue_maker *maker, size_t first, size_t end)
{
    size_t lines = 1, used = 0;
    for (size_t i = first; i < end; i++) {
        s3r_cue_unit *unit = &maker->cues->units[i];
        size_t space = i > first && !unit->is_glued;
        unit->starts_line =
            i > first && used + space + unit->columns > maker->options->line_width;
        lines += unit->starts_line;
        used = unit->starts_line ? unit->columns : used + space + unit->columns;
    }
    return lines;
}

static bool fits(const cue_maker *maker, size_t first, size_t end)
{
    const s3r_cue_unit *units = maker->cues->units;
    double seconds =
        maker->frame_s * (double)(units[end - 1].end_frame - units[first].start_frame);
    return seconds <= maker->options->max_cue_s &&
           break_lines(maker, first, end) <= maker->options->max_lines;
}

/* Where the cue that begins with unit `first` ends. */
static size_t find_end(const cue_maker *maker, size_t first)
{
    size_t count = maker->cues->unit_count, end = first + 1;
    while (end < count && pause_before(maker, end) < maker->options->pause_s) {
        if (fits(maker, first, end + 1)) {
            end++;
            continue;
        }
        size_t best = end;
        for (size_t i = end; i >= first + (end - first + 1) / 2; i--)
            if (pause_before(maker, i) > pause_before(maker, best))
                best = i;
        return best;
    }
    return end;
}

static long long to_ms(double seconds)
{
    return llround(1000 * seconds);
}

static void set_times(const cue_maker *maker, const s3r_result *result)
{
    s3r_cues *cues = maker->cues;
    for (size_t i = 0; i < cues->count; i++) {
        s3r_cue *cue = &cues->items[i];
        const s3r_cue_unit *first = &cues->units[cue->first_unit];
        const s3r_cue_unit *last = first + cue->unit_count - 1;
        double start = maker->frame_s * (double)first->start_frame;
        double end = maker->frame_s * (double)last->end_frame;
        double limit = result->duration_s;
        if (i + 1 < cues->count)
            limit = maker->frame_s * (double)last[1].start_frame;
        cue->start_ms = to_ms(start);
        cue->end_ms = to_ms(fmax(end, fmin(start + maker->options->min_cue_s, limit)));
    }
}

s3r_status s3r_cues_make(s3r_cues *out, const s3r_result *result,
                         const s3r_transcript_options *options, s3r_error *err)
{
    cue_maker maker = {.cues = out, .options = options, .frame_s = result->frame_s};
    *out = (s3r_cues){0};
    S3R_TRY(make_units(out, result, options->line_width, err));
    for (size_t first = 0, end; first < out->unit_count; first = end) {
        end = find_end(&maker, first);
        (void)break_lines(&maker, first, end);
        out->items[out->count++] =
            (s3r_cue){.first_unit = first, .unit_count = end - first};
    }
    set_times(&maker, result);
    return S3R_OK;
}

void s3r_cues_release(s3r_cues *cues)
{
    s3r_free(cues->units);
    s3r_free(cues->items);
    *cues = (s3r_cues){0};
}
