/*
 * Sums, intervals and files of an evaluation.
 */
#include "api/eval_tally.h"
#include "base/plain_number.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/options_check.h"
#include "tasks/trn_file.h"
#include "text/text_normalize.h"

_Static_assert((int)S3R_METRIC_WER == (int)S3R_UNIT_WORD &&
                   (int)S3R_METRIC_CER == (int)S3R_UNIT_CHARACTER &&
                   (int)S3R_METRIC_PER == (int)S3R_UNIT_PHONE,
               "a metric is the rate of a unit");

const char *s3r_metric_name(size_t metric)
{
    static const char *const names[] = {"wer", "cer", "per"};
    return metric < S3R_ARRAY_LEN(names) ? names[metric] : NULL;
}

const char *s3r_eval_normalization_name(size_t normalization)
{
    return s3r_normalization_name(normalization);
}

void s3r_eval_options_init(s3r_eval_options *options)
{
    *options =
        (s3r_eval_options){.struct_size = sizeof *options,
                           .metrics = {[S3R_METRIC_WER] = true, [S3R_METRIC_CER] = true},
                           .normalization = S3R_NORMALIZE_CASE,
                           .resamples = 1000,
                           .seed = 1,
                           .batch_s = 40,
                           .window_s = 40,
                           .context_s = 4,
                           .allow_ffmpeg = true};
}

s3r_status s3r_eval_options_check(const s3r_eval_options *options, s3r_error *err)
{
    S3R_TRY(s3r_options_check_size("evaluation options", sizeof *options,
                                   options->struct_size, err));
    S3R_TRY(s3r_options_check_windows(options->window_s, options->context_s,
                                      options->batch_s, err));
    if (!s3r_normalization_name(options->normalization))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "normalization: expected a known one, found %zu",
                        options->normalization);
    for (size_t i = 0; i < S3R_METRIC_COUNT; i++)
        if (options->metrics[i])
            return S3R_OK;
    return s3r_fail(err, S3R_ERR_USAGE, "expected a metric: wer, cer or per");
}

/* ---- files ---- */

static s3r_status open_trn(s3r_eval_tally *tally, size_t metric, size_t side,
                           s3r_error *err)
{
    char name[32];
    bool is_words = metric == S3R_METRIC_WER;
    snprintf(name, sizeof name, "%s%s%s.trn", side == 0 ? "ref" : "hyp",
             is_words ? "" : ".", is_words ? "" : s3r_metric_name(metric));
    char *path = s3r_path_join(tally->options->trn_folder, name);
    if (!path)
        return s3r_fail_memory(err, "a path", strlen(tally->options->trn_folder));
    s3r_status status = s3r_file_writer_open(&tally->trn[metric][side], path, err);
    s3r_free(path);
    return status;
}

static s3r_status write_text(s3r_file_writer *writer, const char *text, s3r_error *err)
{
    return s3r_file_writer_write(writer, text, strlen(text), err);
}

/* A field of the table: control characters become spaces. */
static s3r_status write_field(s3r_file_writer *writer, const char *text, s3r_error *err)
{
    while (*text) {
        size_t size = 0;
        while ((unsigned char)text[size] >= 0x20 && text[size] != 0x7F)
            size++;
        S3R_TRY(s3r_file_writer_write(writer, text, size, err));
        text += size;
        if (*text) {
            S3R_TRY(s3r_file_writer_write(writer, " ", 1, err));
            text++;
        }
    }
    return S3R_OK;
}

static s3r_status write_header(const s3r_eval_tally *tally, s3r_error *err)
{
    S3R_TRY(write_text(tally->table, "id\tduration_s", err));
    for (size_t i = 0; i < S3R_METRIC_COUNT; i++) {
        char columns[128];
        const char *name = s3r_metric_name(i);
        if (!tally->options->metrics[i])
            continue;
        snprintf(columns, sizeof columns, "\t%s\t%s_sub\t%s_del\t%s_ins\t%s_ref", name,
                 name, name, name, name);
        S3R_TRY(write_text(tally->table, columns, err));
    }
    return write_text(tally->table, "\treference\thypothesis\terror\n", err);
}

static s3r_error_counts to_counts(const s3r_eval_counts *counts)
{
    return (s3r_error_counts){counts->substitutions, counts->deletions,
                              counts->insertions, counts->reference};
}

static s3r_status write_row(const s3r_eval_tally *tally,
                            const s3r_eval_utterance *utterance, s3r_error *err)
{
    char numbers[192];
    bool is_ok = utterance->status == S3R_OK;
    S3R_TRY(write_field(tally->table, utterance->id, err));
    s3r_plain_print(numbers, sizeof numbers, "\t%.3f", utterance->duration_s);
    S3R_TRY(write_text(tally->table, numbers, err));
    for (size_t i = 0; i < S3R_METRIC_COUNT; i++) {
        const s3r_eval_counts *counts = &utterance->counts[i];
        s3r_error_counts sums = to_counts(counts);
        if (!tally->options->metrics[i])
            continue;
        s3r_plain_print(numbers, sizeof numbers, "\t%.4f\t%zu\t%zu\t%zu\t%zu",
                        s3r_error_rate(&sums), counts->substitutions, counts->deletions,
                        counts->insertions, counts->reference);
        S3R_TRY(write_text(tally->table, is_ok ? numbers : "\t\t\t\t\t", err));
    }
    const char *const fields[] = {utterance->reference, utterance->hypothesis,
                                  utterance->message};
    for (size_t i = 0; i < S3R_ARRAY_LEN(fields); i++) {
        S3R_TRY(write_text(tally->table, "\t", err));
        S3R_TRY(write_field(tally->table, fields[i] ? fields[i] : "", err));
    }
    return write_text(tally->table, "\n", err);
}

static s3r_status open_files(s3r_eval_tally *tally, s3r_error *err)
{
    const s3r_eval_options *options = tally->options;
    if (options->trn_folder)
        S3R_TRY(s3r_folder_create(options->trn_folder, err));
    for (size_t i = 0; options->trn_folder && i < S3R_METRIC_COUNT; i++)
        for (size_t side = 0; options->metrics[i] && side < 2; side++)
            S3R_TRY(open_trn(tally, i, side, err));
    if (options->table_path) {
        S3R_TRY(s3r_file_writer_open(&tally->table, options->table_path, err));
        S3R_TRY(write_header(tally, err));
    }
    return S3R_OK;
}

/* Takes all files from the tally. */
static s3r_status commit_files(s3r_eval_tally *tally, s3r_error *err)
{
    s3r_file_writer **files[2 * S3R_METRIC_COUNT + 1];
    size_t count = 0;
    for (size_t i = 0; i < S3R_METRIC_COUNT; i++)
        for (size_t side = 0; side < 2; side++)
            files[count++] = &tally->trn[i][side];
    files[count++] = &tally->table;
    for (size_t i = 0; i < count; i++) {
        s3r_file_writer *writer = *files[i];
        *files[i] = NULL;
        if (writer)
            S3R_TRY(s3r_file_writer_commit(writer, err));
    }
    return S3R_OK;
}

/* ---- utterances ---- */

s3r_status s3r_eval_tally_open(s3r_eval_tally *tally, size_t capacity, s3r_error *err)
{
    *tally->summary = (s3r_eval_summary){0};
    for (size_t i = 0; i < S3R_METRIC_COUNT; i++) {
        if (!tally->options->metrics[i])
            continue;
        tally->counts[i] = s3r_alloc(capacity, sizeof *tally->counts[i]);
        if (!tally->counts[i])
            return s3r_fail_memory(err, "the counts",
                                   capacity * sizeof(s3r_error_counts));
    }
    return open_files(tally, err);
}

static void note_failure(s3r_eval_tally *tally, const s3r_eval_utterance *utterance)
{
    if (tally->summary->failed++ > 0)
        return;
    tally->first_failure = utterance->status;
    snprintf(tally->first_message, sizeof tally->first_message, "%s", utterance->message);
}

static s3r_status add_scored(s3r_eval_tally *tally, const s3r_eval_utterance *utterance,
                             s3r_error *err)
{
    s3r_eval_summary *summary = tally->summary;
    size_t index = summary->utterances++;
    summary->duration_s += utterance->duration_s;
    summary->empty += utterance->hypothesis[0] == '\0';
    for (size_t i = 0; i < S3R_METRIC_COUNT; i++) {
        s3r_file_writer **trn = tally->trn[i];
        bool is_letters = i == S3R_METRIC_PER && tally->has_letters;
        s3r_token_unit unit = is_letters ? S3R_UNIT_CHARACTER : (s3r_token_unit)i;
        if (tally->counts[i])
            tally->counts[i][index] = to_counts(&utterance->counts[i]);
        if (!trn[0])
            continue;
        S3R_TRY(
            s3r_trn_write_line(trn[0], utterance->reference, utterance->id, unit, err));
        S3R_TRY(
            s3r_trn_write_line(trn[1], utterance->hypothesis, utterance->id, unit, err));
    }
    return S3R_OK;
}

s3r_status s3r_eval_tally_add(s3r_eval_tally *tally, const s3r_eval_utterance *utterance,
                              s3r_error *err)
{
    if (utterance->status == S3R_OK)
        S3R_TRY(add_scored(tally, utterance, err));
    else
        note_failure(tally, utterance);
    if (tally->table)
        S3R_TRY(write_row(tally, utterance, err));
    s3r_status status =
        tally->result ? tally->result(tally->result_context, utterance) : S3R_OK;
    if (status != S3R_OK)
        return s3r_fail(err, status, "%.200s: the result was not taken", utterance->id);
    return S3R_OK;
}

/* ---- the end ---- */

static s3r_status sum_metric(s3r_eval_tally *tally, size_t metric, s3r_error *err)
{
    const s3r_eval_options *options = tally->options;
    s3r_eval_rate *out = &tally->summary->rates[metric];
    s3r_error_counts total = {0};
    s3r_interval interval;
    size_t count = tally->summary->utterances;
    for (size_t i = 0; i < count; i++)
        s3r_error_counts_sum(&total, &tally->counts[metric][i]);
    S3R_TRY(s3r_error_interval(&interval, tally->counts[metric], count,
                               options->resamples, options->seed, err));
    *out = (s3r_eval_rate){.counts = {total.substitutions, total.deletions,
                                      total.insertions, total.reference},
                           .rate = s3r_error_rate(&total),
                           .low = interval.low,
                           .high = interval.high};
    return S3R_OK;
}

s3r_status s3r_eval_tally_finish(s3r_eval_tally *tally, s3r_error *err)
{
    s3r_eval_summary *summary = tally->summary;
    for (size_t i = 0; i < S3R_METRIC_COUNT; i++)
        if (tally->counts[i])
            S3R_TRY(sum_metric(tally, i, err));
    if (tally->frames > 0)
        summary->blank_ratio = (double)tally->blank_frames / (double)tally->frames;
    S3R_TRY(commit_files(tally, err));
    if (summary->failed == 0)
        return S3R_OK;
    size_t total = summary->failed + summary->utterances;
    s3r_status status = summary->utterances > 0 ? S3R_ERR_PARTIAL : tally->first_failure;
    return s3r_fail(err, status, "%zu of %zu utterances failed; the first: %s",
                    summary->failed, total, tally->first_message);
}

void s3r_eval_tally_release(s3r_eval_tally *tally)
{
    for (size_t i = 0; i < S3R_METRIC_COUNT; i++) {
        s3r_free(tally->counts[i]);
        for (size_t side = 0; side < 2; side++)
            s3r_file_writer_abort(tally->trn[i][side]);
    }
    s3r_file_writer_abort(tally->table);
}
