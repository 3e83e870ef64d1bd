/*
 * Kaldi: wav.scp "ID PATH", text "ID WORDS", and where they are segments "UTTERANCE
 * RECORDING BEGIN END" and utt2spk.  The source is such a folder, or one whose folders
 * (train, dev, test) are.  utt2dur is not read: audio is measured anyway.
 *
 * All tables are read into maps first; utterances then come in the order of wav.scp or
 * segments.  Commands in wav.scp are refused: running what a data file says is no
 * reader's business.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/folder_list.h"
#include "data/layout_tools.h"
#include "data/layouts.h"
#include "data/string_map.h"

/* A file of lines "KEY VALUE" in order, and by key. */
typedef struct kaldi_table {
    struct kaldi_row {
        const char *key, *value;
        size_t line;
    } * rows;
    size_t count, capacity;
    s3r_string_map by_key;
    s3r_arena owned;
    char *path; /* NULL: there is no such file */
} kaldi_table;

typedef struct kaldi_folder {
    s3r_corpus *corpus;
    const char *folder, *split;
    const s3r_corpus_request *request;
    kaldi_table wavs, texts, segments, speakers;
} kaldi_folder;

static void table_release(kaldi_table *table)
{
    s3r_free(table->rows);
    s3r_free(table->path);
    s3r_string_map_release(&table->by_key);
    s3r_arena_release(&table->owned);
}

static s3r_status table_add(kaldi_table *table, const s3r_line_reader *reader,
                            s3r_error *err)
{
    size_t *stored;
    bool is_new;
    if (table->count == table->capacity) {
        size_t larger = table->capacity ? 2 * table->capacity : 256;
        void *grown =
            s3r_realloc(table->rows, table->capacity, larger, sizeof *table->rows);
        if (!grown)
            return s3r_fail_memory(err, "a table", larger * sizeof *table->rows);
        table->rows = grown;
        table->capacity = larger;
    }
    char *copy = s3r_arena_alloc(&table->owned, reader->length + 1, 1);
    if (!copy)
        return s3r_fail_memory(err, "a table", reader->length);
    memcpy(copy, reader->text, reader->length + 1);
    char *key = copy + strspn(copy, " \t"), *value = key + strcspn(key, " \t");
    if (*value != '\0')
        *value++ = '\0';
    value += strspn(value, " \t");
    for (size_t end = strlen(value); end > 0 && strchr(" \t", value[end - 1]); end--)
        value[end - 1] = '\0';
    S3R_TRY(s3r_string_map_add(&table->by_key, key, table->count, &stored, &is_new, err));
    if (!is_new)
        return s3r_line_fail(reader, err,
                             "expected a new id, found \"%.200s\" of line "
                             "%zu again",
                             key, table->rows[*stored].line);
    table->rows[table->count].key = key;
    table->rows[table->count].value = value;
    table->rows[table->count++].line = reader->line;
    return S3R_OK;
}

/* Reads folder/name; without one the table stays empty. */
static s3r_status table_read(kaldi_table *table, const char *folder, const char *name,
                             s3r_error *err)
{
    s3r_line_reader reader = {0};
    bool has_line = true;
    s3r_arena_init(&table->owned, (size_t)64 << 10);
    char *path = s3r_path_join(folder, name);
    if (!path)
        return s3r_fail_memory(err, "a path", strlen(folder));
    if (!s3r_path_exists(path)) {
        s3r_free(path);
        return S3R_OK;
    }
    table->path = path;
    s3r_status status = s3r_line_reader_open(&reader, path, err);
    while (status == S3R_OK && has_line) {
        status = s3r_line_reader_next(&reader, &has_line, err);
        if (status == S3R_OK && has_line && reader.text[strspn(reader.text, " \t")])
            status = table_add(table, &reader, err);
    }
    s3r_line_reader_close(&reader);
    return status;
}

static const char *table_get(const kaldi_table *table, const char *key)
{
    const size_t *index = s3r_string_map_find(&table->by_key, key);
    return index ? table->rows[*index].value : NULL;
}

static s3r_status row_fail(const kaldi_table *table, size_t row, s3r_error *err,
                           const char *expected)
{
    return s3r_fail(err, S3R_ERR_DATA, "%s: line %zu: expected %s, found \"%.200s\"",
                    table->path, table->rows[row].line, expected, table->rows[row].value);
}

static s3r_status check_wavs(const kaldi_folder *k, s3r_error *err)
{
    for (size_t i = 0; i < k->wavs.count; i++) {
        const char *value = k->wavs.rows[i].value;
        if (s3r_path_ends(value, "|"))
            return row_fail(&k->wavs, i, err,
                            "an audio file (commands are not run: write their output "
                            "into files and name these)");
        if (value[0] == '\0' || strcmp(value, "-") == 0)
            return row_fail(&k->wavs, i, err, "\"ID PATH\"");
    }
    return S3R_OK;
}

/* Paths are relative to where the recipe runs, or to the folder. */
static s3r_status add_item(kaldi_folder *k, const s3r_corpus_item *item, const char *path,
                           s3r_error *err)
{
    bool exists = false;
    if (path[0] != '/')
        S3R_TRY(s3r_layout_has(k->folder, path, &exists, err));
    return s3r_layout_add(k->corpus, item, exists ? k->folder : "", path, err);
}

static s3r_status add_utterance(kaldi_folder *k, const char *id, const char *path,
                                double offset_s, double duration_s, s3r_error *err)
{
    const char *text = table_get(&k->texts, id);
    if (k->texts.path && !text)
        return s3r_corpus_drop(k->corpus, "no line in the file text", err);
    s3r_corpus_item item = {.utterance = {.id = id,
                                          .text = text,
                                          .offset_s = offset_s,
                                          .duration_s = duration_s,
                                          .language = k->request->language,
                                          .speaker = table_get(&k->speakers, id)},
                            .split = k->split,
                            .source = "kaldi"};
    return add_item(k, &item, path, err);
}

static s3r_status add_segment(kaldi_folder *k, size_t row, s3r_error *err)
{
    char *fields[4], value[512];
    double begin, end;
    const char *source = k->segments.rows[row].value;
    size_t used = 0;
    snprintf(value, sizeof value, "%s", source);
    for (char *at = value; *at != '\0' && used < 4; used++) {
        fields[used] = at;
        at += strcspn(at, " \t");
        if (*at != '\0')
            *at++ = '\0';
        at += strspn(at, " \t");
    }
    /* A fourth field names a channel; -1 is the end of the recording. */
    if (used < 3 || !s3r_parse_number(fields[1], &begin) ||
        !s3r_parse_number(fields[2], &end) || begin < 0 || (end <= begin && end != -1))
        return row_fail(&k->segments, row, err, "\"UTTERANCE RECORDING BEGIN END\"");
    const char *path = table_get(&k->wavs, fields[0]);
    if (!path)
        return row_fail(&k->segments, row, err, "a recording of wav.scp");
    return add_utterance(k, k->segments.rows[row].key, path, begin,
                         end == -1 ? -1 : end - begin, err);
}

static s3r_status add_all(kaldi_folder *k, s3r_error *err)
{
    S3R_TRY(check_wavs(k, err));
    for (size_t i = 0; i < k->segments.count; i++)
        S3R_TRY(add_segment(k, i, err));
    for (size_t i = 0; !k->segments.path && i < k->wavs.count; i++)
        S3R_TRY(add_utterance(k, k->wavs.rows[i].key, k->wavs.rows[i].value, 0, -1, err));
    const kaldi_table *owners = k->segments.path ? &k->segments : &k->wavs;
    for (size_t i = 0; i < k->texts.count; i++)
        if (!table_get(owners, k->texts.rows[i].key))
            S3R_TRY(s3r_corpus_drop(k->corpus, "a text without audio", err));
    return S3R_OK;
}

static s3r_status read_data_folder(s3r_corpus *corpus, const s3r_corpus_request *request,
                                   const char *folder, const char *split, s3r_error *err)
{
    kaldi_folder k = {
        .corpus = corpus, .folder = folder, .split = split, .request = request};
    s3r_status status = table_read(&k.wavs, folder, "wav.scp", err);
    if (status == S3R_OK)
        status = table_read(&k.texts, folder, "text", err);
    if (status == S3R_OK)
        status = table_read(&k.segments, folder, "segments", err);
    if (status == S3R_OK)
        status = table_read(&k.speakers, folder, "utt2spk", err);
    if (status == S3R_OK)
        status = add_all(&k, err);
    table_release(&k.wavs);
    table_release(&k.texts);
    table_release(&k.segments);
    table_release(&k.speakers);
    return status;
}

static s3r_status read_if_data(s3r_corpus *corpus, const s3r_corpus_request *request,
                               const char *name, size_t *found, s3r_error *err)
{
    bool is_data;
    char *folder = s3r_path_join(request->source, name);
    if (!folder)
        return s3r_fail_memory(err, "a path", strlen(name));
    s3r_status status = s3r_layout_has(folder, "wav.scp", &is_data, err);
    if (status == S3R_OK && is_data) {
        (*found)++;
        status = read_data_folder(corpus, request, folder, s3r_split_name(name), err);
    }
    s3r_free(folder);
    return status;
}

static s3r_status read_kaldi(s3r_corpus *corpus, const s3r_corpus_request *request,
                             s3r_error *err)
{
    bool is_data;
    size_t found = 0;
    s3r_folder_list list = {0};
    S3R_TRY(s3r_layout_has(request->source, "wav.scp", &is_data, err));
    if (is_data)
        return read_data_folder(corpus, request, request->source, "", err);
    S3R_TRY(s3r_folder_list_read(&list, request->source, "", S3R_ERR_DATA, err));
    s3r_status status = S3R_OK;
    for (size_t i = 0; status == S3R_OK && i < list.count; i++)
        status = read_if_data(corpus, request, list.names[i], &found, err);
    if (status == S3R_OK && found == 0)
        status = s3r_fail(err, S3R_ERR_DATA,
                          "%s: expected wav.scp in it or in its folders, found none",
                          request->source);
    s3r_folder_list_release(&list);
    return status;
}

const s3r_layout s3r_layout_kaldi = {
    .name = "kaldi",
    .summary = "Kaldi data folders: wav.scp, text, segments, utt2spk",
    .needs_source = true,
    .read = read_kaldi,
};
