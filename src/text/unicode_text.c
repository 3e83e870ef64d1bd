/*
 * A thin layer over utf8proc that takes its memory from an arena.
 *
 * Case changes before the normal form is made, since a changed letter may compose with
 * the mark behind it.
 */
#include "text/unicode_text.h"

#include <string.h>
#include <utf8proc.h>

int32_t s3r_character_next(const char **at)
{
    utf8proc_int32_t character;
    if (!**at)
        return 0;
    utf8proc_ssize_t used =
        utf8proc_iterate((const utf8proc_uint8_t *)*at, -1, &character);
    *at += used > 0 ? used : 1;
    return used > 0 ? character : -1;
}

size_t s3r_character_write(char *to, int32_t character)
{
    return (size_t)utf8proc_encode_char(character, (utf8proc_uint8_t *)to);
}

bool s3r_character_is_space(int32_t character)
{
    if ((character >= 0x09 && character <= 0x0D) ||
        (character >= 0x1C && character <= 0x1F) || character == 0x85)
        return true;
    utf8proc_category_t category = utf8proc_category(character);
    return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
           category == UTF8PROC_CATEGORY_ZP;
}

bool s3r_character_is_digit(int32_t character)
{
    return utf8proc_category(character) == UTF8PROC_CATEGORY_ND;
}

bool s3r_character_is_letter(int32_t character)
{
    utf8proc_category_t category = utf8proc_category(character);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_ME;
}

bool s3r_character_is_silent(int32_t character)
{
    static const int32_t spoken[] = {'%',
                                     '&',
                                     '@',
                                     '#',
                                     '*',
                                     '/',
                                     '\\',
                                     0xa7 /* section */,
                                     0xb6 /* pilcrow */,
                                     0x2030 /* per mille */,
                                     0x2031};
    utf8proc_category_t category = utf8proc_category(character);
    for (size_t i = 0; i < S3R_ARRAY_LEN(spoken); i++)
        if (character == spoken[i])
            return false;
    return category == UTF8PROC_CATEGORY_CF ||
           (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO);
}

static size_t columns_of(int32_t character)
{
    int width = character < 0 ? 1 : utf8proc_charwidth(character);
    return width > 0 ? (size_t)width : 0;
}

size_t s3r_grapheme_next(const char **at)
{
    int32_t previous = s3r_character_next(at), state = 0;
    size_t columns = previous ? columns_of(previous) : 0;
    while (previous) {
        const char *next = *at;
        int32_t current = s3r_character_next(&next);
        if (current <= 0 || previous < 0 ||
            utf8proc_grapheme_break_stateful(previous, current, &state))
            break;
        columns = S3R_MAX(columns, columns_of(current));
        previous = current;
        *at = next;
    }
    return columns;
}

bool s3r_text_is_ascii(const char *text)
{
    while (*text && (unsigned char)*text < 0x80)
        text++;
    return !*text;
}

size_t s3r_utf8_prefix(const char *text, size_t size)
{
    size_t at = 0;
    utf8proc_int32_t character;
    while (at < size && text[at]) {
        utf8proc_ssize_t used = 1;
        if ((unsigned char)text[at] >= 0x80)
            used = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
                                    (utf8proc_ssize_t)(size - at), &character);
        if (used <= 0)
            break;
        at += (size_t)used;
    }
    return at;
}

size_t s3r_text_find_wrong_byte(const char *text)
{
    size_t size = strlen(text), valid = s3r_utf8_prefix(text, size);
    return valid < size ? valid : SIZE_MAX;
}

static char *change_case(s3r_arena *arena, const char *text, s3r_text_case text_case)
{
    char *changed = s3r_arena_alloc(arena, strlen(text) + 1, 4);
    char *to = changed;
    if (!changed)
        return NULL;
    for (int32_t character; (character = s3r_character_next(&text)) != 0;)
        to += s3r_character_write(to, text_case == S3R_CASE_LOWER
                                          ? utf8proc_tolower(character)
                                          : utf8proc_toupper(character));
    *to = '\0';
    return changed;
}

s3r_status s3r_text_normalize(char **out, s3r_arena *arena, const char *text,
                              s3r_text_case text_case, s3r_error *err)
{
    const utf8proc_option_t options =
        UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    size_t wrong = s3r_text_find_wrong_byte(text);
    if (wrong != SIZE_MAX)
        return s3r_fail(err, S3R_ERR_DATA,
                        "byte %zu of a text: expected UTF-8, found 0x%02x", wrong,
                        (unsigned)(unsigned char)text[wrong]);
    s3r_arena_mark mark = s3r_arena_get_mark(arena);
    if (text_case != S3R_CASE_KEEP)
        text = change_case(arena, text, text_case);
    if (!text)
        return s3r_fail_memory(err, "a text", 0);
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    utf8proc_ssize_t count = utf8proc_decompose(bytes, 0, NULL, 0, options);
    utf8proc_int32_t *buffer =
        count < 0 ? NULL : s3r_arena_alloc(arena, (size_t)count + 1, sizeof *buffer);
    if (buffer)
        count = utf8proc_decompose(bytes, 0, buffer, count, options);
    if (buffer && count >= 0)
        count = utf8proc_reencode(buffer, count, options);
    if (!buffer || count < 0) /* of valid UTF-8 only overflow is left */
        return s3r_fail_memory(err, "a text", strlen(text));
    *out = s3r_arena_keep(arena, mark, buffer, (size_t)count + 1);
    return *out ? S3R_OK : s3r_fail_memory(err, "a text", (size_t)count + 1);
}
