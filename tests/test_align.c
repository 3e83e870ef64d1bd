/*
 * Texts to times through the public interface: the path is that of the emissions, words
 * keep their spelling, and what cannot be aligned is said.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sndfile.h>
#include <cmocka.h>

#include "api/handles.h"
#include "audio/audio_load.h"
#include "decode/forced_align.h"
#include "s3r/align.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_files.h"
#include "text/vocabulary_encode.h"

#define MODEL     TEST_GOLDEN "w2v2_group_postln"
#define WAV_PCM16 (SF_FORMAT_WAV | SF_FORMAT_PCM_16)

static s3r_error err;

/* A result kept after its callback. */
typedef struct kept_result {
    s3r_status status;
    size_t index, word_count, label_count, frame_count;
    char path[256], name[256], message[512], text[256], words[512];
    double confidence;
    s3r_label labels[256];
    s3r_word word_items[64];
} kept_result;

static kept_result kept[8];
static size_t kept_count;

static s3r_status keep(void *context, const s3r_result *result)
{
    (void)context;
    test_results checks = {0};
    assert_int_equal(test_take_result(&checks, result), S3R_OK);
    test_results_release(&checks);
    assert_true(result->is_aligned);
    kept_result *to = &kept[kept_count++];
    *to = (kept_result){.status = result->status,
                        .index = result->index,
                        .word_count = result->word_count,
                        .label_count = result->label_count,
                        .frame_count = result->frame_count,
                        .confidence = result->confidence};
    snprintf(to->path, sizeof to->path, "%s", result->path);
    snprintf(to->name, sizeof to->name, "%s", result->name ? result->name : "");
    snprintf(to->message, sizeof to->message, "%s", result->message);
    snprintf(to->text, sizeof to->text, "%s", result->text ? result->text : "");
    for (size_t i = 0; i < result->label_count; i++)
        to->labels[i] = result->labels[i];
    for (size_t i = 0; i < result->word_count; i++)
        to->word_items[i] = result->words[i];
    for (size_t i = 0, used = 0; i < result->word_count; i++)
        used += (size_t)snprintf(to->words + used, sizeof to->words - used, "%s%s+%zu%s",
                                 i > 0 ? " " : "", result->words[i].text,
                                 result->words[i].label_count,
                                 result->words[i].is_doubtful ? "?" : "");
    return S3R_OK;
}

static s3r_status align(const test_api *api, const char *path, const char *text,
                        const s3r_align_options *options)
{
    const s3r_align_item item = {path, text};
    kept_count = 0;
    return s3r_align(api->context, api->model, &item, 1, options, keep, NULL, &err);
}

/* The same with the parts that the library is made of, on all emissions at once. */
static void check_against_emissions(const test_api *api, const char *path,
                                    const char *text)
{
    s3r_audio audio;
    float *log_probs;
    size_t frames, count, cols = api->model->vocabulary.count;
    uint32_t *targets;
    s3r_arena arena;
    double score, path_probability = 0;
    s3r_align_span spans[256];
    s3r_arena_init(&arena, 1 << 12);
    assert_int_equal(s3r_audio_load(&audio, path, NULL, &err), S3R_OK);
    assert_int_equal(s3r_forward(api->context, api->model, audio.samples,
                                 audio.sample_count, &frames, &log_probs, NULL, &err),
                     S3R_OK);
    assert_int_equal(s3r_vocabulary_encode(&api->model->vocabulary, text, &arena,
                                           &targets, &count, &err),
                     S3R_OK);
    const s3r_align_input input = {.log_probs = log_probs,
                                   .frames = frames,
                                   .cols = cols,
                                   .targets = targets,
                                   .target_count = count};
    assert_int_equal(s3r_forced_align(&input, 0, spans, &score, &err), S3R_OK);
    const kept_result *found = &kept[0];
    assert_int_equal(found->label_count, count);
    for (size_t i = 0, t = 0; i <= count; i++) {
        size_t start = i < count ? spans[i].start_frame : frames;
        for (; t < start; t++)
            path_probability += exp((double)log_probs[t * cols]);
        if (i == count)
            break;
        double sum = 0;
        for (; t < spans[i].end_frame; t++)
            sum += exp((double)log_probs[t * cols + targets[i]]);
        path_probability += sum;
        assert_int_equal(found->labels[i].id, targets[i]);
        assert_int_equal(found->labels[i].start_frame, start);
        assert_int_equal(found->labels[i].end_frame, t);
        assert_true(
            fabs(sum / (double)(t - start) - (double)found->labels[i].confidence) < 1e-6);
    }
    assert_true(fabs(path_probability / (double)frames - found->confidence) < 1e-6);
    /* Scores by their definition. */
    for (size_t w = 0; w < found->word_count; w++) {
        const s3r_word *word = &found->word_items[w];
        double loss = 0;
        for (size_t t = word->start_frame; t < word->end_frame; t++) {
            const float *row = log_probs + t * cols;
            float best = row[0];
            size_t label = 0;
            for (size_t j = 1; j < cols; j++)
                best = fmaxf(best, row[j]);
            for (size_t i = 0; i < word->label_count; i++) {
                const s3r_align_span *span = &spans[word->first_label + i];
                if (t >= span->start_frame && t < span->end_frame)
                    label = targets[word->first_label + i];
            }
            loss += (double)row[label] - (double)best;
        }
        assert_true(fabs(loss / (double)word->label_count - (double)word->score) < 1e-5);
        assert_true(word->score <= 0);
    }
    s3r_buffer_free(log_probs);
    s3r_audio_release(&audio);
    s3r_arena_release(&arena);
}

static void test_path_is_that_of_the_emissions(void **state)
{
    (void)state;
    static const char *const texts[] = {"THE TEA AT", "  tee\n heat  ", "A"};
    const char *path = test_write_speech(test_folder(), "a.wav", WAV_PCM16, 24000, 3);
    test_api api;
    test_api_open(&api, MODEL, 2, NULL);
    for (size_t i = 0; i < S3R_ARRAY_LEN(texts); i++) {
        if (align(&api, path, texts[i], NULL) != S3R_OK)
            fail_msg("%s: %s", texts[i], kept_count ? kept[0].message : err.message);
        assert_int_equal(kept_count, 1);
        check_against_emissions(&api, path, texts[i]);
    }
    assert_string_equal(kept[0].text, "A");
    test_api_close(&api);
}

/* Windows change emissions near their seams only; every frame comes once. */
static void test_long_audio_runs_in_windows(void **state)
{
    (void)state;
    const char *path = test_write_speech(test_folder(), "a.wav", WAV_PCM16, 112345, 3);
    test_api api;
    s3r_align_options options;
    s3r_align_options_init(&options);
    options.window_s = 1;
    options.context_s = 0.5;
    test_api_open(&api, MODEL, 2, NULL);
    assert_int_equal(align(&api, path, "THE HEAT THAT ATE TEA", &options), S3R_OK);
    assert_int_equal(kept[0].frame_count, s3r_model_frames(api.model, 112345));
    assert_int_equal(kept[0].word_count, 5);
    test_api_close(&api);
}

static void test_spelling_and_missing_letters(void **state)
{
    (void)state;
    const char *path = test_write_speech(test_folder(), "a.wav", WAV_PCM16, 24000, 3);
    test_api api;
    s3r_align_options options;
    s3r_align_options_init(&options);
    options.doubt = -100;
    test_api_open(&api, MODEL, 1, NULL);
    assert_int_equal(align(&api, path, "The 12 tea!", &options), S3R_ERR_PARTIAL);
    assert_int_equal(kept[0].status, S3R_ERR_DATA);
    assert_non_null(strstr(kept[0].message, "a.wav: 2 characters without a label"));
    assert_non_null(strstr(kept[0].message, "\"1\" (U+0031)"));
    assert_null(strstr(kept[0].message, "\"!\""));
    options.missing = S3R_ALIGN_SKIP;
    assert_int_equal(align(&api, path, "The 12\ttea!", &options), S3R_OK);
    assert_string_equal(kept[0].text, "The 12 tea!");
    assert_string_equal(kept[0].words, "The+3 12+0? tea!+3");
    assert_int_equal(kept[0].label_count, 7);
    options.missing = S3R_ALIGN_STAR;
    assert_int_equal(align(&api, path, "The 12 tea!", &options), S3R_OK);
    assert_string_equal(kept[0].words, "The+3 12+1 tea!+3");
    assert_string_equal(kept[0].labels[4].text, "*");
    assert_int_equal(kept[0].labels[4].id, SIZE_MAX);
    assert_true(kept[0].word_items[1].score == 0); /* as likely as the best labels */
    /* A word that the audio does not have: any, with a threshold of nothing. */
    options.doubt = 0;
    options.missing = S3R_ALIGN_REFUSE;
    assert_int_equal(align(&api, path, "HEATHEATHEAT", &options), S3R_OK);
    assert_string_equal(kept[0].words, "HEATHEATHEAT+12?");
    test_api_close(&api);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        size_t samples;
        const char *text, *said;
    } cases[] = {
        {4000, "TTEATTEATTEA",
         "a.wav: the text is longer than the audio: its 12 labels "
         "need at least 15 frames, found 12"},
        {100, "A", "its 1 labels need at least 1 frames, found 0"},
        {4000, " \n ", "a.wav: expected a text, found none"},
        {4000, "\xff", "a.wav: byte 0 of a text: expected UTF-8, found 0xff"},
    };
    test_api api;
    s3r_align_options options;
    s3r_align_options_init(&options);
    test_api_open(&api, MODEL, 1, NULL);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const char *path =
            test_write_speech(test_folder(), "a.wav", WAV_PCM16, cases[i].samples, 3);
        assert_int_equal(align(&api, path, cases[i].text, NULL), S3R_ERR_PARTIAL);
        assert_int_equal(kept[0].status, S3R_ERR_DATA);
        if (!strstr(kept[0].message, cases[i].said))
            fail_msg("expected \"%s\", found \"%s\"", cases[i].said, kept[0].message);
    }
    options.missing = S3R_ALIGN_SKIP;
    const char *path = test_write_speech(test_folder(), "a.wav", WAV_PCM16, 4000, 3);
    assert_int_equal(align(&api, path, "12", &options), S3R_ERR_PARTIAL);
    assert_non_null(strstr(kept[0].message, "nothing of the text has a label: \"1\""));
    assert_int_equal(align(&api, "nothing.wav", "A", NULL), S3R_ERR_PARTIAL);
    assert_int_equal(kept[0].status, S3R_ERR_DATA);
    options.window_s = 0;
    test_expect_failure(align(&api, path, "A", &options), &err, S3R_ERR_USAGE, "window");
    s3r_align_options_init(&options);
    options.struct_size = 3;
    test_expect_failure(align(&api, path, "A", &options), &err, S3R_ERR_USAGE,
                        "align options");
    test_api_close(&api);
    test_api_open(&api, TEST_GOLDEN "w2v2_group_postln_fairseq/pretrained_legacy.pt", 1,
                  NULL);
    test_expect_failure(
        align(&api, path, "A", NULL), &err, S3R_ERR_MODEL,
        "has no CTC head (a pretrained backbone); nothing can be aligned");
    test_api_close(&api);
    const char *folder = test_copy_model("w2v2_group_postln");
    remove(test_path(folder, "vocab.json"));
    test_api_open(&api, folder, 1, NULL);
    test_expect_failure(align(&api, path, "A", NULL), &err, S3R_ERR_MODEL,
                        "beside the weights; nothing can be aligned");
    test_api_close(&api);
}

static void test_manifests(void **state)
{
    (void)state;
    const char *folder = test_folder(), *manifest = test_path(folder, "m.jsonl");
    static const char lines[] =
        "{\"audio_filepath\": \"a.wav\", \"text\": \"the tea\"}\n"
        "{\"audio_filepath\": \"a.wav\", \"id\": \"none\"}\n"
        "{\"audio_filepath\": \"a.wav\", \"id\": \"x/50%\", \"offset\": 0.5, "
        "\"duration\": 0.5, \"text\": \"at\"}\n"
        "{\"audio_filepath\": \"b.wav\", \"id\": \"gone\", \"text\": \"at\"}\n";
    test_write_speech(folder, "a.wav", WAV_PCM16, 24000, 3);
    test_write_file(manifest, lines, strlen(lines));
    test_api api;
    test_api_open(&api, MODEL, 1, NULL);
    kept_count = 0;
    test_expect_failure(
        s3r_align_manifest(api.context, api.model, manifest, NULL, keep, NULL, &err),
        &err, S3R_ERR_PARTIAL, "1 of 3 alignments failed");
    assert_int_equal(kept_count, 3);
    assert_string_equal(kept[0].text, "the tea");
    assert_string_equal(kept[0].path, "a.wav");
    assert_string_equal(kept[0].name, "a.wav");
    assert_int_equal(kept[1].index, 2);
    assert_string_equal(kept[1].path, "x/50%");
    assert_string_equal(kept[1].name, "x%2F50%25");
    assert_int_equal(kept[1].frame_count, s3r_model_frames(api.model, 8000));
    assert_int_equal(kept[2].status, S3R_ERR_DATA);
    static const char silent[] = "{\"audio_filepath\": \"a.wav\"}\n";
    test_write_file(manifest, silent, strlen(silent));
    test_expect_failure(
        s3r_align_manifest(api.context, api.model, manifest, NULL, keep, NULL, &err),
        &err, S3R_ERR_DATA, "expected utterances with a text");
    test_api_close(&api);
}

static bool stop_at(void *context, double done_s, double total_s)
{
    (void)done_s;
    (void)total_s;
    size_t *left = context;
    return (*left)-- != 1;
}

static void test_interruption(void **state)
{
    (void)state;
    const char *path = test_write_speech(test_folder(), "a.wav", WAV_PCM16, 112345, 3);
    test_api api;
    s3r_align_options options;
    s3r_align_options_init(&options);
    options.window_s = 1;
    options.progress = stop_at;
    test_api_open(&api, MODEL, 1, NULL);
    for (size_t stop = 1; stop <= 3; stop++) {
        size_t left = stop;
        options.progress_context = &left;
        test_expect_failure(align(&api, path, "TEA", &options), &err, S3R_ERR_INTERRUPTED,
                            "interrupted");
        assert_int_equal(kept_count, 0);
    }
    test_api_close(&api);
}

typedef struct fault_case {
    test_api api;
    const char *path;
} fault_case;

/* A failure of the item is one of the call here. */
static s3r_status align_once(void *context, s3r_error *error)
{
    fault_case *c = context;
    const s3r_align_item item = {c->path, "The tea"};
    kept_count = 0;
    s3r_status status =
        s3r_align(c->api.context, c->api.model, &item, 1, NULL, keep, NULL, error);
    if (status == S3R_ERR_PARTIAL) {
        snprintf(error->message, sizeof error->message, "%s", kept[0].message);
        return kept[0].status;
    }
    return status;
}

static void test_memory_faults_are_survived(void **state)
{
    (void)state;
    fault_case c = {.path =
                        test_write_speech(test_folder(), "a.wav", WAV_PCM16, 4000, 3)};
    test_api_open(&c.api, MODEL, 1, NULL);
    test_survives_alloc_faults(align_once, &c);
    test_api_close(&c.api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_is_that_of_the_emissions),
        cmocka_unit_test(test_long_audio_runs_in_windows),
        cmocka_unit_test(test_spelling_and_missing_letters),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_manifests),
        cmocka_unit_test(test_interruption),
        cmocka_unit_test(test_memory_faults_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
