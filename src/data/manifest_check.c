/*
 * Audio is measured for all manifests first; then one pass over the utterances judges
 * each and remembers texts and audio for those that follow.
 */
#include "data/manifest_check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "data/clean_text.h"
#include "text/vocabulary_encode.h"

/* Before and after the words of a short clip there may be this much silence. */
#define ALLOWED_SILENCE_S 2.0

typedef struct checker {
    const s3r_manifest *manifests;
    const s3r_check_options *options;
    s3r_problem_fn report;
    void *context;
    s3r_audio_facts facts;
    s3r_string_map texts, audio; /* value: number of the utterance over all manifests */
    const s3r_utterance **by_number;
    size_t *manifest_of; /* [number] */
    size_t number;       /* of the utterance at hand */
    bool has_problem;    /* it has one */
    s3r_arena keys, scratch;
} checker;

const char *s3r_problem_name(s3r_problem problem)
{
    static const char *const names[S3R_PROBLEM_COUNT] = {
        "unreadable", "beyond-end", "no-text",   "too-short",
        "too-long",   "vocabulary", "same-text", "same-audio"};
    return names[problem];
}

static s3r_status report(checker *c, s3r_problem problem, s3r_error *err,
                         const char *format, ...) S3R_PRINTF(4, 5);

static s3r_status report(checker *c, s3r_problem problem, s3r_error *err,
                         const char *format, ...)
{
    char message[1024];
    va_list args;
    if (c->options->is_ignored[problem])
        return S3R_OK;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    c->has_problem = true;
    s3r_status status = c->report(c->context, c->manifest_of[c->number],
                                  c->by_number[c->number], problem, message);
    return status == S3R_OK ? S3R_OK : s3r_fail(err, status, "the problem was not taken");
}

/* ---- text ---- */

static s3r_status check_rate(checker *c, double seconds, s3r_error *err)
{
    double characters = (double)s3r_text_characters(c->by_number[c->number]->text);
    const s3r_check_options *options = c->options;
    if (options->max_rate > 0 && characters > options->max_rate * seconds)
        S3R_TRY(report(c, S3R_PROBLEM_TOO_SHORT, err,
                       "%.2f s for %.0f characters: expected at most %g a second",
                       seconds, characters, options->max_rate));
    if (options->min_rate > 0 &&
        seconds - ALLOWED_SILENCE_S > characters / options->min_rate)
        S3R_TRY(report(c, S3R_PROBLEM_TOO_LONG, err,
                       "%.2f s for %.0f characters: expected at least %g a second",
                       seconds, characters, options->min_rate));
    return S3R_OK;
}

/* CTC needs a frame a label and one between equal labels. */
static size_t frames_needed(const uint32_t *labels, size_t count)
{
    size_t frames = count;
    for (size_t i = 1; i < count; i++)
        frames += labels[i] == labels[i - 1];
    return frames;
}

static s3r_status check_vocabulary(checker *c, double seconds, s3r_error *err)
{
    s3r_error wrong = {.message = ""};
    uint32_t *labels = NULL;
    size_t count = 0;
    s3r_arena_mark mark = s3r_arena_get_mark(&c->scratch);
    s3r_status status =
        s3r_vocabulary_encode(c->options->vocabulary, c->by_number[c->number]->text,
                              &c->scratch, &labels, &count, &wrong);
    size_t needed = status == S3R_OK ? frames_needed(labels, count) : 0;
    s3r_arena_rewind(&c->scratch, mark);
    if (status == S3R_ERR_DATA)
        return report(c, S3R_PROBLEM_VOCABULARY, err, "%s", wrong.message);
    if (status != S3R_OK)
        return s3r_fail(err, status, "%s", wrong.message);
    double frames = floor(seconds / c->options->frame_s);
    if (seconds >= 0 && (double)needed > frames)
        return report(c, S3R_PROBLEM_TOO_SHORT, err,
                      "%.2f s are %.0f frames: expected at least %zu for the labels",
                      seconds, frames, needed);
    return S3R_OK;
}

static s3r_status check_same_text(checker *c, s3r_error *err)
{
    const s3r_utterance *utterance = c->by_number[c->number];
    const char *language = utterance->language ? utterance->language : "";
    size_t *first;
    size_t bytes = strlen(language) + strlen(utterance->text) + 2;
    char *key = s3r_arena_alloc(&c->keys, bytes, 1);
    if (!key)
        return s3r_fail_memory(err, "a table of texts", bytes);
    snprintf(key, bytes, "%s|%s", language, utterance->text);
    S3R_TRY(s3r_string_map_add(&c->texts, key, c->number, &first, NULL, err));
    if (c->manifest_of[*first] == c->manifest_of[c->number])
        return S3R_OK;
    return report(c, S3R_PROBLEM_SAME_TEXT, err, "also in %s, line %zu",
                  c->manifests[c->manifest_of[*first]].path, c->by_number[*first]->line);
}

/* seconds < 0: not known. */
static s3r_status check_text(checker *c, double seconds, s3r_error *err)
{
    const char *text = c->by_number[c->number]->text;
    if (!text || text[0] == '\0')
        return report(c, S3R_PROBLEM_NO_TEXT, err,
                      text ? "the text is empty" : "there is no key \"text\"");
    if (seconds >= 0)
        S3R_TRY(check_rate(c, seconds, err));
    if (c->options->vocabulary)
        S3R_TRY(check_vocabulary(c, seconds, err));
    return check_same_text(c, err);
}

/* ---- audio ---- */

static s3r_status check_same_audio(checker *c, const s3r_audio_fact *fact, double seconds,
                                   s3r_error *err)
{
    char text[128];
    size_t *first;
    bool is_new;
    const s3r_utterance *utterance = c->by_number[c->number];
    int length = snprintf(text, sizeof text, "%s %.3f %.3f", fact->hash,
                          utterance->offset_s, seconds);
    char *key = s3r_arena_alloc(&c->keys, (size_t)length + 1, 1);
    if (!key)
        return s3r_fail_memory(err, "a table of audio", (size_t)length);
    memcpy(key, text, (size_t)length + 1);
    S3R_TRY(s3r_string_map_add(&c->audio, key, c->number, &first, &is_new, err));
    if (is_new)
        return S3R_OK;
    return report(c, S3R_PROBLEM_SAME_AUDIO, err, "also in %s, line %zu",
                  c->manifests[c->manifest_of[*first]].path, c->by_number[*first]->line);
}

static s3r_status check_utterance(checker *c, s3r_error *err)
{
    const s3r_utterance *utterance = c->by_number[c->number];
    const s3r_audio_fact *fact = s3r_audio_facts_get(&c->facts, utterance->audio_path);
    double seconds = -1;
    if (fact->error != S3R_OK) {
        S3R_TRY(report(c, S3R_PROBLEM_UNREADABLE, err, "%s: %s", utterance->audio_path,
                       fact->message ? fact->message : "no memory for the reason"));
    } else {
        seconds = s3r_utterance_seconds(utterance, fact->seconds);
        if (seconds < 0)
            S3R_TRY(report(c, S3R_PROBLEM_BEYOND_END, err,
                           "expected audio from %.3f to %.3f s, found %.3f s",
                           utterance->offset_s,
                           utterance->offset_s + S3R_MAX(utterance->duration_s, 0.0),
                           fact->seconds));
        S3R_TRY(check_same_audio(c, fact, seconds, err));
    }
    return check_text(c, seconds, err);
}

/* ---- all ---- */

static s3r_status collect(checker *c, size_t manifest_count, size_t *total,
                          s3r_error *err)
{
    size_t number = 0;
    *total = 0;
    for (size_t m = 0; m < manifest_count; m++)
        *total += c->manifests[m].count;
    c->by_number = s3r_alloc(*total, sizeof *c->by_number);
    c->manifest_of = s3r_alloc(*total, sizeof *c->manifest_of);
    if (!c->by_number || !c->manifest_of)
        return s3r_fail_memory(err, "a list of utterances",
                               *total * sizeof *c->by_number);
    for (size_t m = 0; m < manifest_count; m++) {
        for (size_t i = 0; i < c->manifests[m].count; i++) {
            c->by_number[number] = &c->manifests[m].items[i];
            c->manifest_of[number++] = m;
            S3R_TRY(
                s3r_audio_facts_add(&c->facts, c->manifests[m].items[i].audio_path, err));
        }
    }
    return S3R_OK;
}

static s3r_status check_all(checker *c, size_t manifest_count, s3r_pool *pool,
                            size_t *failed_count, s3r_error *err)
{
    size_t total;
    s3r_facts_options options = {.is_decoded = !c->options->believes_headers,
                                 .has_hash = true,
                                 .progress = c->options->progress,
                                 .progress_context = c->options->progress_context};
    S3R_TRY(collect(c, manifest_count, &total, err));
    S3R_TRY(s3r_audio_facts_measure(&c->facts, pool, &options, err));
    for (c->number = 0; c->number < total; c->number++) {
        c->has_problem = false;
        S3R_TRY(check_utterance(c, err));
        *failed_count += c->has_problem;
    }
    return S3R_OK;
}

s3r_status s3r_manifest_check(const s3r_manifest *manifests, size_t manifest_count,
                              s3r_pool *pool, const s3r_check_options *options,
                              s3r_problem_fn problem, void *context, size_t *failed_count,
                              s3r_error *err)
{
    checker c = {.manifests = manifests,
                 .options = options,
                 .report = problem,
                 .context = context};
    *failed_count = 0;
    s3r_arena_init(&c.keys, (size_t)64 << 10);
    s3r_arena_init(&c.scratch, (size_t)64 << 10);
    s3r_status status = check_all(&c, manifest_count, pool, failed_count, err);
    s3r_audio_facts_release(&c.facts);
    s3r_string_map_release(&c.texts);
    s3r_string_map_release(&c.audio);
    s3r_free(c.by_number);
    s3r_free(c.manifest_of);
    s3r_arena_release(&c.keys);
    s3r_arena_release(&c.scratch);
    return status;
}
