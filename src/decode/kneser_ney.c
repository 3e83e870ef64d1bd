/*
 * Orders are estimated from the words upward.  An n-gram knows its place in the text; the
 * n-gram without its first word ends at the same place, the one without its last word
 * ends one before: with the number of the n-gram at each place, both are found at once.
 */
#include "decode/kneser_ney.h"

#include <math.h>

#include "base/memory.h"
#include "decode/suffix_sort.h"

#define LEAST_LOG10 (-99.0f) /* for a probability of nothing, as ARPA files write it */

/* The n-grams of one order; those of order 1 are numbered as the words. */
typedef struct level {
    size_t count;
    uint32_t *place;    /* [count] where one of them ends */
    uint32_t *adjusted; /* [count] the count of the formula */
    uint32_t *raw;      /* [count] how often it is in the text */
    float *prob;        /* [count] */
    float *backoff;     /* [count] what its continuations leave; 1 without any */
} level;

typedef struct estimate {
    const s3r_kneser_ney *options;
    const s3r_lm_text *text;
    s3r_ngrams *ngrams;
    s3r_discounts *discounts;
    s3r_suffixes suffixes;
    uint32_t *at, *at_lower; /* [tokens] number of the n-gram that ends there */
    level here, lower;
} estimate;

static void release_level(level *l)
{
    s3r_free(l->place);
    s3r_free(l->adjusted);
    s3r_free(l->raw);
    s3r_free(l->prob);
    s3r_free(l->backoff);
    *l = (level){0};
}

static s3r_status create_level(level *l, size_t count, s3r_error *err)
{
    *l = (level){.count = count,
                 .place = s3r_alloc(count, sizeof *l->place),
                 .adjusted = s3r_alloc(count, sizeof *l->adjusted),
                 .raw = s3r_alloc(count, sizeof *l->raw),
                 .prob = s3r_alloc(count, sizeof *l->prob),
                 .backoff = s3r_alloc(count, sizeof *l->backoff)};
    if (l->place && l->adjusted && l->raw && l->prob && l->backoff)
        return S3R_OK;
    release_level(l);
    return s3r_fail_memory(err, "n-grams", count * 20);
}

/* ---- counts ---- */

static bool begins_run(const estimate *e, size_t i, size_t order)
{
    return i == 0 || e->suffixes.shared[i] < order;
}

static size_t count_ngrams(const estimate *e, size_t order)
{
    size_t count = 0;
    if (order == 1)
        return e->text->words->count;
    for (size_t i = 0; i < e->suffixes.count; i++)
        count += begins_run(e, i, order) &&
                 s3r_ngram_exists(e->text->tokens, e->suffixes.place[i], order);
    return count;
}

/* Fills the level with its counts and notes the n-gram of each place. */
static void count_level(estimate *e, size_t order)
{
    const uint32_t *tokens = e->text->tokens;
    bool is_highest = order == e->options->order;
    size_t next = order == 1 ? S3R_WORD_END : 0;
    level *l = &e->here;
    uint32_t gram = 0;
    bool exists = false, is_plain = false;
    for (size_t i = 0; i < e->suffixes.count; i++) {
        uint32_t place = e->suffixes.place[i];
        if (begins_run(e, i, order)) {
            exists = s3r_ngram_exists(tokens, place, order);
            if (!exists)
                continue;
            gram = (uint32_t)next++;
            l->place[gram] = place;
            is_plain = is_highest || tokens[place - (order - 1)] == S3R_WORD_BEGIN;
        }
        if (!exists)
            continue;
        l->raw[gram]++;
        l->adjusted[gram] += is_plain || begins_run(e, i, order + 1);
        e->at[place] = gram;
    }
    if (order > 1)
        return;
    for (size_t i = 0; i < e->text->count; i++)
        if (tokens[i] == S3R_WORD_BEGIN)
            e->at[i] = S3R_WORD_BEGIN;
}

static bool is_pruned(const estimate *e, const level *l, size_t order, size_t gram)
{
    bool is_special = order == 1 && gram <= S3R_WORD_END;
    return !is_special && l->raw[gram] <= e->options->prune[order - 1];
}

/* ---- discounts ---- */

/* How many n-grams have the count 1, 2, 3, 4.  Of each order but the highest, lmplz takes
 * the n-gram that comes last in its order by its plain count; so do we, for the same
 * discounts. */
static void count_counts(const estimate *e, size_t order, size_t counts[5])
{
    const level *l = &e->here;
    uint32_t last_place = e->suffixes.place[e->suffixes.count - 1];
    size_t last = l->count;
    if (order < e->options->order && s3r_ngram_exists(e->text->tokens, last_place, order))
        last = e->at[last_place];
    for (size_t i = 0; i < l->count; i++) {
        uint32_t count = i == last ? l->raw[i] : l->adjusted[i];
        if (count < 5)
            counts[count]++;
    }
}

/* Equation 26 of Chen and Goodman; false when the counts do not allow it. */
static bool find_discounts(float amount[3], const size_t counts[5])
{
    if (counts[1] == 0 || counts[2] == 0 || counts[3] == 0)
        return false;
    float y = (float)counts[1] / (float)((double)counts[1] + 2.0 * (double)counts[2]);
    for (size_t j = 1; j <= 3; j++) {
        amount[j - 1] =
            (float)j - (float)(j + 1) * y * (float)counts[j + 1] / (float)counts[j];
        if (amount[j - 1] < 0 || amount[j - 1] > (float)j)
            return false;
    }
    return true;
}

static s3r_status set_discounts(estimate *e, size_t order, s3r_error *err)
{
    size_t counts[5] = {0};
    float *amount = e->discounts->amount[order - 1];
    count_counts(e, order, counts);
    if (find_discounts(amount, counts))
        return S3R_OK;
    if (!e->options->has_fallback)
        return s3r_fail(err, S3R_ERR_DATA,
                        "the text is too small or too regular for an order of %zu: "
                        "expected %zu-grams with the counts 1 to 4 in the proportions of "
                        "language, found %zu, %zu, %zu and %zu of them (more text, a "
                        "lower order, or a discount fallback)",
                        e->options->order, order, counts[1], counts[2], counts[3],
                        counts[4]);
    memcpy(amount, e->options->fallback, sizeof e->options->fallback);
    e->discounts->is_fallback[order - 1] = true;
    return S3R_OK;
}

static float discount_of(const estimate *e, size_t order, uint32_t count)
{
    return count == 0 ? 0 : e->discounts->amount[order - 1][S3R_MIN(count, 3u) - 1];
}

/* ---- probabilities ---- */

static void estimate_words(estimate *e)
{
    level *l = &e->here;
    double total = 0, left = 0, uniform = 1.0 / (double)(l->count - 1);
    for (size_t i = 0; i < l->count; i++) {
        total += l->adjusted[i];
        left += (double)discount_of(e, 1, l->adjusted[i]);
    }
    for (size_t i = 0; i < l->count; i++) {
        double own = (double)l->adjusted[i] - (double)discount_of(e, 1, l->adjusted[i]);
        l->prob[i] = (float)((own + left * uniform) / total);
    }
    l->prob[S3R_WORD_BEGIN] = 1;
}

/* Back-offs of the contexts, then the probabilities of their continuations. */
static s3r_status estimate_level(estimate *e, size_t order, s3r_error *err)
{
    level *l = &e->here, *lower = &e->lower;
    double *total = s3r_alloc(lower->count, sizeof *total);
    double *left = s3r_alloc(lower->count, sizeof *left);
    if (!total || !left) {
        s3r_free(total);
        s3r_free(left);
        return s3r_fail_memory(err, "contexts", lower->count * 2 * sizeof *total);
    }
    for (size_t i = 0; i < l->count; i++) {
        uint32_t context = e->at_lower[l->place[i] - 1], count = l->adjusted[i];
        total[context] += count;
        left[context] +=
            is_pruned(e, l, order, i) ? count : (double)discount_of(e, order, count);
    }
    for (size_t i = 0; i < l->count; i++) {
        size_t context = e->at_lower[l->place[i] - 1];
        size_t suffix = e->at_lower[l->place[i]];
        double own =
            (double)l->adjusted[i] - (double)discount_of(e, order, l->adjusted[i]);
        l->prob[i] =
            (float)((own + left[context] * (double)lower->prob[suffix]) / total[context]);
    }
    for (size_t i = 0; i < lower->count; i++)
        lower->backoff[i] = total[i] > 0 ? (float)(left[i] / total[i]) : 1;
    s3r_free(total);
    s3r_free(left);
    return S3R_OK;
}

/* ---- lists ---- */

static float to_log10(float value)
{
    return value > 0 ? fmaxf(log10f(value), LEAST_LOG10) : LEAST_LOG10;
}

static s3r_status put_list(estimate *e, const level *l, size_t order, s3r_error *err)
{
    s3r_ngram_list *list = &e->ngrams->lists[order - 1];
    const uint32_t *tokens = e->text->tokens;
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++)
        kept += !is_pruned(e, l, order, i);
    S3R_TRY(s3r_ngrams_reserve(e->ngrams, order, kept, err));
    for (size_t i = 0; i < l->count; i++) {
        uint32_t *words = list->words + list->count * order;
        if (is_pruned(e, l, order, i))
            continue;
        if (order == 1)
            words[0] = (uint32_t)i;
        else
            memcpy(words, tokens + l->place[i] - (order - 1), order * sizeof *words);
        list->prob[list->count] = fminf(to_log10(l->prob[i]), 0);
        list->backoff[list->count] =
            order == e->options->order ? 0 : to_log10(l->backoff[i]);
        list->count++;
    }
    return S3R_OK;
}

static s3r_status estimate_order(estimate *e, size_t order, s3r_error *err)
{
    uint32_t *swap = e->at_lower;
    e->at_lower = e->at;
    e->at = swap;
    S3R_TRY(create_level(&e->here, count_ngrams(e, order), err));
    count_level(e, order);
    S3R_TRY(set_discounts(e, order, err));
    if (order == 1) {
        estimate_words(e);
    } else {
        S3R_TRY(estimate_level(e, order, err));
        S3R_TRY(put_list(e, &e->lower, order - 1, err));
    }
    if (order == e->options->order)
        S3R_TRY(put_list(e, &e->here, order, err));
    release_level(&e->lower);
    e->lower = e->here;
    e->here = (level){0};
    return S3R_OK;
}

s3r_status s3r_kneser_ney_estimate(s3r_ngrams *ngrams, s3r_discounts *discounts,
                                   const s3r_lm_text *text, const s3r_kneser_ney *options,
                                   s3r_error *err)
{
    estimate e = {
        .options = options, .text = text, .ngrams = ngrams, .discounts = discounts};
    *discounts = (s3r_discounts){0};
    if (text->sentences == 0)
        return s3r_fail(err, S3R_ERR_DATA, "expected text, found none");
    S3R_TRY(s3r_suffixes_sort(&e.suffixes, text, options->order, err));
    e.at = s3r_alloc(text->count, sizeof *e.at);
    e.at_lower = s3r_alloc(text->count, sizeof *e.at_lower);
    s3r_status status = S3R_OK;
    if (!e.at || !e.at_lower)
        status = s3r_fail_memory(err, "the text", text->count * 2 * sizeof *e.at);
    for (size_t order = 1; status == S3R_OK && order <= options->order; order++)
        status = estimate_order(&e, order, err);
    release_level(&e.here);
    release_level(&e.lower);
    s3r_free(e.at);
    s3r_free(e.at_lower);
    s3r_suffixes_release(&e.suffixes);
    return status;
}
