/*
 * Streams: the text is that of the same windows run one by one, however the samples come.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <sndfile.h>

#include "api/handles.h"
#include "s3r/stream.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_audio.h"
#include "support_files.h"

#define MODEL   TEST_GOLDEN "w2v2_group_postln"
#define RATE    16000u
#define STRIDE  320u
#define FIELD   400u
#define SAMPLES 52345u

static s3r_error err;
static float samples[SAMPLES];

typedef struct heard {
    char text[4096]; /* words with spaces */
    size_t updates, words, words_before_end, last_end_frame;
    double decoded_s, confidence;
    bool is_ended;
    size_t abort_at;
} heard;

static s3r_status listen(void *context, const s3r_stream_update *update)
{
    heard *h = context;
    assert_false(h->is_ended);
    assert_true(update->decoded_s >= h->decoded_s);
    h->updates++;
    h->decoded_s = update->decoded_s;
    for (size_t i = 0; i < update->word_count; i++) {
        const s3r_word *word = &update->words[i];
        size_t used = strlen(h->text);
        snprintf(h->text + used, sizeof h->text - used, "%s%s", used > 0 ? " " : "",
                 word->text);
        assert_true(word->start_frame >= h->last_end_frame);
        assert_true(word->end_frame > word->start_frame);
        assert_true((double)word->end_frame * update->frame_s <=
                    update->decoded_s + 1e-9);
        assert_true(word->confidence > 0 && word->confidence <= 1);
        h->last_end_frame = word->end_frame;
        h->confidence += (double)word->confidence;
        h->words++;
    }
    h->words_before_end += update->is_end ? 0 : update->word_count;
    assert_true(!update->is_end || update->tail[0] == '\0');
    h->is_ended = update->is_end;
    return h->updates == h->abort_at ? S3R_ERR_DATA : S3R_OK;
}

/* Hands over `count` samples in pieces. */
static s3r_status run(const test_api *api, const float *input, size_t count, size_t piece,
                      const s3r_stream_options *options, heard *out, s3r_error *error)
{
    s3r_stream *stream;
    size_t abort_at = out->abort_at;
    *out = (heard){.abort_at = abort_at};
    s3r_status status =
        s3r_stream_open(&stream, api->context, api->model, options, listen, out, error);
    if (status != S3R_OK)
        return status;
    for (size_t at = 0; at < count && status == S3R_OK; at += piece) {
        size_t size = count - at < piece ? count - at : piece;
        status = s3r_stream_write(stream, input + at, size, error);
    }
    if (status == S3R_OK)
        status = s3r_stream_finish(stream, error);
    s3r_stream_close(stream);
    return status;
}

/* The best label of each frame of the windows, each an utterance of its own; valid until
 * the next call. */
static const uint32_t *offline_ids(const test_api *api, const float *input, size_t count,
                                   const s3r_stream_options *options, size_t *frame_count)
{
    s3r_model_info info;
    s3r_model_get_info(api->model, &info);
    double rate = (double)RATE / (double)info.frame_stride;
    size_t chunk = (size_t)round(rate * options->chunk_s);
    size_t left = (size_t)round(rate * options->left_s);
    size_t right = (size_t)round(rate * options->right_s);
    size_t frames = s3r_model_frames(api->model, count), kept = 0;
    size_t cols = api->model->vocabulary.count;
    static uint32_t ids[SAMPLES];
    while (kept < frames) {
        size_t end = kept + chunk < frames ? kept + chunk : frames;
        size_t from = kept > left ? kept - left : 0;
        size_t to = end + right < frames ? end + right : frames, found;
        float *log_probs;
        assert_int_equal(
            s3r_forward(api->context, api->model, input + from * info.frame_stride,
                        (to - from - 1) * info.frame_stride + info.receptive_field,
                        &found, &log_probs, NULL, &err),
            S3R_OK);
        assert_int_equal(found, to - from);
        for (; kept < end; kept++) {
            const float *row = log_probs + (kept - from) * cols;
            ids[kept] = 0;
            for (uint32_t j = 1; j < cols; j++)
                if (row[j] > row[ids[kept]])
                    ids[kept] = j;
        }
        s3r_buffer_free(log_probs);
    }
    *frame_count = frames;
    return ids;
}

/* The text of the windows; white space as in `heard`. */
static void offline(const test_api *api, const float *input, size_t count,
                    const s3r_stream_options *options, char *text, size_t text_bytes)
{
    size_t frames;
    const uint32_t *ids = offline_ids(api, input, count, options, &frames);
    char *decoded;
    assert_int_equal(
        s3r_vocabulary_decode(&api->model->vocabulary, &decoded, ids, frames, &err),
        S3R_OK);
    size_t used = 0;
    for (const char *at = decoded; *at && used + 1 < text_bytes; at++)
        if (*at != ' ' || at[1] != ' ')
            text[used++] = *at;
    text[used] = '\0';
    s3r_free(decoded);
}

static void test_text_is_that_of_the_windows(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        double chunk_s, left_s, right_s;
    } cases[] = {
        {MODEL, 0.5, 0.5, 0.24},
        {MODEL, 1, 8, 1},
        {MODEL, 0.1, 0, 0},
        {TEST_GOLDEN "w2v2_layer_preln", 0.5, 0.5, 0.24},
        {TEST_GOLDEN "hubert_group", 0.24, 1, 0.5},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        test_api api;
        heard h = {0}, again = {0};
        char expected[4096];
        s3r_stream_options options;
        s3r_stream_options_init(&options);
        options.chunk_s = cases[i].chunk_s;
        options.left_s = cases[i].left_s;
        options.right_s = cases[i].right_s;
        test_api_open(&api, cases[i].model, 2, NULL);
        if (run(&api, samples, SAMPLES, 1000, &options, &h, &err) != S3R_OK)
            fail_msg("%s", err.message);
        offline(&api, samples, SAMPLES, &options, expected, sizeof expected);
        assert_string_equal(h.text, expected);
        assert_true(h.is_ended && h.words > 0);
        s3r_model_info info;
        s3r_model_get_info(api.model, &info);
        size_t end = s3r_model_frames(api.model, SAMPLES) * info.frame_stride;
        assert_true(fabs(h.decoded_s - (double)end / RATE) < 1e-9);
        /* Pieces of any size, and a context with another number of threads. */
        static const size_t pieces[] = {37, 16000, SAMPLES};
        for (size_t k = 0; k < S3R_ARRAY_LEN(pieces); k++) {
            assert_int_equal(
                run(&api, samples, SAMPLES, pieces[k], &options, &again, &err), S3R_OK);
            assert_string_equal(again.text, h.text);
            assert_true(again.confidence == h.confidence);
            assert_int_equal(again.updates, h.updates);
        }
        test_api_close(&api);
    }
}

/* The printed labels of the frames as words, which `pause` other frames and more part. */
static size_t words_at_pauses(const s3r_vocabulary *vocabulary, const uint32_t *ids,
                              size_t frames, size_t pause, char *text, size_t text_bytes)
{
    size_t words = 0, used = 0, silent = pause;
    for (size_t i = 0; i < frames; i++) {
        const char *label = vocabulary->printed[ids[i]];
        if (label && (i == 0 || ids[i] != ids[i - 1])) {
            const char *gap = silent < pause ? "" : words > 0 ? " " : "";
            words += silent >= pause;
            used += (size_t)snprintf(text + used, text_bytes - used, "%s%s", gap, label);
            assert_true(used < text_bytes);
        }
        silent = label ? 0 : silent + 1;
    }
    return words;
}

/* Without a delimiter, as phones have none, a word ends where 0.6 s have no label. */
static void test_pauses_part_words(void **state)
{
    (void)state;
    test_api api;
    heard h = {0}, again = {0};
    char expected[4096];
    size_t frames;
    s3r_stream_options options;
    s3r_stream_options_init(&options);
    options.chunk_s = 0.1; /* pauses are longer than a chunk */
    options.left_s = 0.5;
    options.right_s = 0.2;
    test_api_open(&api, MODEL, 2, NULL);
    /* Random weights find labels everywhere: all but the last two are not printed. */
    s3r_vocabulary *vocabulary = &api.model->vocabulary;
    uint32_t delimiter = vocabulary->delimiter_id;
    char *printed[64];
    assert_in_range(vocabulary->count, 3, 64);
    for (uint32_t i = 0; i < vocabulary->count; i++) {
        printed[i] = vocabulary->printed[i];
        if (i + 2 < vocabulary->count)
            vocabulary->printed[i] = NULL;
    }
    vocabulary->delimiter_id = S3R_NO_LABEL;
    const uint32_t *ids = offline_ids(&api, samples, SAMPLES, &options, &frames);
    size_t words =
        words_at_pauses(vocabulary, ids, frames, 30, expected, sizeof expected);
    assert_true(words > 1);
    assert_int_equal(run(&api, samples, SAMPLES, 1000, &options, &h, &err), S3R_OK);
    assert_string_equal(h.text, expected);
    assert_int_equal(h.words, words);
    assert_true(h.words_before_end > 0);
    assert_int_equal(run(&api, samples, SAMPLES, SAMPLES, &options, &again, &err),
                     S3R_OK);
    assert_string_equal(again.text, expected);
    memcpy(vocabulary->printed, printed, vocabulary->count * sizeof *printed);
    vocabulary->delimiter_id = delimiter;
    test_api_close(&api);
}

/* At another rate: the text is that of the windows of the resampled file. */
static void test_other_rates(void **state)
{
    (void)state;
    static const uint32_t rates_hz[] = {8000, 11025, 16000, 44100, 48000};
    static float source[144000], resampled[SAMPLES];
    test_api api;
    test_api_open(&api, MODEL, 2, NULL);
    s3r_stream_options options;
    s3r_stream_options_init(&options);
    options.chunk_s = 0.5;
    options.left_s = 0.5;
    options.right_s = 0.24;
    for (size_t i = 0; i < S3R_ARRAY_LEN(rates_hz); i++) {
        heard h = {0}, again = {0};
        char expected[4096];
        size_t count = 3 * rates_hz[i] - 7;
        test_make_speech(source, count, 5);
        const char *path = test_path(test_folder(), "other.wav");
        test_write_frames(path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, rates_hz[i], 1, source,
                          count);
        s3r_audio audio = test_load_audio(path, NULL);
        assert_true(audio.sample_count <= SAMPLES);
        memcpy(resampled, audio.samples, audio.sample_count * sizeof *resampled);
        offline(&api, resampled, audio.sample_count, &options, expected, sizeof expected);
        options.sample_rate_hz = rates_hz[i];
        assert_int_equal(run(&api, source, count, 1000, &options, &h, &err), S3R_OK);
        assert_string_equal(h.text, expected);
        assert_true(h.words > 0);
        static const size_t pieces[] = {37, 20000, 200000};
        for (size_t k = 0; k < S3R_ARRAY_LEN(pieces); k++) {
            assert_int_equal(run(&api, source, count, pieces[k], &options, &again, &err),
                             S3R_OK);
            assert_string_equal(again.text, h.text);
            assert_true(again.confidence == h.confidence);
            assert_true(again.decoded_s == h.decoded_s);
        }
        s3r_audio_release(&audio);
    }
    test_api_close(&api);
}

/* An update for a chunk comes as soon as its samples and those behind are there. */
static void test_latency(void **state)
{
    (void)state;
    test_api api;
    heard h = {0};
    s3r_stream *stream;
    s3r_stream_options options;
    s3r_stream_options_init(&options);
    options.chunk_s = 0.5;
    options.right_s = 0.2;
    test_api_open(&api, MODEL, 1, NULL);
    assert_int_equal(
        s3r_stream_open(&stream, api.context, api.model, &options, listen, &h, &err),
        S3R_OK);
    size_t needed = (25 + 10 - 1) * STRIDE + FIELD;
    assert_int_equal(s3r_stream_write(stream, samples, needed - 1, &err), S3R_OK);
    assert_int_equal(h.updates, 0);
    assert_int_equal(s3r_stream_write(stream, samples + needed - 1, 1, &err), S3R_OK);
    assert_int_equal(h.updates, 1);
    assert_true(fabs(h.decoded_s - 0.5) < 1e-9);
    s3r_stream_close(stream);
    /* and no more than 0.12 s later when they are resampled */
    static const uint32_t rates_hz[] = {8000, 11025, 22050, 44100, 48000, 192000};
    for (size_t i = 0; i < S3R_ARRAY_LEN(rates_hz); i++) {
        static float silence[192000];
        h = (heard){0};
        options.sample_rate_hz = rates_hz[i];
        assert_int_equal(
            s3r_stream_open(&stream, api.context, api.model, &options, listen, &h, &err),
            S3R_OK);
        double seconds = (double)needed / RATE + 0.12;
        assert_int_equal(
            s3r_stream_write(stream, silence, (size_t)(seconds * rates_hz[i]), &err),
            S3R_OK);
        assert_int_equal(h.updates, 1);
        s3r_stream_close(stream);
    }
    test_api_close(&api);
}

static void test_edges_and_refusals(void **state)
{
    (void)state;
    test_api api;
    heard h = {0};
    s3r_stream_options options;
    test_api_open(&api, MODEL, 1, NULL);
    for (size_t count = 0; count <= 400; count += 200) {
        assert_int_equal(run(&api, samples, count, 100, NULL, &h, &err), S3R_OK);
        assert_int_equal(h.updates, 1);
        assert_true(h.is_ended);
    }
    h.abort_at = 2;
    s3r_stream_options_init(&options);
    options.chunk_s = 0.5;
    test_expect_failure(run(&api, samples, SAMPLES, 1000, &options, &h, &err), &err,
                        S3R_ERR_DATA, "the update was not taken");
    assert_int_equal(h.updates, 2);
    for (int i = 0; i < 6; i++) {
        s3r_stream_options_init(&options);
        options.struct_size -= i == 0;
        options.chunk_s = i == 1 ? 0 : 1;
        options.left_s = i == 2 ? -1 : 1;
        options.right_s = i == 3 ? 61 : 1;
        options.temperature = i == 4 ? 0 : 1;
        options.sample_rate_hz = i == 5 ? 999 : 0;
        test_expect_failure(run(&api, samples, 0, 1, &options, &h, &err), &err,
                            S3R_ERR_USAGE, "expected");
    }
    s3r_stream *stream;
    const float wrong[] = {0, NAN};
    assert_int_equal(
        s3r_stream_open(&stream, api.context, api.model, NULL, listen, &h, &err), S3R_OK);
    test_expect_failure(s3r_stream_write(stream, wrong, 2, &err), &err, S3R_ERR_DATA,
                        "sample 1: expected a number");
    test_expect_failure(s3r_stream_write(stream, samples, 2, &err), &err, S3R_ERR_USAGE,
                        "found one that has ended or failed");
    test_expect_failure(s3r_stream_finish(stream, &err), &err, S3R_ERR_USAGE,
                        "found one that has ended or failed");
    s3r_stream_close(stream);
    s3r_stream_close(NULL);
    test_api_close(&api);
    test_api_open(&api, TEST_GOLDEN "w2v2_group_postln_fairseq/pretrained_legacy.pt", 1,
                  NULL);
    test_expect_failure(run(&api, samples, 0, 1, NULL, &h, &err), &err, S3R_ERR_MODEL,
                        "has no CTC head (a pretrained backbone); there is no text");
    test_api_close(&api);
}

static s3r_status attempt(void *context, s3r_error *error)
{
    heard h = {0};
    s3r_stream_options options;
    s3r_stream_options_init(&options);
    options.sample_rate_hz = 11025;
    S3R_TRY(run(context, samples, 24000, 5000, NULL, &h, error));
    return run(context, samples, 16000, 5000, &options, &h, error);
}

static void test_memory_faults_are_survived(void **state)
{
    (void)state;
    test_api api;
    test_api_open(&api, MODEL, 1, NULL);
    test_survives_alloc_faults(attempt, &api);
    test_api_close(&api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_that_of_the_windows),
        cmocka_unit_test(test_pauses_part_words),
        cmocka_unit_test(test_other_rates),
        cmocka_unit_test(test_latency),
        cmocka_unit_test(test_edges_and_refusals),
        cmocka_unit_test(test_memory_faults_are_survived),
    };
    test_make_speech(samples, SAMPLES, 5);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
