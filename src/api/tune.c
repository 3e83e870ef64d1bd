/*
 * Emissions once, then many searches.
 */
#include "s3r/tune.h"

#include <math.h>
#include <string.h>

#include "api/decoder.h"
#include "api/eval_emissions.h"
#include "api/handles.h"
#include "api/transcribe_search.h"
#include "tasks/error_rate.h"
#include "text/text_normalize.h"

#define MAX_POINTS 256u

/* An utterance of the dev set. */
typedef struct tune_item {
    float *log_probs;
    size_t frames;
    char *reference;
    s3r_error_counts words, characters; /* of the point that is tried */
    s3r_status status;
    s3r_error error;
} tune_item;

typedef struct tune_run {
    s3r_context *context;
    s3r_decoder *decoder;
    s3r_normalization normalization;
    bool by_characters;
    s3r_tune_fn result;
    void *result_context;
    tune_item *items;
    size_t count, capacity;
    s3r_tune_point points[MAX_POINTS]; /* that were tried */
    size_t point_count, best;
} tune_run;

/* ---- emissions ---- */

static s3r_status take_emissions(void *context, const float *log_probs, size_t frames,
                                 const char *reference, s3r_error *err)
{
    tune_run *run = context;
    size_t labels = run->decoder->search.label_count;
    if (run->count == run->capacity) {
        size_t capacity = 2 * run->capacity + 64;
        tune_item *grown =
            s3r_realloc(run->items, run->capacity, capacity, sizeof *grown);
        if (!grown)
            return s3r_fail_memory(err, "utterances", capacity * sizeof *grown);
        run->items = grown;
        run->capacity = capacity;
    }
    tune_item *item = &run->items[run->count++];
    item->frames = frames;
    item->log_probs = s3r_alloc_raw(frames, labels * sizeof(float));
    item->reference = s3r_strdup(reference);
    if (!item->log_probs || !item->reference)
        return s3r_fail_memory(err, "emissions", frames * labels * sizeof(float));
    memcpy(item->log_probs, log_probs, frames * labels * sizeof(float));
    return S3R_OK;
}

/* ---- one point ---- */

static s3r_status count_errors(const tune_run *run, tune_item *item, const char *text,
                               s3r_error *err)
{
    char *hypothesis = NULL;
    item->words = item->characters = (s3r_error_counts){0};
    s3r_status status =
        s3r_text_make_comparable(&hypothesis, text, run->normalization, err);
    if (status == S3R_OK)
        status = s3r_error_counts_add(&item->words, item->reference, hypothesis,
                                      S3R_UNIT_WORD, err);
    if (status == S3R_OK)
        status = s3r_error_counts_add(&item->characters, item->reference, hypothesis,
                                      S3R_UNIT_CHARACTER, err);
    s3r_free(hypothesis);
    return status;
}

static void decode_item(void *context, size_t task, size_t worker)
{
    tune_run *run = context;
    tune_item *item = &run->items[task];
    s3r_decoding *decoding = NULL;
    s3r_hypothesis best;
    (void)worker;
    item->status =
        s3r_decode(&decoding, run->decoder, item->log_probs, item->frames, &item->error);
    if (item->status != S3R_OK)
        return;
    s3r_decoding_get(decoding, 0, &best);
    item->status = count_errors(run, item, best.text, &item->error);
    s3r_decoding_free(decoding);
}

static void add_counts(s3r_error_counts *sum, const s3r_error_counts *counts)
{
    sum->substitutions += counts->substitutions;
    sum->deletions += counts->deletions;
    sum->insertions += counts->insertions;
    sum->reference += counts->reference;
}

static double rate_of(const s3r_error_counts *counts)
{
    size_t errors = counts->substitutions + counts->deletions + counts->insertions;
    return counts->reference > 0 ? (double)errors / (double)counts->reference : 0;
}

static s3r_status measure(tune_run *run, s3r_tune_point *point, s3r_error *err)
{
    s3r_error_counts words = {0}, characters = {0};
    S3R_TRY(
        s3r_decoder_set_weights(run->decoder, point->lm_weight, point->word_score, err));
    s3r_pool_run(run->context->pool, run->count, decode_item, run);
    for (size_t i = 0; i < run->count; i++) {
        const tune_item *item = &run->items[i];
        if (item->status != S3R_OK)
            return s3r_fail(err, item->status, "%s", item->error.message);
        add_counts(&words, &item->words);
        add_counts(&characters, &item->characters);
    }
    point->wer = rate_of(&words);
    point->cer = rate_of(&characters);
    return S3R_OK;
}

static bool is_better(const tune_run *run, const s3r_tune_point *a,
                      const s3r_tune_point *b)
{
    const double first[2] = {a->wer, a->cer}, second[2] = {b->wer, b->cer};
    size_t chosen = run->by_characters ? 1 : 0;
    if (first[chosen] != second[chosen])
        return first[chosen] < second[chosen];
    if (first[1 - chosen] != second[1 - chosen])
        return first[1 - chosen] < second[1 - chosen];
    return a->lm_weight < b->lm_weight;
}

static bool was_tried(const tune_run *run, double lm_weight, double word_score)
{
    for (size_t i = 0; i < run->point_count; i++)
        if (fabs(run->points[i].lm_weight - lm_weight) < 1e-9 &&
            fabs(run->points[i].word_score - word_score) < 1e-9)
            return true;
    return false;
}

static s3r_status try_point(tune_run *run, double lm_weight, double word_score,
                            s3r_error *err)
{
    s3r_tune_point point = {.lm_weight = lm_weight, .word_score = word_score};
    if (lm_weight < 0 || was_tried(run, lm_weight, word_score) ||
        run->point_count == MAX_POINTS)
        return S3R_OK;
    S3R_TRY(measure(run, &point, err));
    run->points[run->point_count] = point;
    if (run->point_count > 0 && is_better(run, &point, &run->points[run->best]))
        run->best = run->point_count;
    run->point_count++;
    s3r_status status = run->result ? run->result(run->result_context, &point) : S3R_OK;
    return status == S3R_OK ? S3R_OK : s3r_fail(err, status, "interrupted");
}

/* ---- all points ---- */

static s3r_status try_grid(tune_run *run, s3r_error *err)
{
    static const double lm_weights[] = {0, 0.5, 1, 1.5, 2, 3, 4};
    static const double word_scores[] = {-3, -2, -1, 0, 1, 2};
    for (size_t i = 0; i < S3R_ARRAY_LEN(lm_weights); i++)
        for (size_t j = 0; j < S3R_ARRAY_LEN(word_scores); j++)
            S3R_TRY(try_point(run, lm_weights[i], word_scores[j], err));
    return S3R_OK;
}

/* The neighbours of the best point, and then those of a better one among them. */
static s3r_status refine(tune_run *run, double lm_step, double word_step, s3r_error *err)
{
    size_t from = SIZE_MAX;
    for (size_t rounds = 0; rounds < 4 && from != run->best; rounds++) {
        from = run->best;
        const s3r_tune_point center = run->points[from];
        for (int i = -1; i <= 1; i++)
            for (int j = -1; j <= 1; j++)
                S3R_TRY(try_point(run, center.lm_weight + i * lm_step,
                                  center.word_score + j * word_step, err));
    }
    return S3R_OK;
}

static s3r_status tune(tune_run *run, s3r_tune_point *best, s3r_error *err)
{
    S3R_TRY(try_grid(run, err));
    S3R_TRY(refine(run, 0.25, 0.5, err));
    S3R_TRY(refine(run, 0.125, 0.25, err));
    *best = run->points[run->best];
    return s3r_decoder_set_weights(run->decoder, best->lm_weight, best->word_score, err);
}

static void release_run(tune_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        s3r_free(run->items[i].log_probs);
        s3r_free(run->items[i].reference);
    }
    s3r_free(run->items);
    s3r_free(run);
}

s3r_status s3r_tune(s3r_context *context, const s3r_model *model, s3r_decoder *decoder,
                    const char *manifest_path, bool by_characters,
                    const s3r_eval_options *options, s3r_tune_fn result,
                    void *result_context, s3r_tune_point *best, s3r_error *err)
{
    s3r_eval_options eval;
    s3r_eval_summary summary = {0};
    s3r_eval_options_init(&eval);
    eval = options ? *options : eval;
    eval.resamples = 0;
    eval.trn_folder = eval.table_path = NULL;
    eval.decoder = NULL;
    S3R_TRY(s3r_job_search_check(decoder, model, err));
    tune_run *run = s3r_alloc(1, sizeof *run);
    if (!run)
        return s3r_fail_memory(err, "tuning", sizeof *run);
    run->context = context;
    run->decoder = decoder;
    run->normalization = (s3r_normalization)eval.normalization;
    run->by_characters = by_characters;
    run->result = result;
    run->result_context = result_context;
    s3r_status read = s3r_eval_emissions(context, model, manifest_path, &eval, NULL, NULL,
                                         &summary, take_emissions, run, err);
    s3r_status status = read == S3R_ERR_PARTIAL ? S3R_OK : read;
    if (status == S3R_OK)
        status = tune(run, best, err);
    release_run(run);
    return status == S3R_OK ? read : status;
}
