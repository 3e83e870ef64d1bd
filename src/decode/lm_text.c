/*
 * Sentences become tokens.
 */
#include "decode/lm_text.h"

#include "base/memory.h"
#include "text/unicode_text.h"

void s3r_lm_text_release(s3r_lm_text *text)
{
    s3r_free(text->tokens);
    text->tokens = NULL;
    text->count = text->capacity = 0;
}

static s3r_status put(s3r_lm_text *text, uint32_t token, s3r_error *err)
{
    if (text->count == text->capacity) {
        size_t capacity = S3R_MAX(2 * text->capacity, (size_t)1024);
        uint32_t *tokens = NULL;
        if (capacity < UINT32_MAX)
            tokens =
                s3r_realloc(text->tokens, text->capacity, capacity, sizeof *text->tokens);
        if (!tokens)
            return s3r_fail_memory(err, "the text", capacity * sizeof *text->tokens);
        text->tokens = tokens;
        text->capacity = capacity;
    }
    text->tokens[text->count++] = token;
    return S3R_OK;
}

static s3r_status put_word(s3r_lm_text *text, const char *bytes, size_t size,
                           s3r_error *err)
{
    uint32_t id;
    S3R_TRY(s3r_word_table_add(text->words, &id, bytes, size, err));
    if (id <= S3R_WORD_END)
        return s3r_fail(err, S3R_ERR_DATA, "the word \"%.*s\" is reserved", (int)size,
                        bytes);
    return put(text, id, err);
}

static s3r_status put_characters(s3r_lm_text *text, const char *word, size_t size,
                                 bool is_first, s3r_error *err)
{
    const char *at = word;
    if (!is_first)
        S3R_TRY(put_word(text, S3R_LM_DELIMITER, strlen(S3R_LM_DELIMITER), err));
    while (at < word + size) {
        const char *from = at;
        (void)s3r_character_next(&at);
        S3R_TRY(put_word(text, from, (size_t)(at - from), err));
    }
    return S3R_OK;
}

s3r_status s3r_lm_text_add(s3r_lm_text *text, const char *line, s3r_error *err)
{
    static const char white[] = " \t\r\n";
    size_t wrong = s3r_text_find_wrong_byte(line);
    bool is_first = true;
    if (wrong != SIZE_MAX)
        return s3r_fail(err, S3R_ERR_DATA, "expected UTF-8, found byte %02x at %zu",
                        (unsigned char)line[wrong], wrong);
    S3R_TRY(put(text, S3R_WORD_BEGIN, err));
    for (const char *at = line + strspn(line, white); *at != '\0';) {
        size_t size = strcspn(at, white);
        if (text->has_characters)
            S3R_TRY(put_characters(text, at, size, is_first, err));
        else
            S3R_TRY(put_word(text, at, size, err));
        at += size;
        at += strspn(at, white);
        is_first = false;
    }
    text->sentences++;
    return put(text, S3R_WORD_END, err);
}
