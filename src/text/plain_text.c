/*
 * One pass over the characters: each is kept, replaced, dropped or a gap, and a gap is
 * written only before the next kept character.
 */
#include "text/plain_text.h"

#include <string.h>
#include <utf8proc.h>

#define APOSTROPHE   0x27
#define RIGHT_QUOTE  0x2019
#define HYPHEN_MINUS 0x2D
#define HYPHEN       0x2010
#define FIXED_HYPHEN 0x2011
#define NON_JOINER   0x200C
#define JOINER       0x200D

static bool is_word_character(int32_t character)
{
    utf8proc_category_t category = utf8proc_category(character);
    return s3r_character_is_letter(character) ||
           (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

static bool is_symbol(int32_t character)
{
    utf8proc_category_t category = utf8proc_category(character);
    return category >= UTF8PROC_CATEGORY_SM && category <= UTF8PROC_CATEGORY_SO;
}

/* What stands for the character: itself, another one, ' ' for a gap, 0 for nothing. */
static int32_t replacement(int32_t character, bool is_inside,
                           const s3r_plain_text_options *options)
{
    if (is_word_character(character))
        return character;
    switch (character) {
    case APOSTROPHE:
    case RIGHT_QUOTE:
        return is_inside || options->keeps_quotes ? APOSTROPHE : ' ';
    case HYPHEN_MINUS:
    case HYPHEN:
    case FIXED_HYPHEN:
        return is_inside && options->keeps_hyphens ? HYPHEN_MINUS : ' ';
    case NON_JOINER:
    case JOINER:
        return is_inside ? character : 0;
    default:
        break;
    }
    if (options->keeps_symbols && is_symbol(character))
        return character;
    return utf8proc_category(character) == UTF8PROC_CATEGORY_CF ? 0 : ' ';
}

s3r_status s3r_text_make_plain(char **out, s3r_arena *arena, const char *text,
                               const s3r_plain_text_options *options, s3r_error *err)
{
    char *normal;
    S3R_TRY(s3r_text_normalize(&normal, arena, text, options->text_case, err));
    /* Nothing that is written takes more bytes than what it stands for. */
    const char *at = normal;
    char *to = normal;
    bool has_gap = false, is_after_word = false;
    for (int32_t character; (character = s3r_character_next(&at)) > 0;) {
        const char *ahead = at;
        int32_t next = s3r_character_next(&ahead);
        bool is_inside = is_after_word && next > 0 && is_word_character(next);
        int32_t written = replacement(character, is_inside, options);
        if (written == ' ')
            has_gap = true;
        if (written != 0)
            is_after_word = is_word_character(written);
        if (written == 0 || written == ' ')
            continue;
        if (has_gap && to > normal)
            *to++ = ' ';
        has_gap = false;
        to += s3r_character_write(to, written);
    }
    *to = '\0';
    *out = normal;
    return S3R_OK;
}
