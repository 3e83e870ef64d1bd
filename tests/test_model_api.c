/*
 * Models through the public calls: what they say of themselves, saving, and every damaged
 * or contradictory folder with the message that names file, thing, expected and found.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "checkpoint/safetensors.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_audio.h"
#include "support_files.h"

#define FAIRSEQ "w2v2_group_postln_fairseq/"

static s3r_error err;

/* ---- sound models ---- */

static const struct {
    const char *name, *format, *family;
    size_t blocks, hidden_size, labels, blank_id, field, stride;
    bool is_pre_norm, has_layer_norm, normalizes, is_fairseq, has_vocabulary;
} sound[] = {
    {"w2v2_group_postln", "safetensors", "wav2vec2", 2, 16, 12, 0, 400, 320, false, false,
     false, false, true},
    {"w2v2_layer_preln", "safetensors", "wav2vec2", 1, 16, 12, 0, 30, 20, true, true,
     true, false, true},
    {"data2vec_audio", "safetensors", "data2vec-audio", 2, 16, 10, 0, 30, 20, false, true,
     true, false, true},
    {"wavlm_base", "safetensors", "wavlm", 2, 16, 12, 0, 30, 20, false, false, false,
     false, true},
    {"odd_shapes", "safetensors", "wav2vec2", 2, 21, 13, 12, 15, 8, true, true, true,
     false, true},
    {FAIRSEQ "finetuned_zip.pt", "pytorch zip", "wav2vec2", 2, 16, 12, 0, 400, 320, false,
     false, false, true, true},
    {FAIRSEQ "pretrained_legacy.pt", "pytorch legacy", "wav2vec2", 2, 16, 0, 0, 400, 320,
     false, false, false, true, false},
};

static void check_tensors(const s3r_model *model, const s3r_model_info *info)
{
    s3r_tensor_info tensor;
    size_t parameters = 0, bytes = 0, index = 0;
    for (; s3r_model_tensor(model, index, &tensor); index++) {
        size_t elements = 1;
        for (unsigned i = 0; i < tensor.rank; i++)
            elements *= tensor.shape[i];
        parameters += elements;
        bytes += tensor.size_bytes;
        assert_true(strlen(tensor.name) > 0 && strlen(tensor.dtype) > 0);
    }
    assert_int_equal(index, info->tensor_count);
    assert_int_equal(parameters, info->parameter_count);
    assert_int_equal(bytes, info->stored_bytes);
    assert_true(info->encoder_parameter_count <= info->parameter_count);
}

static void test_models_describe_themselves(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(sound); i++) {
        char path[256], hex[S3R_HASH_HEX_BYTES] = "";
        test_api api;
        s3r_model_info info;
        snprintf(path, sizeof path, TEST_GOLDEN "%s", sound[i].name);
        test_api_open(&api, path, 1, NULL);
        s3r_model_get_info(api.model, &info);
        assert_string_equal(info.path, path);
        assert_string_equal(info.format, sound[i].format);
        assert_string_equal(info.family, sound[i].family);
        assert_int_equal(info.blocks, sound[i].blocks);
        assert_int_equal(info.hidden_size, sound[i].hidden_size);
        assert_int_equal(info.label_count, sound[i].labels);
        assert_int_equal(info.has_head, sound[i].labels > 0);
        assert_int_equal(info.receptive_field, sound[i].field);
        assert_int_equal(info.frame_stride, sound[i].stride);
        assert_int_equal(info.is_pre_norm, sound[i].is_pre_norm);
        assert_int_equal(info.has_layer_norm_extractor, sound[i].has_layer_norm);
        assert_int_equal(info.normalizes_input, sound[i].normalizes);
        assert_int_equal(info.is_fairseq, sound[i].is_fairseq);
        assert_int_equal(info.has_vocabulary, sound[i].has_vocabulary);
        assert_int_equal(info.sample_rate_hz, 16000);
        check_tensors(api.model, &info);
        if (info.has_vocabulary) {
            assert_int_equal(info.blank_id, sound[i].blank_id);
            assert_non_null(s3r_model_label(api.model, info.blank_id));
        }
        assert_null(s3r_model_label(api.model, info.label_count));
        assert_int_equal(s3r_model_frames(api.model, info.receptive_field - 1), 0);
        assert_int_equal(s3r_model_frames(api.model, info.receptive_field), 1);
        assert_int_equal(
            s3r_model_frames(api.model, info.receptive_field + info.frame_stride), 2);
        assert_int_equal(s3r_model_get_hash(api.model, hex, &err), S3R_OK);
        assert_int_equal(strspn(hex, "0123456789abcdef"), S3R_HASH_HEX_BYTES - 1);
        test_api_close(&api);
    }
    s3r_model_close(NULL);
}

static void get_hash(char hex[S3R_HASH_HEX_BYTES], const char *path)
{
    test_api api;
    test_api_open(&api, path, 1, NULL);
    assert_int_equal(s3r_model_get_hash(api.model, hex, &err), S3R_OK);
    test_api_close(&api);
}

static void test_saved_models_open_again(void **state)
{
    (void)state;
    const char *root = test_folder(), *out = test_path(root, "out");
    char before[S3R_HASH_HEX_BYTES], after[S3R_HASH_HEX_BYTES];
    test_api api;
    test_api_open(&api, TEST_GOLDEN FAIRSEQ "finetuned_zip.pt", 2, NULL);
    assert_int_equal(s3r_model_get_hash(api.model, before, &err), S3R_OK);
    test_expect_failure(s3r_model_save(api.model, out, "f8", false, &err), &err,
                        S3R_ERR_USAGE, "expected f32, f16, bf16 or int8, found \"f8\"");
    assert_int_equal(s3r_model_save(api.model, out, "f16", false, &err), S3R_OK);
    get_hash(after, out);
    assert_string_equal(after, before);
    test_expect_failure(s3r_model_save(api.model, out, "f16", false, &err), &err,
                        S3R_ERR_USAGE, "out: expected a new or empty folder, found 6");
    assert_int_equal(s3r_model_save(api.model, out, "f32", true, &err), S3R_OK);
    struct rlimit limit, lower;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    lower = limit;
    lower.rlim_cur = 10000;
    setrlimit(RLIMIT_FSIZE, &lower);
    s3r_status status = s3r_model_save(api.model, out, "f32", true, &err);
    setrlimit(RLIMIT_FSIZE, &limit);
    test_expect_failure(status, &err, S3R_ERR_RUNTIME, "cannot write: File too large");
    test_api_close(&api);
    get_hash(after, out); /* what was there stays */
    assert_int_equal(test_folder_entries(root), 1);
}

static size_t labels_of(const test_api *api, const char *path, const char *language)
{
    s3r_model *model;
    s3r_model_info info;
    s3r_model_options options;
    s3r_model_options_init(&options);
    options.language = language;
    if (s3r_model_open(&model, api->context, path, &options, &err) != S3R_OK)
        fail_msg("%s", err.message);
    s3r_model_get_info(model, &info);
    s3r_model_close(model);
    return info.label_count;
}

/* A language brings its head, and goes with it into what is saved.  (spec 2.14) */
static void test_language_of_a_model(void **state)
{
    (void)state;
    static const char *const files[] = {"config.json", "preprocessor_config.json",
                                        "model.safetensors"};
    static const char vocabulary[] =
        "{\"eng\": {\"<pad>\": 0, \"<s>\": 1, \"</s>\": 2, \"<unk>\": 3, \"|\": 4, "
        "\"E\": 5, \"T\": 6, \"A\": 7, \"O\": 8, \"N\": 9, \"I\": 10, \"H\": 11}, "
        "\"xyz\": {\"<pad>\": 0, \"|\": 1, \"a\": 2}}";
    const char *folder = test_folder(), *out = test_path(test_folder(), "out");
    float rows[3 * 16], bias[3] = {1, 2, 3};
    for (size_t i = 0; i < S3R_ARRAY_LEN(rows); i++)
        rows[i] = (float)i;
    s3r_tensor head[2] = {
        {"lm_head.weight", S3R_DTYPE_F32, 2, {3, 16}, rows, sizeof rows},
        {"lm_head.bias", S3R_DTYPE_F32, 1, {3}, bias, sizeof bias}};
    for (size_t i = 0; i < S3R_ARRAY_LEN(files); i++) {
        s3r_file_map map;
        const char *from = test_path(TEST_GOLDEN "w2v2_layer_preln", files[i]);
        assert_int_equal(s3r_file_map_open(&map, from, S3R_ERR_DATA, &err), S3R_OK);
        test_write_file(test_path(folder, files[i]), map.data, map.size);
        s3r_file_map_close(&map);
    }
    test_write_file(test_path(folder, "vocab.json"), vocabulary, strlen(vocabulary));
    assert_int_equal(s3r_safetensors_save(test_path(folder, "adapter.xyz.safetensors"),
                                          head, 2, NULL, NULL, NULL, &err),
                     S3R_OK);
    test_api api;
    test_api_open(&api, TEST_GOLDEN "w2v2_layer_preln", 1, NULL);
    assert_int_equal(labels_of(&api, folder, "eng"), 12);
    assert_int_equal(labels_of(&api, folder, "xyz"), 3);
    s3r_model *model;
    s3r_model_options options;
    s3r_model_options_init(&options);
    options.language = "xyz";
    assert_int_equal(s3r_model_open(&model, api.context, folder, &options, &err), S3R_OK);
    assert_int_equal(s3r_model_save(model, out, "f32", false, &err), S3R_OK);
    s3r_model_close(model);
    assert_int_equal(labels_of(&api, out, NULL), 3);
    test_api_close(&api);
}

static void test_wrong_options_are_named(void **state)
{
    (void)state;
    s3r_context *context;
    s3r_model *model = NULL;
    s3r_model_options options = {0};
    assert_int_equal(s3r_context_create(&context, NULL, &err), S3R_OK);
    test_expect_failure(
        s3r_model_open(&model, context, TEST_GOLDEN "odd_shapes", &options, &err), &err,
        S3R_ERR_USAGE, "found 0 (not initialised?)");
    s3r_model_options_init(&options);
    options.language = "deu";
    test_expect_failure(
        s3r_model_open(&model, context, TEST_GOLDEN "odd_shapes", &options, &err), &err,
        S3R_ERR_USAGE, "deu");
    s3r_model_options_init(&options);
    options.weights = (s3r_weights_memory)7;
    test_expect_failure(
        s3r_model_open(&model, context, TEST_GOLDEN "odd_shapes", &options, &err), &err,
        S3R_ERR_USAGE, "memory of the weights: expected auto, shared or packed, found 7");
    assert_null(model);
    s3r_context_destroy(context);
}

/* ---- damaged folders ---- */

static unsigned char bytes[1 << 17];

static void put_u32(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

/* Replaces the first `from` in the header by `to`, which is as long. */
static void patch(const char *from, const char *to, size_t size)
{
    size_t length = strlen(from);
    assert_int_equal(strlen(to), length);
    for (size_t i = 0; i + length <= size; i++)
        if (memcmp(bytes + i, from, length) == 0) {
            memcpy(bytes + i, to, length);
            return;
        }
    fail_msg("no \"%s\"", from);
}

static size_t cut_half(size_t size)
{
    return size / 2;
}

static size_t cut_header(size_t size)
{
    (void)size;
    return 100;
}

static size_t empty(size_t size)
{
    (void)size;
    return 0;
}

static size_t add_byte(size_t size)
{
    return size + 1;
}

static size_t grow_header(size_t size)
{
    bytes[5] = 1; /* 2^40 bytes */
    return size;
}

static size_t shift_offset(size_t size)
{
    patch("\"data_offsets\":[0,", "\"data_offsets\":[2,", size);
    return size;
}

static size_t spoil_json(size_t size)
{
    bytes[8] = '[';
    return size;
}

static size_t spoil_dtype(size_t size)
{
    patch("\"BF16\"", "\"BF61\"", size);
    return size;
}

static size_t huge_shape(size_t size)
{
    patch("\"shape\":[10", "\"shape\":[99", size);
    return size;
}

/* The first entry claims to unfold to a gigabyte. */
static size_t zip_bomb(size_t size)
{
    for (size_t i = 0; i + 46 <= size; i++)
        if (memcmp(bytes + i, "PK\x01\x02", 4) == 0) {
            bytes[i + 10] = 8;
            put_u32(bytes + i + 24, 1u << 30);
            return size;
        }
    fail_msg("no zip directory");
    return 0;
}

typedef struct damage {
    size_t (*change)(size_t size); /* of bytes; returns the new size */
    const char *said;
} damage;

static void expect_bad(const char *path, const char *file, const char *said)
{
    s3r_context *context;
    s3r_model *model = NULL;
    assert_int_equal(s3r_context_create(&context, NULL, &err), S3R_OK);
    s3r_status status = s3r_model_open(&model, context, path, NULL, &err);
    test_expect_failure(status, &err, S3R_ERR_MODEL, said);
    if (!strstr(err.message, file))
        fail_msg("expected the name %s in \"%s\"", file, err.message);
    assert_null(model);
    const char *slash = strrchr(path, '/');
    const char *shown = strstr(err.message, slash);
    print_message("%.160s\n", shown ? shown + 1 : err.message);
    s3r_context_destroy(context);
}

static void check_damage(const char *path, const damage *cases, size_t count)
{
    static unsigned char original[sizeof bytes];
    size_t size = test_read_file(path, original, sizeof original);
    const char *name = strrchr(path, '/') + 1;
    char folder[512];
    snprintf(folder, sizeof folder, "%.*s", (int)(name - path - 1), path);
    bool is_in_folder = strcmp(name, "model.safetensors") == 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(bytes, original, size);
        test_write_file(path, bytes, cases[i].change(size));
        expect_bad(is_in_folder ? folder : path, name, cases[i].said);
    }
    test_write_file(path, original, size);
}

static void test_damaged_safetensors(void **state)
{
    (void)state;
    static const damage cases[] = {
        {cut_half, "data_offsets: expected a range within"},
        {cut_header, "the file ends after"},
        {empty, "expected at least 8 bytes, found 0"},
        {add_byte, "bytes of data, found"},
        {grow_header, "at most 100000000"},
        {shift_offset, "data_offsets"},
        {spoil_json, "safetensors header: expected a JSON object"},
        {spoil_dtype, "found \"BF61\""},
        {huge_shape, "bytes"},
    };
    const char *folder = test_copy_model("w2v2_group_postln");
    check_damage(test_path(folder, "model.safetensors"), cases, S3R_ARRAY_LEN(cases));
}

static const char *copy_fairseq(const char *name)
{
    char from[256];
    const char *path = test_path(test_folder(), name);
    snprintf(from, sizeof from, TEST_GOLDEN FAIRSEQ "%s", name);
    size_t size = test_read_file(from, bytes, sizeof bytes);
    test_write_file(path, bytes, size);
    return path;
}

static void test_damaged_pytorch_files(void **state)
{
    (void)state;
    static const damage zip_cases[] = {{cut_half, "zip"}, {empty, ""}, {zip_bomb, "zip"}};
    static const damage legacy_cases[] = {{cut_half, "the file ends"},
                                          {cut_header, "pickle"}};
    check_damage(copy_fairseq("finetuned_zip.pt"), zip_cases, S3R_ARRAY_LEN(zip_cases));
    check_damage(copy_fairseq("pretrained_legacy.pt"), legacy_cases,
                 S3R_ARRAY_LEN(legacy_cases));
}

#define MAGIC                                                                            \
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.M\xe9\x03.}U\x0dlittle_"   \
    "endian\x88s."
#define HOSTILE(text, message)                                                           \
    {                                                                                    \
        text, sizeof(text) - 1, message                                                  \
    }

/* Pickles that a careless reader would follow. */
static void test_hostile_pickles(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        const char *said;
    } cases[] = {
        HOSTILE(MAGIC "}q\x00U\x01wh\x00s.].", "state dict"),
        HOSTILE(MAGIC "]q\x00h\x00"
                      "a.].",
                "state dict"),
        HOSTILE(MAGIC "\x82\x01.].", "opcode 0x82: this opcode is not supported"),
        HOSTILE(MAGIC "cos\nsystem\n(U\x0etouch executedtR.].", ""),
        HOSTILE(MAGIC "}U\x01wcos\nsystem\n(U\x0etouch executedtRs.].", "none"),
        HOSTILE(MAGIC "X\xff\xff\xff\xff"
                      "a.].",
                "ends too early"),
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const char *folder = test_copy_model("w2v2_group_postln");
        remove(test_path(folder, "model.safetensors"));
        test_write_file(test_path(folder, "pytorch_model.bin"), cases[i].text,
                        cases[i].size);
        expect_bad(folder, "pytorch_model.bin", cases[i].said);
        const char *single = test_path(folder, "model.pt");
        test_write_file(single, cases[i].text, cases[i].size);
        expect_bad(single, "model.pt", cases[i].said);
    }
    assert_false(s3r_path_exists("executed"));
}

/* One file of a folder with other text; text NULL = it is missing. */
static void test_contradictory_folders(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text, *named, *said;
    } cases[] = {
        {"model.safetensors", NULL, "", "model.safetensors"},
        {"config.json", NULL, "config.json", ""},
        {"config.json", "{", "config.json", "line 1"},
        {"config.json", "[]", "config.json", "expected a JSON object"},
        {"config.json", "{\"model_type\":\"whisper\"}", "config.json",
         "found \"whisper\""},
        {"preprocessor_config.json", "{", "preprocessor_config.json", "line 1"},
        {"preprocessor_config.json", "{\"feature_size\":80}", "preprocessor_config.json",
         "found 80"},
        {"vocab.json", "{\"<pad>\":0,\"A\":1}", "vocab.json", "12"},
        {"vocab.json", "{\"<pad>\":0", "vocab.json", "line 1"},
        {"vocab.json",
         "{\"<pad>\":0,\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,"
         "\"i\":9,\"j\":10,\"k\":11,\"l\":12,\"m\":13}",
         "vocab.json", "12"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const char *folder = test_copy_model("w2v2_group_postln");
        const char *path = test_path(folder, cases[i].file);
        if (cases[i].text)
            test_write_file(path, cases[i].text, strlen(cases[i].text));
        else
            remove(path);
        expect_bad(folder, cases[i].named, cases[i].said);
    }
    expect_bad("/nonexistent/model", "/nonexistent/model", "No such file");
    expect_bad(test_folder(), "", "expected");
}

/* A number of config.json that the tensors contradict. */
static void test_config_against_tensors(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *said;
    } cases[] = {
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "missing"},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "encoder.layers.1"},
        {"\"hidden_size\": 16", "\"hidden_size\": 32", "[16"},
        {"\"intermediate_size\": 32", "\"intermediate_size\": 30", "[32,16]"},
        {"\"vocab_size\": 12", "\"vocab_size\": 99", "99"},
        {"\"num_attention_heads\": 2", "\"num_attention_heads\": 3", "divisor"},
        {"\"num_conv_pos_embeddings\": 16", "\"num_conv_pos_embeddings\": 15", "15"},
        {"\"feat_extract_norm\": \"group\"", "\"feat_extract_norm\": \"layer\"",
         "missing"},
        {"\"model_type\": \"wav2vec2\"", "\"model_type\": \"wavlm\"   ", ""},
        {"\"pad_token_id\": 0", "\"pad_token_id\": 77", "found 77"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const char *folder = test_copy_model("w2v2_group_postln");
        const char *path = test_path(folder, "config.json");
        char text[4096], changed[4200];
        text[test_read_file(path, (unsigned char *)text, sizeof text)] = '\0';
        char *at = strstr(text, cases[i].from);
        assert_non_null(at);
        snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, cases[i].to,
                 at + strlen(cases[i].from));
        test_write_file(path, changed, strlen(changed));
        expect_bad(folder, "", cases[i].said);
    }
}

/* ---- no memory ---- */

static s3r_status attempt_open(void *path, s3r_error *error)
{
    s3r_context *context;
    s3r_model *model;
    S3R_TRY(s3r_context_create(&context, NULL, error));
    s3r_status status = s3r_model_open(&model, context, path, NULL, error);
    if (status == S3R_OK)
        s3r_model_close(model);
    s3r_context_destroy(context);
    return status;
}

static void test_allocation_failures_are_survived(void **state)
{
    (void)state;
    static char folder[] = TEST_GOLDEN "wavlm_base";
    static char file[] = TEST_GOLDEN FAIRSEQ "finetuned_zip.pt";
    test_survives_alloc_faults(attempt_open, folder);
    test_survives_alloc_faults(attempt_open, file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models_describe_themselves),
        cmocka_unit_test(test_saved_models_open_again),
        cmocka_unit_test(test_language_of_a_model),
        cmocka_unit_test(test_wrong_options_are_named),
        cmocka_unit_test(test_damaged_safetensors),
        cmocka_unit_test(test_damaged_pytorch_files),
        cmocka_unit_test(test_hostile_pickles),
        cmocka_unit_test(test_contradictory_folders),
        cmocka_unit_test(test_config_against_tensors),
        cmocka_unit_test(test_allocation_failures_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
