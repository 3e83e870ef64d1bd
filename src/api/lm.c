/*
 * The public calls on language models.
 */
#include "s3r/lm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/lm_texts.h"
#include "api/options_check.h"
#include "api/output_name.h"
#include "base/affix.h"
#include "base/memory.h"
#include "decode/arpa_file.h"
#include "decode/kneser_ney.h"
#include "decode/language_model.h"
#include "text/unicode_text.h"

_Static_assert(S3R_LM_BUILD_ORDER_MAX == S3R_LM_BUILD_ORDERS, "one limit");
_Static_assert(S3R_LM_ORDER_MAX == S3R_LM_MAX_ORDER, "one limit");

/* ---- building ---- */

void s3r_lm_build_options_init(s3r_lm_build_options *options)
{
    *options = (s3r_lm_build_options){
        .struct_size = sizeof *options, .order = 4, .discount_fallback = {0.5, 1, 1.5}};
}

static s3r_status to_estimate(s3r_kneser_ney *out, const s3r_lm_build_options *options,
                              s3r_error *err)
{
    S3R_TRY(s3r_options_check_size("build options", sizeof *options, options->struct_size,
                                   err));
    if (options->order < 1 || options->order > S3R_LM_BUILD_ORDERS)
        return s3r_fail(err, S3R_ERR_USAGE, "order: expected 1 to %u, found %zu",
                        S3R_LM_BUILD_ORDERS, options->order);
    *out = (s3r_kneser_ney){.order = options->order,
                            .has_fallback = options->has_discount_fallback ||
                                            options->unit == S3R_LM_CHARACTERS};
    for (size_t i = 0; i < options->order; i++) {
        out->prune[i] = options->prune[i];
        if (i == 0 ? options->prune[i] > 0 : options->prune[i] < options->prune[i - 1])
            return s3r_fail(err, S3R_ERR_USAGE,
                            "prune: expected 0 for words and counts that do not fall, "
                            "found %zu for order %zu",
                            options->prune[i], i + 1);
    }
    for (size_t i = 0; i < 3; i++) {
        double discount = options->discount_fallback[i];
        if (!(discount >= 0 && discount <= (double)(i + 1)))
            return s3r_fail(err, S3R_ERR_USAGE,
                            "discount fallback: expected 0 to %zu for the count %zu, "
                            "found %g",
                            i + 1, i + 1, discount);
        out->fallback[i] = (float)discount;
    }
    return S3R_OK;
}

static s3r_status add_sentence(void *context, const char *sentence, s3r_error *err)
{
    return s3r_lm_text_add(context, sentence, err);
}

static s3r_status save_model(s3r_ngrams *ngrams, const char *out, s3r_error *err)
{
    s3r_lm lm;
    if (!s3r_ends_with(out, ".s3l"))
        return s3r_arpa_save(ngrams, out, err);
    S3R_TRY(s3r_lm_from_ngrams(&lm, ngrams, out, err));
    s3r_status status = s3r_lm_save(&lm, out, err);
    s3r_lm_close(&lm);
    return status;
}

static void fill_report(s3r_lm_build_report *report, const s3r_ngrams *ngrams,
                        const s3r_lm_text *text, const s3r_discounts *discounts)
{
    *report = (s3r_lm_build_report){.sentences = text->sentences,
                                    .words = text->count - 2 * text->sentences,
                                    .order = ngrams->order};
    for (size_t i = 0; i < ngrams->order; i++) {
        report->ngrams[i] = ngrams->lists[i].count;
        report->is_fallback[i] = discounts->is_fallback[i];
        for (size_t j = 0; j < 3; j++)
            report->discounts[i][j] = (double)discounts->amount[i][j];
    }
}

s3r_status s3r_lm_build(const char *const *texts, size_t count, const char *out,
                        const s3r_lm_build_options *options, s3r_lm_build_report *report,
                        s3r_error *err)
{
    s3r_lm_build_options defaults;
    s3r_kneser_ney estimate;
    s3r_ngrams ngrams;
    s3r_discounts discounts;
    s3r_lm_build_report made;
    s3r_lm_build_options_init(&defaults);
    options = options ? options : &defaults;
    S3R_TRY(to_estimate(&estimate, options, err));
    S3R_TRY(s3r_output_check_inputs(out, texts, count, err));
    S3R_TRY(s3r_ngrams_init(&ngrams, options->order, err));
    ngrams.has_characters = options->unit == S3R_LM_CHARACTERS;
    s3r_lm_text text = {.has_characters = ngrams.has_characters, .words = &ngrams.words};
    s3r_status status =
        s3r_lm_texts_read(texts, count, &options->text, add_sentence, &text, err);
    if (status == S3R_OK)
        status = s3r_kneser_ney_estimate(&ngrams, &discounts, &text, &estimate, err);
    if (status == S3R_OK)
        fill_report(&made, &ngrams, &text, &discounts);
    s3r_lm_text_release(&text);
    if (status == S3R_OK)
        status = save_model(&ngrams, out, err);
    if (status == S3R_OK && report)
        *report = made;
    s3r_ngrams_release(&ngrams);
    return status;
}

/* ---- files ---- */

static void describe(s3r_lm_info *info, const s3r_lm *lm)
{
    static const char *const formats[] = {"s3l", "kenlm probing", "arpa"};
    *info = (s3r_lm_info){.order = lm->order,
                          .unit = lm->has_characters ? S3R_LM_CHARACTERS : S3R_LM_WORDS,
                          .has_words = lm->word_bytes != NULL};
    snprintf(info->format, sizeof info->format, "%s", formats[lm->format]);
    for (size_t i = 0; i < lm->order; i++)
        info->ngrams[i] = (size_t)lm->counts[i];
}

s3r_status s3r_lm_inspect(const char *path, s3r_lm_info *info, s3r_error *err)
{
    s3r_lm lm;
    S3R_TRY(s3r_lm_open(&lm, path, err));
    s3r_status status = s3r_lm_check(&lm, err);
    if (status == S3R_OK)
        describe(info, &lm);
    s3r_lm_close(&lm);
    return status;
}

s3r_status s3r_lm_compile(const char *in, const char *out, s3r_lm_info *info,
                          s3r_error *err)
{
    s3r_lm lm;
    S3R_TRY(s3r_output_check_inputs(out, &in, 1, err));
    if (s3r_ends_with(out, ".arpa") || s3r_ends_with(out, ".arpa.gz"))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: expected a name for the binary form, found that of an ARPA "
                        "file (which lm build writes)",
                        out);
    S3R_TRY(s3r_lm_open(&lm, in, err));
    s3r_status status = s3r_lm_check(&lm, err);
    if (status == S3R_OK)
        status = s3r_lm_save(&lm, out, err);
    if (status == S3R_OK && info)
        describe(info, &lm);
    s3r_lm_close(&lm);
    return status;
}

/* ---- asking ---- */

struct s3r_language_model {
    s3r_lm lm;
};

_Static_assert(sizeof(s3r_lm_state) <= sizeof(s3r_lm_context), "a context holds a state");

s3r_status s3r_language_model_open(s3r_language_model **out, const char *path,
                                   s3r_error *err)
{
    s3r_language_model *made = s3r_alloc(1, sizeof *made);
    if (!made)
        return s3r_fail_memory(err, "a language model", sizeof *made);
    s3r_status status = s3r_lm_open(&made->lm, path, err);
    if (status != S3R_OK) {
        s3r_free(made);
        return status;
    }
    *out = made;
    return S3R_OK;
}

void s3r_language_model_close(s3r_language_model *lm)
{
    if (!lm)
        return;
    s3r_lm_close(&lm->lm);
    s3r_free(lm);
}

void s3r_language_model_get_info(const s3r_language_model *lm, s3r_lm_info *info)
{
    describe(info, &lm->lm);
}

static void to_context(s3r_lm_context *out, const s3r_lm_state *state)
{
    *out = (s3r_lm_context){{0}};
    memcpy(out->opaque, state, sizeof *state);
}

void s3r_lm_context_begin(const s3r_language_model *lm, s3r_lm_context *out)
{
    s3r_lm_state state = s3r_lm_begin(&lm->lm);
    to_context(out, &state);
}

double s3r_lm_word_log10(const s3r_language_model *lm, const s3r_lm_context *from,
                         const char *word, s3r_lm_context *to, bool *is_unknown)
{
    s3r_lm_state state;
    uint32_t id = word ? s3r_lm_find(&lm->lm, word, strlen(word)) : lm->lm.end_word;
    memcpy(&state, from->opaque, sizeof state);
    double prob = (double)s3r_lm_word_score(&lm->lm, &state, id, &state);
    if (to)
        to_context(to, &state);
    if (is_unknown)
        *is_unknown = id == S3R_WORD_UNKNOWN;
    return prob;
}

/* ---- scoring ---- */

static void put_word(const s3r_lm *lm, s3r_lm_score *score, s3r_lm_state *state,
                     const char *word, size_t size)
{
    uint32_t id = s3r_lm_find(lm, word, size);
    double prob = (double)s3r_lm_word_score(lm, state, id, state);
    score->words++;
    score->log10_prob += prob;
    if (id != S3R_WORD_UNKNOWN)
        return;
    score->unknown_words++;
    score->unknown_log10_prob += prob;
}

/* A word, or its characters with the delimiter before all but the first word. */
static void put_units(const s3r_lm *lm, s3r_lm_score *score, s3r_lm_state *state,
                      const char *word, size_t size)
{
    if (!lm->has_characters) {
        put_word(lm, score, state, word, size);
        return;
    }
    if (score->words > 0)
        put_word(lm, score, state, S3R_LM_DELIMITER, strlen(S3R_LM_DELIMITER));
    for (const char *at = word; at < word + size;) {
        const char *from = at;
        (void)s3r_character_next(&at);
        put_word(lm, score, state, from, (size_t)(at - from));
    }
}

static void set_perplexities(s3r_lm_score *score)
{
    double tokens = (double)(score->words + score->sentences);
    double known = tokens - (double)score->unknown_words;
    score->perplexity = pow(10, -score->log10_prob / tokens);
    score->known_perplexity =
        pow(10, -(score->log10_prob - score->unknown_log10_prob) / known);
}

s3r_status s3r_lm_score_sentence(const s3r_language_model *lm, const char *sentence,
                                 s3r_lm_score *score, s3r_error *err)
{
    static const char white[] = " \t\r\n";
    s3r_lm_state state = s3r_lm_begin(&lm->lm);
    *score = (s3r_lm_score){.sentences = 1};
    if (s3r_text_find_wrong_byte(sentence) != SIZE_MAX)
        return s3r_fail(err, S3R_ERR_DATA, "expected UTF-8");
    for (const char *at = sentence + strspn(sentence, white); *at != '\0';) {
        size_t size = strcspn(at, white);
        put_units(&lm->lm, score, &state, at, size);
        at += size;
        at += strspn(at, white);
    }
    score->log10_prob +=
        (double)s3r_lm_word_score(&lm->lm, &state, lm->lm.end_word, &state);
    set_perplexities(score);
    return S3R_OK;
}

typedef struct scoring {
    const s3r_language_model *lm;
    s3r_lm_score_fn result;
    void *result_context;
    s3r_lm_score *total;
} scoring;

static s3r_status add_score(void *context, const char *sentence, s3r_error *err)
{
    scoring *run = context;
    s3r_lm_score score;
    S3R_TRY(s3r_lm_score_sentence(run->lm, sentence, &score, err));
    run->total->sentences++;
    run->total->words += score.words;
    run->total->unknown_words += score.unknown_words;
    run->total->log10_prob += score.log10_prob;
    run->total->unknown_log10_prob += score.unknown_log10_prob;
    s3r_status status =
        run->result ? run->result(run->result_context, sentence, &score) : S3R_OK;
    return status == S3R_OK ? S3R_OK : s3r_fail(err, status, "the result was not taken");
}

s3r_status s3r_lm_score_texts(const s3r_language_model *lm, const char *const *texts,
                              size_t count, const s3r_lm_text_options *options,
                              s3r_lm_score_fn result, void *result_context,
                              s3r_lm_score *total, s3r_error *err)
{
    scoring run = {
        .lm = lm, .result = result, .result_context = result_context, .total = total};
    *total = (s3r_lm_score){0};
    S3R_TRY(s3r_lm_texts_read(texts, count, options, add_score, &run, err));
    if (total->sentences == 0)
        return s3r_fail(err, S3R_ERR_DATA, "expected text to score, found none");
    set_perplexities(total);
    return S3R_OK;
}
