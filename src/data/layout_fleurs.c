/*
 * FLEURS: per language a folder (cs_cz) with train.tsv, dev.tsv and test.tsv without a
 * header - id, file name, raw transcription, transcription, letters, samples, gender -
 * and audio/SPLIT/.  The source is one such folder or the folder of all of them.
 *
 * The text is the transcription that the authors normalised.
 */
#include <stdio.h>
#include <string.h>

#include "base/folder_list.h"
#include "data/layout_tools.h"
#include "data/layouts.h"

#define LEAST_COLUMNS 4u

static s3r_status add_row(s3r_corpus *corpus, s3r_line_reader *reader,
                          const char *audio_folder, const s3r_corpus_item *base,
                          s3r_error *err)
{
    char *fields[LEAST_COLUMNS];
    size_t count = s3r_line_fields(reader->text, '\t', fields, LEAST_COLUMNS);
    s3r_corpus_item item = *base;
    if (count < LEAST_COLUMNS)
        return s3r_line_fail(reader, err,
                             "expected id, file, raw transcription and transcription "
                             "parted by tabs, found %zu columns",
                             count);
    if (fields[1][0] == '\0')
        return s3r_line_fail(reader, err, "expected a file name, found \"\"");
    item.utterance.id = fields[1];
    item.utterance.text = fields[3];
    return s3r_layout_add(corpus, &item, audio_folder, fields[1], err);
}

static s3r_status read_rows(s3r_corpus *corpus, const char *path,
                            const char *audio_folder, const s3r_corpus_item *base,
                            s3r_error *err)
{
    s3r_line_reader reader = {0};
    bool has_line = true;
    s3r_status status = s3r_line_reader_open(&reader, path, err);
    while (status == S3R_OK && has_line) {
        status = s3r_line_reader_next(&reader, &has_line, err);
        if (status == S3R_OK && has_line && reader.length > 0)
            status = add_row(corpus, &reader, audio_folder, base, err);
    }
    s3r_line_reader_close(&reader);
    return status;
}

static s3r_status read_split(s3r_corpus *corpus, const char *folder, const char *split,
                             const char *language, size_t *found, s3r_error *err)
{
    char file[32], audio[32];
    s3r_corpus_item base = {.utterance = {.duration_s = -1, .language = language},
                            .split = split,
                            .source = "fleurs"};
    snprintf(file, sizeof file, "%s.tsv", split);
    snprintf(audio, sizeof audio, "audio/%s", split);
    char *path = s3r_path_join(folder, file);
    char *audio_folder = s3r_path_join(folder, audio);
    s3r_status status = S3R_OK;
    if (!path || !audio_folder) {
        status = s3r_fail_memory(err, "a path", strlen(folder));
    } else if (s3r_path_exists(path)) {
        (*found)++;
        status = read_rows(corpus, path, audio_folder, &base, err);
    }
    s3r_free(path);
    s3r_free(audio_folder);
    return status;
}

static s3r_status read_language(s3r_corpus *corpus, const s3r_corpus_request *request,
                                const char *folder, size_t *found, s3r_error *err)
{
    static const char *const splits[] = {"train", "dev", "test"};
    char name[S3R_MAX_SPLIT_NAME];
    s3r_path_name(folder, name, sizeof name);
    /* "cs_cz" is cs; a folder with another kind of name says nothing. */
    size_t length = strcspn(name, "_");
    const char *language = name[length] == '_' ? name : request->language;
    name[length] = '\0';
    if (!s3r_language_matches(request->language, language))
        return S3R_OK;
    for (size_t i = 0; i < S3R_ARRAY_LEN(splits); i++)
        S3R_TRY(read_split(corpus, folder, splits[i], language, found, err));
    return S3R_OK;
}

static s3r_status read_all_languages(s3r_corpus *corpus,
                                     const s3r_corpus_request *request, size_t *found,
                                     s3r_error *err)
{
    s3r_folder_list list = {0};
    S3R_TRY(s3r_folder_list_read(&list, request->source, "", S3R_ERR_DATA, err));
    s3r_status status = S3R_OK;
    for (size_t i = 0; status == S3R_OK && i < list.count; i++) {
        char *folder = s3r_path_join(request->source, list.names[i]);
        if (!folder)
            status = s3r_fail_memory(err, "a path", strlen(request->source));
        else if (s3r_path_is_folder(folder))
            status = read_language(corpus, request, folder, found, err);
        s3r_free(folder);
    }
    s3r_folder_list_release(&list);
    return status;
}

static s3r_status read_fleurs(s3r_corpus *corpus, const s3r_corpus_request *request,
                              s3r_error *err)
{
    size_t found = 0;
    S3R_TRY(read_language(corpus, request, request->source, &found, err));
    if (found == 0)
        S3R_TRY(read_all_languages(corpus, request, &found, err));
    if (found == 0)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected train.tsv, dev.tsv or test.tsv in it or in folders "
                        "as cs_cz%s%s, found none",
                        request->source, request->language ? " of language " : "",
                        request->language ? request->language : "");
    return S3R_OK;
}

const s3r_layout s3r_layout_fleurs = {
    .name = "fleurs",
    .summary = "FLEURS: LANG/train.tsv, dev.tsv, test.tsv and LANG/audio/SPLIT/",
    .needs_source = true,
    .read = read_fleurs,
};
