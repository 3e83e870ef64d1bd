#include "model/model_card_read.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "text/unicode_text.h"

#define LINE_BYTES 512

/* The value of a line "key: value" without quotes and a comment; false for other lines
 * and where it is not UTF-8. */
static bool read_value(char *line, const char *key, char **value)
{
    size_t length = strlen(key);
    if (strncmp(line, key, length) != 0 || line[length] != ':')
        return false;
    char *at = line + length + 1, *end;
    at += strspn(at, " \t");
    if (*at == '"' || *at == '\'') {
        end = strchr(at + 1, *at);
        at++;
    } else {
        end = strstr(at, " #");
    }
    if (end)
        *end = '\0';
    for (end = at + strlen(at); end > at && strchr(" \t\r", end[-1]);)
        *--end = '\0';
    *value = at;
    return s3r_text_find_wrong_byte(at) == SIZE_MAX;
}

static bool is_rule(const char *line)
{
    return strncmp(line, "---", 3) == 0 && line[3 + strspn(line + 3, " \t\r")] == '\0';
}

/* The next line of [*at, end) without its end, cut where it is long. */
static bool next_line(const char **at, const char *end, char line[LINE_BYTES])
{
    if (*at >= end)
        return false;
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    size_t length = (size_t)((newline ? newline : end) - *at);
    size_t kept = S3R_MIN(length, (size_t)LINE_BYTES - 1);
    memcpy(line, *at, kept);
    line[kept] = '\0';
    *at = newline ? newline + 1 : end;
    return true;
}

void s3r_model_card_parse(const char *text, size_t size, char *license, size_t bytes)
{
    char line[LINE_BYTES], name[LINE_BYTES] = "", *value;
    size_t mark = s3r_byte_order_mark(text, size);
    const char *at = text + mark, *end = text + size;
    license[0] = '\0';
    if (!next_line(&at, end, line) || !is_rule(line))
        return;
    while (next_line(&at, end, line) && !is_rule(line)) {
        if (read_value(line, "license", &value) && strlen(value) < bytes)
            snprintf(license, bytes, "%s", value);
        else if (read_value(line, "license_name", &value))
            snprintf(name, sizeof name, "%s", value);
    }
    if (strcmp(license, "other") == 0 && name[0] && strlen(name) + 9 < bytes)
        snprintf(license + 5, bytes - 5, " (%s)", name);
}

void s3r_model_card_license(const char *folder, char *license, size_t bytes)
{
    s3r_file_map map;
    char *path = s3r_path_join(folder, "README.md");
    license[0] = '\0';
    if (path && s3r_path_exists(path) &&
        s3r_file_map_open(&map, path, S3R_ERR_MODEL, NULL) == S3R_OK) {
        s3r_model_card_parse((const char *)map.data, map.size, license, bytes);
        s3r_file_map_close(&map);
    }
    s3r_free(path);
}
