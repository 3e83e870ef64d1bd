/*
 * Counting: medians by sorting, words and speakers by a table of strings, characters by
 * code point.
 */
#include "data/manifest_stats.h"

#include <stdlib.h>
#include <string.h>

#include "data/string_map.h"
#include "text/unicode_text.h"

#define CODE_POINTS 0x110000u

const double s3r_duration_edges[S3R_DURATION_BINS] = {0, 0.5, 1, 2, 3, 5, 10, 15, 20, 30};

typedef struct counting {
    s3r_manifest_stats *stats;
    double *durations, *rates; /* of those that have one */
    size_t duration_count, rate_count;
    uint32_t *by_character; /* [CODE_POINTS] */
    s3r_string_map words, speakers;
    s3r_arena owned;
} counting;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarise(double *values, size_t count, double *least, double *median,
                      double *greatest)
{
    if (count == 0)
        return;
    qsort(values, count, sizeof *values, compare);
    *least = values[0];
    *median = (values[(count - 1) / 2] + values[count / 2]) / 2;
    *greatest = values[count - 1];
}

static s3r_status count_word(counting *c, const char *word, size_t length, s3r_error *err)
{
    bool is_new;
    char *copy = s3r_arena_alloc(&c->owned, length + 1, 1);
    if (!copy)
        return s3r_fail_memory(err, "words", length);
    memcpy(copy, word, length);
    copy[length] = '\0';
    c->stats->words++;
    S3R_TRY(s3r_string_map_add(&c->words, copy, 1, NULL, &is_new, err));
    c->stats->distinct_words += is_new;
    return S3R_OK;
}

/* Words and characters; *characters receives how many of these. */
static s3r_status count_text(counting *c, const char *text, size_t *characters,
                             s3r_error *err)
{
    const char *word = NULL, *at = text;
    *characters = 0;
    for (;;) {
        const char *first = at;
        int32_t character = s3r_character_next(&at);
        bool is_gap = character == 0 || s3r_character_is_space(character);
        s3r_arena_mark mark = s3r_arena_get_mark(&c->owned);
        size_t distinct = c->stats->distinct_words;
        if (is_gap && word)
            S3R_TRY(count_word(c, word, (size_t)(first - word), err));
        if (is_gap && word && distinct == c->stats->distinct_words)
            s3r_arena_rewind(&c->owned, mark);
        if (character == 0)
            return S3R_OK;
        word = is_gap ? NULL : word ? word : first;
        if (character > 0 && (uint32_t)character < CODE_POINTS)
            c->by_character[character]++;
        (*characters)++;
    }
}

static void count_duration(counting *c, double seconds)
{
    size_t bin = S3R_DURATION_BINS - 1;
    while (bin > 0 && seconds < s3r_duration_edges[bin])
        bin--;
    c->stats->bins[bin]++;
    c->stats->seconds += seconds;
    c->durations[c->duration_count++] = seconds;
}

static s3r_status count_utterance(counting *c, const s3r_utterance *item, double seconds,
                                  s3r_error *err)
{
    size_t characters = 0;
    bool is_new = false;
    if (item->text) {
        c->stats->clips_with_text += item->text[0] != '\0';
        S3R_TRY(count_text(c, item->text, &characters, err));
        c->stats->characters += characters;
    }
    if (item->speaker) {
        S3R_TRY(s3r_string_map_add(&c->speakers, item->speaker, 1, NULL, &is_new, err));
        c->stats->clips_with_speaker++;
        c->stats->speakers += is_new;
    }
    if (seconds >= 0)
        count_duration(c, seconds);
    else
        c->stats->unmeasured++;
    if (seconds > 0 && characters > 0)
        c->rates[c->rate_count++] = (double)characters / seconds;
    return S3R_OK;
}

static s3r_status make_inventory(counting *c, s3r_error *err)
{
    s3r_manifest_stats *stats = c->stats;
    size_t count = 0;
    for (size_t i = 0; i < CODE_POINTS; i++)
        count += c->by_character[i] > 0;
    stats->inventory = s3r_alloc(count, sizeof *stats->inventory);
    if (!stats->inventory)
        return s3r_fail_memory(err, "characters", count * sizeof *stats->inventory);
    for (size_t i = 0; i < CODE_POINTS; i++)
        if (c->by_character[i] > 0)
            stats->inventory[stats->inventory_count++] =
                (s3r_character_count){(int32_t)i, c->by_character[i]};
    return S3R_OK;
}

static s3r_status count_all(counting *c, const s3r_manifest *manifest,
                            const double *durations, s3r_error *err)
{
    s3r_manifest_stats *stats = c->stats;
    c->durations = s3r_alloc(manifest->count, sizeof *c->durations);
    c->rates = s3r_alloc(manifest->count, sizeof *c->rates);
    c->by_character = s3r_alloc(CODE_POINTS, sizeof *c->by_character);
    if (!c->durations || !c->rates || !c->by_character)
        return s3r_fail_memory(err, "statistics", CODE_POINTS * sizeof(uint32_t));
    stats->clips = manifest->count;
    for (size_t i = 0; i < manifest->count; i++)
        S3R_TRY(count_utterance(c, &manifest->items[i], durations[i], err));
    summarise(c->durations, c->duration_count, &stats->least_s, &stats->median_s,
              &stats->greatest_s);
    summarise(c->rates, c->rate_count, &stats->rate_least, &stats->rate_median,
              &stats->rate_greatest);
    return make_inventory(c, err);
}

s3r_status s3r_manifest_stats_make(s3r_manifest_stats *out, const s3r_manifest *manifest,
                                   const double *durations, s3r_error *err)
{
    *out = (s3r_manifest_stats){0};
    counting c = {.stats = out};
    s3r_arena_init(&c.owned, (size_t)256 << 10);
    s3r_status status = count_all(&c, manifest, durations, err);
    s3r_free(c.durations);
    s3r_free(c.rates);
    s3r_free(c.by_character);
    s3r_string_map_release(&c.words);
    s3r_string_map_release(&c.speakers);
    s3r_arena_release(&c.owned);
    return status;
}

void s3r_manifest_stats_release(s3r_manifest_stats *stats)
{
    s3r_free(stats->inventory);
    *stats = (s3r_manifest_stats){0};
}
