/*
 * Jobs: load, collect best labels and arrays, decode, report.
 */
#include "api/transcribe_files.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/output_name.h"
#include "api/result_words.h"
#include "api/voice_gate.h"
#include "base/file.h"
#include "tasks/calibration.h"

/* A day.  An input without an end (a device, a pipe) must not fill the disk. */
#define LONGEST_SECONDS ((size_t)24 * 3600)

char *s3r_output_path(const char *folder, const char *path, int layer)
{
    char *name = s3r_output_name(path), *joined = NULL;
    size_t bytes = name ? strlen(name) + 32 : 0;
    char *file = name ? s3r_alloc(bytes, 1) : NULL;
    if (file && layer >= 0)
        snprintf(file, bytes, "%s.%d.npy", name, layer);
    else if (file)
        snprintf(file, bytes, "%s.npy", name);
    if (file)
        joined = s3r_path_join(folder, file);
    s3r_free(name);
    s3r_free(file);
    return joined;
}

static s3r_status open_array(s3r_npy_writer **out, const char *folder, const char *path,
                             int layer, size_t rows, size_t cols, s3r_error *err)
{
    char *file = s3r_output_path(folder, path, layer);
    if (!file)
        return s3r_fail_memory(err, "a path", strlen(path));
    s3r_status status = s3r_npy_writer_open(out, file, rows, cols, err);
    s3r_free(file);
    return status;
}

static s3r_status open_features(s3r_file_job *job, const s3r_transcribe_options *options,
                                s3r_error *err)
{
    const s3r_model *model = job->model;
    int last = (int)model->config.block_count;
    int chosen = options->layer == S3R_LAYER_LAST ? last : options->layer;
    job->feature_count = model->config.block_count + 1;
    job->features = s3r_alloc(job->feature_count, sizeof(s3r_npy_writer *));
    if (!job->features)
        return s3r_fail_memory(err, "the feature writers", job->feature_count);
    for (int layer = 0; layer <= last; layer++) {
        bool is_all = chosen == S3R_LAYER_ALL;
        if (is_all || layer == chosen)
            S3R_TRY(open_array(&job->features[layer], options->features_folder,
                               job->file->path, is_all ? layer : -1, job->file->frames,
                               model->config.hidden_size, err));
    }
    return S3R_OK;
}

static s3r_status load_file(s3r_heard_file *file, const s3r_model *model,
                            const s3r_transcribe_options *options, s3r_error *err)
{
    s3r_audio_options audio;
    s3r_audio_options_init(&audio);
    audio.sample_rate_hz = (uint32_t)model->config.sample_rate;
    audio.raw_rate_hz = options->raw_rate_hz;
    audio.allow_ffmpeg = options->allow_ffmpeg;
    audio.max_sample_count = LONGEST_SECONDS * model->config.sample_rate;
    if (!file->is_borrowed)
        S3R_TRY(s3r_audio_load(&file->audio, file->path, &audio, err));
    file->frames = s3r_config_frames(&model->config, file->audio.sample_count);
    return S3R_OK;
}

void s3r_heard_file_load(s3r_heard_file *file, const s3r_model *model,
                         const s3r_transcribe_options *options)
{
    file->status = load_file(file, model, options, &file->error);
}

void s3r_heard_file_release(s3r_heard_file *file)
{
    if (!file->is_borrowed)
        s3r_audio_release(&file->audio);
    file->audio = (s3r_audio){0};
}

static s3r_status start_job(s3r_file_job *job, const s3r_transcribe_options *options,
                            s3r_error *err)
{
    const s3r_model_config *config = &job->model->config;
    const s3r_heard_file *file = job->file;
    size_t frames = file->frames;
    job->temperature = options->temperature;
    if (config->has_head && !options->features_folder) {
        job->best_ids = s3r_alloc(frames, sizeof *job->best_ids);
        job->probabilities = s3r_alloc(frames, sizeof *job->probabilities);
        if (!job->best_ids || !job->probabilities)
            return s3r_fail_memory(err, "the labels", frames * 8);
    }
    if (options->voice_only && job->best_ids)
        S3R_TRY(s3r_voice_gate_find(&job->gate, job->model, &file->audio, frames, err));
    if (options->decoder && job->best_ids)
        S3R_TRY(s3r_job_search_start(&job->search, options->decoder, options->temperature,
                                     err));
    if (options->emissions_folder)
        S3R_TRY(open_array(&job->emissions, options->emissions_folder, file->path, -1,
                           frames, config->vocab_size, err));
    if (options->features_folder)
        S3R_TRY(open_features(job, options, err));
    return S3R_OK;
}

void s3r_file_job_start(s3r_file_job *job, const s3r_transcribe_options *options)
{
    job->status = job->file->status;
    job->error = job->file->error;
    if (job->status == S3R_OK)
        job->status = start_job(job, options, &job->error);
}

static s3r_status collect_labels(s3r_file_job *job, const s3r_frame_rows *rows,
                                 const float *first, s3r_error *err)
{
    const s3r_value *value = rows->value;
    for (size_t i = 0; i < rows->count; i++) {
        const float *row = first + i * value->stride;
        uint32_t best = s3r_best_label(row, value->cols);
        if (!isfinite(row[best]))
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: frame %zu: expected finite log-probabilities, found %g "
                            "(damaged audio or weights)",
                            job->file->path, rows->first_frame + i, (double)row[best]);
        job->best_ids[rows->first_frame + i] =
            s3r_voice_gate_is_open(&job->gate, rows->first_frame + i)
                ? best
                : job->gate.blank_id;
        job->probabilities[rows->first_frame + i] =
            s3r_tempered_probability(row, value->cols, row[best], job->temperature);
    }
    return S3R_OK;
}

/* Stretches of frames that the gate lets through as they are, and others as blanks. */
static s3r_status search_labels(s3r_file_job *job, const s3r_frame_rows *rows,
                                const float *first, s3r_error *err)
{
    size_t stride = rows->value->stride;
    for (size_t i = 0, end; i < rows->count; i = end) {
        bool is_open = s3r_voice_gate_is_open(&job->gate, rows->first_frame + i);
        for (end = i + 1; end < rows->count; end++)
            if (s3r_voice_gate_is_open(&job->gate, rows->first_frame + end) != is_open)
                break;
        S3R_TRY(s3r_job_search_take(&job->search,
                                    is_open ? first + i * stride : job->gate.blank,
                                    end - i, is_open ? stride : 0, err));
    }
    return S3R_OK;
}

void s3r_file_job_log_probs(s3r_file_job *job, const s3r_frame_rows *rows)
{
    const s3r_value *value = rows->value;
    const float *first = value->data + rows->row * value->stride;
    if (job->status == S3R_OK && job->best_ids)
        job->status = collect_labels(job, rows, first, &job->error);
    if (job->status == S3R_OK && job->best_ids)
        job->status = search_labels(job, rows, first, &job->error);
    if (job->status == S3R_OK && job->emissions)
        job->status = s3r_npy_writer_add(job->emissions, first, rows->count,
                                         value->stride, &job->error);
}

/* S3R_ERR_DATA where a hidden state is none. */
static s3r_status check_hidden(const s3r_file_job *job, size_t layer,
                               const s3r_frame_rows *rows, s3r_error *err)
{
    const s3r_value *value = rows->value;
    for (size_t i = 0; i < rows->count; i++) {
        const float *row = value->data + (rows->row + i) * value->stride;
        float sum = 0; /* stays 0 while all are finite */
        for (size_t j = 0; j < value->cols; j++)
            sum += row[j] * 0.0f;
        if (sum != 0.0f)
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: layer %zu: frame %zu: expected finite hidden states, "
                            "found others (damaged audio or weights)",
                            job->file->path, layer, rows->first_frame + i);
    }
    return S3R_OK;
}

void s3r_file_job_hidden(s3r_file_job *job, size_t layer, const s3r_frame_rows *rows)
{
    const s3r_value *value = rows->value;
    if (job->status == S3R_OK && job->features && job->features[layer])
        job->status = check_hidden(job, layer, rows, &job->error);
    if (job->status == S3R_OK && job->features && job->features[layer])
        job->status = s3r_npy_writer_add(job->features[layer],
                                         value->data + rows->row * value->stride,
                                         rows->count, value->stride, &job->error);
}

/* ---- results ---- */

static s3r_status commit_arrays(s3r_file_job *job, s3r_error *err)
{
    s3r_status status = S3R_OK;
    if (job->emissions)
        status = s3r_npy_writer_commit(job->emissions, err);
    job->emissions = NULL;
    for (size_t i = 0; job->features && i < job->feature_count; i++) {
        s3r_npy_writer *writer = job->features[i];
        job->features[i] = NULL;
        if (!writer)
            continue;
        if (status == S3R_OK)
            status = s3r_npy_writer_commit(writer, err);
        else
            s3r_npy_writer_abort(writer);
    }
    return status;
}

static float mean_probability(const s3r_file_job *job, size_t from, size_t to)
{
    double sum = 0;
    for (size_t i = from; i < to; i++)
        sum += (double)job->probabilities[i];
    return to > from ? (float)(sum / (double)(to - from)) : 1.0f;
}

double s3r_file_job_sureness(const s3r_file_job *job)
{
    double sum = 0;
    size_t count = 0;
    if (job->status != S3R_OK || !job->best_ids)
        return -1;
    for (size_t i = 0; i < job->file->frames; i++) {
        if (job->best_ids[i] == job->model->config.pad_token_id)
            continue;
        sum += (double)job->probabilities[i];
        count++;
    }
    return count > 0 ? sum / (double)count : 0;
}

/* Best path, text, labels and words of a file. */
typedef struct decoded {
    s3r_label_span *spans;
    char *text;
    s3r_label *labels;
    size_t label_count;
    s3r_words words;
} decoded;

static void release_decoded(decoded *file)
{
    s3r_free(file->text);
    s3r_free(file->spans);
    s3r_free(file->labels);
    s3r_words_release(&file->words);
}

static s3r_status decode(const s3r_file_job *job, decoded *out, s3r_error *err)
{
    const s3r_vocabulary *vocabulary = &job->model->vocabulary;
    size_t frames = job->file->frames;
    if (job->search.beam) {
        S3R_TRY(s3r_job_search_labels(&job->search, vocabulary, &out->text, &out->labels,
                                      &out->label_count, err));
        return s3r_words_of_list(&out->words, &job->search.found.items[0].words,
                                 out->labels, err);
    }
    out->spans = s3r_alloc(frames, sizeof *out->spans);
    if (!out->spans)
        return s3r_fail_memory(err, "the labels", frames * sizeof *out->spans);
    size_t count = s3r_vocabulary_collapse(vocabulary, out->spans, job->best_ids, frames);
    out->labels = s3r_alloc(count, sizeof *out->labels);
    if (!out->labels)
        return s3r_fail_memory(err, "the labels", count * sizeof *out->labels);
    for (size_t i = 0; i < count; i++) {
        const s3r_label_span *span = &out->spans[i];
        out->labels[i] = (s3r_label){
            .text = vocabulary->labels[span->label],
            .id = span->label,
            .start_frame = span->start_frame,
            .end_frame = span->end_frame,
            .confidence = mean_probability(job, span->start_frame, span->end_frame)};
    }
    out->label_count = count;
    S3R_TRY(s3r_vocabulary_text(vocabulary, &out->text, out->spans, count, err));
    return s3r_words_make(&out->words, vocabulary, out->labels, count, err);
}

static s3r_status report_success(s3r_file_job *job, s3r_result *report,
                                 s3r_result_fn result, void *result_context)
{
    decoded file = {0};
    if (job->best_ids && job->model->has_vocabulary) {
        job->status = decode(job, &file, &job->error);
        report->confidence = (double)mean_probability(job, 0, job->file->frames);
    }
    report->status = job->status;
    report->message = job->status == S3R_OK ? "" : job->error.message;
    if (job->status == S3R_OK) {
        report->text = file.text;
        report->labels = file.labels;
        report->label_count = file.label_count;
        report->words = file.words.items;
        report->word_count = file.words.count;
        report->hypotheses = job->search.hypotheses;
        report->hypothesis_count = job->search.found.count;
        s3r_voice_gate_keep_labelled(&job->gate, job->model, file.labels,
                                     file.label_count);
        report->segments = job->gate.segments;
        report->segment_count = job->gate.count;
    }
    s3r_status status = result(result_context, report);
    release_decoded(&file);
    return status;
}

/* "NAME.MASK" where a file has several results (s3r_free); *out is NULL otherwise. */
static s3r_status name_part(char **out, const s3r_file_job *job, s3r_error *err)
{
    *out = NULL;
    if (job->part_count < 2)
        return S3R_OK;
    size_t length = strlen(job->mask);
    *out = s3r_output_name_of_mask(job->file->path, job->mask, length);
    return *out ? S3R_OK : s3r_fail_memory(err, "the name of a result", length);
}

s3r_status s3r_file_job_finish(s3r_file_job *job, s3r_result_fn result,
                               void *result_context, s3r_error *err)
{
    char *name;
    const s3r_model_config *config = &job->model->config;
    const s3r_heard_file *file = job->file;
    S3R_TRY(name_part(&name, job, err));
    if (job->status == S3R_OK)
        job->status = commit_arrays(job, &job->error);
    double rate = (double)config->sample_rate;
    s3r_result report = {.index = file->index,
                         .path = file->path,
                         .part = job->part,
                         .part_count = job->part_count,
                         .mask = job->mask,
                         .name = name,
                         .status = job->status,
                         .message = job->error.message,
                         .duration_s = (double)file->audio.sample_count / rate,
                         .frame_count = file->frames,
                         .frame_s = (double)s3r_config_stride(config) / rate,
                         .confidence = 1.0,
                         .languages = file->language.name ? &file->language : NULL,
                         .language_count = file->language.name ? 1 : 0,
                         .is_other_language = file->is_other_language};
    s3r_status status;
    if (job->status == S3R_OK)
        status = report_success(job, &report, result, result_context);
    else
        status = result(result_context, &report);
    s3r_free(name);
    if (status != S3R_OK)
        s3r_fail(err, status, "%s: the result was not taken", file->path);
    return status;
}

void s3r_file_job_release(s3r_file_job *job)
{
    s3r_job_search_release(&job->search);
    s3r_voice_gate_release(&job->gate);
    s3r_free(job->best_ids);
    s3r_free(job->probabilities);
    s3r_npy_writer_abort(job->emissions);
    for (size_t i = 0; job->features && i < job->feature_count; i++)
        s3r_npy_writer_abort(job->features[i]);
    s3r_free(job->features);
    job->best_ids = NULL;
    job->probabilities = NULL;
    job->emissions = NULL;
    job->features = NULL;
}
