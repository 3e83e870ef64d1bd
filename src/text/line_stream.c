/*
 * A buffer of one longest line, filled by zlib, which passes plain files through.
 */
#include "text/line_stream.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"

#define BUFFER_BYTES (S3R_LINE_STREAM_MAX + 1)

static s3r_status allocate(s3r_line_stream *stream, s3r_error *err)
{
    stream->buffer = s3r_alloc_raw(BUFFER_BYTES + 1, 1);
    return stream->buffer ? S3R_OK : s3r_fail_memory(err, "a line", BUFFER_BYTES);
}

s3r_status s3r_line_stream_open(s3r_line_stream *out, const char *path, s3r_error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    *out = (s3r_line_stream){.path = is_stdin ? "standard input" : path};
    errno = 0;
    out->file = gzopen(is_stdin ? "/dev/stdin" : path, "rb");
    if (!out->file && errno == 0)
        return s3r_fail_memory(err, "a reader", BUFFER_BYTES);
    if (!out->file)
        return s3r_fail(err, S3R_ERR_DATA, "%s: %s", out->path, strerror(errno));
    (void)gzbuffer(out->file, 1u << 17);
    s3r_status status = allocate(out, err);
    if (status != S3R_OK)
        s3r_line_stream_close(out);
    return status;
}

s3r_status s3r_line_stream_from_bytes(s3r_line_stream *out, const char *bytes,
                                      size_t size, const char *label, s3r_error *err)
{
    *out = (s3r_line_stream){.path = label, .bytes = bytes, .byte_count = size};
    return allocate(out, err);
}

void s3r_line_stream_close(s3r_line_stream *stream)
{
    if (stream->file)
        (void)gzclose_r(stream->file);
    s3r_free(stream->buffer);
    *stream = (s3r_line_stream){0};
}

s3r_status s3r_line_stream_fail(const s3r_line_stream *stream, s3r_error *err,
                                const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return s3r_fail(err, S3R_ERR_DATA, "%s: line %zu: %s", stream->path, stream->line,
                    text);
}

/* Moves what is left to the front and reads behind it. */
static s3r_status refill(s3r_line_stream *stream, s3r_error *err)
{
    size_t kept = stream->end - stream->at, room = BUFFER_BYTES - kept;
    memmove(stream->buffer, stream->buffer + stream->at, kept);
    stream->at = 0;
    stream->end = kept;
    if (!stream->file) {
        size_t count = S3R_MIN(room, stream->byte_count);
        memcpy(stream->buffer + kept, stream->bytes, count);
        stream->bytes += count;
        stream->byte_count -= count;
        stream->end += count;
        stream->is_over = stream->byte_count == 0;
        return S3R_OK;
    }
    int count = gzread(stream->file, stream->buffer + kept, (unsigned)room), code = Z_OK;
    const char *reason = gzerror(stream->file, &code);
    if (count < 0 || code == Z_BUF_ERROR)
        return s3r_fail(err, S3R_ERR_DATA, "%s: %s", stream->path,
                        code == Z_ERRNO       ? strerror(errno)
                        : code == Z_BUF_ERROR ? "the gzip file ends too early"
                                              : reason);
    stream->end += (size_t)count;
    stream->is_over = count == 0;
    return S3R_OK;
}

static s3r_status take_line(s3r_line_stream *stream, size_t length, s3r_error *err)
{
    stream->text = stream->buffer + stream->at;
    stream->at = S3R_MIN(stream->at + length + 1, stream->end);
    stream->line++;
    if (length > 0 && stream->text[length - 1] == '\r')
        length--;
    if (stream->line == 1) {
        size_t mark = s3r_byte_order_mark(stream->text, length);
        stream->text += mark;
        length -= mark;
    }
    stream->text[length] = '\0';
    stream->length = length;
    if (memchr(stream->text, '\0', length))
        return s3r_line_stream_fail(stream, err, "expected text, found a zero byte");
    return S3R_OK;
}

s3r_status s3r_line_stream_next(s3r_line_stream *stream, bool *has_line, s3r_error *err)
{
    *has_line = true;
    for (size_t looked = 0;;) {
        const char *from = stream->buffer + stream->at + looked;
        size_t held = stream->end - stream->at;
        const char *newline = memchr(from, '\n', held - looked);
        if (newline)
            return take_line(stream, (size_t)(newline - stream->buffer) - stream->at,
                             err);
        if (stream->is_over) {
            *has_line = held > 0;
            return held > 0 ? take_line(stream, held, err) : S3R_OK;
        }
        if (held == BUFFER_BYTES)
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: line %zu: longer than %zu bytes (is this text?)",
                            stream->path, stream->line + 1, S3R_LINE_STREAM_MAX);
        looked = held;
        S3R_TRY(refill(stream, err));
    }
}

char *s3r_next_word(char **at, size_t *length)
{
    char *word = *at + strspn(*at, " \t");
    *length = strcspn(word, " \t");
    *at = word + *length;
    return *length > 0 ? word : NULL;
}
