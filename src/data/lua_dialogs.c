/*
 * A scanner for two calls.  Strings are in double quotes with backslash escapes.
 */
#include "data/lua_dialogs.h"

#include <string.h>

void s3r_lua_dialogs_init(s3r_lua_dialogs *dialogs)
{
    *dialogs = (s3r_lua_dialogs){0};
    s3r_arena_init(&dialogs->owned, 1 << 14);
}

void s3r_lua_dialogs_release(s3r_lua_dialogs *dialogs)
{
    s3r_free(dialogs->items);
    s3r_string_map_release(&dialogs->ids);
    s3r_arena_release(&dialogs->owned);
    *dialogs = (s3r_lua_dialogs){0};
}

const s3r_lua_dialog *s3r_lua_dialogs_find(const s3r_lua_dialogs *dialogs, const char *id)
{
    const size_t *index = s3r_string_map_find(&dialogs->ids, id);
    return index ? &dialogs->items[*index] : NULL;
}

static void skip_space(const char **at, const char *end)
{
    while (*at < end && strchr(" \t\r\n", **at) && **at)
        (*at)++;
}

static bool skip_word(const char **at, const char *end, const char *word)
{
    size_t length = strlen(word);
    skip_space(at, end);
    if ((size_t)(end - *at) < length || memcmp(*at, word, length) != 0)
        return false;
    *at += length;
    return true;
}

/* A Lua string in double quotes, without escapes, in the arena; *text NULL when there is
 * none. */
static s3r_status read_string(const char **text, s3r_lua_dialogs *d, const char **at,
                              const char *end, s3r_error *err)
{
    *text = NULL;
    if (!skip_word(at, end, "\""))
        return S3R_OK;
    const char *close = *at;
    while (close < end && *close != '"')
        close += *close == '\\' && close + 1 < end ? 2 : 1;
    if (close >= end)
        return S3R_OK;
    char *copy = s3r_arena_alloc(&d->owned, (size_t)(close - *at) + 1, 1), *to = copy;
    if (!copy)
        return s3r_fail_memory(err, "a text", (size_t)(close - *at) + 1);
    for (const char *from = *at; from < close; from++) {
        if (*from == '\\' && from + 1 < close) {
            from++;
            *to++ = *from == 'n' || *from == 't' ? ' ' : *from;
        } else if (*from != '\0') {
            *to++ = *from;
        }
    }
    *to = '\0';
    *at = close + 1;
    *text = copy;
    return S3R_OK;
}

static s3r_status add_dialog(s3r_lua_dialogs *d, const char *id, const char *font,
                             const char *text, s3r_error *err)
{
    size_t *stored;
    if (d->count == d->capacity) {
        size_t larger = d->capacity ? 2 * d->capacity : 64;
        s3r_lua_dialog *grown = s3r_realloc(d->items, d->capacity, larger, sizeof *grown);
        if (!grown)
            return s3r_fail_memory(err, "dialogues", larger * sizeof *grown);
        d->items = grown;
        d->capacity = larger;
    }
    S3R_TRY(s3r_string_map_add(&d->ids, id, d->count, &stored, NULL, err));
    *stored = d->count;
    d->items[d->count++] = (s3r_lua_dialog){text, font};
    return S3R_OK;
}

/* What follows "dialogId"; something else than a dialogue is passed over. */
static s3r_status parse_dialog(s3r_lua_dialogs *d, const char **at, const char *end,
                               s3r_error *err)
{
    const char *id = NULL, *font = NULL, *english = NULL, *text = NULL;
    if (!skip_word(at, end, "("))
        return S3R_OK;
    S3R_TRY(read_string(&id, d, at, end, err));
    if (!id || !skip_word(at, end, ","))
        return S3R_OK;
    S3R_TRY(read_string(&font, d, at, end, err));
    if (!font || !skip_word(at, end, ","))
        return S3R_OK;
    S3R_TRY(read_string(&english, d, at, end, err));
    if (!english || !skip_word(at, end, ")") || !skip_word(at, end, "dialogStr") ||
        !skip_word(at, end, "("))
        return S3R_OK;
    S3R_TRY(read_string(&text, d, at, end, err));
    return text ? add_dialog(d, id, font, text, err) : S3R_OK;
}

s3r_status s3r_lua_dialogs_parse(s3r_lua_dialogs *dialogs, const char *bytes, size_t size,
                                 s3r_error *err)
{
    static const char mark[] = "dialogId";
    const char *at = size > 0 ? bytes : "", *end = at + size;
    while ((size_t)(end - at) >= sizeof mark) {
        if (memcmp(at, mark, sizeof mark - 1) != 0) {
            at++;
            continue;
        }
        at += sizeof mark - 1;
        S3R_TRY(parse_dialog(dialogs, &at, end, err));
    }
    return S3R_OK;
}
