/*
 * Reading, measuring, cleaning and splitting; prepare_write.c writes.
 */
#include "data/prepare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/closest_name.h"
#include "data/clean_text.h"
#include "data/prepare_write.h"
#include "data/text_split.h"
#include "text/unicode_text.h"

#define FRAME_S 0.02

#define DROP_LANGUAGE   "another language"
#define DROP_UNREADABLE "unreadable audio"
#define DROP_NAME       "a name that is not UTF-8" /* which a manifest is */
#define DROP_OUTSIDE    "beyond the end of its file"
#define DROP_EMPTY      "empty text"
#define DROP_DUPLICATE  "audio that is there already"
#define DROP_SHORT      "shorter than the least duration"
#define DROP_LONG       "longer than the greatest duration"
#define DROP_FAST       "too short for its text"

typedef struct preparation {
    const s3r_prepare_options *options;
    s3r_prepare_report *report;
    s3r_pool *pool;
    s3r_split_mode split;
    bool is_cleaned;
    s3r_audio_facts facts;
    s3r_string_map seen; /* audio that is there already */
    s3r_dropped_log *dropped;
} preparation;

/* ---- layouts ---- */

static s3r_status fail_layout(const char *name, s3r_error *err)
{
    char known[512] = "";
    const char *meant = NULL;
    size_t used = 0;
    const s3r_layout *layout;
    for (size_t i = 0; (layout = s3r_layout_at(i)) && used < sizeof known; i++) {
        int more = snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                            layout->name);
        used += more > 0 ? (size_t)more : 0;
        meant = s3r_closest_name(name, meant, layout->name);
    }
    return s3r_fail(err, S3R_ERR_USAGE, "layout: expected one of %s, found \"%s\"%s%s%s",
                    known, name, meant ? " (did you mean \"" : "", meant ? meant : "",
                    meant ? "\"?)" : "");
}

static s3r_status read_layout(preparation *p, const s3r_layout *layout, s3r_error *err)
{
    const s3r_prepare_options *options = p->options;
    s3r_corpus_request request = {.source = options->source,
                                  .language = options->language,
                                  .work_folder = options->folder};
    if (layout->needs_source && !options->source)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "layout %s: expected the folder of the data, found none",
                        layout->name);
    if (layout->needs_source && !s3r_path_exists(options->source))
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected data in the layout %s, found "
                        "nothing of that name",
                        options->source, layout->name);
    return layout->read(&p->report->corpus, &request, err);
}

static s3r_status read_layouts(preparation *p, s3r_error *err)
{
    const char *names = p->options->layouts;
    p->split = p->options->split;
    while (*names != '\0') {
        char name[64];
        size_t length = strcspn(names, ",");
        snprintf(name, sizeof name, "%.*s", (int)S3R_MIN(length, sizeof name - 1), names);
        const s3r_layout *layout = s3r_layout_find(name);
        if (!layout)
            return fail_layout(name, err);
        S3R_TRY(read_layout(p, layout, err));
        names += length + (names[length] == ',');
    }
    p->is_cleaned = p->options->is_cleaned || p->split == S3R_SPLIT_TEXT;
    return S3R_OK;
}

/* ---- what stays ---- */

static s3r_status measure(preparation *p, s3r_error *err)
{
    const s3r_corpus *corpus = &p->report->corpus;
    s3r_facts_options options = {.is_decoded = p->options->is_decoded,
                                 .has_hash = p->is_cleaned,
                                 .progress = p->options->progress,
                                 .progress_context = p->options->progress_context};
    for (size_t i = 0; i < corpus->count; i++)
        if (s3r_language_matches(p->options->language,
                                 corpus->items[i].utterance.language))
            S3R_TRY(s3r_audio_facts_add(&p->facts, corpus->items[i].utterance.audio_path,
                                        err));
    return s3r_audio_facts_measure(&p->facts, p->pool, &options, err);
}

/* Whether the same audio is there already; in official splits each may have it. */
static s3r_status is_repeated(preparation *p, const s3r_corpus_item *item,
                              const s3r_audio_fact *fact, double seconds, bool *repeated,
                              s3r_error *err)
{
    char text[256];
    bool is_new;
    bool is_global = p->split == S3R_SPLIT_TEXT;
    int length =
        snprintf(text, sizeof text, "%s %.3f %.3f %.64s", fact->hash,
                 item->utterance.offset_s, seconds, is_global ? "" : item->split);
    char *key = s3r_arena_alloc(&p->report->corpus.owned, (size_t)length + 1, 1);
    if (!key)
        return s3r_fail_memory(err, "a corpus", (size_t)length);
    memcpy(key, text, (size_t)length + 1);
    S3R_TRY(s3r_string_map_add(&p->seen, key, 1, NULL, &is_new, err));
    *repeated = !is_new;
    return S3R_OK;
}

/* Why an utterance of known duration goes for its length; NULL when it stays. */
static const char *judge_length(const preparation *p, const s3r_utterance *utterance)
{
    const s3r_prepare_options *options = p->options;
    double seconds = utterance->duration_s;
    if (p->is_cleaned && seconds < options->min_seconds)
        return DROP_SHORT;
    if (options->max_seconds > 0 && seconds > options->max_seconds)
        return DROP_LONG;
    if (p->is_cleaned && utterance->text && options->max_rate > 0 &&
        (double)s3r_text_characters(utterance->text) > options->max_rate * seconds)
        return DROP_FAST;
    return NULL;
}

/* Sets the item's duration; *reason is why it goes, NULL when it stays. */
static s3r_status judge(preparation *p, s3r_corpus_item *item, const char **reason,
                        const char **detail, s3r_error *err)
{
    s3r_utterance *utterance = &item->utterance;
    bool repeated = false;
    *detail = "";
    *reason = DROP_LANGUAGE;
    if (!s3r_language_matches(p->options->language, utterance->language))
        return S3R_OK;
    *reason = DROP_NAME;
    size_t length = strlen(utterance->audio_path);
    if (s3r_utf8_prefix(utterance->audio_path, length) < length)
        return S3R_OK;
    const s3r_audio_fact *fact = s3r_audio_facts_get(&p->facts, utterance->audio_path);
    *reason = DROP_UNREADABLE;
    *detail = fact->message ? fact->message : "";
    if (fact->error != S3R_OK)
        return S3R_OK;
    *detail = "";
    *reason = DROP_EMPTY;
    if (utterance->text && utterance->text[0] == '\0')
        return S3R_OK;
    *reason = DROP_OUTSIDE;
    double seconds = s3r_utterance_seconds(utterance, fact->seconds);
    if (seconds < 0)
        return S3R_OK;
    if (p->is_cleaned)
        S3R_TRY(is_repeated(p, item, fact, seconds, &repeated, err));
    utterance->duration_s = seconds;
    *reason = repeated ? DROP_DUPLICATE : judge_length(p, utterance);
    return S3R_OK;
}

/* Remembers an item whose file is longer or shorter than the layout's table says, by more
 * than a frame.  The table does not name the rate: any usual one will do. */
static void compare_length(preparation *p, const s3r_corpus_item *item)
{
    static const double rates_hz[] = {16000, 8000,  11025, 22050,
                                      24000, 32000, 44100, 48000};
    const s3r_audio_fact *fact =
        s3r_audio_facts_get(&p->facts, item->utterance.audio_path);
    if (item->told_samples <= 0)
        return;
    for (size_t i = 0; i < S3R_ARRAY_LEN(rates_hz); i++)
        if (fabs(item->told_samples / rates_hz[i] - fact->seconds) <= FRAME_S)
            return;
    if (p->report->other_length++ == 0)
        p->report->other_length_id = item->utterance.id;
}

/* Items that go are logged and closed up. */
static s3r_status sift(preparation *p, s3r_error *err)
{
    s3r_corpus *corpus = &p->report->corpus;
    size_t kept = 0;
    for (size_t i = 0; i < corpus->count; i++) {
        s3r_corpus_item item = corpus->items[i];
        const char *reason, *detail;
        S3R_TRY(judge(p, &item, &reason, &detail, err));
        if (!reason) {
            compare_length(p, &item);
            corpus->items[kept++] = item;
            continue;
        }
        S3R_TRY(s3r_corpus_drop(corpus, reason, err));
        S3R_TRY(s3r_dropped_log_add(p->dropped, reason, &item.utterance, detail, err));
    }
    corpus->count = kept;
    return S3R_OK;
}

static void assign_splits(preparation *p)
{
    s3r_corpus *corpus = &p->report->corpus;
    for (size_t i = 0; i < corpus->count; i++) {
        s3r_corpus_item *item = &corpus->items[i];
        const s3r_utterance *utterance = &item->utterance;
        if (p->split == S3R_SPLIT_TEXT)
            item->split = s3r_text_split(
                utterance->language, utterance->text ? utterance->text : utterance->id);
        else if (item->split[0] == '\0')
            item->split = "all";
    }
}

static s3r_status fail_empty(const preparation *p, s3r_error *err)
{
    char reasons[512] = "";
    size_t used = 0;
    for (const s3r_drop_count *drop = p->report->corpus.dropped_reasons;
         drop && used < sizeof reasons; drop = drop->next) {
        int more = snprintf(reasons + used, sizeof reasons - used, "%s%s (%zu)",
                            used ? ", " : ": ", drop->reason, drop->count);
        used += more > 0 ? (size_t)more : 0;
    }
    return s3r_fail(err, S3R_ERR_DATA, "%s: expected utterances, found none that stays%s",
                    p->options->source ? p->options->source : p->options->layouts,
                    reasons);
}

static s3r_status run(preparation *p, s3r_error *err)
{
    S3R_TRY(read_layouts(p, err));
    S3R_TRY(measure(p, err));
    S3R_TRY(s3r_folder_create(p->options->folder, err));
    S3R_TRY(s3r_dropped_log_open(&p->dropped, p->options->folder, err));
    S3R_TRY(sift(p, err));
    s3r_dropped_log *dropped = p->dropped;
    p->dropped = NULL;
    S3R_TRY(s3r_dropped_log_commit(dropped, err));
    if (p->report->corpus.count == 0)
        return fail_empty(p, err);
    assign_splits(p);
    return s3r_prepare_write(p->report, p->options, err);
}

s3r_status s3r_prepare(s3r_prepare_report *report, s3r_pool *pool,
                       const s3r_prepare_options *options, s3r_error *err)
{
    *report = (s3r_prepare_report){0};
    s3r_corpus_init(&report->corpus);
    preparation p = {.options = options, .report = report, .pool = pool};
    s3r_status status = run(&p, err);
    s3r_audio_facts_release(&p.facts);
    s3r_string_map_release(&p.seen);
    s3r_dropped_log_abort(p.dropped);
    return status;
}

void s3r_prepare_report_release(s3r_prepare_report *report)
{
    s3r_free(report->rows);
    s3r_corpus_release(&report->corpus);
    *report = (s3r_prepare_report){0};
}
