/*
 * Normal form and case by utf8proc, then one pass over the code points.
 */
#include "text/text_normalize.h"

#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"
#include "text/unicode_text.h"

const char *s3r_normalization_name(size_t index)
{
    static const char *const names[] = {"none", "nfc", "case", "basic"};
    return index < S3R_ARRAY_LEN(names) ? names[index] : NULL;
}

static bool is_apostrophe(int32_t character)
{
    return character == '\'' || character == 0x2019 || character == 0x02BC;
}

/* Part of a word: a letter, a mark or a number of any kind. */
static bool is_in_word(int32_t character)
{
    utf8proc_category_t category = utf8proc_category(character);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO;
}

/* Zero-width joiners decide how a word is written and stay. */
static bool is_invisible(int32_t character)
{
    return utf8proc_category(character) == UTF8PROC_CATEGORY_CF && character != 0x200C &&
           character != 0x200D;
}

/* What becomes of characters[i]: itself, another, a space, or 0 for nothing. */
static int32_t simplify(const utf8proc_int32_t *characters, size_t count, size_t i)
{
    int32_t character = characters[i];
    if (is_apostrophe(character)) {
        bool is_inside = i > 0 && is_in_word(characters[i - 1]) && i + 1 < count &&
                         is_in_word(characters[i + 1]);
        return is_inside ? '\'' : ' ';
    }
    if (is_in_word(character) || character == 0x200C || character == 0x200D)
        return character;
    return is_invisible(character) ? 0 : ' ';
}

/* Writes the characters over themselves with single spaces; returns how many there are.
 */
static size_t tidy(utf8proc_int32_t *characters, size_t count, bool is_simplified)
{
    size_t kept = 0;
    bool is_apart = false;
    for (size_t i = 0; i < count; i++) {
        /* What was written so far ends before i - 1, or at i - 1 with what became of it,
         * so that simplify() sees the neighbours as they were. */
        int32_t character =
            is_simplified ? simplify(characters, count, i) : characters[i];
        if (character == 0)
            continue;
        if (s3r_character_is_space(character)) {
            is_apart = kept > 0;
            continue;
        }
        if (is_apart)
            characters[kept++] = ' ';
        is_apart = false;
        characters[kept++] = character;
    }
    return kept;
}

/* The code points of text in NFC; *count is their number. */
static s3r_status decompose(utf8proc_int32_t **out, size_t *count, const char *text,
                            utf8proc_option_t options, s3r_error *err)
{
    size_t wrong = s3r_text_find_wrong_byte(text);
    if (wrong != SIZE_MAX)
        return s3r_fail(err, S3R_ERR_DATA,
                        "byte %zu of a text: expected UTF-8, found 0x%02x", wrong,
                        (unsigned)(unsigned char)text[wrong]);
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    utf8proc_ssize_t length = utf8proc_decompose(bytes, 0, NULL, 0, options);
    utf8proc_int32_t *buffer =
        length < 0 ? NULL : s3r_alloc_raw((size_t)length + 1, sizeof *buffer);
    if (buffer)
        length = utf8proc_decompose(bytes, 0, buffer, length, options);
    if (buffer && length >= 0)
        length = utf8proc_normalize_utf32(buffer, length, options);
    if (!buffer || length < 0) { /* of valid UTF-8 only overflow is left */
        s3r_free(buffer);
        return s3r_fail_memory(err, "a text", strlen(text));
    }
    *out = buffer;
    *count = (size_t)length;
    return S3R_OK;
}

s3r_status s3r_text_make_comparable(char **out, const char *text,
                                    s3r_normalization normalization, s3r_error *err)
{
    utf8proc_option_t options = UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    utf8proc_int32_t *characters = NULL;
    size_t count = 0;
    if (normalization == S3R_NORMALIZE_NONE) {
        *out = s3r_strdup(text);
        return *out ? S3R_OK : s3r_fail_memory(err, "a text", strlen(text));
    }
    if (normalization >= S3R_NORMALIZE_CASE)
        options |= UTF8PROC_CASEFOLD;
    S3R_TRY(decompose(&characters, &count, text, options, err));
    count = tidy(characters, count, normalization >= S3R_NORMALIZE_BASIC);
    char *result = s3r_alloc_raw(count + 1, 4);
    if (!result) {
        s3r_free(characters);
        return s3r_fail_memory(err, "a text", count);
    }
    char *to = result;
    for (size_t i = 0; i < count; i++)
        to += s3r_character_write(to, characters[i]);
    *to = '\0';
    s3r_free(characters);
    *out = result;
    return S3R_OK;
}
