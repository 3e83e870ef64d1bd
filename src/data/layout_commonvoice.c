/*
 * Common Voice: train.tsv, dev.tsv and test.tsv with a header (client_id, path, sentence,
 * locale, ...) beside clips/; without them validated.tsv, or one .tsv that is named.
 */
#include <stdio.h>
#include <string.h>

#include "data/layout_tools.h"
#include "data/layouts.h"

typedef struct voice_columns {
    size_t path, sentence, speaker, locale, count;
} voice_columns;

static s3r_status read_header(s3r_line_reader *reader, voice_columns *columns,
                              s3r_error *err)
{
    bool has_line;
    char *fields[S3R_MAX_COLUMNS];
    S3R_TRY(s3r_line_reader_next(reader, &has_line, err));
    if (!has_line)
        return s3r_fail(err, S3R_ERR_DATA, "%s: expected a header, found an empty file",
                        reader->path);
    size_t count = s3r_line_fields(reader->text, '\t', fields, S3R_MAX_COLUMNS);
    count = S3R_MIN(count, (size_t)S3R_MAX_COLUMNS);
    S3R_TRY(s3r_column_need(reader, fields, count, "path", &columns->path, err));
    S3R_TRY(s3r_column_need(reader, fields, count, "sentence", &columns->sentence, err));
    columns->speaker = s3r_column_find(fields, count, "client_id");
    columns->locale = s3r_column_find(fields, count, "locale");
    columns->count = count;
    return S3R_OK;
}

static s3r_status add_row(s3r_corpus *corpus, s3r_line_reader *reader,
                          const voice_columns *columns, const char *clips,
                          const s3r_corpus_item *base, s3r_error *err)
{
    char *fields[S3R_MAX_COLUMNS], file[300];
    size_t count = s3r_line_fields(reader->text, '\t', fields, S3R_MAX_COLUMNS);
    s3r_corpus_item item = *base;
    if (count != columns->count)
        return s3r_line_fail(reader, err, "expected %zu columns, found %zu",
                             columns->count, count);
    const char *path = fields[columns->path];
    if (path[0] == '\0' || strlen(path) > 250)
        return s3r_line_fail(reader, err, "expected a path, found \"%.80s\"", path);
    /* The first releases leave out the ending. */
    snprintf(file, sizeof file, "%s%s", path, strchr(path, '.') ? "" : ".mp3");
    item.utterance.id = path;
    item.utterance.text = fields[columns->sentence];
    if (columns->speaker != S3R_NO_COLUMN)
        item.utterance.speaker = fields[columns->speaker];
    if (columns->locale != S3R_NO_COLUMN && fields[columns->locale][0] != '\0')
        item.utterance.language = fields[columns->locale];
    return s3r_layout_add(corpus, &item, clips, file, err);
}

static s3r_status read_rows(s3r_corpus *corpus, const char *path, const char *clips,
                            const s3r_corpus_item *base, s3r_error *err)
{
    s3r_line_reader reader = {0};
    voice_columns columns = {0};
    bool has_line = true;
    s3r_status status = s3r_line_reader_open(&reader, path, err);
    if (status == S3R_OK)
        status = read_header(&reader, &columns, err);
    while (status == S3R_OK && has_line) {
        status = s3r_line_reader_next(&reader, &has_line, err);
        if (status == S3R_OK && has_line && reader.length > 0)
            status = add_row(corpus, &reader, &columns, clips, base, err);
    }
    s3r_line_reader_close(&reader);
    return status;
}

static s3r_status read_table(s3r_corpus *corpus, const s3r_corpus_request *request,
                             const char *folder, const char *path, const char *split,
                             s3r_error *err)
{
    s3r_corpus_item base = {
        .utterance = {.duration_s = -1, .language = request->language},
        .split = split,
        .source = "commonvoice"};
    char *clips = s3r_path_join(folder, "clips");
    if (!clips)
        return s3r_fail_memory(err, "a path", strlen(folder));
    s3r_status status = read_rows(corpus, path, clips, &base, err);
    s3r_free(clips);
    return status;
}

static s3r_status read_one_file(s3r_corpus *corpus, const s3r_corpus_request *request,
                                s3r_error *err)
{
    char split[S3R_MAX_SPLIT_NAME];
    s3r_path_name(request->source, split, sizeof split);
    split[strcspn(split, ".")] = '\0';
    char *folder = s3r_path_folder(request->source);
    if (!folder)
        return s3r_fail_memory(err, "a path", strlen(request->source));
    s3r_status status = read_table(corpus, request, folder, request->source, split, err);
    s3r_free(folder);
    return status;
}

/* Reads folder/NAME.tsv when it is there. */
static s3r_status read_named(s3r_corpus *corpus, const s3r_corpus_request *request,
                             const char *name, const char *split, size_t *found,
                             s3r_error *err)
{
    char file[32];
    snprintf(file, sizeof file, "%s.tsv", name);
    char *path = s3r_path_join(request->source, file);
    s3r_status status = S3R_OK;
    if (!path)
        return s3r_fail_memory(err, "a path", strlen(request->source));
    if (s3r_path_exists(path)) {
        (*found)++;
        status = read_table(corpus, request, request->source, path, split, err);
    }
    s3r_free(path);
    return status;
}

static s3r_status read_commonvoice(s3r_corpus *corpus, const s3r_corpus_request *request,
                                   s3r_error *err)
{
    static const char *const splits[] = {"train", "dev", "test"};
    size_t found = 0;
    if (s3r_path_ends(request->source, ".tsv"))
        return read_one_file(corpus, request, err);
    for (size_t i = 0; i < S3R_ARRAY_LEN(splits); i++)
        S3R_TRY(read_named(corpus, request, splits[i], splits[i], &found, err));
    if (found == 0)
        S3R_TRY(read_named(corpus, request, "validated", "", &found, err));
    if (found == 0)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected train.tsv, dev.tsv, test.tsv or validated.tsv, "
                        "found none of them",
                        request->source);
    return S3R_OK;
}

const s3r_layout s3r_layout_commonvoice = {
    .name = "commonvoice",
    .summary = "Common Voice: train.tsv, dev.tsv, test.tsv (or validated.tsv) and clips/",
    .needs_source = true,
    .read = read_commonvoice,
};
