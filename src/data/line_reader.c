/*
 * Lines out of a memory map, copied one at a time so that readers may cut them up.
 */
#include "data/line_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "data/clean_text.h"
#include "text/unicode_text.h"

s3r_status s3r_line_reader_from_bytes(s3r_line_reader *out, const char *bytes,
                                      size_t size, const char *label, s3r_error *err)
{
    const unsigned char *head = (const unsigned char *)bytes;
    if (size >= 2 &&
        ((head[0] == 0xFF && head[1] == 0xFE) || (head[0] == 0xFE && head[1] == 0xFF)))
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected UTF-8, found UTF-16 (iconv -f UTF-16 -t UTF-8 "
                        "makes it UTF-8)",
                        label);
    *out = (s3r_line_reader){.path = label, .bytes = bytes, .size = size};
    out->at = s3r_byte_order_mark(bytes, size);
    return S3R_OK;
}

s3r_status s3r_line_reader_open(s3r_line_reader *out, const char *path, s3r_error *err)
{
    s3r_file_map map;
    S3R_TRY(s3r_file_map_open(&map, path, S3R_ERR_DATA, err));
    s3r_status status =
        s3r_line_reader_from_bytes(out, (const char *)map.data, map.size, path, err);
    if (status == S3R_OK)
        out->map = map;
    else
        s3r_file_map_close(&map);
    return status;
}

void s3r_line_reader_close(s3r_line_reader *reader)
{
    s3r_free(reader->text);
    s3r_file_map_close(&reader->map);
    *reader = (s3r_line_reader){0};
}

s3r_status s3r_line_prefix(const s3r_line_reader *reader, s3r_status status,
                           s3r_error *err)
{
    char number[32];
    snprintf(number, sizeof number, "line %zu", reader->line);
    s3r_fail_prefix(err, status, number);
    return s3r_fail_prefix(err, status, reader->path);
}

s3r_status s3r_line_fail(const s3r_line_reader *reader, s3r_error *err,
                         const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return s3r_fail(err, S3R_ERR_DATA, "%s: line %zu: %s", reader->path, reader->line,
                    message);
}

static s3r_status reserve(s3r_line_reader *reader, size_t length, s3r_error *err)
{
    if (reader->text && length < reader->capacity)
        return S3R_OK;
    size_t capacity = S3R_MAX(2 * length, (size_t)4096);
    char *text = s3r_alloc_raw(capacity, 1);
    if (!text)
        return s3r_fail_memory(err, "a line", capacity);
    s3r_free(reader->text);
    reader->text = text;
    reader->capacity = capacity;
    return S3R_OK;
}

s3r_status s3r_line_reader_next(s3r_line_reader *reader, bool *has_line, s3r_error *err)
{
    *has_line = reader->at < reader->size;
    if (!*has_line)
        return S3R_OK;
    const char *first = reader->bytes + reader->at;
    size_t left = reader->size - reader->at;
    const char *end = memchr(first, '\n', S3R_MIN(left, S3R_MAX_LINE_BYTES + 2));
    reader->line++;
    if (!end && left > S3R_MAX_LINE_BYTES)
        return s3r_line_fail(reader, err, "expected at most %zu bytes, found more",
                             S3R_MAX_LINE_BYTES);
    size_t length = end ? (size_t)(end - first) : left;
    reader->at += length + (end != NULL);
    if (length > 0 && first[length - 1] == '\r')
        length--;
    size_t valid = s3r_utf8_prefix(first, length);
    if (valid < length)
        return s3r_line_prefix(reader, s3r_fail_utf8(err, first, valid), err);
    S3R_TRY(reserve(reader, length, err));
    memcpy(reader->text, first, length);
    reader->text[length] = '\0';
    reader->length = length;
    return S3R_OK;
}

size_t s3r_line_fields(char *line, char separator, char **fields, size_t limit)
{
    size_t count = 0;
    for (char *at = line; at; count++) {
        char *end = strchr(at, separator);
        if (count < limit)
            fields[count] = at;
        if (end)
            *end++ = '\0';
        at = end;
    }
    return count;
}
