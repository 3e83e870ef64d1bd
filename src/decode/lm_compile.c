/*
 * From a list of n-grams to an image.
 *
 * A query goes from the last word to longer n-grams and stops at the first that is not
 * there, and a state is a context that is there; so what pruning has torn apart is filled
 * in: the beginning and the end of every n-gram.  Then flags are set: whether longer
 * n-grams end or begin with one (lm_query.c).
 */
#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "decode/lm_image.h"

enum { FLAG_ENDS_LONGER = 1, FLAG_BEGINS_LONGER = 2, FLAG_FILLED_IN = 4 };

/* Where the n-grams of one order are, by key: open addressing, at most half full. */
typedef struct ngram_index {
    uint32_t *slots; /* number of the n-gram + 1; 0 = free */
    size_t slot_count;
    uint8_t *flags; /* [capacity] of the n-grams */
    size_t capacity;
} ngram_index;

typedef struct compile {
    s3r_ngrams *ngrams;
    ngram_index indexes[S3R_LM_MAX_ORDER]; /* by order - 1; of order 1 only flags */
    s3r_lm_parts parts;
    float *unigrams;
} compile;

static size_t slot_of(const ngram_index *index, uint64_t key)
{
    return (key >> 20) & (index->slot_count - 1);
}

/* The n-gram's number, or SIZE_MAX. */
static size_t find_ngram(const compile *c, const uint32_t *words, size_t order)
{
    const ngram_index *index = &c->indexes[order - 1];
    const uint32_t *all = c->ngrams->lists[order - 1].words;
    if (order == 1)
        return words[0];
    for (size_t at = slot_of(index, s3r_ngram_key(words, order)); index->slots[at] > 0;
         at = (at + 1) & (index->slot_count - 1)) {
        size_t found = index->slots[at] - 1;
        if (memcmp(all + found * order, words, order * sizeof *words) == 0)
            return found;
    }
    return SIZE_MAX;
}

static void put_in_index(ngram_index *index, const s3r_ngram_list *list, size_t order,
                         size_t number)
{
    size_t at = slot_of(index, s3r_ngram_key(list->words + number * order, order));
    while (index->slots[at] > 0)
        at = (at + 1) & (index->slot_count - 1);
    index->slots[at] = (uint32_t)(number + 1);
}

/* Room for all n-grams of the list and its capacity. */
static s3r_status make_index(compile *c, size_t order, s3r_error *err)
{
    ngram_index *index = &c->indexes[order - 1];
    const s3r_ngram_list *list = &c->ngrams->lists[order - 1];
    size_t count = 16;
    uint8_t *flags = s3r_realloc(index->flags, index->capacity, list->capacity, 1);
    if (!flags)
        return s3r_fail_memory(err, "n-grams", list->capacity);
    index->flags = flags;
    index->capacity = list->capacity;
    if (order == 1)
        return S3R_OK;
    while (count < 2 * list->capacity)
        count *= 2;
    s3r_free(index->slots);
    index->slots = s3r_alloc(count, sizeof *index->slots);
    if (!index->slots || list->capacity >= UINT32_MAX)
        return s3r_fail_memory(err, "n-grams", count * sizeof *index->slots);
    index->slot_count = count;
    for (size_t i = 0; i < list->count; i++)
        put_in_index(index, list, order, i);
    return S3R_OK;
}

/* Sets a flag of an n-gram, which is added when it is not there. */
static s3r_status mark_ngram(compile *c, const uint32_t *words, size_t order,
                             uint8_t flag, s3r_error *err)
{
    ngram_index *index = &c->indexes[order - 1];
    s3r_ngram_list *list = &c->ngrams->lists[order - 1];
    size_t found = find_ngram(c, words, order);
    if (found == SIZE_MAX) {
        S3R_TRY(s3r_ngrams_reserve(c->ngrams, order, 1, err));
        if (list->capacity > index->capacity)
            S3R_TRY(make_index(c, order, err));
        found = list->count++;
        memcpy(list->words + found * order, words, order * sizeof *words);
        list->prob[found] = list->backoff[found] = 0;
        put_in_index(index, list, order, found);
        index->flags[found] = FLAG_FILLED_IN;
    }
    index->flags[found] |= flag;
    return S3R_OK;
}

/* From the longest to the shortest, so that what is filled in is completed too. */
static s3r_status complete(compile *c, s3r_error *err)
{
    for (size_t order = 1; order < c->ngrams->order; order++)
        S3R_TRY(make_index(c, order, err));
    for (size_t order = c->ngrams->order; order >= 2; order--) {
        const s3r_ngram_list *list = &c->ngrams->lists[order - 1];
        for (size_t i = 0; i < list->count; i++) {
            uint32_t words[S3R_LM_MAX_ORDER];
            memcpy(words, list->words + i * order, order * sizeof *words);
            S3R_TRY(mark_ngram(c, words + 1, order - 1, FLAG_ENDS_LONGER, err));
            S3R_TRY(mark_ngram(c, words, order - 1, FLAG_BEGINS_LONGER, err));
        }
    }
    return S3R_OK;
}

/* What the model gives an n-gram that it does not have. */
static void fill_in(compile *c)
{
    for (size_t order = 2; order < c->ngrams->order; order++) {
        s3r_ngram_list *list = &c->ngrams->lists[order - 1];
        const s3r_ngram_list *lower = &c->ngrams->lists[order - 2];
        const uint8_t *flags = c->indexes[order - 1].flags;
        for (size_t i = 0; i < list->count; i++) {
            const uint32_t *words = list->words + i * order;
            if (flags[i] & FLAG_FILLED_IN)
                list->prob[i] = lower->backoff[find_ngram(c, words, order - 1)] +
                                lower->prob[find_ngram(c, words + 1, order - 1)];
        }
    }
}

/* Signs as lm_query.c reads them. */
static void flag_weights(float weights[2], float prob, float backoff, uint8_t flags)
{
    weights[0] = flags & FLAG_ENDS_LONGER ? fabsf(prob) : -fabsf(prob);
    weights[1] = backoff;
    if (backoff == 0)
        weights[1] = flags & FLAG_BEGINS_LONGER ? 0.0f : -0.0f;
}

static s3r_status make_entries(compile *c, s3r_error *err)
{
    for (size_t order = 2; order <= c->ngrams->order; order++) {
        const s3r_ngram_list *list = &c->ngrams->lists[order - 1];
        const uint8_t *flags = c->indexes[order - 1].flags; /* NULL for the longest */
        s3r_table_entry *entries = s3r_alloc_raw(list->count, sizeof *entries);
        c->parts.ngrams[order - 2] = entries;
        if (!entries)
            return s3r_fail_memory(err, "n-grams", list->count * sizeof *entries);
        for (size_t i = 0; i < list->count; i++) {
            float weights[2];
            flag_weights(weights, list->prob[i], list->backoff[i], flags ? flags[i] : 0);
            entries[i].key = s3r_ngram_key(list->words + i * order, order);
            memcpy(entries[i].value, weights, sizeof weights);
            entries[i].index = (uint32_t)i;
        }
    }
    return S3R_OK;
}

static s3r_status make_words(compile *c, s3r_error *err)
{
    const s3r_word_table *words = &c->ngrams->words;
    const s3r_ngram_list *list = &c->ngrams->lists[0];
    const uint8_t *flags = c->indexes[0].flags; /* NULL in a model of words only */
    c->unigrams = s3r_alloc_raw(words->count, 2 * sizeof(float));
    c->parts.vocabulary = s3r_alloc_raw(words->count, sizeof *c->parts.vocabulary);
    if (!c->unigrams || !c->parts.vocabulary)
        return s3r_fail_memory(err, "words", words->count * 32);
    for (uint32_t i = 0; i < words->count; i++) {
        const char *word = s3r_word_table_word(words, i);
        flag_weights(c->unigrams + 2 * (size_t)i, list->prob[i], list->backoff[i],
                     flags ? flags[i] : 0);
        c->parts.vocabulary[i] =
            (s3r_table_entry){s3r_word_hash(word, strlen(word)), {i, 0}, i};
    }
    return S3R_OK;
}

static s3r_status fail_duplicate(const compile *c, size_t order, const uint32_t twice[2],
                                 s3r_error *err)
{
    char first[256], second[256];
    if (order == 0) /* two words with one 64-bit hash */
        return s3r_fail(err, S3R_ERR_DATA,
                        "the words \"%.200s\" and \"%.200s\" have the same hash, so one "
                        "must be left out",
                        s3r_word_table_word(&c->ngrams->words, twice[0]),
                        s3r_word_table_word(&c->ngrams->words, twice[1]));
    const uint32_t *words = c->ngrams->lists[order - 1].words;
    s3r_ngrams_name(c->ngrams, words + twice[0] * order, order, first, sizeof first);
    s3r_ngrams_name(c->ngrams, words + twice[1] * order, order, second, sizeof second);
    if (strcmp(first, second) == 0)
        return s3r_fail(err, S3R_ERR_DATA, "the %zu-gram \"%s\" is there twice", order,
                        first);
    return s3r_fail(err, S3R_ERR_DATA,
                    "the %zu-grams \"%s\" and \"%s\" have the same hash, so one must be "
                    "left out",
                    order, first, second);
}

static s3r_status make_image(compile *c, unsigned char **image, size_t *image_bytes,
                             s3r_error *err)
{
    s3r_lm_parts *parts = &c->parts;
    size_t order = 0;
    uint32_t twice[2] = {0, 0};
    S3R_TRY(complete(c, err));
    fill_in(c);
    S3R_TRY(make_words(c, err));
    S3R_TRY(make_entries(c, err));
    parts->order = c->ngrams->order;
    parts->flags = c->ngrams->has_characters ? S3R_LM_CHARACTERS : 0;
    parts->begin_word = S3R_WORD_BEGIN;
    parts->end_word = S3R_WORD_END;
    parts->word_count = c->ngrams->words.count;
    parts->word_bytes = c->ngrams->words.bytes;
    parts->word_byte_count = c->ngrams->words.byte_count;
    parts->word_offsets = c->ngrams->words.offsets;
    parts->unigrams = c->unigrams;
    for (size_t i = 0; i < parts->order; i++)
        parts->counts[i] = c->ngrams->lists[i].count;
    s3r_status status = s3r_lm_image_make(image, image_bytes, parts, &order, twice, err);
    return status == S3R_ERR_DATA ? fail_duplicate(c, order, twice, err) : status;
}

s3r_status s3r_lm_image_from_ngrams(unsigned char **image, size_t *image_bytes,
                                    s3r_ngrams *ngrams, s3r_error *err)
{
    compile c = {.ngrams = ngrams};
    s3r_status status = make_image(&c, image, image_bytes, err);
    for (size_t i = 0; i < S3R_LM_MAX_ORDER; i++) {
        s3r_free(c.indexes[i].slots);
        s3r_free(c.indexes[i].flags);
    }
    for (size_t i = 0; i + 1 < S3R_LM_MAX_ORDER; i++)
        s3r_free(c.parts.ngrams[i]);
    s3r_free(c.parts.vocabulary);
    s3r_free(c.unigrams);
    return status;
}
