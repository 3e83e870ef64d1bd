/*
 * NFC by utf8proc, with our allocator so that tests can let it fail.
 */
#include "data/clean_text.h"

#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"

static bool is_space(utf8proc_int32_t character)
{
    if ((character >= 0x09 && character <= 0x0D) ||
        (character >= 0x1C && character <= 0x20) || character == 0x85)
        return true;
    if (character < 0x80)
        return false;
    utf8proc_category_t category = utf8proc_category(character);
    return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
           category == UTF8PROC_CATEGORY_ZP;
}

static size_t character_at(const char *text, size_t size, utf8proc_int32_t *character)
{
    utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)text,
                                             (utf8proc_ssize_t)size, character);
    return used > 0 ? (size_t)used : 0;
}

size_t s3r_utf8_prefix(const char *text, size_t size)
{
    size_t at = 0, used = 1;
    utf8proc_int32_t character;
    while (at < size && used > 0 && text[at] != '\0') {
        used = (unsigned char)text[at] < 0x80
                   ? 1
                   : character_at(text + at, size - at, &character);
        at += used;
    }
    return at;
}

s3r_status s3r_fail_utf8(s3r_error *err, const char *text, size_t at)
{
    unsigned byte = (unsigned char)text[at];
    return s3r_fail(err, S3R_ERR_DATA,
                    "byte %zu: expected UTF-8, found the byte 0x%02x (%s)", at + 1, byte,
                    byte == 0 ? "UTF-16, or not a text" : "Latin-1?");
}

static bool is_ascii(const char *text)
{
    while (*text != '\0' && (unsigned char)*text < 0x80)
        text++;
    return *text == '\0';
}

/* Text is UTF-8. */
static s3r_status compose(char **out, const char *text, s3r_error *err)
{
    const utf8proc_option_t options = UTF8PROC_COMPOSE | UTF8PROC_STABLE;
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    utf8proc_ssize_t length = (utf8proc_ssize_t)strlen(text);
    utf8proc_ssize_t count = utf8proc_decompose(bytes, length, NULL, 0, options);
    if (count < 0)
        return s3r_fail(err, S3R_ERR_DATA, "NFC: %s", utf8proc_errmsg(count));
    /* The result takes the place of the code points; it never needs more room. */
    utf8proc_int32_t *buffer = s3r_alloc((size_t)count + 1, sizeof *buffer);
    if (!buffer)
        return s3r_fail_memory(err, "a text", (size_t)count * sizeof *buffer);
    count = utf8proc_decompose(bytes, length, buffer, count, options);
    if (count >= 0)
        count = utf8proc_reencode(buffer, count, options);
    if (count < 0) {
        s3r_free(buffer);
        return s3r_fail(err, S3R_ERR_DATA, "NFC: %s", utf8proc_errmsg(count));
    }
    *out = (char *)buffer;
    return S3R_OK;
}

static void trim(char *text)
{
    size_t size = strlen(text), first = size, end = size;
    utf8proc_int32_t character;
    for (size_t at = 0, used; at < size; at += used) {
        used = character_at(text + at, size - at, &character);
        if (used > 0 && is_space(character))
            continue;
        used = used > 0 ? used : 1;
        first = S3R_MIN(first, at);
        end = at + used;
    }
    memmove(text, text + first, end - first);
    text[end - first] = '\0';
}

s3r_status s3r_text_clean(char **out, const char *text, s3r_error *err)
{
    size_t size = strlen(text), valid = s3r_utf8_prefix(text, size);
    if (valid < size)
        return s3r_fail_utf8(err, text, valid);
    if (is_ascii(text)) {
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
    size_t size = strlen(text), count = 0;
    bool is_inside = false;
    utf8proc_int32_t character;
    for (size_t at = 0, used; at < size; at += S3R_MAX(used, (size_t)1)) {
        used = character_at(text + at, size - at, &character);
        bool is_gap = used > 0 && is_space(character);
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
