/*
 * Lines of transcripts.  Reading copies the file once into the arena and cuts it there;
 * transcripts with ids are sorted by id, so that they can be found.
 */
#include "tasks/trn_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "text/unicode_text.h"

#define ARENA_CHUNK_BYTES ((size_t)1 << 16)
#define SPACE_TOKEN       "<space>"

/* ---- writing ---- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("'-_.,:!?", c)) || (unsigned char)c >= 0x80;
}

void s3r_trn_add_token(s3r_text_buffer *line, const char *text, size_t size, char also)
{
    for (size_t i = 0; i < size; i++) {
        if (is_plain(text[i]) || (also && text[i] == also))
            s3r_buffer_add_bytes(line, text + i, 1);
        else
            s3r_buffer_add(line, "%%%02X", (unsigned)(unsigned char)text[i]);
    }
}

static void add_words(s3r_text_buffer *line, const char *text, bool is_phones)
{
    const char *first = text;
    for (;;) {
        const char *end = text;
        int32_t character = s3r_character_next(&text);
        if (character != 0 && !s3r_character_is_space(character))
            continue;
        size_t size = (size_t)(end - first);
        if (size > 0 && !(is_phones && size == 1 && *first == '|')) {
            s3r_trn_add_token(line, first, size, '\0');
            s3r_buffer_add_bytes(line, " ", 1);
        }
        if (character == 0)
            return;
        first = text;
    }
}

static void add_characters(s3r_text_buffer *line, const char *text)
{
    bool has_token = false, is_apart = false;
    for (;;) {
        const char *first = text;
        int32_t character = s3r_character_next(&text);
        if (character == 0)
            return;
        if (s3r_character_is_space(character)) {
            is_apart = has_token;
            continue;
        }
        if (is_apart)
            s3r_buffer_add_string(line, SPACE_TOKEN " ");
        is_apart = false;
        has_token = true;
        s3r_trn_add_token(line, first, (size_t)(text - first), '\0');
        s3r_buffer_add_bytes(line, " ", 1);
    }
}

void s3r_trn_add_line(s3r_text_buffer *out, const char *text, const char *id,
                      s3r_token_unit unit)
{
    if (unit == S3R_UNIT_CHARACTER)
        add_characters(out, text);
    else
        add_words(out, text, unit == S3R_UNIT_PHONE);
    s3r_buffer_add_bytes(out, "(", 1);
    s3r_trn_add_token(out, id, strlen(id), '/');
    s3r_buffer_add_bytes(out, ")\n", 2);
}

s3r_status s3r_trn_write_line(s3r_file_writer *writer, const char *text, const char *id,
                              s3r_token_unit unit, s3r_error *err)
{
    s3r_text_buffer line = {0};
    s3r_trn_add_line(&line, text, id, unit);
    s3r_status status = line.has_failed
                            ? s3r_fail_memory(err, "a line", strlen(text))
                            : s3r_file_writer_write(writer, line.text, line.length, err);
    s3r_buffer_release(&line);
    return status;
}

/* ---- reading ---- */

static bool is_blank(const char *line)
{
    return line[strspn(line, " \t")] == '\0';
}

static bool is_comment(const char *line)
{
    return strncmp(line, ";;", 2) == 0;
}

/* The "(" of the "(ID)" that ends the line; NULL when there is none. */
static char *find_id(char *line)
{
    size_t length = strlen(line);
    while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
        length--;
    if (length < 2 || line[length - 1] != ')')
        return NULL;
    char *open = NULL;
    for (size_t i = 0; i < length; i++)
        if (line[i] == '(')
            open = line + i;
    if (!open)
        return NULL;
    line[length] = '\0';
    return open;
}

/* Cuts the copy into lines (carriage returns at their ends go); returns their number.
 * items[].text receives them. */
static size_t cut_lines(s3r_transcript *items, char *bytes, size_t size)
{
    size_t count = 0;
    for (char *at = bytes, *end = bytes + size; at < end;) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        char *next = newline ? newline + 1 : end;
        char *stop = newline ? newline : end;
        if (stop > at && stop[-1] == '\r')
            stop--;
        *stop = '\0';
        items[count] = (s3r_transcript){NULL, at, count + 1};
        count++;
        at = next;
    }
    return count;
}

static bool is_trn(const s3r_transcripts *transcripts)
{
    size_t ids = 0;
    for (size_t i = 0; i < transcripts->count; i++) {
        const char *line = transcripts->items[i].text;
        if (is_blank(line) || is_comment(line))
            continue;
        if (!find_id((char *)(uintptr_t)line)) /* our own copy */
            return false;
        ids++;
    }
    return ids > 0;
}

/* The value of the two hexadecimal digits, as s3r_trn_write_line writes them; -1. */
static int escaped_value(const char *digits)
{
    int value = 0;
    for (size_t i = 0; i < 2; i++) {
        char c = digits[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'F'))
            return -1;
        value = 16 * value + (c <= '9' ? c - '0' : c - 'A' + 10);
    }
    return value > ' ' && value < 0x7F && !is_plain((char)value) ? value : -1;
}

/* Undoes what s3r_trn_write_line escaped, in place.  Words like "%hes" stay. */
static s3r_status unescape(char *text, const char *label, size_t line, s3r_error *err)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        bool is_first = from == text || from[-1] == ' ' || from[-1] == '\t';
        if (is_first && (*from == '{' || *from == '@'))
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: line %zu: expected words, found \"%c\" (alternatives "
                            "are not understood)",
                            label, line, *from);
        int value = *from == '%' ? escaped_value(from + 1) : -1;
        *to++ = value < 0 ? *from : (char)value;
        from += value < 0 ? 0 : 2;
    }
    *to = '\0';
    return S3R_OK;
}

static int compare_ids(const void *a, const void *b)
{
    const s3r_transcript *x = a, *y = b;
    int order = strcmp(x->id, y->id);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

static s3r_status read_trn(s3r_transcripts *transcripts, const char *label,
                           s3r_error *err)
{
    size_t count = 0;
    s3r_transcript *items = transcripts->items;
    for (size_t i = 0; i < transcripts->count; i++) {
        char *line = (char *)(uintptr_t)items[i].text;
        if (is_blank(line) || is_comment(line))
            continue;
        char *id = find_id(line);
        *id++ = '\0';
        id[strlen(id) - 1] = '\0';
        S3R_TRY(unescape(line, label, items[i].line, err));
        items[count++] = (s3r_transcript){id, line, items[i].line};
    }
    transcripts->count = count;
    qsort(items, count, sizeof *items, compare_ids);
    for (size_t i = 1; i < count; i++)
        if (strcmp(items[i - 1].id, items[i].id) == 0)
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: line %zu: expected a new id, found \"%s\" of line %zu",
                            label, items[i].line, items[i].id, items[i - 1].line);
    return S3R_OK;
}

static s3r_status number_lines(s3r_transcripts *transcripts, s3r_error *err)
{
    for (size_t i = 0; i < transcripts->count; i++) {
        char *id = s3r_arena_alloc(&transcripts->owned, 24, 1);
        if (!id)
            return s3r_fail_memory(err, "transcripts", transcripts->count * 24);
        snprintf(id, 24, "%zu", i + 1);
        transcripts->items[i].id = id;
    }
    return S3R_OK;
}

static s3r_status read_lines(s3r_transcripts *transcripts, const char *bytes, size_t size,
                             const char *label, s3r_error *err)
{
    size_t lines = 1, mark = s3r_byte_order_mark(bytes, size);
    bytes += mark;
    size -= mark;
    for (size_t i = 0; i < size; i++) {
        lines += bytes[i] == '\n';
        if (bytes[i] == '\0')
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: line %zu: expected text, found a zero byte", label,
                            lines);
    }
    char *copy = s3r_arena_alloc(&transcripts->owned, size + 1, 1);
    transcripts->items =
        s3r_arena_alloc(&transcripts->owned, lines, sizeof *transcripts->items);
    if (!copy || !transcripts->items)
        return s3r_fail_memory(err, "transcripts", size);
    if (size > 0)
        memcpy(copy, bytes, size);
    transcripts->count = cut_lines(transcripts->items, copy, size);
    for (size_t i = 0; i < transcripts->count; i++)
        if (s3r_text_find_wrong_byte(transcripts->items[i].text) != SIZE_MAX)
            return s3r_fail(err, S3R_ERR_DATA, "%s: line %zu: expected UTF-8", label,
                            transcripts->items[i].line);
    transcripts->has_ids = is_trn(transcripts);
    if (transcripts->has_ids)
        return read_trn(transcripts, label, err);
    return number_lines(transcripts, err);
}

s3r_status s3r_transcripts_parse(s3r_transcripts *out, const char *bytes, size_t size,
                                 const char *label, s3r_error *err)
{
    *out = (s3r_transcripts){0};
    s3r_arena_init(&out->owned, ARENA_CHUNK_BYTES);
    s3r_status status = read_lines(out, bytes, size, label, err);
    if (status != S3R_OK)
        s3r_transcripts_close(out);
    return status;
}

s3r_status s3r_transcripts_open(s3r_transcripts *out, const char *path, s3r_error *err)
{
    s3r_file_map map;
    *out = (s3r_transcripts){0};
    S3R_TRY(s3r_file_map_open(&map, path, S3R_ERR_DATA, err));
    s3r_status status =
        s3r_transcripts_parse(out, (const char *)map.data, map.size, path, err);
    s3r_file_map_close(&map);
    return status;
}

void s3r_transcripts_close(s3r_transcripts *transcripts)
{
    s3r_arena_release(&transcripts->owned);
    *transcripts = (s3r_transcripts){0};
}

const s3r_transcript *s3r_transcripts_find(const s3r_transcripts *transcripts,
                                           const char *id)
{
    size_t low = 0, high = transcripts->has_ids ? transcripts->count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(transcripts->items[middle].id, id);
        if (order == 0)
            return &transcripts->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
