/*
 * Utterances one after another: the best labels with their probabilities at every
 * temperature, words of them, and which of these are right.
 */
#include "s3r/calibrate.h"

#include <math.h>
#include <string.h>

#include "api/handles.h"
#include "api/options_check.h"
#include "api/windowed_inference.h"
#include "base/text_buffer.h"
#include "data/manifest.h"
#include "tasks/calibration.h"
#include "tasks/ctc_inference.h"
#include "tasks/error_rate.h"
#include "text/text_normalize.h"
#include "text/vocabulary_encode.h"

/* A day.  An input without an end must not fill the disk. */
#define LONGEST_SECONDS ((size_t)24 * 3600)
#define TEMPERATURES    S3R_TEMPERATURE_COUNT

void s3r_calibrate_options_init(s3r_calibrate_options *options)
{
    *options = (s3r_calibrate_options){.struct_size = sizeof *options,
                                       .temperature = 1,
                                       .window_s = 40,
                                       .context_s = 4,
                                       .allow_ffmpeg = true};
}

typedef struct calibrate_run {
    s3r_context *context;
    const s3r_model *model;
    const s3r_calibrate_options *options;
    s3r_inference inference;
    s3r_confidence_tally tally;
    double temperatures[TEMPERATURES];
    /* Of the utterance that runs. */
    uint32_t *best;       /* [frames] */
    float *probabilities; /* [frames, TEMPERATURES]; blank frames are not set */
    double done_s, total_s;
} calibrate_run;

/* ---- frames ---- */

static bool goes_on(void *context)
{
    const calibrate_run *run = context;
    const s3r_calibrate_options *options = run->options;
    return !options->progress ||
           options->progress(options->progress_context, run->done_s, run->total_s);
}

static s3r_status take_log_probs(void *context, const s3r_frame_rows *rows,
                                 s3r_error *err)
{
    calibrate_run *run = context;
    const s3r_value *value = rows->value;
    for (size_t i = 0; i < rows->count; i++) {
        const float *row = value->data + (rows->row + i) * value->stride;
        size_t frame = rows->first_frame + i;
        uint32_t best = s3r_best_label(row, value->cols);
        if (!isfinite(row[best]))
            return s3r_fail(err, S3R_ERR_DATA,
                            "frame %zu: expected finite log-probabilities (damaged audio "
                            "or weights)",
                            frame);
        run->best[frame] = best;
        if (best == run->model->vocabulary.blank_id)
            continue;
        for (size_t k = 0; k < TEMPERATURES; k++)
            run->probabilities[frame * TEMPERATURES + k] = s3r_tempered_probability(
                row, value->cols, row[best], run->temperatures[k]);
    }
    return S3R_OK;
}

static void set_inference(calibrate_run *run)
{
    run->inference = s3r_windowed_inference(
        run->context, run->model, run->options->window_s, run->options->context_s);
    run->inference.sink_context = run->inference.goes_on_context = run;
    run->inference.goes_on = goes_on;
    run->inference.log_probs = take_log_probs;
}

static s3r_status run_network(calibrate_run *run, const s3r_audio *audio, size_t frames,
                              s3r_error *err)
{
    run->best = s3r_alloc(frames, sizeof *run->best);
    run->probabilities = s3r_alloc(frames, TEMPERATURES * sizeof *run->probabilities);
    if (!run->best || !run->probabilities)
        return s3r_fail_memory(err, "probabilities", frames * TEMPERATURES * 4);
    s3r_waveform wave =
        s3r_waveform_make(&run->model->config, audio->samples, audio->sample_count);
    return s3r_inference_recording(&run->inference, &wave, frames, err);
}

/* ---- words ---- */

/* The confidence of spans at each temperature: that of the least certain one, each the
 * mean over its frames. */
static void find_confidence(const calibrate_run *run, const s3r_label_span *spans,
                            size_t count, float confidence[TEMPERATURES])
{
    for (size_t k = 0; k < TEMPERATURES; k++) {
        confidence[k] = 1;
        for (size_t i = 0; i < count; i++) {
            double sum = 0;
            for (size_t t = spans[i].start_frame; t < spans[i].end_frame; t++)
                sum += (double)run->probabilities[t * TEMPERATURES + k];
            double mean = sum / (double)(spans[i].end_frame - spans[i].start_frame);
            confidence[k] = fminf(confidence[k], (float)mean);
        }
    }
}

/* Both texts as tokens with spaces between; tokens are words, or labels when the
 * vocabulary does not part words. */
typedef struct token_texts {
    s3r_text_buffer reference, hypothesis;
    s3r_label_span *spans;
    size_t span_count;
    s3r_word_list words; /* without a delimiter: a word a label */
} token_texts;

static bool has_words(const s3r_vocabulary *vocabulary)
{
    return vocabulary->delimiter_id != S3R_NO_LABEL;
}

/* A token without case and without white space in it. */
static s3r_status add_token(s3r_text_buffer *out, const char *token, s3r_error *err)
{
    char *folded;
    S3R_TRY(s3r_text_make_comparable(&folded, token, S3R_NORMALIZE_CASE, err));
    for (char *at = folded; *at; at++)
        if (*at == ' ')
            *at = '_';
    s3r_buffer_add(out, "%s ", *folded ? folded : "_");
    s3r_free(folded);
    return S3R_OK;
}

static s3r_status add_reference(token_texts *texts, const s3r_vocabulary *vocabulary,
                                const char *text, s3r_error *err)
{
    s3r_arena arena;
    s3r_encoded_text encoded;
    s3r_arena_init(&arena, (size_t)1 << 14);
    s3r_status status = s3r_vocabulary_encode_words(vocabulary, text, S3R_MISSING_SKIP,
                                                    &arena, &encoded, err);
    size_t count = 0;
    if (status == S3R_OK)
        count = has_words(vocabulary) ? encoded.word_count : encoded.count;
    for (size_t i = 0; i < count && status == S3R_OK; i++)
        status = add_token(&texts->reference,
                           has_words(vocabulary) ? encoded.words[i].text
                                                 : vocabulary->labels[encoded.labels[i]],
                           err);
    s3r_arena_release(&arena);
    return status;
}

static s3r_status add_hypothesis(token_texts *texts, const s3r_vocabulary *vocabulary,
                                 const uint32_t *best, size_t frames, s3r_error *err)
{
    texts->spans = s3r_alloc(frames, sizeof *texts->spans);
    if (!texts->spans)
        return s3r_fail_memory(err, "labels", frames * sizeof *texts->spans);
    texts->span_count = s3r_vocabulary_collapse(vocabulary, texts->spans, best, frames);
    if (!has_words(vocabulary)) {
        for (size_t i = 0; i < texts->span_count; i++)
            S3R_TRY(add_token(&texts->hypothesis,
                              vocabulary->labels[texts->spans[i].label], err));
        return S3R_OK;
    }
    S3R_TRY(s3r_vocabulary_words(vocabulary, &texts->words, texts->spans,
                                 texts->span_count, err));
    for (size_t i = 0; i < texts->words.count; i++)
        S3R_TRY(add_token(&texts->hypothesis, texts->words.items[i].text, err));
    return S3R_OK;
}

static s3r_status add_tokens(calibrate_run *run, const token_texts *texts, s3r_error *err)
{
    bool by_word = has_words(&run->model->vocabulary);
    size_t count = by_word ? texts->words.count : texts->span_count;
    bool *is_right = s3r_alloc(count, sizeof *is_right);
    if (!is_right || texts->reference.has_failed || texts->hypothesis.has_failed) {
        s3r_free(is_right);
        return s3r_fail_memory(err, "words", count);
    }
    s3r_status status = S3R_OK;
    if (count > 0)
        status = s3r_error_right_words(is_right,
                                       texts->reference.text ? texts->reference.text : "",
                                       texts->hypothesis.text, err);
    for (size_t i = 0; i < count && status == S3R_OK; i++) {
        float confidence[TEMPERATURES];
        size_t first = by_word ? texts->words.items[i].first_span : i;
        size_t spans = by_word ? texts->words.items[i].span_count : 1;
        find_confidence(run, texts->spans + first, spans, confidence);
        s3r_confidence_add(&run->tally, confidence, is_right[i]);
    }
    s3r_free(is_right);
    return status;
}

static s3r_status judge(calibrate_run *run, const char *reference, size_t frames,
                        s3r_error *err)
{
    const s3r_vocabulary *vocabulary = &run->model->vocabulary;
    token_texts texts = {0};
    s3r_status status = add_reference(&texts, vocabulary, reference, err);
    if (status == S3R_OK)
        status = add_hypothesis(&texts, vocabulary, run->best, frames, err);
    if (status == S3R_OK)
        status = add_tokens(run, &texts, err);
    s3r_buffer_release(&texts.reference);
    s3r_buffer_release(&texts.hypothesis);
    s3r_word_list_release(&texts.words);
    s3r_free(texts.spans);
    return status;
}

/* ---- utterances ---- */

static s3r_status run_utterance(calibrate_run *run, const s3r_utterance *utterance,
                                s3r_audio_cache *cache, s3r_error *err)
{
    s3r_audio audio = {0};
    s3r_audio_options wanted;
    s3r_audio_options_init(&wanted);
    wanted.sample_rate_hz = (uint32_t)run->model->config.sample_rate;
    wanted.allow_ffmpeg = run->options->allow_ffmpeg;
    wanted.max_sample_count = LONGEST_SECONDS * run->model->config.sample_rate;
    S3R_TRY(s3r_utterance_load_cached(&audio, cache, utterance, &wanted, err));
    size_t frames = s3r_config_frames(&run->model->config, audio.sample_count);
    s3r_status status = run_network(run, &audio, frames, err);
    if (status == S3R_OK)
        status = judge(run, utterance->text, frames, err);
    s3r_audio_release(&audio);
    s3r_free(run->best);
    s3r_free(run->probabilities);
    run->best = NULL;
    run->probabilities = NULL;
    return status;
}

static s3r_confidence_report report(const s3r_confidence_tally *tally, size_t index)
{
    s3r_confidence_report out = {.temperature = s3r_confidence_temperature(tally, index),
                                 .calibration_error = s3r_confidence_error(tally, index),
                                 .cross_entropy = s3r_confidence_entropy(tally, index),
                                 .confidence = s3r_confidence_mean(tally, index)};
    for (size_t i = 0; i < S3R_CALIBRATION_BINS; i++) {
        const s3r_confidence_bin *bin = &tally->bins[index][i];
        out.bins[i].words = bin->words;
        out.bins[i].right = bin->right;
        out.bins[i].confidence =
            bin->words > 0 ? bin->confidence / (double)bin->words : 0;
    }
    return out;
}

static s3r_status conclude(const calibrate_run *run, s3r_calibration *out,
                           const s3r_error *first_failure, s3r_error *err)
{
    const s3r_confidence_tally *tally = &run->tally;
    out->words = tally->words;
    out->right = tally->right;
    out->plain = report(tally, S3R_TEMPERATURE_ONE);
    out->given = report(tally, S3R_TEMPERATURE_GIVEN);
    out->fitted = report(tally, s3r_confidence_fit(tally));
    if (out->failed == 0)
        return S3R_OK;
    return s3r_fail(err, out->utterances > 0 ? S3R_ERR_PARTIAL : first_failure->code,
                    "%zu of %zu utterances failed; the first: %.400s", out->failed,
                    out->failed + out->utterances, first_failure->message);
}

static s3r_status run_manifest(calibrate_run *run, const s3r_manifest *manifest,
                               s3r_calibrate_failed_fn failed, void *failed_context,
                               s3r_calibration *out, s3r_error *err)
{
    s3r_audio_cache cache = {0};
    s3r_error first_failure = {0};
    s3r_status status = S3R_OK;
    for (size_t i = 0; i < manifest->count && status == S3R_OK; i++) {
        const s3r_utterance *utterance = &manifest->items[i];
        s3r_error failure;
        out->skipped += !s3r_utterance_has_text(utterance);
        if (!s3r_utterance_has_text(utterance))
            continue;
        if (!goes_on(run)) {
            status = s3r_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
            break;
        }
        s3r_status ran = run_utterance(run, utterance, &cache, &failure);
        run->done_s += fmax(utterance->duration_s, 0);
        out->utterances += ran == S3R_OK;
        if (ran == S3R_OK)
            continue;
        if (ran != S3R_ERR_DATA) {
            status = s3r_fail(err, ran, "%s", failure.message);
            break;
        }
        if (out->failed++ == 0)
            first_failure = failure;
        if (failed)
            failed(failed_context, utterance->id, failure.message);
    }
    s3r_audio_cache_release(&cache);
    if (status == S3R_OK && out->skipped == manifest->count)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected utterances with a text, found none",
                        manifest->path);
    return status == S3R_OK ? conclude(run, out, &first_failure, err) : status;
}

/* ---- the call ---- */

static s3r_status check(const s3r_model *model, const s3r_calibrate_options *options,
                        s3r_error *err)
{
    S3R_TRY(s3r_options_check_size("calibrate options", sizeof *options,
                                   options->struct_size, err));
    S3R_TRY(s3r_options_check_windows(options->window_s, options->context_s, 1, err));
    S3R_TRY(s3r_options_check_temperature(options->temperature, err));
    return s3r_model_check_labels(model, "there are no words to judge", err);
}

s3r_status s3r_calibrate(s3r_context *context, const s3r_model *model,
                         const char *manifest_path, const s3r_calibrate_options *options,
                         s3r_calibrate_failed_fn failed, void *failed_context,
                         s3r_calibration *out, s3r_error *err)
{
    s3r_manifest manifest;
    s3r_calibrate_options defaults;
    s3r_calibrate_options_init(&defaults);
    calibrate_run run = {
        .context = context, .model = model, .options = options ? options : &defaults};
    *out = (s3r_calibration){0};
    S3R_TRY(check(model, run.options, err));
    run.tally.given = run.options->temperature;
    for (size_t k = 0; k < TEMPERATURES; k++)
        run.temperatures[k] = s3r_confidence_temperature(&run.tally, k);
    set_inference(&run);
    S3R_TRY(s3r_manifest_open(&manifest, manifest_path, err));
    for (size_t i = 0; i < manifest.count; i++)
        if (s3r_utterance_has_text(&manifest.items[i]))
            run.total_s += fmax(manifest.items[i].duration_s, 0);
    s3r_status status = run_manifest(&run, &manifest, failed, failed_context, out, err);
    s3r_manifest_close(&manifest);
    return status;
}
