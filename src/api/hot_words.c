/*
 * "WORD WORD..." or "WORD WORD...<tab>BOOST".
 */
#include "api/hot_words.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handles.h"
#include "text/line_stream.h"
#include "text/unicode_text.h"
#include "text/vocabulary_encode.h"

#define MOST_BOOST 1000.0
#define MOST_WORDS ((size_t)32) /* of a phrase */
#define FOLD_BYTES ((size_t)1 << 12)

/* A decimal number; the locale's comma is none of its business. */
static bool read_boost(const char *text, double *boost)
{
    double value = 0, scale = 1;
    bool has_dot = false, has_digit = false;
    for (; (*text >= '0' && *text <= '9') || (*text == '.' && !has_dot); text++) {
        if (*text == '.') {
            has_dot = true;
            continue;
        }
        has_digit = true;
        value = 10 * value + (*text - '0');
        scale *= has_dot ? 10 : 1;
        if (value > 1e15)
            return false;
    }
    *boost = value / scale;
    return has_digit && *text == '\0' && *boost <= MOST_BOOST;
}

static s3r_lexicon *lexicon_of(s3r_decoder *decoder)
{
    return decoder->lexicon.words.count > 0 ? &decoder->lexicon : &decoder->hot_words;
}

/* A word that is not there yet, in the case of the labels. */
static s3r_status add_word(s3r_decoder *decoder, uint32_t *id,
                           const s3r_line_stream *lines, const char *word, s3r_error *err)
{
    s3r_lexicon *lexicon = lexicon_of(decoder);
    bool is_spelled;
    *id = s3r_word_table_find(&lexicon->words, word, strlen(word));
    if (*id != S3R_NO_WORD)
        return S3R_OK;
    S3R_TRY(
        s3r_lexicon_add(lexicon, word, &decoder->model->vocabulary, &is_spelled, err));
    if (!is_spelled)
        return s3r_line_stream_fail(
            lines, err,
            "expected a word in the labels of %s, found \"%.100s\" (are letters and "
            "case the same? a boost stands behind a tab)",
            decoder->model->vocabulary.path, word);
    decoder->added_words++;
    *id = s3r_word_table_find(&lexicon->words, word, strlen(word));
    return S3R_OK;
}

static s3r_status find_word(s3r_decoder *decoder, uint32_t *id,
                            const s3r_line_stream *lines, const char *word, size_t length,
                            s3r_error *err)
{
    s3r_arena arena;
    char *folded = NULL;
    *id = s3r_word_table_find(&lexicon_of(decoder)->words, word, length);
    if (*id != S3R_NO_WORD)
        return S3R_OK;
    s3r_arena_init(&arena, FOLD_BYTES);
    s3r_status status =
        s3r_vocabulary_fold(&decoder->model->vocabulary, word, &arena, &folded, err);
    if (status == S3R_OK)
        status = add_word(decoder, id, lines, folded, err);
    s3r_arena_release(&arena);
    return status;
}

static s3r_status find_words(s3r_decoder *decoder, uint32_t *words, size_t *count,
                             const s3r_line_stream *lines, char *phrase, s3r_error *err)
{
    char *word;
    size_t length;
    for (*count = 0; (word = s3r_next_word(&phrase, &length)); (*count)++) {
        bool is_last = *phrase == '\0';
        if (*count == MOST_WORDS)
            return s3r_line_stream_fail(lines, err, "expected at most %zu words",
                                        MOST_WORDS);
        word[length] = '\0';
        phrase += !is_last;
        S3R_TRY(find_word(decoder, &words[*count], lines, word, length, err));
    }
    return S3R_OK;
}

/* The number behind the tab, when there is one. */
static s3r_status find_boost(const s3r_line_stream *lines, char *at, double *boost,
                             s3r_error *err)
{
    size_t length, more;
    char *number = s3r_next_word(&at, &length);
    if (!number)
        return S3R_OK;
    if (s3r_next_word(&at, &more))
        return s3r_line_stream_fail(lines, err,
                                    "expected a boost behind the tab, found more");
    number[length] = '\0';
    if (read_boost(number, boost))
        return S3R_OK;
    return s3r_line_stream_fail(lines, err,
                                "expected a boost of 0 to %g behind the tab, found "
                                "\"%.100s\"",
                                MOST_BOOST, number);
}

static s3r_status add_line(s3r_decoder *decoder, const s3r_line_stream *lines,
                           double fallback, s3r_error *err)
{
    uint32_t words[MOST_WORDS];
    size_t count, used = 0;
    char key[MOST_WORDS * sizeof "4294967295" + 1];
    double boost = fallback;
    char *phrase = lines->text + strspn(lines->text, " \t");
    char *tab = strchr(phrase, '\t');
    if (s3r_utf8_prefix(lines->text, lines->length) != lines->length)
        return s3r_line_stream_fail(lines, err, "expected UTF-8");
    if (tab) {
        *tab = '\0';
        S3R_TRY(find_boost(lines, tab + 1, &boost, err));
    }
    S3R_TRY(find_words(decoder, words, &count, lines, phrase, err));
    if (count == 0)
        return S3R_OK;
    for (size_t i = 0; i < count; i++) /* what is one phrase, however it is written */
        used +=
            (size_t)snprintf(key + used, sizeof key - used, "%u ", (unsigned)words[i]);
    if (count > 1 && lexicon_of(decoder) == &decoder->hot_words &&
        decoder->model->vocabulary.delimiter_id == S3R_NO_LABEL)
        return s3r_line_stream_fail(lines, err,
                                    "expected one word: %s has no label between words, "
                                    "so a phrase needs a lexicon",
                                    decoder->model->vocabulary.path);
    return s3r_hot_phrases_add(&decoder->hot, key, words, count, (float)boost, err);
}

s3r_status s3r_hot_words_open(s3r_decoder *decoder, const char *path, double fallback,
                              s3r_error *err)
{
    s3r_line_stream lines;
    bool has_line = true;
    S3R_TRY(s3r_line_stream_open(&lines, path, err));
    s3r_status status = S3R_OK;
    while (status == S3R_OK) {
        status = s3r_line_stream_next(&lines, &has_line, err);
        if (status != S3R_OK || !has_line)
            break;
        status = add_line(decoder, &lines, fallback, err);
    }
    if (status == S3R_OK && decoder->hot.phrases.words.count == 0)
        status = s3r_fail(err, S3R_ERR_DATA, "%s: expected words, found none", path);
    s3r_line_stream_close(&lines);
    return status;
}
