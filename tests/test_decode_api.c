/*
 * The public calls of decoding: what s3r_decode gives for the emissions of s3r_forward is
 * what s3r_transcribe gives for the file, whole or in windows.
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

#include "audio/voice_activity.h"
#include "base/random.h"
#include "s3r/decode.h"
#include "s3r/transcribe.h"
#include "s3r/tune.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_audio.h"
#include "support_files.h"
#include "support_tiny_model.h"

static const char lexicon[] = "GO\nGONG\nYOU\nA\nNO\n";

static const char *make_model(void)
{
    const char *folder = test_path(test_folder(), "tiny");
    assert_int_equal(test_tiny_model_write(folder, 3, NULL), S3R_OK);
    return folder;
}

static const char *write_words(const char *name, const char *text)
{
    const char *path = test_path(test_folder(), name);
    test_write_file(path, text, strlen(text));
    return path;
}

static s3r_decoder *open_decoder(const s3r_model *model, const char *words)
{
    s3r_decoder_options options;
    s3r_decoder *decoder;
    s3r_error err;
    s3r_decoder_options_init(&options);
    options.lexicon_path = words;
    options.nbest = 3;
    options.word_score = 4;
    if (s3r_decoder_open(&decoder, model, &options, &err) != S3R_OK)
        fail_msg("%s", err.message);
    return decoder;
}

static void test_transcribe_is_decode(void **state)
{
    (void)state;
    enum { SAMPLES = 64000 };
    test_api api;
    test_api_open(&api, make_model(), 1, NULL);
    s3r_decoder *decoder = open_decoder(api.model, write_words("w.txt", lexicon));
    const char *folder = test_folder();
    const char *path = test_write_speech(folder, "a.wav", 0x10002, SAMPLES, 5);
    s3r_transcribe_options options;
    s3r_transcribe_options_init(&options);
    options.decoder = decoder;
    options.emissions_folder = folder;
    test_results results = {0};
    assert_int_equal(s3r_transcribe(api.context, api.model, &path, 1, &options,
                                    test_take_result, &results, NULL),
                     S3R_OK);
    size_t rows, cols;
    float *emissions = test_read_npy(test_path(folder, "a.npy"), &rows, &cols);
    s3r_decoding *decoding;
    s3r_hypothesis best, second;
    assert_int_equal(s3r_decode(&decoding, decoder, emissions, rows, NULL), S3R_OK);
    assert_int_equal(s3r_decoding_count(decoding), 3);
    s3r_decoding_get(decoding, 0, &best);
    s3r_decoding_get(decoding, 1, &second);
    assert_true(best.text[0] != '\0' && best.words > 0);
    assert_true(best.score >= second.score);
    assert_string_equal(results.items[0].text, best.text);
    /* searched as the windows come: the emissions are others, the labels are in order */
    options.window_s = 1;
    options.context_s = 0.1;
    test_results cut = {0};
    assert_int_equal(s3r_transcribe(api.context, api.model, &path, 1, &options,
                                    test_take_result, &cut, NULL),
                     S3R_OK);
    s3r_buffer_free(emissions);
    emissions = test_read_npy(test_path(folder, "a.npy"), &rows, &cols);
    s3r_decoding *again;
    assert_int_equal(s3r_decode(&again, decoder, emissions, rows, NULL), S3R_OK);
    s3r_decoding_get(again, 0, &second);
    assert_string_equal(cut.items[0].text, second.text);
    s3r_decoding_free(again);
    s3r_decoding_free(decoding);
    s3r_buffer_free(emissions);
    test_results_release(&results);
    test_results_release(&cut);
    s3r_decoder_close(decoder);
    test_api_close(&api);
}

typedef struct heard {
    char text[256];
    s3r_segment segments[8];
    size_t segment_count;
} heard;

static s3r_status hear(void *context, const s3r_result *result)
{
    heard *h = context;
    assert_int_equal(result->status, S3R_OK);
    snprintf(h->text, sizeof h->text, "%s", result->text);
    h->segment_count = result->segment_count;
    assert_true(result->segment_count <= 8);
    for (size_t i = 0; i < result->segment_count; i++)
        h->segments[i] = result->segments[i];
    return S3R_OK;
}

/* Two seconds of hiss, a recording, and two seconds of hiss again. */
static const char *write_hissed(const char *folder)
{
    enum { HISS = 32000 };
    static float samples[HISS * 2 + 64000];
    s3r_audio speech = test_load_audio(S3R_TEST_DATA "/speech/calling.g722", NULL);
    s3r_random random;
    s3r_random_init(&random, 3, 0);
    assert_true(speech.sample_count <= 64000);
    for (size_t i = 0; i < HISS * 2 + speech.sample_count; i++)
        samples[i] = (float)(0.003 * s3r_random_normal(&random));
    for (size_t i = 0; i < speech.sample_count; i++)
        samples[HISS + i] += speech.samples[i];
    const char *path = test_path(folder, "hissed.wav");
    test_write_frames(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, samples,
                      HISS * 2 + speech.sample_count);
    s3r_audio_release(&speech);
    return path;
}

/* Makes rows whose frame begins outside of the voice nothing but blank. */
static void silence_rows(float *emissions, size_t rows, size_t cols, const char *path)
{
    s3r_audio audio = test_load_audio(path, NULL);
    s3r_voice_activity voice;
    assert_int_equal(
        s3r_voice_activity_find(&voice, audio.samples, audio.sample_count, 16000, NULL),
        S3R_OK);
    assert_int_equal(voice.count, 1);
    for (size_t i = 0; i < rows; i++)
        if (i * 320 < voice.items[0].start || i * 320 >= voice.items[0].end)
            for (size_t j = 0; j < cols; j++)
                emissions[i * cols + j] = j == 0 ? 0 : -INFINITY;
    s3r_voice_activity_release(&voice);
    s3r_audio_release(&audio);
}

/* With voice_only the search sees blanks outside of speech, in windows too. */
static void test_voice_only(void **state)
{
    (void)state;
    test_api api;
    test_api_open(&api, make_model(), 1, NULL);
    s3r_decoder *decoder = open_decoder(api.model, write_words("w.txt", lexicon));
    const char *folder = test_folder(), *path = write_hissed(folder);
    s3r_transcribe_options options;
    s3r_transcribe_options_init(&options);
    options.decoder = decoder;
    options.emissions_folder = folder;
    heard plain, gated;
    for (int is_cut = 0; is_cut < 2; is_cut++) {
        options.window_s = is_cut ? 1 : 40;
        options.context_s = is_cut ? 0.1 : 4;
        options.voice_only = false;
        assert_int_equal(s3r_transcribe(api.context, api.model, &path, 1, &options, hear,
                                        &plain, NULL),
                         S3R_OK);
        options.voice_only = true;
        assert_int_equal(s3r_transcribe(api.context, api.model, &path, 1, &options, hear,
                                        &gated, NULL),
                         S3R_OK);
        size_t rows, cols;
        float *emissions = test_read_npy(test_path(folder, "hissed.npy"), &rows, &cols);
        silence_rows(emissions, rows, cols, path);
        s3r_decoding *decoding;
        s3r_hypothesis best;
        assert_int_equal(s3r_decode(&decoding, decoder, emissions, rows, NULL), S3R_OK);
        s3r_decoding_get(decoding, 0, &best);
        assert_string_equal(gated.text, best.text);
        assert_true(gated.text[0] != '\0');
        assert_string_not_equal(plain.text, gated.text);
        assert_int_equal(plain.segment_count, 0);
        assert_int_equal(gated.segment_count, 1);
        assert_true(gated.segments[0].start_s > 1.5 && gated.segments[0].end_s < 5);
        s3r_decoding_free(decoding);
        s3r_buffer_free(emissions);
    }
    s3r_decoder_close(decoder);
    test_api_close(&api);
}

static void test_hot_words_take_the_case_of_labels(void **state)
{
    (void)state;
    test_api api;
    s3r_error err;
    s3r_decoder *decoder;
    s3r_decoder_options options;
    s3r_decoder_options_init(&options);
    test_api_open(&api, make_model(), 1, NULL);
    /* The labels have one case, and hot words without a lexicon are brought to it. */
    options.hot_words_path = write_words("hot.txt", "Go\tno\n");
    test_expect_failure(s3r_decoder_open(&decoder, api.model, &options, &err), &err,
                        S3R_ERR_DATA, "behind the tab, found \"no\"");
    options.hot_words_path = write_words("hot.txt", "Go on\t3\ngO\n");
    if (s3r_decoder_open(&decoder, api.model, &options, &err) != S3R_OK)
        fail_msg("%s", err.message);
    s3r_decoder_info info;
    s3r_decoder_get_info(decoder, &info);
    assert_int_equal(info.hot_words, 2);
    s3r_decoder_close(decoder);
    /* A word that the lexicon has is that one, though another of the line is new. */
    options.lexicon_path = write_words("cased.txt", "Tea\tT E A\n");
    options.hot_words_path = write_words("hot.txt", "Tea no\nTea NO\n");
    if (s3r_decoder_open(&decoder, api.model, &options, &err) != S3R_OK)
        fail_msg("%s", err.message);
    s3r_decoder_get_info(decoder, &info);
    assert_int_equal(info.hot_words, 1);
    assert_int_equal(info.lexicon_words, 2);
    s3r_decoder_close(decoder);
    test_api_close(&api);
}

static void test_refused(void **state)
{
    (void)state;
    test_api api;
    s3r_decoder_options options;
    s3r_decoder *decoder;
    s3r_error err;
    test_api_open(&api, make_model(), 1, NULL);
    s3r_decoder_options_init(&options);
    options.nbest = 0;
    test_expect_failure(s3r_decoder_open(&decoder, api.model, &options, &err), &err,
                        S3R_ERR_USAGE, "n-best: expected 1 to the beam of 50, found 0");
    options.nbest = 1;
    options.hot_word_boost = -1;
    test_expect_failure(s3r_decoder_open(&decoder, api.model, &options, &err), &err,
                        S3R_ERR_USAGE, "hot word boost: expected 0 to 1000");
    options.hot_word_boost = 5;
    options.struct_size = 1;
    test_expect_failure(s3r_decoder_open(&decoder, api.model, &options, &err), &err,
                        S3R_ERR_USAGE, "decoder options");
    s3r_decoder_options_init(&options);
    options.hot_words_path = write_words("hot.txt", "GO ON\t1e3\n");
    test_expect_failure(s3r_decoder_open(&decoder, api.model, &options, &err), &err,
                        S3R_ERR_DATA, "expected a boost of 0 to 1000 behind the tab");
    options.hot_words_path = write_words("hot.txt", "GO\t1 2\n");
    test_expect_failure(s3r_decoder_open(&decoder, api.model, &options, &err), &err,
                        S3R_ERR_DATA, "expected a boost behind the tab, found more");
    options.hot_words_path = write_words("hot.txt", "GO\nGO  1\n");
    test_expect_failure(s3r_decoder_open(&decoder, api.model, &options, &err), &err,
                        S3R_ERR_DATA,
                        "found \"1\" (are letters and case the same? a "
                        "boost stands behind a tab)");
    options.hot_words_path = write_words("hot.txt", "\n");
    test_expect_failure(s3r_decoder_open(&decoder, api.model, &options, &err), &err,
                        S3R_ERR_DATA, "expected words, found none");
    options.hot_words_path = write_words(
        "hot.txt", "A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A\n");
    test_expect_failure(s3r_decoder_open(&decoder, api.model, &options, &err), &err,
                        S3R_ERR_DATA, "expected at most 32 words");
    /* labels are needed */
    test_api headless;
    test_api_open(&headless, TEST_GOLDEN "w2v2_group_postln_fairseq/pretrained_legacy.pt",
                  1, NULL);
    test_expect_failure(s3r_decoder_open(&decoder, headless.model, &options, &err), &err,
                        S3R_ERR_MODEL, "there are no labels to decode");
    test_api_close(&headless);
    /* a decoder belongs to its model */
    test_api other;
    test_api_open(&other, make_model(), 1, NULL);
    s3r_decoder *foreign = open_decoder(other.model, write_words("w.txt", lexicon));
    s3r_transcribe_options transcribe;
    s3r_transcribe_options_init(&transcribe);
    transcribe.decoder = foreign;
    const char *path = "x.wav";
    test_expect_failure(s3r_transcribe(api.context, api.model, &path, 1, &transcribe,
                                       test_take_result, NULL, &err),
                        &err, S3R_ERR_USAGE,
                        "expected one that was opened for this model");
    assert_int_equal(s3r_decoder_set_weights(foreign, -1, 0, &err), S3R_ERR_USAGE);
    s3r_decoder_close(foreign);
    test_api_close(&other);
    test_api_close(&api);
}

/* Without a label between words the words of a phrase cannot be told apart. */
static void test_no_delimiter(void **state)
{
    (void)state;
    const char *folder = test_copy_model("w2v2_group_postln");
    static const char labels[] =
        "{\"<pad>\": 0, \"<s>\": 1, \"</s>\": 2, \"<unk>\": 3, \"A\": 4, \"B\": 5, "
        "\"t\": 6, \"a\": 7, \"o\": 8, \"n\": 9, \"i\": 10, \"h\": 11}";
    test_write_file(test_path(folder, "vocab.json"), labels, strlen(labels));
    test_api api;
    s3r_decoder_options options;
    s3r_decoder *decoder;
    s3r_error err;
    test_api_open(&api, folder, 1, NULL);
    s3r_decoder_options_init(&options);
    options.hot_words_path = write_words("hot.txt", "A B\n");
    test_expect_failure(s3r_decoder_open(&decoder, api.model, &options, &err), &err,
                        S3R_ERR_DATA, "so a phrase needs a lexicon");
    options.lexicon_path = write_words("w.txt", "A\n");
    assert_int_equal(s3r_decoder_open(&decoder, api.model, &options, &err), S3R_OK);
    s3r_decoder_info info;
    s3r_decoder_get_info(decoder, &info);
    assert_int_equal(info.hot_words, 1);
    assert_int_equal(info.lexicon_words, 2);
    s3r_decoder_close(decoder);
    test_api_close(&api);
}

typedef struct fault_case {
    const s3r_model *model;
    const char *words, *hot;
} fault_case;

static s3r_status attempt(void *context, s3r_error *err)
{
    const fault_case *c = context;
    s3r_decoder_options options;
    s3r_decoder *decoder;
    s3r_decoder_options_init(&options);
    options.lexicon_path = c->words;
    options.hot_words_path = c->hot;
    S3R_TRY(s3r_decoder_open(&decoder, c->model, &options, err));
    s3r_decoder_close(decoder);
    return S3R_OK;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    test_api api;
    test_api_open(&api, make_model(), 1, NULL);
    fault_case c = {.model = api.model,
                    .words = write_words("w.txt", lexicon),
                    .hot = write_words("hot.txt", "GO\n HELLO  GO \t2.5\nHELLO GO\n")};
    test_survives_alloc_faults(attempt, &c);
    c.words = NULL;
    test_survives_alloc_faults(attempt, &c);
    test_api_close(&api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transcribe_is_decode),
        cmocka_unit_test(test_voice_only),
        cmocka_unit_test(test_hot_words_take_the_case_of_labels),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_delimiter),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
