/*
 * Section by section, n-gram by n-gram.  Announced counts are checked but never trusted
 * with memory.
 */
#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "decode/arpa_file.h"
#include "text/unicode_text.h"

#define MISSING_UNKNOWN (-100.0f) /* as KenLM has it (spec 3.5) */
#define ROUNDING        1e-4f     /* a log-probability that far above 0 is taken as 0 */
#define FIRST_NGRAMS    ((size_t)1024)

typedef struct arpa_reader {
    s3r_line_stream lines;
    s3r_ngrams *ngrams;
    uint64_t announced[S3R_LM_MAX_ORDER];
    bool has_word[3]; /* of the special words */
    bool has_line;    /* lines.text is one that nobody took */
} arpa_reader;

/* The next line that is not empty, without spaces at its ends. */
static s3r_status next_line(arpa_reader *r, s3r_error *err)
{
    for (;;) {
        S3R_TRY(s3r_line_stream_next(&r->lines, &r->has_line, err));
        if (!r->has_line)
            return S3R_OK;
        size_t length = r->lines.length;
        while (length > 0 && strchr(" \t\r", r->lines.text[length - 1]))
            length--;
        r->lines.text[length] = '\0';
        r->lines.text += strspn(r->lines.text, " \t");
        if (*r->lines.text != '\0')
            return S3R_OK;
    }
}

static bool line_is(const arpa_reader *r, const char *text)
{
    return r->has_line && strcmp(r->lines.text, text) == 0;
}

/* What stands where something else was expected. */
static s3r_status fail_expected(const arpa_reader *r, s3r_error *err, const char *what)
{
    if (!r->has_line)
        return s3r_fail(err, S3R_ERR_DATA, "%s: expected %s, found the end of the file",
                        r->lines.path, what);
    return s3r_line_stream_fail(&r->lines, err, "expected %s, found \"%.200s\"", what,
                                r->lines.text);
}

/* ---- numbers ---- */

/* A decimal number with an optional exponent, whatever the locale; false for anything
 * else, and for what is not finite as a float. */
static bool parse_number(const char *text, size_t length, float *value)
{
    const char *end = text + length;
    double mantissa = 0;
    long scale = 0, exponent = 0;
    bool is_negative = text < end && *text == '-', has_digit = false, has_dot = false;
    if (text < end && (*text == '-' || *text == '+'))
        text++;
    for (; text < end && ((*text >= '0' && *text <= '9') || (*text == '.' && !has_dot));
         text++) {
        if (*text == '.') {
            has_dot = true;
            continue;
        }
        has_digit = true;
        if (mantissa < 1e17) {
            mantissa = 10 * mantissa + (*text - '0');
            scale -= has_dot;
        } else {
            scale += !has_dot;
        }
    }
    if (!has_digit)
        return false;
    if (text < end && (*text == 'e' || *text == 'E')) {
        bool is_small = ++text < end && *text == '-';
        if (text < end && (*text == '-' || *text == '+'))
            text++;
        if (text == end)
            return false;
        for (; text < end && *text >= '0' && *text <= '9'; text++)
            exponent = S3R_MIN(10 * exponent + (*text - '0'), 10000L);
        exponent = is_small ? -exponent : exponent;
    }
    static const double powers[] = {1,   1e1, 1e2, 1e3,  1e4,  1e5, 1e6,
                                    1e7, 1e8, 1e9, 1e10, 1e11, 1e12};
    exponent += scale;
    double found = exponent <= 0 && exponent > -(long)S3R_ARRAY_LEN(powers)
                       ? mantissa / powers[-exponent]
                       : mantissa * pow(10, (double)exponent);
    *value = (float)(is_negative ? -found : found);
    return text == end && isfinite(*value);
}

static s3r_status read_value(const arpa_reader *r, const char *text, size_t length,
                             const char *what, float *value, s3r_error *err)
{
    if (text && parse_number(text, length, value))
        return S3R_OK;
    return s3r_line_stream_fail(
        &r->lines, err, "expected a finite number as the %s, found \"%.*s\"", what,
        text ? (int)S3R_MIN(length, (size_t)40) : 0, text ? text : "");
}

/* ---- words ---- */

static bool is_unknown_word(const char *word, size_t length)
{
    return length == 5 &&
           (memcmp(word, "<unk>", 5) == 0 || memcmp(word, "<UNK>", 5) == 0);
}

/* A word of \1-grams: new, but for the special ones. */
static s3r_status define_word(arpa_reader *r, const char *word, size_t length,
                              uint32_t *id, s3r_error *err)
{
    size_t known = r->ngrams->words.count;
    if (s3r_utf8_prefix(word, length) != length)
        return s3r_line_stream_fail(&r->lines, err, "expected a word in UTF-8");
    if (is_unknown_word(word, length))
        *id = S3R_WORD_UNKNOWN;
    else
        S3R_TRY(s3r_word_table_add(&r->ngrams->words, id, word, length, err));
    bool is_special = *id <= S3R_WORD_END;
    if (is_special ? r->has_word[*id] : *id < known)
        return s3r_line_stream_fail(&r->lines, err,
                                    "the word \"%.*s\" is there a second time",
                                    (int)S3R_MIN(length, (size_t)200), word);
    if (is_special)
        r->has_word[*id] = true;
    return S3R_OK;
}

static s3r_status find_word(const arpa_reader *r, const char *word, size_t length,
                            uint32_t *id, s3r_error *err)
{
    *id = is_unknown_word(word, length)
              ? S3R_WORD_UNKNOWN
              : s3r_word_table_find(&r->ngrams->words, word, length);
    if (*id == S3R_NO_WORD)
        return s3r_line_stream_fail(&r->lines, err,
                                    "the word \"%.*s\" is not among the 1-grams",
                                    (int)S3R_MIN(length, (size_t)200), word);
    return S3R_OK;
}

/* ---- sections ---- */

/* "LOG10PROB WORD... [BACKOFF]" into words, prob and backoff. */
static s3r_status read_ngram(arpa_reader *r, size_t order, uint32_t *words, float *prob,
                             float *backoff, s3r_error *err)
{
    char *at = r->lines.text;
    size_t length;
    const char *field = s3r_next_word(&at, &length);
    *backoff = 0;
    S3R_TRY(read_value(r, field, length, "log-probability", prob, err));
    if (*prob > ROUNDING)
        return s3r_line_stream_fail(&r->lines, err,
                                    "expected a log-probability of at most 0, found %g",
                                    (double)*prob);
    *prob = fminf(*prob, 0);
    for (size_t i = 0; i < order; i++) {
        field = s3r_next_word(&at, &length);
        if (!field)
            return s3r_line_stream_fail(&r->lines, err, "expected %zu words, found %zu",
                                        order, i);
        S3R_TRY(order == 1 ? define_word(r, field, length, &words[i], err)
                           : find_word(r, field, length, &words[i], err));
    }
    field = s3r_next_word(&at, &length);
    if (field)
        S3R_TRY(read_value(r, field, length, "back-off", backoff, err));
    if (field && s3r_next_word(&at, &length))
        return s3r_line_stream_fail(
            &r->lines, err, "expected %zu words and a back-off, found more", order);
    return S3R_OK;
}

/* Words are numbered as they come, but the special ones may come at any place. */
static s3r_status put_word(arpa_reader *r, uint32_t id, float prob, float backoff,
                           s3r_error *err)
{
    s3r_ngram_list *list = &r->ngrams->lists[0];
    if (id >= list->count) {
        S3R_TRY(s3r_ngrams_reserve(r->ngrams, 1, id + 1 - list->count, err));
        list->count = id + 1;
    }
    list->words[id] = id;
    list->prob[id] = prob;
    list->backoff[id] = backoff;
    return S3R_OK;
}

static s3r_status read_section(arpa_reader *r, size_t order, s3r_error *err)
{
    s3r_ngram_list *list = &r->ngrams->lists[order - 1];
    uint64_t count = 0;
    char title[32];
    snprintf(title, sizeof title, "\\%zu-grams:", order);
    if (!line_is(r, title))
        return fail_expected(r, err, title);
    for (;; count++) {
        uint32_t words[S3R_LM_MAX_ORDER];
        float prob, backoff;
        S3R_TRY(next_line(r, err));
        /* a probability begins with a digit or a sign */
        if (!r->has_line || *r->lines.text == '\\' || count == r->announced[order - 1])
            break;
        S3R_TRY(read_ngram(r, order, words, &prob, &backoff, err));
        if (order == 1) {
            S3R_TRY(put_word(r, words[0], prob, backoff, err));
            continue;
        }
        S3R_TRY(s3r_ngrams_reserve(r->ngrams, order, 1, err));
        memcpy(list->words + list->count * order, words, order * sizeof *words);
        list->prob[list->count] = prob;
        list->backoff[list->count++] = order < r->ngrams->order ? backoff : 0;
    }
    if (count < r->announced[order - 1])
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: line %zu: expected %llu %zu-grams as \\data\\ says, found "
                        "%llu (is the file cut?)",
                        r->lines.path, r->lines.line,
                        (unsigned long long)r->announced[order - 1], order,
                        (unsigned long long)count);
    if (r->has_line && *r->lines.text != '\\')
        return s3r_line_stream_fail(
            &r->lines, err, "expected %llu %zu-grams as \\data\\ says, found more",
            (unsigned long long)count, order);
    return S3R_OK;
}

/* "ngram N=COUNT" lines; the first line behind them is left. */
static s3r_status read_counts(arpa_reader *r, s3r_error *err)
{
    size_t order = 0;
    for (;;) {
        unsigned long long found, count;
        S3R_TRY(next_line(r, err));
        if (!r->has_line || strncmp(r->lines.text, "ngram ", 6) != 0)
            break;
        if (sscanf(r->lines.text, "ngram %8llu = %18llu", &found, &count) != 2)
            return fail_expected(r, err, "\"ngram ORDER=COUNT\"");
        if (found != order + 1)
            return s3r_line_stream_fail(&r->lines, err,
                                        "expected the count of order %zu, found that of "
                                        "order %llu",
                                        order + 1, found);
        if (order == S3R_LM_MAX_ORDER)
            return s3r_line_stream_fail(&r->lines, err,
                                        "expected orders of at most %u, found %llu",
                                        S3R_LM_MAX_ORDER, found);
        r->announced[order++] = count;
    }
    r->ngrams->order = order;
    return order > 0 ? S3R_OK : fail_expected(r, err, "\"ngram 1=COUNT\"");
}

static s3r_status check_special_words(arpa_reader *r, s3r_error *err)
{
    static const char *const names[] = {"<unk>", "<s>", "</s>"};
    for (uint32_t id = S3R_WORD_BEGIN; id <= S3R_WORD_END; id++)
        if (!r->has_word[id])
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: expected the word %s among the 1-grams, found none",
                            r->lines.path, names[id]);
    if (!r->has_word[S3R_WORD_UNKNOWN])
        return put_word(r, S3R_WORD_UNKNOWN, MISSING_UNKNOWN, 0, err);
    return S3R_OK;
}

static s3r_status read_model(arpa_reader *r, s3r_error *err)
{
    do {
        S3R_TRY(next_line(r, err));
    } while (r->has_line && !line_is(r, "\\data\\"));
    if (!r->has_line)
        return fail_expected(r, err, "\\data\\");
    S3R_TRY(read_counts(r, err));
    S3R_TRY(s3r_ngrams_reserve(r->ngrams, 1, FIRST_NGRAMS, err));
    for (size_t order = 1; order <= r->ngrams->order; order++) {
        S3R_TRY(read_section(r, order, err));
        if (order == 1)
            S3R_TRY(check_special_words(r, err));
    }
    return line_is(r, "\\end\\") ? S3R_OK : fail_expected(r, err, "\\end\\");
}

static s3r_status read_stream(arpa_reader *r, s3r_error *err)
{
    s3r_status status = s3r_ngrams_init(r->ngrams, 1, err);
    if (status == S3R_OK)
        status = read_model(r, err);
    if (status != S3R_OK)
        s3r_ngrams_release(r->ngrams);
    s3r_line_stream_close(&r->lines);
    return status;
}

s3r_status s3r_arpa_open(s3r_ngrams *out, const char *path, s3r_error *err)
{
    arpa_reader r = {.ngrams = out};
    *out = (s3r_ngrams){0};
    S3R_TRY(s3r_line_stream_open(&r.lines, path, err));
    return read_stream(&r, err);
}

s3r_status s3r_arpa_parse(s3r_ngrams *out, const char *bytes, size_t size,
                          const char *label, s3r_error *err)
{
    arpa_reader r = {.ngrams = out};
    *out = (s3r_ngrams){0};
    S3R_TRY(s3r_line_stream_from_bytes(&r.lines, bytes, size, label, err));
    return read_stream(&r, err);
}
