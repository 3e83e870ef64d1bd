/*
 * Items are grouped by language and split; each group is a row of the report, and one
 * group, or the groups of one split, a manifest.
 */
#include "data/prepare_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/clean_text.h"
#include "data/manifest_place.h"

/* ---- dropped.tsv ---- */

s3r_status s3r_dropped_log_open(s3r_dropped_log **out, const char *folder, s3r_error *err)
{
    static const char head[] = "reason\tid\taudio\tdetail\n";
    char *path = s3r_path_join(folder, "dropped.tsv");
    if (!path)
        return s3r_fail_memory(err, "a path", strlen(folder));
    s3r_status status = s3r_file_writer_open(out, path, err);
    s3r_free(path);
    return status == S3R_OK ? s3r_file_writer_write(*out, head, sizeof head - 1, err)
                            : status;
}

/* One field: no tab, no end of line. */
static s3r_status write_field(s3r_file_writer *writer, const char *text, char end,
                              s3r_error *err)
{
    while (*text != '\0') {
        size_t plain = strcspn(text, "\t\r\n");
        S3R_TRY(s3r_file_writer_write(writer, text, plain, err));
        text += plain;
        if (*text != '\0') {
            S3R_TRY(s3r_file_writer_write(writer, " ", 1, err));
            text++;
        }
    }
    return s3r_file_writer_write(writer, &end, 1, err);
}

s3r_status s3r_dropped_log_add(s3r_dropped_log *log, const char *reason,
                               const s3r_utterance *utterance, const char *detail,
                               s3r_error *err)
{
    S3R_TRY(write_field(log, reason, '\t', err));
    S3R_TRY(write_field(log, utterance->id, '\t', err));
    S3R_TRY(write_field(log, utterance->audio_path, '\t', err));
    return write_field(log, detail, '\n', err);
}

s3r_status s3r_dropped_log_commit(s3r_dropped_log *log, s3r_error *err)
{
    return s3r_file_writer_commit(log, err);
}

void s3r_dropped_log_abort(s3r_dropped_log *log)
{
    s3r_file_writer_abort(log);
}

/* ---- rows ---- */

static unsigned split_order(const char *split)
{
    static const char *const first[] = {"train", "dev", "test"};
    unsigned order = 0;
    while (order < S3R_ARRAY_LEN(first) && strcmp(split, first[order]) != 0)
        order++;
    return order;
}

static int compare_rows(const void *a, const void *b)
{
    const s3r_prepare_row *x = a, *y = b;
    int languages = strcmp(x->language, y->language);
    unsigned x_order = split_order(x->split), y_order = split_order(y->split);
    if (languages != 0)
        return languages;
    return x_order != y_order ? (x_order < y_order ? -1 : 1) : strcmp(x->split, y->split);
}

static s3r_status find_row(s3r_prepare_report *report, size_t *capacity,
                           const s3r_corpus_item *item, s3r_prepare_row **out,
                           s3r_error *err)
{
    const char *language = item->utterance.language ? item->utterance.language : "";
    for (size_t i = report->row_count; i-- > 0;) {
        *out = &report->rows[i];
        if (strcmp((*out)->split, item->split) == 0 &&
            strcmp((*out)->language, language) == 0)
            return S3R_OK;
    }
    if (report->row_count == *capacity) {
        size_t larger = *capacity ? 2 * *capacity : 16;
        s3r_prepare_row *grown =
            s3r_realloc(report->rows, *capacity, larger, sizeof *grown);
        if (!grown)
            return s3r_fail_memory(err, "a report", larger * sizeof *grown);
        report->rows = grown;
        *capacity = larger;
    }
    *out = &report->rows[report->row_count++];
    **out = (s3r_prepare_row){.language = language, .split = item->split};
    return S3R_OK;
}

static s3r_status count_rows(s3r_prepare_report *report, s3r_error *err)
{
    size_t capacity = 0;
    for (size_t i = 0; i < report->corpus.count; i++) {
        const s3r_corpus_item *item = &report->corpus.items[i];
        const char *text = item->utterance.text;
        s3r_prepare_row *row = NULL;
        S3R_TRY(find_row(report, &capacity, item, &row, err));
        row->clips++;
        row->seconds += item->utterance.duration_s;
        row->words += text ? s3r_text_words(text) : 0;
    }
    if (report->row_count > 0)
        qsort(report->rows, report->row_count, sizeof *report->rows, compare_rows);
    return S3R_OK;
}

/* ---- manifests ---- */

static bool is_folder_name(const char *name)
{
    for (const char *at = name; *at != '\0'; at++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-",
                    *at))
            return false;
    return name[0] != '\0';
}

/* Writes the items of a split, of one language when language is not NULL. */
static s3r_status write_group(const s3r_corpus *corpus, const char *folder,
                              const char *split, const char *language, s3r_error *err)
{
    char file[128];
    size_t count = 0;
    snprintf(file, sizeof file, "%.100s.jsonl", split);
    char *path = s3r_path_join(folder, file);
    s3r_utterance *chosen = s3r_alloc(corpus->count, sizeof *chosen);
    s3r_status status = S3R_OK;
    if (!path || !chosen)
        status = s3r_fail_memory(err, "a manifest", corpus->count * sizeof *chosen);
    for (size_t i = 0; status == S3R_OK && i < corpus->count; i++) {
        const s3r_corpus_item *item = &corpus->items[i];
        const char *own = item->utterance.language ? item->utterance.language : "";
        if (strcmp(item->split, split) == 0 && (!language || strcmp(own, language) == 0))
            chosen[count++] = item->utterance;
    }
    if (status == S3R_OK)
        status = s3r_manifest_place(path, chosen, count, err);
    s3r_free(path);
    s3r_free(chosen);
    return status;
}

static s3r_status write_language(const s3r_prepare_report *report, size_t row,
                                 const char *folder, s3r_error *err)
{
    const char *language = report->rows[row].language;
    if (!is_folder_name(language))
        return s3r_fail(err, S3R_ERR_DATA,
                        "a folder for each language: expected a language of letters and "
                        "digits, found \"%.80s\"",
                        language);
    char *path = s3r_path_join(folder, language);
    if (!path)
        return s3r_fail_memory(err, "a path", strlen(folder));
    s3r_status status = s3r_folder_create(path, err);
    if (status == S3R_OK)
        status =
            write_group(&report->corpus, path, report->rows[row].split, language, err);
    s3r_free(path);
    return status;
}

/* A split is written with the first row that has it. */
static bool is_first_of_split(const s3r_prepare_report *report, size_t row)
{
    for (size_t i = 0; i < row; i++)
        if (strcmp(report->rows[i].split, report->rows[row].split) == 0)
            return false;
    return true;
}

s3r_status s3r_prepare_write(s3r_prepare_report *report,
                             const s3r_prepare_options *options, s3r_error *err)
{
    S3R_TRY(count_rows(report, err));
    for (size_t i = 0; i < report->row_count; i++) {
        if (options->is_by_language)
            S3R_TRY(write_language(report, i, options->folder, err));
        else if (is_first_of_split(report, i))
            S3R_TRY(write_group(&report->corpus, options->folder, report->rows[i].split,
                                NULL, err));
    }
    return S3R_OK;
}
