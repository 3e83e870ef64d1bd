/*
 * Conversion: every golden model to every type and back, equal hashes, vocabularies,
 * files that stay, and failures (overflow, full disk, memory) that leave nothing behind.
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "checkpoint/safetensors.h"
#include "model/model_convert.h"
#include "model/model_hash.h"
#include "model/weight_plan.h"
#include "ops/half.h"
#include "support_alloc_faults.h"
#include "support_files.h"

#define GOLDEN "tests/golden/"

static s3r_error err;

typedef struct opened {
    s3r_checkpoint *checkpoint;
    s3r_model_config config;
} opened;

static void open_model(opened *o, const char *path)
{
    if (s3r_checkpoint_open(&o->checkpoint, path, &err) != S3R_OK ||
        s3r_model_config_open(&o->config, o->checkpoint, NULL, &err) != S3R_OK)
        fail_msg("%s", err.message);
}

static s3r_status convert(const opened *o, const s3r_vocabulary *vocabulary,
                          const char *folder, s3r_dtype dtype)
{
    s3r_convert_options options = {.dtype = dtype, .is_forced = true};
    err.message[0] = '\0';
    return s3r_model_convert(o->checkpoint, &o->config, vocabulary, folder, &options,
                             &err);
}

static void assert_converts(const opened *o, const s3r_vocabulary *vocabulary,
                            const char *folder, s3r_dtype dtype)
{
    if (convert(o, vocabulary, folder, dtype) != S3R_OK)
        fail_msg("%s", err.message);
}

static void assert_same_hash(const char *a_path, const char *b_path)
{
    opened a, b;
    char a_text[S3R_MODEL_HASH_BYTES], b_text[S3R_MODEL_HASH_BYTES];
    open_model(&a, a_path);
    open_model(&b, b_path);
    assert_int_equal(s3r_model_hash(a_text, a.checkpoint, &a.config, &err), S3R_OK);
    assert_int_equal(s3r_model_hash(b_text, b.checkpoint, &b.config, &err), S3R_OK);
    assert_string_equal(a_text, b_text);
    s3r_checkpoint_close(a.checkpoint);
    s3r_checkpoint_close(b.checkpoint);
}

/* All weights of both are equal as fp32; the golden values fit all three types. */
static void assert_same_values(const char *a_path, const char *b_path, bool is_fairseq)
{
    opened a, b;
    s3r_weight_plan p, q;
    open_model(&a, a_path);
    open_model(&b, b_path);
    assert_int_equal(s3r_weight_plan_make(&p, a.checkpoint, NULL, &a.config, &err),
                     S3R_OK);
    assert_int_equal(s3r_weight_plan_make(&q, b.checkpoint, NULL, &b.config, &err),
                     S3R_OK);
    assert_int_equal(p.count, q.count);
    for (size_t i = 0; i < p.count; i++) {
        const s3r_tensor *x = p.entries[i].tensor, *y = q.entries[i].tensor;
        assert_string_equal(p.entries[i].name, q.entries[i].name);
        /* The fairseq fixture has another one. */
        if (is_fairseq && strcmp(p.entries[i].name, "masked_spec_embed") == 0)
            continue;
        for (size_t k = 0; k < s3r_tensor_elements(x); k++)
            if (s3r_element_to_f32(x->data, x->dtype, k) !=
                s3r_element_to_f32(y->data, y->dtype, k))
                fail_msg("%s: element %zu differs", x->name, k);
    }
    s3r_weight_plan_release(&p);
    s3r_weight_plan_release(&q);
    s3r_checkpoint_close(a.checkpoint);
    s3r_checkpoint_close(b.checkpoint);
}

static void test_round_trips(void **state)
{
    static const char *const folders[] = {"w2v2_group_postln",
                                          "w2v2_layer_preln",
                                          "hubert_group",
                                          "hubert_layer_preln",
                                          "hubert_no_projection_norm",
                                          "data2vec_audio",
                                          "wavlm_base",
                                          "wavlm_large",
                                          "odd_shapes"};
    static const s3r_dtype dtypes[] = {S3R_DTYPE_F32, S3R_DTYPE_BF16, S3R_DTYPE_F16};
    const char *root = test_folder();
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(folders); i++) {
        const char *golden = test_path(GOLDEN, folders[i]);
        for (size_t d = 0; d < S3R_ARRAY_LEN(dtypes); d++) {
            char name[64];
            opened o;
            snprintf(name, sizeof name, "%s-%zu", folders[i], d);
            const char *folder = test_path(root, name);
            open_model(&o, golden);
            assert_converts(&o, NULL, folder, dtypes[d]);
            assert_same_values(folder, golden, false);
            if (s3r_checkpoint_tensor(o.checkpoint, 0)->dtype == dtypes[d])
                assert_same_hash(folder, golden);
            s3r_checkpoint_close(o.checkpoint);
        }
    }
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void test_fairseq(void **state)
{
    const char *root = test_folder(), *folder = test_path(root, "deep/model/");
    opened o;
    s3r_vocabulary vocabulary, after;
    json_t *json;
    (void)state;
    open_model(&o, GOLDEN "w2v2_group_postln_fairseq/finetuned_zip.pt");
    assert_int_equal(s3r_vocabulary_open(&vocabulary, s3r_checkpoint_folder(o.checkpoint),
                                         NULL, NULL, &err),
                     S3R_OK);
    assert_converts(&o, &vocabulary, folder, S3R_DTYPE_BF16);
    s3r_checkpoint_close(o.checkpoint);
    assert_same_hash(folder, GOLDEN "w2v2_group_postln");
    assert_same_values(folder, GOLDEN "w2v2_group_postln", true);

    json = json_load_file(test_path(folder, "config.json"), 0, NULL);
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(json, "architectures"), 0)),
        "Wav2Vec2ForCTC");
    assert_string_equal(text_of(json, "torch_dtype"), "bfloat16");
    assert_int_equal(json_integer_value(json_object_get(json, "vocab_size")), 12);
    json_decref(json);
    json = json_load_file(test_path(folder, "preprocessor_config.json"), 0, NULL);
    assert_true(json_is_false(json_object_get(json, "do_normalize")));
    assert_true(json_is_false(json_object_get(json, "return_attention_mask")));
    json_decref(json);
    json = json_load_file(test_path(folder, "tokenizer_config.json"), 0, NULL);
    assert_string_equal(text_of(json, "pad_token"), "<pad>");
    assert_string_equal(text_of(json, "word_delimiter_token"), "|");
    assert_string_equal(text_of(json, "tokenizer_class"), "Wav2Vec2CTCTokenizer");
    json_decref(json);

    /* Rows keep their meaning; the blank is called <pad> now. */
    if (s3r_vocabulary_open(&after, folder, NULL, NULL, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_int_equal(after.count, vocabulary.count);
    assert_int_equal(after.blank_id, vocabulary.blank_id);
    assert_int_equal(after.delimiter_id, vocabulary.delimiter_id);
    assert_int_equal(after.unknown_id, vocabulary.unknown_id);
    assert_string_equal(after.labels[0], "<pad>");
    assert_string_equal(after.labels[1], "<s>");
    for (size_t i = 2; i < after.count; i++)
        assert_string_equal(after.labels[i], vocabulary.labels[i]);
    s3r_vocabulary_close(&after);
    s3r_vocabulary_close(&vocabulary);
}

static void test_pretrained(void **state)
{
    const char *folder = test_path(test_folder(), "model");
    opened o;
    (void)state;
    open_model(&o, GOLDEN "w2v2_group_postln_fairseq/pretrained_legacy.pt");
    assert_converts(&o, NULL, folder, S3R_DTYPE_F32);
    s3r_checkpoint_close(o.checkpoint);
    json_t *json = json_load_file(test_path(folder, "config.json"), 0, NULL);
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(json, "architectures"), 0)),
        "Wav2Vec2Model");
    json_decref(json);
    assert_same_hash(folder, GOLDEN "w2v2_group_postln_fairseq/pretrained_legacy.pt");
}

static void test_replaces_models_only(void **state)
{
    const char *root = test_folder(), *folder = test_path(root, "model");
    s3r_convert_options careful = {.dtype = S3R_DTYPE_F32};
    opened o;
    (void)state;
    open_model(&o, GOLDEN "hubert_group");
    assert_int_equal(s3r_folder_create(folder, &err), S3R_OK);
    test_write_file(test_path(folder, "notes.txt"), "mine", 4);
    assert_int_equal(
        s3r_model_convert(o.checkpoint, &o.config, NULL, folder, &careful, &err),
        S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "expected a new or empty folder, found 1"));
    assert_int_equal(test_entry_count(folder), 1);
    assert_converts(&o, NULL, folder, S3R_DTYPE_F32);
    assert_int_equal(test_entry_count(folder), 4);
    /* A model is not replaced either without force. */
    assert_int_equal(
        s3r_model_convert(o.checkpoint, &o.config, NULL, folder, &careful, &err),
        S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "expected a new or empty folder, found 4"));
    assert_int_equal(test_entry_count(folder), 4);
    /* A model there is replaced with all its files; the rest stays. */
    test_write_file(test_path(folder, "pytorch_model.bin"), "old", 3);
    test_write_file(test_path(folder, "added_tokens.json"), "{}", 2);
    assert_int_equal(s3r_folder_create(test_path(folder, "runs/1"), &err), S3R_OK);
    assert_converts(&o, NULL, folder, S3R_DTYPE_BF16);
    assert_int_equal(test_entry_count(folder), 5);
    assert_true(s3r_path_exists(test_path(folder, "runs/1")));
    assert_true(s3r_path_exists(test_path(folder, "notes.txt")));
    assert_false(s3r_path_exists(test_path(folder, "pytorch_model.bin")));
    assert_int_equal(test_entry_count(root), 1);
    s3r_checkpoint_close(o.checkpoint);
    /* In place: the source is the folder that is replaced. */
    open_model(&o, folder);
    assert_converts(&o, NULL, folder, S3R_DTYPE_F16);
    s3r_checkpoint_close(o.checkpoint);
    assert_same_values(folder, GOLDEN "hubert_group", false);
}

/* A golden model with one value of its head replaced, as F32. */
static const char *write_with_value(float value)
{
    static float weights[64 * 64];
    const char *folder = test_path(test_folder(), "model");
    opened o;
    open_model(&o, GOLDEN "odd_shapes");
    assert_converts(&o, NULL, folder, S3R_DTYPE_F32);
    s3r_checkpoint_close(o.checkpoint);
    open_model(&o, folder);
    s3r_tensor tensors[128];
    size_t count = s3r_checkpoint_tensor_count(o.checkpoint);
    for (size_t i = 0; i < count; i++) {
        tensors[i] = *s3r_checkpoint_tensor(o.checkpoint, i);
        if (strcmp(tensors[i].name, "lm_head.weight") == 0) {
            memcpy(weights, tensors[i].data, tensors[i].size_bytes);
            weights[5] = value;
            tensors[i].data = weights;
        }
    }
    assert_int_equal(s3r_safetensors_save(test_path(folder, "model.safetensors"), tensors,
                                          count, NULL, NULL, NULL, &err),
                     S3R_OK);
    s3r_checkpoint_close(o.checkpoint);
    return folder;
}

static void test_overflow(void **state)
{
    const char *root = test_folder(), *out = test_path(root, "out");
    opened o;
    (void)state;
    open_model(&o, write_with_value(65505.0f));
    assert_int_equal(convert(&o, NULL, out, S3R_DTYPE_F16), S3R_ERR_MODEL);
    assert_non_null(strstr(err.message, "\"lm_head.weight\": element 5: expected a value "
                                        "that F16 can hold, found 65505"));
    assert_int_equal(test_entry_count(root), 0);
    assert_converts(&o, NULL, out, S3R_DTYPE_BF16);
    s3r_checkpoint_close(o.checkpoint);
    open_model(&o, write_with_value(3.4e38f));
    assert_int_equal(convert(&o, NULL, out, S3R_DTYPE_BF16), S3R_ERR_MODEL);
    assert_converts(&o, NULL, out, S3R_DTYPE_F32);
    s3r_checkpoint_close(o.checkpoint);
}

/* A limit on the size of files stands for a full disk: each write fails in turn. */
static void test_full_disk(void **state)
{
    const char *root = test_folder(), *folder = test_path(root, "model");
    struct rlimit before, limit;
    opened o;
    (void)state;
    open_model(&o, GOLDEN "w2v2_layer_preln");
    assert_converts(&o, NULL, folder, S3R_DTYPE_BF16);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    static const rlim_t sizes[] = {0, 100, 1000, 4000, 30000};
    for (size_t i = 0; i < S3R_ARRAY_LEN(sizes); i++) {
        limit = before;
        limit.rlim_cur = sizes[i];
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        s3r_status status = convert(&o, NULL, folder, S3R_DTYPE_F32);
        setrlimit(RLIMIT_FSIZE, &before);
        if (status != S3R_ERR_RUNTIME || !strstr(err.message, "cannot write"))
            fail_msg("limit %zu: %s", (size_t)sizes[i], err.message);
        assert_int_equal(test_entry_count(root), 1);
    }
    s3r_checkpoint_close(o.checkpoint);
    assert_same_hash(folder, GOLDEN "w2v2_layer_preln");
}

static void test_unsupported(void **state)
{
    const char *out = test_path(test_folder(), "out");
    opened o;
    (void)state;
    open_model(&o, GOLDEN "data2vec_audio");
    o.config.is_pre_norm = true;
    assert_int_equal(convert(&o, NULL, out, S3R_DTYPE_F32), S3R_ERR_MODEL);
    o.config.is_pre_norm = false;
    o.config.extractor_norm = S3R_EXTRACTOR_GROUP;
    assert_int_equal(convert(&o, NULL, out, S3R_DTYPE_F32), S3R_ERR_MODEL);
    assert_int_equal(convert(&o, NULL, out, S3R_DTYPE_I16), S3R_ERR_USAGE);
    assert_false(s3r_path_exists(out));
    s3r_checkpoint_close(o.checkpoint);
}

typedef struct attempt {
    opened o;
    s3r_vocabulary vocabulary;
    const char *folder, *root;
    bool is_forced;
    s3r_dtype dtype;
} attempt;

static s3r_status attempt_convert(void *context, s3r_error *error)
{
    attempt *a = context;
    s3r_convert_options options = {.dtype = a->dtype, .is_forced = a->is_forced};
    s3r_status status = s3r_model_convert(a->o.checkpoint, &a->o.config, &a->vocabulary,
                                          a->folder, &options, error);
    return status;
}

static void test_allocation_failures(void **state)
{
    attempt a = {.dtype = S3R_DTYPE_I8};
    (void)state;
    a.root = test_folder();
    a.folder = test_path(a.root, "model");
    open_model(&a.o, GOLDEN "odd_shapes");
    assert_int_equal(
        s3r_vocabulary_open(&a.vocabulary, GOLDEN "odd_shapes", NULL, NULL, &err),
        S3R_OK);
    test_survives_alloc_faults(attempt_convert, &a);
    test_write_file(test_path(a.folder, "notes.txt"), "mine", 4);
    a.is_forced = true;
    a.dtype = S3R_DTYPE_F32;
    test_survives_alloc_faults(attempt_convert, &a);
    assert_true(s3r_path_exists(test_path(a.folder, "notes.txt")));
    s3r_vocabulary_close(&a.vocabulary);
    s3r_checkpoint_close(a.o.checkpoint);
    assert_same_values(a.folder, GOLDEN "odd_shapes", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips), cmocka_unit_test(test_fairseq),
        cmocka_unit_test(test_pretrained),  cmocka_unit_test(test_replaces_models_only),
        cmocka_unit_test(test_overflow),    cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_unsupported), cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
