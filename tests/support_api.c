/*
 * Public handles, results, changed models and speech-like audio for tests.
 */
#define _POSIX_C_SOURCE 200809L
#include "support_api.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sndfile.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "checkpoint/safetensors.h"
#include "model/stored_values.h"
#include "support_audio.h"
#include "support_files.h"

void test_api_open(test_api *api, const char *path, size_t threads, const char *cpu_level)
{
    s3r_error err;
    s3r_context_options options;
    s3r_context_options_init(&options);
    options.thread_count = threads;
    options.cpu_level = cpu_level;
    if (s3r_context_create(&api->context, &options, &err) != S3R_OK ||
        s3r_model_open(&api->model, api->context, path, NULL, &err) != S3R_OK)
        fail_msg("%s", err.message);
}

void test_api_close(test_api *api)
{
    s3r_model_close(api->model);
    s3r_context_destroy(api->context);
}

/* What holds for the labels and words of any result. */
static void check_words(const s3r_result *result)
{
    size_t next_label = 0;
    for (size_t i = 0; i < result->label_count; i++) {
        const s3r_label *label = &result->labels[i];
        assert_true(label->start_frame < label->end_frame);
        assert_true(label->end_frame <= result->frame_count);
        assert_true(i == 0 || label[-1].end_frame <= label->start_frame);
        assert_true(label->confidence >= 0 && label->confidence <= 1);
    }
    for (size_t i = 0; i < result->word_count; i++) {
        const s3r_word *word = &result->words[i];
        const s3r_label *labels = &result->labels[word->first_label];
        assert_true(word->first_label >= next_label);
        assert_true(word->label_count > 0 || result->is_aligned);
        if (word->label_count == 0)
            continue;
        next_label = word->first_label + word->label_count;
        assert_true(next_label <= result->label_count);
        assert_true(word->text[0] != '\0' && strstr(result->text, word->text) != NULL);
        assert_int_equal(word->start_frame, labels[0].start_frame);
        assert_int_equal(word->end_frame, labels[word->label_count - 1].end_frame);
        float least = 1;
        for (size_t k = 0; k < word->label_count; k++)
            least = fminf(least, labels[k].confidence);
        assert_true(word->confidence == least);
    }
    if (result->text)
        assert_true((result->word_count > 0) == (result->text[0] != '\0'));
}

s3r_status test_take_result(void *context, const s3r_result *result)
{
    test_results *results = context;
    assert_true(results->count < TEST_MAX_RESULTS);
    test_result *kept = &results->items[results->count++];
    *kept = (test_result){.status = result->status,
                          .index = result->index,
                          .frame_count = result->frame_count,
                          .label_count = result->label_count,
                          .duration_s = result->duration_s,
                          .frame_s = result->frame_s,
                          .confidence = result->confidence,
                          .has_text = result->text != NULL};
    snprintf(kept->message, sizeof kept->message, "%s", result->message);
    kept->text = s3r_strdup(result->text ? result->text : "");
    assert_true((result->status == S3R_OK) == (result->message[0] == '\0'));
    check_words(result);
    return results->count == results->abort_at ? results->abort_status : S3R_OK;
}

void test_results_release(test_results *results)
{
    for (size_t i = 0; i < results->count; i++)
        s3r_free(results->items[i].text);
    *results = (test_results){0};
}

float *test_read_npy(const char *path, size_t *rows, size_t *cols)
{
    char header[128];
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s is missing", path);
    assert_int_equal(fread(header, 1, sizeof header, file), sizeof header);
    header[sizeof header - 1] = '\0';
    assert_memory_equal(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    const char *shape = strstr(header + 10, "'shape': (");
    assert_non_null(shape);
    assert_int_equal(sscanf(shape, "'shape': (%zu, %zu)", rows, cols), 2);
    float *values = s3r_alloc(*rows * *cols + 1, sizeof *values);
    assert_int_equal(fread(values, sizeof *values, *rows * *cols + 1, file),
                     *rows * *cols);
    fclose(file);
    return values;
}

void test_make_speech(float *samples, size_t count, uint64_t seed)
{
    s3r_random random;
    s3r_random_init(&random, seed, 1);
    for (size_t i = 0; i < count;) {
        bool is_pause = s3r_random_uniform(&random) < 0.3;
        double amplitude = is_pause ? 0.001 : 0.1 + 0.2 * s3r_random_uniform(&random);
        double pitch = 2 * TEST_PI * (100 + 3000 * s3r_random_uniform(&random)) / 16000;
        double noise = s3r_random_uniform(&random);
        size_t length = 400 + (size_t)s3r_random_below(&random, 6000);
        for (size_t k = 0; k < length && i < count; k++, i++)
            samples[i] = (float)(amplitude *
                                 (sin(pitch * (double)k) +
                                  noise * (2 * s3r_random_uniform(&random) - 1)) /
                                 2);
    }
}

const char *test_write_speech(const char *folder, const char *name, int format,
                              size_t count, uint64_t seed)
{
    const char *path = test_path(folder, name);
    float *samples = s3r_alloc(count, sizeof *samples);
    assert_non_null(samples);
    test_make_speech(samples, count, seed);
    test_write_frames(path, format, 16000, 1, samples, count);
    s3r_free(samples);
    return path;
}

static void copy_file(const char *from_folder, const char *to_folder, const char *name)
{
    s3r_file_map map;
    char from[1024];
    snprintf(from, sizeof from, "%s/%s", from_folder, name);
    if (s3r_file_map_open(&map, from, S3R_ERR_DATA, NULL) != S3R_OK)
        return;
    test_write_file(test_path(to_folder, name), map.data, map.size);
    s3r_file_map_close(&map);
}

const char *test_copy_model(const char *golden)
{
    static const char *const names[] = {"config.json", "preprocessor_config.json",
                                        "vocab.json", "model.safetensors"};
    const char *folder = test_folder();
    char from[512];
    snprintf(from, sizeof from, TEST_GOLDEN "%s", golden);
    for (size_t i = 0; i < S3R_ARRAY_LEN(names); i++)
        copy_file(from, folder, names[i]);
    return folder;
}

const char *test_edit_model(const char *golden, test_edit_fn edit)
{
    const char *folder = test_copy_model(golden);
    const char *path = test_path(folder, "model.safetensors");
    s3r_file_map map;
    s3r_safetensors file;
    s3r_error err;
    if (s3r_file_map_open(&map, path, S3R_ERR_MODEL, &err) != S3R_OK ||
        s3r_safetensors_parse(&file, map.data, map.size, path, &err) != S3R_OK)
        fail_msg("%s", err.message);
    float *all[256];
    assert_true(file.tensor_count <= S3R_ARRAY_LEN(all));
    for (size_t i = 0; i < file.tensor_count; i++) {
        s3r_tensor *tensor = &file.tensors[i];
        size_t count = s3r_tensor_elements(tensor);
        all[i] = s3r_alloc(count, sizeof *all[i]);
        s3r_stored_to_f32(all[i], tensor->data, tensor->dtype, 0, count);
        edit(tensor->name, all[i], count);
        tensor->dtype = S3R_DTYPE_F32;
        tensor->data = all[i];
        tensor->size_bytes = count * sizeof *all[i];
    }
    if (s3r_safetensors_save(path, file.tensors, file.tensor_count, NULL, NULL, NULL,
                             &err) != S3R_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < file.tensor_count; i++)
        s3r_free(all[i]);
    s3r_safetensors_release(&file);
    s3r_file_map_close(&map);
    return folder;
}

void test_expect_failure(s3r_status status, const s3r_error *err, s3r_status expected,
                         const char *said)
{
    if (status != expected)
        fail_msg("expected %s with \"%s\", found %s: %s", s3r_status_name(expected), said,
                 s3r_status_name(status), status == S3R_OK ? "" : err->message);
    if (!strstr(err->message, said))
        fail_msg("expected \"%s\", found \"%s\"", said, err->message);
    assert_int_equal(err->code, expected);
}

size_t test_folder_entries(const char *folder)
{
    size_t count = 0;
    DIR *listing = opendir(folder);
    assert_non_null(listing);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(listing);
    return count;
}
