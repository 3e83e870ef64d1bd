/*
 * Small helpers of the layout readers.
 */
#include "data/layout_tools.h"
#include "base/plain_number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

s3r_status s3r_layout_add(s3r_corpus *corpus, const s3r_corpus_item *item,
                          const char *folder, const char *file, s3r_error *err)
{
    s3r_corpus_item copy = *item;
    char *path = file[0] == '/' ? s3r_strdup(file) : s3r_path_join(folder, file);
    if (!path)
        return s3r_fail_memory(err, "a path", strlen(file));
    copy.utterance.audio_path = path;
    if (!copy.utterance.id)
        copy.utterance.id = file;
    s3r_status status = s3r_corpus_add(corpus, &copy, err);
    s3r_free(path);
    return status;
}

s3r_status s3r_layout_has(const char *folder, const char *name, bool *exists,
                          s3r_error *err)
{
    char *path = s3r_path_join(folder, name);
    if (!path)
        return s3r_fail_memory(err, "a path", strlen(folder) + strlen(name));
    *exists = s3r_path_exists(path);
    s3r_free(path);
    return S3R_OK;
}

s3r_status s3r_layout_check_output(const s3r_corpus_request *request, s3r_error *err)
{
    if (!request->work_folder || !s3r_path_is_same(request->source, request->work_folder))
        return S3R_OK;
    return s3r_fail(
        err, S3R_ERR_USAGE,
        "%s: expected another folder to write than the data's, found the same",
        request->work_folder);
}

char *s3r_path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return s3r_strdup(".");
    return s3r_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

void s3r_path_name(const char *path, char *name, size_t name_bytes)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t first = end;
    while (first > 0 && path[first - 1] != '/')
        first--;
    snprintf(name, name_bytes, "%.*s", (int)S3R_MIN(end - first, name_bytes - 1),
             path + first);
}

bool s3r_path_ends(const char *path, const char *ending)
{
    size_t length = strlen(path), tail = strlen(ending);
    return length >= tail && strcmp(path + length - tail, ending) == 0;
}

const char *s3r_split_name(const char *name)
{
    static const char *const known[][2] = {
        {"validation", "dev"}, {"valid", "dev"},      {"val", "dev"},
        {"eval", "dev"},       {"training", "train"}, {"testing", "test"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(known); i++)
        if (strcmp(name, known[i][0]) == 0)
            return known[i][1];
    return name;
}

size_t s3r_column_find(char *const *fields, size_t count, const char *names)
{
    while (*names != '\0') {
        size_t length = strcspn(names, "|");
        for (size_t i = 0; i < count; i++)
            if (strncmp(fields[i], names, length) == 0 && fields[i][length] == '\0')
                return i;
        names += length + (names[length] == '|');
    }
    return S3R_NO_COLUMN;
}

s3r_status s3r_column_need(const s3r_line_reader *reader, char *const *fields,
                           size_t count, const char *names, size_t *column,
                           s3r_error *err)
{
    char found[256] = "";
    size_t used = 0;
    *column = s3r_column_find(fields, count, names);
    if (*column != S3R_NO_COLUMN)
        return S3R_OK;
    for (size_t i = 0; i < count && used < sizeof found; i++) {
        int more =
            snprintf(found + used, sizeof found - used, "%s%s", i ? ", " : "", fields[i]);
        used += more > 0 ? (size_t)more : 0;
    }
    return s3r_line_fail(reader, err, "expected a column %s, found %s", names, found);
}

bool s3r_parse_number(const char *text, double *value)
{
    char *end;
    if (text[0] == '\0' || strspn(text, "0123456789+-.eE") != strlen(text))
        return false;
    *value = s3r_plain_parse(text, &end);
    return *end == '\0' && isfinite(*value);
}
