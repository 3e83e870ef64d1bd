/*
 * Hugging Face: metadata.csv or metadata.jsonl beside the audio, in the source or in its
 * folders (train, validation, test), or files train.csv, test.jsonl, ...; or one such
 * file.
 *
 * The audio is the column path, file_name, audio or file, the text is text, sentence or
 * transcription.  CSV is that of RFC 4180 on one line; .tsv has tabs and no quotes.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/folder_list.h"
#include "data/layout_tools.h"
#include "data/layouts.h"

enum { COLUMN_PATH, COLUMN_TEXT, COLUMN_SPEAKER, COLUMN_LANGUAGE, COLUMN_ID, COLUMNS };

static const char *const column_names[COLUMNS] = {
    [COLUMN_PATH] = "file_name|path|audio|audio_filepath|audio_path|file|wav",
    [COLUMN_TEXT] = "text|sentence|transcription|transcript|normalized_text",
    [COLUMN_SPEAKER] = "speaker|speaker_id|client_id",
    [COLUMN_LANGUAGE] = "lang|language|locale",
    [COLUMN_ID] = "id",
};

typedef struct metadata_file {
    s3r_corpus *corpus;
    const s3r_corpus_request *request;
    const char *folder, *split;
    s3r_line_reader reader;
    size_t columns[COLUMNS];
    size_t column_count;
    char separator;
} metadata_file;

static s3r_status add_row(metadata_file *m, const char *const values[COLUMNS],
                          s3r_error *err)
{
    const char *path = values[COLUMN_PATH], *language = values[COLUMN_LANGUAGE];
    const char *speaker = values[COLUMN_SPEAKER];
    if (!path || path[0] == '\0')
        return s3r_line_fail(&m->reader, err, "expected a path in %s, found none",
                             column_names[COLUMN_PATH]);
    bool has_language = language && language[0] != '\0';
    s3r_corpus_item item = {
        .utterance = {.id = values[COLUMN_ID],
                      .text = values[COLUMN_TEXT],
                      .duration_s = -1,
                      .language = has_language ? language : m->request->language,
                      .speaker = speaker && speaker[0] != '\0' ? speaker : NULL},
        .split = m->split,
        .source = "huggingface"};
    return s3r_layout_add(m->corpus, &item, m->folder, path, err);
}

/* ---- csv ---- */

/* Reads one field at *at in place: quotes are undone, *at moves behind the separator or
 * becomes NULL at the end.  False: a quote is not closed or in the middle. */
static bool read_field(char **at, char separator, char **field)
{
    char *from = *at, *to = *at;
    *field = from;
    if (*from == '"' && separator == ',') {
        for (from++; *from != '\0'; from++) {
            if (*from == '"' && from[1] != '"')
                break;
            from += *from == '"';
            *to++ = *from;
        }
        if (*from != '"' || (from[1] != '\0' && from[1] != separator))
            return false;
        from++;
    } else {
        from += strcspn(from, (char[2]){separator, '\0'});
        to = from;
    }
    *at = *from == separator ? from + 1 : NULL;
    *to = '\0';
    return true;
}

static s3r_status read_fields(metadata_file *m, char **fields, size_t *count,
                              s3r_error *err)
{
    char *at = m->reader.text, *field;
    *count = 0;
    while (at) {
        if (!read_field(&at, m->separator, &field))
            return s3r_line_fail(&m->reader, err,
                                 "field %zu: expected a closing quote before the next "
                                 "field or the end of the line, found none",
                                 *count + 1);
        if (*count == S3R_MAX_COLUMNS)
            return s3r_line_fail(&m->reader, err,
                                 "expected at most %u fields, found more",
                                 S3R_MAX_COLUMNS);
        fields[(*count)++] = field;
    }
    return S3R_OK;
}

static s3r_status read_header(metadata_file *m, s3r_error *err)
{
    char *fields[S3R_MAX_COLUMNS];
    S3R_TRY(read_fields(m, fields, &m->column_count, err));
    for (size_t i = 0; i < COLUMNS; i++)
        m->columns[i] = s3r_column_find(fields, m->column_count, column_names[i]);
    S3R_TRY(s3r_column_need(&m->reader, fields, m->column_count,
                            column_names[COLUMN_PATH], &m->columns[COLUMN_PATH], err));
    return s3r_column_need(&m->reader, fields, m->column_count, column_names[COLUMN_TEXT],
                           &m->columns[COLUMN_TEXT], err);
}

static s3r_status read_csv_line(metadata_file *m, s3r_error *err)
{
    char *fields[S3R_MAX_COLUMNS];
    const char *values[COLUMNS];
    size_t count;
    if (m->column_count == 0)
        return read_header(m, err);
    S3R_TRY(read_fields(m, fields, &count, err));
    if (count != m->column_count)
        return s3r_line_fail(&m->reader, err, "expected %zu fields, found %zu",
                             m->column_count, count);
    for (size_t i = 0; i < COLUMNS; i++)
        values[i] = m->columns[i] == S3R_NO_COLUMN ? NULL : fields[m->columns[i]];
    return add_row(m, values, err);
}

/* ---- json lines ---- */

/* The first of the keys "a|b|c"; an object's "path" where audio is stored as one. */
static const char *string_of(const json_t *object, const char *names)
{
    while (*names != '\0') {
        char name[32];
        size_t length = strcspn(names, "|");
        snprintf(name, sizeof name, "%.*s", (int)length, names);
        const json_t *value = json_object_get(object, name);
        if (json_is_object(value))
            value = json_object_get(value, "path");
        if (json_is_string(value))
            return json_string_value(value);
        names += length + (names[length] == '|');
    }
    return NULL;
}

static s3r_status read_json_line(metadata_file *m, s3r_error *err)
{
    json_error_t error = {0};
    const char *values[COLUMNS];
    json_t *object =
        json_loadb(m->reader.text, m->reader.length, JSON_REJECT_DUPLICATES, &error);
    if (!object &&
        (error.text[0] == '\0' || json_error_code(&error) == json_error_out_of_memory))
        return s3r_fail_memory(err, "a line", m->reader.length);
    if (!json_is_object(object)) {
        s3r_status status = s3r_line_fail(&m->reader, err, "expected a JSON object: %s",
                                          object ? "found another value" : error.text);
        json_decref(object);
        return status;
    }
    for (size_t i = 0; i < COLUMNS; i++)
        values[i] = string_of(object, column_names[i]);
    s3r_status status =
        values[COLUMN_TEXT]
            ? add_row(m, values, err)
            : s3r_line_fail(&m->reader, err, "expected a text in %s, found none",
                            column_names[COLUMN_TEXT]);
    json_decref(object);
    return status;
}

/* ---- files ---- */

static s3r_status read_lines(metadata_file *m, s3r_error *err)
{
    bool is_json = s3r_path_ends(m->reader.path, ".jsonl"), has_line = true;
    while (has_line) {
        S3R_TRY(s3r_line_reader_next(&m->reader, &has_line, err));
        if (has_line && m->reader.length > 0)
            S3R_TRY(is_json ? read_json_line(m, err) : read_csv_line(m, err));
    }
    return S3R_OK;
}

static s3r_status read_metadata(s3r_corpus *corpus, const s3r_corpus_request *request,
                                const char *path, const char *split, s3r_error *err)
{
    metadata_file m = {.corpus = corpus,
                       .request = request,
                       .split = s3r_split_name(split),
                       .separator = s3r_path_ends(path, ".tsv") ? '\t' : ','};
    char *folder = s3r_path_folder(path);
    if (!folder)
        return s3r_fail_memory(err, "a path", strlen(path));
    m.folder = folder;
    s3r_status status = s3r_line_reader_open(&m.reader, path, err);
    if (status == S3R_OK)
        status = read_lines(&m, err);
    s3r_line_reader_close(&m.reader);
    s3r_free(folder);
    return status;
}

static bool is_metadata_name(const char *name)
{
    return s3r_path_ends(name, ".csv") || s3r_path_ends(name, ".tsv") ||
           s3r_path_ends(name, ".jsonl");
}

/* Reads folder/name; a file metadata.* belongs to `split`, others to the one they name.
 */
static s3r_status read_named(s3r_corpus *corpus, const s3r_corpus_request *request,
                             const char *folder, const char *name, const char *split,
                             s3r_error *err)
{
    char own[S3R_MAX_SPLIT_NAME];
    snprintf(own, sizeof own, "%.*s", (int)strcspn(name, "."), name);
    char *path = s3r_path_join(folder, name);
    if (!path)
        return s3r_fail_memory(err, "a path", strlen(folder));
    bool is_plain = strcmp(own, "metadata") == 0;
    s3r_status status = read_metadata(corpus, request, path, is_plain ? split : own, err);
    s3r_free(path);
    return status;
}

static s3r_status read_folder(s3r_corpus *corpus, const s3r_corpus_request *request,
                              const char *folder, const char *split, size_t *found,
                              s3r_error *err)
{
    s3r_folder_list list = {0};
    S3R_TRY(s3r_folder_list_read(&list, folder, "", S3R_ERR_DATA, err));
    s3r_status status = S3R_OK;
    for (size_t i = 0; status == S3R_OK && i < list.count; i++) {
        if (!is_metadata_name(list.names[i]))
            continue;
        (*found)++;
        status = read_named(corpus, request, folder, list.names[i], split, err);
    }
    s3r_folder_list_release(&list);
    return status;
}

static s3r_status read_subfolders(s3r_corpus *corpus, const s3r_corpus_request *request,
                                  size_t *found, s3r_error *err)
{
    static const char *const names[] = {"train", "validation", "valid", "dev", "test"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(names); i++) {
        s3r_status status = S3R_OK;
        char *folder = s3r_path_join(request->source, names[i]);
        if (!folder)
            return s3r_fail_memory(err, "a path", strlen(request->source));
        if (s3r_path_is_folder(folder))
            status = read_folder(corpus, request, folder, names[i], found, err);
        s3r_free(folder);
        S3R_TRY(status);
    }
    return S3R_OK;
}

static s3r_status read_huggingface(s3r_corpus *corpus, const s3r_corpus_request *request,
                                   s3r_error *err)
{
    size_t found = 0;
    if (is_metadata_name(request->source)) {
        char name[S3R_MAX_SPLIT_NAME];
        s3r_path_name(request->source, name, sizeof name);
        name[strcspn(name, ".")] = '\0';
        return read_metadata(corpus, request, request->source,
                             strcmp(name, "metadata") == 0 ? "" : name, err);
    }
    S3R_TRY(s3r_layout_check_output(request, err));
    S3R_TRY(read_folder(corpus, request, request->source, "", &found, err));
    S3R_TRY(read_subfolders(corpus, request, &found, err));
    if (found == 0)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected metadata.csv, metadata.jsonl or SPLIT.csv in it or "
                        "in train, validation, test, found none",
                        request->source);
    return S3R_OK;
}

const s3r_layout s3r_layout_huggingface = {
    .name = "huggingface",
    .summary =
        "Hugging Face: metadata.csv or .jsonl, SPLIT.csv, SPLIT.tsv or SPLIT.jsonl",
    .needs_source = true,
    .read = read_huggingface,
};
