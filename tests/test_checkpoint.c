/*
 * Opening checkpoints: which file of a folder is taken, shards and their index, side
 * files, and what is said about broken ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/folder_list.h"
#include "base/memory.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors.h"
#include "support_alloc_faults.h"
#include "support_files.h"

static s3r_error err;
static const float values[4] = {1, 2, 3, 4};

/* A safetensors file with one tensor of four floats; name "" = none. */
static void save_model(const char *folder, const char *file, const char *tensor_name)
{
    s3r_tensor tensor = {.name = tensor_name,
                         .dtype = S3R_DTYPE_F32,
                         .rank = 1,
                         .shape = {4},
                         .data = values,
                         .size_bytes = sizeof values};
    assert_int_equal(s3r_safetensors_save(test_path(folder, file), &tensor,
                                          tensor_name[0] != '\0', NULL, NULL, NULL, &err),
                     S3R_OK);
}

static void write_text(const char *folder, const char *file, const char *text)
{
    test_write_file(test_path(folder, file), text, strlen(text));
}

static void copy_fixture(const char *folder, const char *file, const char *fixture)
{
    char path[512];
    s3r_file_map map;
    snprintf(path, sizeof path, S3R_TEST_DATA "/torch/%s", fixture);
    assert_int_equal(s3r_file_map_open(&map, path, S3R_ERR_MODEL, &err), S3R_OK);
    test_write_file(test_path(folder, file), map.data, map.size);
    s3r_file_map_close(&map);
}

static s3r_checkpoint *open_sound(const char *path)
{
    s3r_checkpoint *checkpoint = NULL;
    if (s3r_checkpoint_open(&checkpoint, path, &err) != S3R_OK)
        fail_msg("%s", err.message);
    return checkpoint;
}

static void assert_fails(const char *path, const char *message)
{
    s3r_checkpoint *checkpoint;
    s3r_status status = s3r_checkpoint_open(&checkpoint, path, &err);
    if (status != S3R_ERR_MODEL || !strstr(err.message, message))
        fail_msg("%s: expected \"%s\", found status %d \"%s\"", path, message, status,
                 status ? err.message : "");
}

static void test_folder_choices_in_order(void **state)
{
    (void)state;
    const char *folder = test_folder();
    static const struct {
        const char *file, *first_tensor;
        s3r_checkpoint_format format;
    } steps[] = {
        {"only.pt", "w2v_encoder.w2v_model.mask_emb", S3R_FORMAT_TORCH_LEGACY},
        {"pytorch_model.bin.index.json", "f32", S3R_FORMAT_TORCH_ZIP},
        {"pytorch_model.bin", "whole", S3R_FORMAT_TORCH_LEGACY},
        {"model.safetensors.index.json", "sharded", S3R_FORMAT_SAFETENSORS},
        {"model.safetensors", "single", S3R_FORMAT_SAFETENSORS},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(steps); i++) {
        if (i == 0) {
            copy_fixture(folder, "only.pt", "fairseq_args_legacy.pt");
        } else if (i == 1) {
            copy_fixture(folder, "part.bin", "varied_zip.bin");
            write_text(folder, steps[i].file, "{\"weight_map\":{\"f32\":\"part.bin\"}}");
        } else if (i == 2) {
            copy_fixture(folder, steps[i].file, "views_legacy.bin");
        } else if (i == 3) {
            save_model(folder, "part.safetensors", "sharded");
            write_text(folder, steps[i].file,
                       "{\"weight_map\":{\"sharded\":\"part.safetensors\"}}");
        } else {
            save_model(folder, steps[i].file, "single");
        }
        s3r_checkpoint *checkpoint = open_sound(folder);
        assert_int_equal(s3r_checkpoint_get_format(checkpoint), steps[i].format);
        assert_string_equal(s3r_checkpoint_tensor(checkpoint, 0)->name,
                            steps[i].first_tensor);
        assert_int_equal(s3r_checkpoint_is_fairseq(checkpoint), i == 0);
        assert_string_equal(s3r_checkpoint_path(checkpoint), folder);
        assert_string_equal(s3r_checkpoint_folder(checkpoint), folder);
        s3r_checkpoint_close(checkpoint);
    }
}

static void test_side_files_are_read(void **state)
{
    (void)state;
    const char *folder = test_folder();
    const char *path = test_path(folder, "any-name.safetensors");
    save_model(folder, "any-name.safetensors", "w");
    s3r_checkpoint *checkpoint = open_sound(path);
    assert_null(s3r_checkpoint_config(checkpoint));
    assert_null(s3r_checkpoint_preprocessor(checkpoint));
    s3r_checkpoint_close(checkpoint);

    write_text(folder, "config.json", "{\"model_type\": \"wav2vec2\"}");
    write_text(folder, "preprocessor_config.json", "{\"do_normalize\": true}");
    checkpoint = open_sound(path);
    assert_string_equal(s3r_checkpoint_folder(checkpoint), folder);
    assert_string_equal(json_string_value(json_object_get(
                            s3r_checkpoint_config(checkpoint), "model_type")),
                        "wav2vec2");
    assert_true(json_is_true(
        json_object_get(s3r_checkpoint_preprocessor(checkpoint), "do_normalize")));
    const s3r_tensor *tensor = s3r_checkpoint_tensor(checkpoint, 0);
    assert_memory_equal(tensor->data, values, sizeof values);
    s3r_checkpoint_close(checkpoint);

    /* A fairseq file brings its own configuration. */
    copy_fixture(folder, "fairseq.pt", "fairseq_cfg_zip.pt");
    checkpoint = open_sound(test_path(folder, "fairseq.pt"));
    assert_true(s3r_checkpoint_is_fairseq(checkpoint));
    assert_non_null(json_object_get(s3r_checkpoint_config(checkpoint), "task"));
    s3r_checkpoint_close(checkpoint);

    write_text(folder, "config.json", "{\n\"a\": 1,\n\"a\": 2}");
    assert_fails(path, "config.json: line 3");
    write_text(folder, "config.json", "[]");
    assert_fails(path, "config.json: expected a JSON object");
    write_text(folder, "config.json", "");
    assert_fails(path, "config.json: line 1");
}

static void test_shards_are_joined(void **state)
{
    (void)state;
    const char *folder = test_folder();
    save_model(folder, "1.safetensors", "a");
    save_model(folder, "2.safetensors", "b");
    write_text(folder, "model.safetensors.index.json",
               "{\"metadata\":{\"total_size\":32},\"weight_map\":"
               "{\"b\":\"2.safetensors\",\"a\":\"1.safetensors\"}}");
    s3r_checkpoint *checkpoint = open_sound(folder);
    assert_int_equal(s3r_checkpoint_tensor_count(checkpoint), 2);
    assert_string_equal(s3r_checkpoint_tensor(checkpoint, 0)->name, "a");
    assert_string_equal(s3r_checkpoint_tensor(checkpoint, 1)->name, "b");
    s3r_checkpoint_close(checkpoint);
}

static void test_bad_indices_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *index, *message;
    } cases[] = {
        {"{}", "\"weight_map\": expected a JSON object"},
        {"{\"weight_map\":{}}", "it is empty"},
        {"{\"weight_map\":{\"a\":1}}", "\"a\": expected the name of a file"},
        {"{\"weight_map\":{\"a\":\"../1.safetensors\"}}", "found \"../1.safetensors\""},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "found \"/etc/passwd\""},
        {"{\"weight_map\":{\"a\":\"..\"}}", "found \"..\""},
        {"{\"weight_map\":{\"a\":\"x\\\\y\"}}", "name of a file in the same folder"},
        {"{\"weight_map\":{\"a\":\"\"}}", "name of a file in the same folder"},
        {"{\"weight_map\":{\"a\":\"3.safetensors\"}}", "3.safetensors: cannot open"},
        {"{\"weight_map\":{\"c\":\"1.safetensors\"}}",
         "\"c\": the index expects it in 1.safetensors"},
        {"{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\","
         "\"c\":\"2.safetensors\"}}",
         "\"b\": the index expects it in 1.safetensors"},
        {"{\"weight_map\":{\"a\":\"1.safetensors\",\"c\":\"copy.safetensors\"}}",
         "\"a\": the tensor occurs twice"},
        {"{\"weight_map\":{\"a\":\"1.safetensors\",\"a\":\"2.safetensors\"}}",
         "duplicate"},
    };
    const char *folder = test_folder();
    save_model(folder, "1.safetensors", "a");
    save_model(folder, "2.safetensors", "b");
    save_model(folder, "copy.safetensors", "a");
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        write_text(folder, "model.safetensors.index.json", cases[i].index);
        assert_fails(folder, cases[i].message);
    }
}

static void test_what_is_no_checkpoint_is_named(void **state)
{
    (void)state;
    const char *folder = test_folder();
    assert_fails(test_path(folder, "missing.pt"), "missing.pt: cannot open");
    assert_fails(folder, "or exactly one .pt file; found 0");
    write_text(folder, "a.pt", "");
    assert_fails(folder, "expected a safetensors or PyTorch file");
    write_text(folder, "b.pt", "");
    assert_fails(folder, "found 2 .pt files");
    write_text(folder, "m.safetensors", "");
    assert_fails(test_path(folder, "m.safetensors"), "at least 8 bytes");
    write_text(folder, "m.safetensors",
               "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    assert_fails(test_path(folder, "m.safetensors"), "Git LFS pointer");
    write_text(folder, "page.bin", "<!DOCTYPE html><html></html>");
    assert_fails(test_path(folder, "page.bin"), "expected a safetensors or PyTorch file");
}

static void test_folders_are_listed_sorted(void **state)
{
    (void)state;
    const char *folder = test_folder();
    s3r_folder_list list;
    write_text(folder, "b.pt", "");
    write_text(folder, "a.pt", "");
    write_text(folder, "c.txt", "");
    assert_int_equal(s3r_folder_list_read(&list, folder, ".pt", S3R_ERR_DATA, &err),
                     S3R_OK);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.names[0], "a.pt");
    assert_string_equal(list.names[1], "b.pt");
    s3r_folder_list_release(&list);
    assert_int_equal(s3r_folder_list_read(&list, folder, "", S3R_ERR_DATA, &err), S3R_OK);
    assert_int_equal(list.count, 3);
    s3r_folder_list_release(&list);
    assert_int_equal(
        s3r_folder_list_read(&list, test_path(folder, "none"), "", S3R_ERR_DATA, &err),
        S3R_ERR_DATA);
}

static s3r_status attempt(void *context, s3r_error *error)
{
    s3r_checkpoint *checkpoint;
    S3R_TRY(s3r_checkpoint_open(&checkpoint, context, error));
    s3r_checkpoint_close(checkpoint);
    return S3R_OK;
}

static void test_allocation_failures_are_survived(void **state)
{
    (void)state;
    const char *shards = test_folder(), *fairseq = test_folder();
    save_model(shards, "1.safetensors", "a");
    save_model(shards, "2.safetensors", "b");
    write_text(shards, "config.json", "{\"model_type\":\"hubert\"}");
    write_text(shards, "model.safetensors.index.json",
               "{\"weight_map\":{\"b\":\"2.safetensors\",\"a\":\"1.safetensors\"}}");
    copy_fixture(fairseq, "m.pt", "fairseq_cfg_legacy.pt");
    test_survives_alloc_faults(attempt, (void *)(uintptr_t)shards);
    test_survives_alloc_faults(attempt, (void *)(uintptr_t)fairseq);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder_choices_in_order),
        cmocka_unit_test(test_side_files_are_read),
        cmocka_unit_test(test_shards_are_joined),
        cmocka_unit_test(test_bad_indices_are_named),
        cmocka_unit_test(test_what_is_no_checkpoint_is_named),
        cmocka_unit_test(test_folders_are_listed_sorted),
        cmocka_unit_test(test_allocation_failures_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
