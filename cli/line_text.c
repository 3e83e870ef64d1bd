/*
 * Escaping for lines and JSON.  jansson refuses what is not UTF-8, so it is also the
 * judge of which bytes are.
 */
#include "line_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

char *s3r_line_from_path(const char *path)
{
    static const char letters[] = {['\t'] = 't', ['\n'] = 'n', ['\r'] = 'r'};
    char *line = malloc(4 * strlen(path) + 1), *to = line;
    if (!line)
        return NULL;
    for (; *path != '\0'; path++) {
        unsigned char c = (unsigned char)*path;
        if (*path == '\\')
            to += sprintf(to, "\\\\");
        else if (c < sizeof letters && letters[c])
            to += sprintf(to, "\\%c", letters[c]);
        else if (is_control(*path))
            to += sprintf(to, "\\x%02x", c);
        else
            *to++ = *path;
    }
    *to = '\0';
    return line;
}

char *s3r_line_from_text(const char *text)
{
    size_t length = strlen(text);
    char *line = malloc(length + 1);
    for (size_t i = 0; line && i <= length; i++)
        line[i] = i < length && is_control(text[i]) ? ' ' : text[i];
    return line;
}

/* Bytes of the UTF-8 character at text; 0 when there is none. */
static size_t character_bytes(const char *text, size_t bytes_left)
{
    for (size_t bytes = 1; bytes <= 4 && bytes <= bytes_left; bytes++) {
        json_t *character = json_stringn(text, bytes);
        json_decref(character);
        if (character)
            return bytes;
    }
    return 0;
}

json_t *s3r_json_from_bytes(const char *bytes)
{
    if (!bytes)
        return json_null();
    json_t *string = json_string(bytes);
    if (string)
        return string;
    size_t length = strlen(bytes);
    char *text = length < SIZE_MAX / 4 ? malloc(3 * length + 1) : NULL, *to = text;
    for (size_t i = 0; text && i < length;) {
        size_t valid = character_bytes(bytes + i, length - i);
        memcpy(to, valid ? bytes + i : "\xef\xbf\xbd", valid ? valid : 3);
        to += valid ? valid : 3;
        i += valid ? valid : 1;
    }
    if (text)
        string = json_stringn(text, (size_t)(to - text));
    free(text);
    return string;
}

char *s3r_json_line(json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    char *line = text ? realloc(text, strlen(text) + 2) : NULL;
    json_decref(value);
    if (line)
        strcat(line, "\n");
    else
        free(text);
    return line;
}
