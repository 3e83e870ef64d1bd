/*
 * Corpora: a growing array, its strings in an arena, one block an item.
 */
#include "data/corpus.h"

#include <string.h>

#include "data/clean_text.h"

#define ARENA_CHUNK_BYTES ((size_t)256 << 10)
#define FIRST_CAPACITY    256u

void s3r_corpus_init(s3r_corpus *corpus)
{
    *corpus = (s3r_corpus){0};
    s3r_arena_init(&corpus->owned, ARENA_CHUNK_BYTES);
}

void s3r_corpus_release(s3r_corpus *corpus)
{
    s3r_free(corpus->items);
    s3r_arena_release(&corpus->owned);
    *corpus = (s3r_corpus){0};
}

bool s3r_language_matches(const char *wanted, const char *language)
{
    if (!wanted || !language)
        return true;
    size_t length = strlen(wanted);
    return strncmp(wanted, language, length) == 0 &&
           (language[length] == '\0' || language[length] == '-');
}

static s3r_status reserve(s3r_corpus *corpus, s3r_error *err)
{
    if (corpus->count < corpus->capacity)
        return S3R_OK;
    size_t larger = corpus->capacity ? 2 * corpus->capacity : FIRST_CAPACITY;
    s3r_corpus_item *grown =
        s3r_realloc(corpus->items, corpus->capacity, larger, sizeof *grown);
    if (!grown)
        return s3r_fail_memory(err, "a corpus", larger * sizeof *grown);
    corpus->items = grown;
    corpus->capacity = larger;
    return S3R_OK;
}

/* Points *strings[i] to copies in one block of the arena; NULL stays NULL. */
static s3r_status own_strings(s3r_corpus *corpus, const char **const *strings,
                              size_t count, s3r_error *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += *strings[i] ? strlen(*strings[i]) + 1 : 0;
    char *at = s3r_arena_alloc(&corpus->owned, bytes, 1);
    if (!at)
        return s3r_fail_memory(err, "a corpus", bytes);
    for (size_t i = 0; i < count; i++) {
        if (!*strings[i])
            continue;
        size_t length = strlen(*strings[i]) + 1;
        memcpy(at, *strings[i], length);
        *strings[i] = at;
        at += length;
    }
    return S3R_OK;
}

static s3r_status add_clean(s3r_corpus *corpus, const s3r_corpus_item *item,
                            s3r_error *err)
{
    s3r_corpus_item copy = *item;
    s3r_utterance *utterance = &copy.utterance;
    copy.split = copy.split ? copy.split : "";
    copy.source = copy.source ? copy.source : "";
    if (!utterance->id)
        utterance->id = utterance->audio_path;
    const char **const strings[] = {
        &utterance->id,       &utterance->audio_path, &utterance->text,
        &utterance->language, &utterance->speaker,    &copy.split,
        &copy.source,
    };
    S3R_TRY(reserve(corpus, err));
    S3R_TRY(own_strings(corpus, strings, S3R_ARRAY_LEN(strings), err));
    utterance->key = s3r_utterance_key(utterance->id, utterance->text);
    corpus->items[corpus->count++] = copy;
    return S3R_OK;
}

s3r_status s3r_corpus_add(s3r_corpus *corpus, const s3r_corpus_item *item, s3r_error *err)
{
    s3r_corpus_item clean = *item;
    char *text = NULL;
    if (item->utterance.text)
        S3R_TRY(s3r_text_clean(&text, item->utterance.text, err));
    clean.utterance.text = text;
    s3r_status status = add_clean(corpus, &clean, err);
    s3r_free(text);
    return status;
}

s3r_status s3r_corpus_drop(s3r_corpus *corpus, const char *reason, s3r_error *err)
{
    s3r_drop_count **link = &corpus->dropped_reasons;
    while (*link && strcmp((*link)->reason, reason) != 0)
        link = &(*link)->next;
    if (!*link) {
        size_t bytes = strlen(reason) + 1;
        s3r_drop_count *made = s3r_arena_alloc(&corpus->owned, 1, sizeof *made);
        char *copy = s3r_arena_alloc(&corpus->owned, bytes, 1);
        if (!made || !copy)
            return s3r_fail_memory(err, "a corpus", sizeof *made + bytes);
        memcpy(copy, reason, bytes);
        *made = (s3r_drop_count){copy, 0, NULL};
        *link = made;
    }
    (*link)->count++;
    corpus->dropped++;
    return S3R_OK;
}
