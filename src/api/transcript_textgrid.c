/*
 * Praat's TextGrid, the long text form: a tier of words and one of labels.
 *
 * A tier covers the whole time, so what lies between words are intervals without text.
 * Within a text a quotation mark is doubled.
 */
#include <math.h>
#include <string.h>

#include "api/transcript_write.h"

typedef struct interval {
    size_t start_frame, end_frame;
    const char *text;
} interval;

typedef interval (*interval_fn)(const s3r_result *result, size_t index);

static interval word_interval(const s3r_result *result, size_t index)
{
    const s3r_word *word = &result->words[index];
    return (interval){word->start_frame, word->end_frame, word->text};
}

static interval label_interval(const s3r_result *result, size_t index)
{
    const s3r_label *label = &result->labels[index];
    return (interval){label->start_frame, label->end_frame, label->text};
}

static void add_quoted(s3r_text_buffer *out, const char *text)
{
    s3r_text_buffer clean = {0};
    s3r_transcript_add_text(&clean, text, strlen(text), false);
    s3r_buffer_add_string(out, "\"");
    for (const char *at = clean.text; at && *at; at++) {
        if (*at == '"')
            s3r_buffer_add_string(out, "\"");
        s3r_buffer_add_bytes(out, at, 1);
    }
    s3r_buffer_add_string(out, "\"");
    out->has_failed = out->has_failed || clean.has_failed;
    s3r_buffer_release(&clean);
}

static void add_interval(s3r_text_buffer *out, size_t *number, double from, double to,
                         const char *text)
{
    s3r_buffer_add(out,
                   "        intervals [%zu]:\n            xmin = %.6f \n"
                   "            xmax = %.6f \n            text = ",
                   ++*number, from, to);
    add_quoted(out, text);
    s3r_buffer_add_string(out, " \n");
}

/* The intervals of a tier with the gaps between them; returns how many. */
static size_t add_intervals(s3r_text_buffer *out, const s3r_result *result, double end,
                            interval_fn get, size_t count)
{
    size_t number = 0;
    double at = 0;
    for (size_t i = 0; i < count; i++) {
        interval one = get(result, i);
        double from = result->frame_s * (double)one.start_frame;
        double to = result->frame_s * (double)one.end_frame;
        if (to <= from) /* a word that has no time */
            continue;
        if (from > at)
            add_interval(out, &number, at, from, "");
        add_interval(out, &number, from, to, one.text);
        at = to;
    }
    if (at < end)
        add_interval(out, &number, at, end, "");
    return number;
}

static void add_tier(s3r_text_buffer *out, const s3r_result *result, size_t number,
                     const char *name, double end, interval_fn get, size_t count)
{
    s3r_text_buffer intervals = {0};
    size_t total = add_intervals(&intervals, result, end, get, count);
    s3r_buffer_add(out,
                   "    item [%zu]:\n        class = \"IntervalTier\" \n"
                   "        name = \"%s\" \n        xmin = 0 \n"
                   "        xmax = %.6f \n        intervals: size = %zu \n",
                   number, name, end, total);
    s3r_buffer_add_string(out, intervals.text);
    out->has_failed = out->has_failed || intervals.has_failed;
    s3r_buffer_release(&intervals);
}

void s3r_transcript_write_textgrid(s3r_text_buffer *out,
                                   const s3r_transcript_source *source)
{
    const s3r_result *result = source->result;
    double end = result->duration_s;
    if (result->label_count > 0)
        end = fmax(end, result->frame_s *
                            (double)result->labels[result->label_count - 1].end_frame);
    s3r_buffer_add(out,
                   "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\n"
                   "xmin = 0 \nxmax = %.6f \ntiers? <exists> \nsize = 2 \nitem []: \n",
                   end);
    add_tier(out, result, 1, "words", end, word_interval, result->word_count);
    add_tier(out, result, 2, "labels", end, label_interval, result->label_count);
}
