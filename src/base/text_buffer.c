/*
 * Growing strings and the two escapings that reports need.
 */
#include "base/text_buffer.h"

#include <stdarg.h>
#include <string.h>

#include "base/memory.h"
#include "base/plain_number.h"

/* Room for `more` bytes and the NUL. */
static bool reserve(s3r_text_buffer *buffer, size_t more)
{
    size_t needed = buffer->length + more + 1;
    if (buffer->has_failed || needed <= buffer->capacity)
        return !buffer->has_failed;
    size_t capacity = 2 * needed + 1024;
    char *grown = s3r_realloc(buffer->text, buffer->capacity, capacity, 1);
    buffer->has_failed = grown == NULL;
    if (!grown)
        return false;
    buffer->text = grown;
    buffer->capacity = capacity;
    return true;
}

void s3r_buffer_add_bytes(s3r_text_buffer *buffer, const void *bytes, size_t size)
{
    if (!reserve(buffer, size))
        return;
    memcpy(buffer->text + buffer->length, bytes, size);
    buffer->length += size;
    buffer->text[buffer->length] = '\0';
}

void s3r_buffer_add(s3r_text_buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = s3r_plain_print_args(NULL, 0, format, args);
    va_end(args);
    if (length < 0 || !reserve(buffer, (size_t)length))
        return;
    va_start(args, format);
    s3r_plain_print_args(buffer->text + buffer->length, (size_t)length + 1, format, args);
    va_end(args);
    buffer->length += (size_t)length;
}

void s3r_buffer_add_string(s3r_text_buffer *buffer, const char *string)
{
    if (string)
        s3r_buffer_add_bytes(buffer, string, strlen(string));
}

void s3r_buffer_add_html(s3r_text_buffer *buffer, const char *string)
{
    for (; string && *string; string++) {
        const char *entity = *string == '&'    ? "&amp;"
                             : *string == '<'  ? "&lt;"
                             : *string == '>'  ? "&gt;"
                             : *string == '"'  ? "&quot;"
                             : *string == '\'' ? "&#39;"
                                               : NULL;
        if (entity)
            s3r_buffer_add_bytes(buffer, entity, strlen(entity));
        else
            s3r_buffer_add_bytes(buffer, string, 1);
    }
}

void s3r_buffer_add_markdown(s3r_text_buffer *buffer, const char *string)
{
    for (; string && *string; string++) {
        if (*string == '\n' || *string == '\r') {
            s3r_buffer_add_bytes(buffer, " ", 1);
            continue;
        }
        /* HTML is part of Markdown: an entity is safe where a backslash may not be. */
        if (*string == '<' || *string == '>' || *string == '&') {
            char one[2] = {*string, '\0'};
            s3r_buffer_add_html(buffer, one);
            continue;
        }
        if (strchr("\\`*_{}[]()#+-!|~:", *string))
            s3r_buffer_add_bytes(buffer, "\\", 1);
        s3r_buffer_add_bytes(buffer, string, 1);
    }
}

s3r_status s3r_buffer_take(s3r_text_buffer *buffer, char **text, const char *what,
                           s3r_error *err)
{
    s3r_buffer_add_bytes(buffer, "", 0); /* an empty string is one too */
    size_t length = buffer->length;
    if (buffer->has_failed) {
        s3r_buffer_release(buffer);
        return s3r_fail_memory(err, what, length);
    }
    *text = buffer->text;
    memset(buffer, 0, sizeof *buffer);
    return S3R_OK;
}

void s3r_buffer_release(s3r_text_buffer *buffer)
{
    s3r_free(buffer->text);
    memset(buffer, 0, sizeof *buffer);
}
