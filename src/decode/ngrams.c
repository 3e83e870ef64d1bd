/*
 * Growing lists of n-grams.
 */
#include "decode/ngrams.h"

#include <stdio.h>

#include "base/memory.h"

s3r_status s3r_ngrams_init(s3r_ngrams *ngrams, size_t order, s3r_error *err)
{
    static const char *const special[] = {"<unk>", "<s>", "</s>"};
    *ngrams = (s3r_ngrams){.order = order};
    for (size_t i = 0; i < S3R_ARRAY_LEN(special); i++) {
        uint32_t id;
        s3r_status status =
            s3r_word_table_add(&ngrams->words, &id, special[i], strlen(special[i]), err);
        if (status != S3R_OK) {
            s3r_ngrams_release(ngrams);
            return status;
        }
    }
    return S3R_OK;
}

void s3r_ngrams_release(s3r_ngrams *ngrams)
{
    for (size_t i = 0; i < S3R_LM_MAX_ORDER; i++) {
        s3r_free(ngrams->lists[i].words);
        s3r_free(ngrams->lists[i].prob);
        s3r_free(ngrams->lists[i].backoff);
    }
    s3r_word_table_release(&ngrams->words);
    *ngrams = (s3r_ngrams){0};
}

static bool grow(void **block, size_t old_count, size_t new_count, size_t size)
{
    void *grown = s3r_realloc(*block, old_count, new_count, size);
    if (grown)
        *block = grown;
    return grown != NULL;
}

s3r_status s3r_ngrams_reserve(s3r_ngrams *ngrams, size_t order, size_t more,
                              s3r_error *err)
{
    s3r_ngram_list *list = &ngrams->lists[order - 1];
    if (more <= list->capacity - list->count)
        return S3R_OK;
    size_t capacity = S3R_MAX(list->count + more, list->capacity + list->capacity / 2);
    void *words = list->words, *prob = list->prob, *backoff = list->backoff;
    size_t held = list->capacity;
    bool is_grown = grow(&words, held, capacity, order * sizeof(uint32_t));
    list->words = words;
    is_grown = is_grown && grow(&prob, held, capacity, sizeof(float));
    list->prob = prob;
    is_grown = is_grown && grow(&backoff, held, capacity, sizeof(float));
    list->backoff = backoff;
    if (!is_grown)
        return s3r_fail_memory(err, "n-grams", capacity * (order + 2) * 4);
    list->capacity = capacity;
    return S3R_OK;
}

void s3r_ngrams_name(const s3r_ngrams *ngrams, const uint32_t *words, size_t order,
                     char *text, size_t text_bytes)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < order && used < text_bytes; i++) {
        int length = snprintf(text + used, text_bytes - used, "%s%s", i ? " " : "",
                              s3r_word_table_word(&ngrams->words, words[i]));
        used += length > 0 ? (size_t)length : 0;
    }
}
