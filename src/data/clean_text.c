/*
 * Most text of corpora is ASCII and only copied.
 */
#include "data/clean_text.h"

#include <string.h>

#include "text/unicode_text.h"

#define ARENA_CHUNK_BYTES ((size_t)4 << 10)

s3r_status s3r_fail_utf8(s3r_error *err, const char *text, size_t at)
{
    unsigned byte = (unsigned char)text[at];
    return s3r_fail(err, S3R_ERR_DATA,
                    "byte %zu: expected UTF-8, found the byte 0x%02x (%s)", at + 1, byte,
                    byte == 0 ? "UTF-16, or not a text" : "Latin-1?");
}

/* Text is UTF-8. */
static s3r_status compose(char **out, const char *text, s3r_error *err)
{
    s3r_arena arena;
    char *composed = NULL;
    s3r_arena_init(&arena, ARENA_CHUNK_BYTES);
    s3r_status status = s3r_text_normalize(&composed, &arena, text, S3R_CASE_KEEP, err);
    *out = status == S3R_OK ? s3r_strdup(composed) : NULL;
    s3r_arena_release(&arena);
    if (status == S3R_OK && !*out)
        return s3r_fail_memory(err, "a text", strlen(text));
    return status;
}

static void trim(char *text)
{
    const char *first = NULL, *end = text;
    for (const char *at = text; *at != '\0';) {
        const char *here = at;
        if (s3r_character_is_space(s3r_character_next(&at)))
            continue;
        first = first ? first : here;
        end = at;
    }
    size_t length = first ? (size_t)(end - first) : 0;
    if (first)
        memmove(text, first, length);
    text[length] = '\0';
}

s3r_status s3r_text_clean(char **out, const char *text, s3r_error *err)
{
    size_t size = strlen(text), valid = s3r_utf8_prefix(text, size);
    if (valid < size)
        return s3r_fail_utf8(err, text, valid);
    if (s3r_text_is_ascii(text)) {
        *out = s3r_strndup(text, size);
        if (!*out)
            return s3r_fail_memory(err, "a text", size);
    } else {
        S3R_TRY(compose(out, text, err));
    }
    trim(*out);
    return S3R_OK;
}

size_t s3r_text_words(const char *text)
{
    size_t count = 0;
    bool is_inside = false;
    while (*text != '\0') {
        bool is_gap = s3r_character_is_space(s3r_character_next(&text));
        count += !is_gap && !is_inside;
        is_inside = !is_gap;
    }
    return count;
}

size_t s3r_text_characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xC0u) != 0x80;
    return count;
}
