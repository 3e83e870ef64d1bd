/*
 * s3r data stats: what is in manifests, in numbers.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <s3r/data.h>

#include "data_run.h"
#include "line_text.h"

#define BAR_COLUMNS  40
#define TEXT_COLUMNS 78

/* The UTF-8 of a code point; a space and what does not print as U+0020. */
static size_t put_utf8(char to[5], int32_t code_point)
{
    uint32_t c = (uint32_t)code_point;
    size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char heads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = length; i-- > 1; c >>= 6)
        to[i] = (char)(0x80 | (c & 0x3F));
    to[0] = (char)(heads[length] | c);
    to[length] = '\0';
    return length;
}

static bool is_printable(int32_t c)
{
    return c > 0x20 && (c < 0x7F || c > 0xA0);
}

static void print_histogram(const s3r_data_stats *stats)
{
    size_t most = 1;
    for (size_t i = 0; i < S3R_DATA_BINS; i++)
        most = stats->bins[i] > most ? stats->bins[i] : most;
    printf("  durations    min %.2f s, median %.2f s, max %.2f s\n", stats->min_seconds,
           stats->median_seconds, stats->max_seconds);
    for (size_t i = 0; i < S3R_DATA_BINS; i++) {
        char edges[32];
        size_t stars = (stats->bins[i] * BAR_COLUMNS + most - 1) / most;
        if (i + 1 < S3R_DATA_BINS)
            snprintf(edges, sizeof edges, "%g to %g s", stats->bin_edges[i],
                     stats->bin_edges[i + 1]);
        else
            snprintf(edges, sizeof edges, "from %g s", stats->bin_edges[i]);
        printf("    %-12s %8zu %.*s\n", edges, stats->bins[i], (int)stars,
               "########################################");
    }
}

/* Characters with their code points and uses, most of them four columns. */
static void print_characters(const s3r_data_stats *stats)
{
    size_t at = 0;
    printf("  characters   %zu different\n", stats->character_count);
    for (size_t i = 0; i < stats->character_count; i++) {
        char text[64], character[5] = "";
        int32_t c = stats->character[i];
        if (is_printable(c))
            put_utf8(character, c);
        int length =
            is_printable(c)
                ? snprintf(text, sizeof text, "%s %zu", character, stats->uses[i])
                : snprintf(text, sizeof text, "U+%04X %zu", (unsigned)c, stats->uses[i]);
        if (at == 0 || at + (size_t)length + 3 > TEXT_COLUMNS) {
            printf("%s    ", at ? "\n" : "");
            at = 4;
        }
        at += (size_t)printf("%s   ", text);
    }
    if (stats->character_count > 0)
        printf("\n");
}

static void print_text(const char *path, const s3r_data_stats *stats)
{
    char *name = s3r_line_from_path(path);
    printf("%s\n", name ? name : "?");
    free(name);
    printf("  clips        %zu, %zu with text\n", stats->clips, stats->clips_with_text);
    printf("  minutes      %.2f\n", stats->seconds / 60);
    if (stats->clips_unreadable > 0)
        printf("  unreadable   %zu clips, not in the minutes\n", stats->clips_unreadable);
    printf("  speakers     %zu, of %zu clips\n", stats->speakers,
           stats->clips_with_speaker);
    printf("  words        %zu, %zu different\n", stats->words, stats->distinct_words);
    printf("  letters      %zu characters; a second: min %.1f, median %.1f, max %.1f\n",
           stats->characters, stats->min_rate, stats->median_rate, stats->max_rate);
    print_histogram(stats);
    print_characters(stats);
}

static json_t *inventory(const s3r_data_stats *stats)
{
    json_t *object = json_object();
    for (size_t i = 0; i < stats->character_count; i++) {
        char text[5];
        put_utf8(text, stats->character[i]);
        json_object_set_new(object, text, json_integer((json_int_t)stats->uses[i]));
    }
    return object;
}

static json_t *histogram(const s3r_data_stats *stats)
{
    json_t *bins = json_array();
    for (size_t i = 0; i < S3R_DATA_BINS; i++)
        json_array_append_new(bins, json_pack("{s:f, s:I}", "from_s", stats->bin_edges[i],
                                              "clips", (json_int_t)stats->bins[i]));
    return bins;
}

static json_t *to_json(const char *path, const s3r_data_stats *stats)
{
    return json_pack(
        "{s:o, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:f, s:f, "
        "s:f, s:o, s:o}",
        "path", s3r_json_from_bytes(path), "clips", (json_int_t)stats->clips,
        "clips_with_text", (json_int_t)stats->clips_with_text, "clips_unreadable",
        (json_int_t)stats->clips_unreadable, "seconds", stats->seconds, "min_seconds",
        stats->min_seconds, "median_seconds", stats->median_seconds, "max_seconds",
        stats->max_seconds, "speakers", (json_int_t)stats->speakers, "clips_with_speaker",
        (json_int_t)stats->clips_with_speaker, "words", (json_int_t)stats->words,
        "distinct_words", (json_int_t)stats->distinct_words, "characters",
        (json_int_t)stats->characters, "min_rate", stats->min_rate, "median_rate",
        stats->median_rate, "max_rate", stats->max_rate, "durations", histogram(stats),
        "inventory", inventory(stats));
}

static s3r_status print_one(const s3r_command *command, const s3r_session *session,
                            const char *path, json_t *all, s3r_error *err)
{
    s3r_data_stats stats;
    s3r_status status = s3r_data_stats_make(session->context, path, &stats, err);
    if (status != S3R_OK)
        return status;
    if (!command->global.is_json)
        print_text(path, &stats);
    else if (json_array_append_new(all, to_json(path, &stats)) != 0)
        status = s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the result");
    s3r_data_stats_release(&stats);
    return status;
}

static s3r_status run_stats(const s3r_command *command, s3r_error *err)
{
    s3r_session session = {0};
    json_t *all = json_array();
    s3r_status status = s3r_session_open_context(&session, command, err);
    for (size_t i = 0; status == S3R_OK && i < command->positional_count; i++)
        status = print_one(command, &session, command->positionals[i], all, err);
    if (status == S3R_OK && command->global.is_json) {
        char *line = s3r_json_line(json_incref(all));
        if (line)
            fputs(line, stdout);
        else
            status = s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the result");
        free(line);
    }
    json_decref(all);
    s3r_session_close(&session);
    return status;
}

static const char *const example[] = {"s3r data stats data/train.jsonl data/dev.jsonl",
                                      NULL};

const s3r_verb s3r_verb_data_stats = {
    .name = "data stats",
    .summary = "Count what is in manifests",
    .description =
        "Prints clips, minutes, speakers, words and characters, the durations, "
        "the characters a second and how often each character is used. "
        "Durations that the manifest does not say are measured.",
    .usage = "MANIFEST...",
    .positionals = {{"MANIFEST", NULL, "JSON lines, see docs/data.md."}},
    .min_positionals = 1,
    .max_positionals = SIZE_MAX,
    .options_size = 0,
    .has_json = true,
    .example = example,
    .run = run_stats,
};
