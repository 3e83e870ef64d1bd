/*
 * "WORD" or "WORD<tab>BOOST".
 */
#include "api/hot_words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/handles.h"
#include "text/line_stream.h"
#include "text/unicode_text.h"

#define MOST_BOOST 1000.0

/* Boosts have a place for each word of the lexicon. */
static s3r_status make_room(s3r_decoder *decoder, size_t words, s3r_error *err)
{
    if (words <= decoder->boost_count)
        return S3R_OK;
    size_t count = S3R_MAX(words, 2 * decoder->boost_count);
    float *grown =
        s3r_realloc(decoder->boosts, decoder->boost_count, count, sizeof *grown);
    if (!grown)
        return s3r_fail_memory(err, "hot words", count * sizeof *grown);
    decoder->boosts = grown;
    decoder->boost_count = count;
    return S3R_OK;
}

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

static s3r_status add_word(s3r_decoder *decoder, const s3r_line_stream *lines,
                           const char *word, size_t length, double boost, s3r_error *err)
{
    s3r_lexicon *lexicon =
        decoder->lexicon.words.count > 0 ? &decoder->lexicon : &decoder->hot;
    uint32_t id = s3r_word_table_find(&lexicon->words, word, length);
    if (id == S3R_NO_WORD) {
        bool is_spelled;
        S3R_TRY(s3r_lexicon_add(lexicon, word, &decoder->model->vocabulary, &is_spelled,
                                err));
        if (!is_spelled)
            return s3r_line_stream_fail(
                lines, err,
                "expected a word in the labels of %s, found \"%.100s\" (are letters and "
                "case the same?)",
                decoder->model->vocabulary.path, word);
        id = s3r_word_table_find(&lexicon->words, word, length);
    }
    S3R_TRY(make_room(decoder, lexicon->words.count, err));
    decoder->info.hot_words += decoder->boosts[id] == 0;
    decoder->boosts[id] = (float)boost;
    return S3R_OK;
}

static s3r_status add_line(s3r_decoder *decoder, const s3r_line_stream *lines,
                           double fallback, s3r_error *err)
{
    char *at = lines->text;
    size_t length, boost_length, more;
    double boost = fallback;
    if (s3r_utf8_prefix(lines->text, lines->length) != lines->length)
        return s3r_line_stream_fail(lines, err, "expected UTF-8");
    char *word = s3r_next_word(&at, &length);
    char *number = word ? s3r_next_word(&at, &boost_length) : NULL;
    if (!word)
        return S3R_OK;
    if (number && s3r_next_word(&at, &more))
        return s3r_line_stream_fail(lines, err,
                                    "expected one word and its boost, found more");
    word[length] = '\0';
    if (number)
        number[boost_length] = '\0';
    if (number && !read_boost(number, &boost))
        return s3r_line_stream_fail(lines, err,
                                    "expected a boost of 0 to %g behind the word (one "
                                    "word a line), found \"%.100s\"",
                                    MOST_BOOST, number);
    return add_word(decoder, lines, word, length, boost, err);
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
    if (status == S3R_OK && !decoder->boosts)
        status = s3r_fail(err, S3R_ERR_DATA, "%s: expected words, found none", path);
    s3r_line_stream_close(&lines);
    return status;
}
