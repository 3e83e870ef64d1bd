/*
 * Trained models: every golden form with all parameters changed, saved and read back bit
 * for bit; in bf16; tensors of pretraining and header strings; failures leave nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/folder_list.h"
#include "base/random.h"
#include "checkpoint/safetensors.h"
#include "model/model_save_trained.h"
#include "model/stored_values.h"
#include "support_alloc_faults.h"
#include "support_files.h"
#include "support_model.h"

static s3r_error err;

typedef struct trained_model {
    test_model model;
    s3r_parameters parameters;
} trained_model;

static void open_trained(trained_model *m, const char *name)
{
    test_model_open(&m->model, name, s3r_cpu_detect(), 1, false, true);
    assert_int_equal(s3r_parameters_open(&m->parameters, m->model.checkpoint,
                                         &m->model.config, &m->model.weights, &err),
                     S3R_OK);
}

static void close_trained(trained_model *m)
{
    s3r_parameters_close(&m->parameters);
    test_model_close(&m->model);
}

/* Trains every step-th parameter and gives it values that no other type holds. */
static void change(trained_model *m, size_t step)
{
    s3r_random random;
    s3r_random_init(&random, 1, 0);
    for (size_t i = 0; i < m->parameters.count; i += step) {
        s3r_parameter *parameter = &m->parameters.items[i];
        assert_int_equal(s3r_parameter_train(&m->parameters, parameter, &err), S3R_OK);
        for (size_t j = 0; j < s3r_parameter_elements(parameter); j++)
            parameter->values[j] += 0.01f * (float)s3r_random_normal(&random);
    }
}

static void save(const trained_model *m, const char *folder,
                 const s3r_save_trained_options *options)
{
    if (s3r_model_save_trained(m->model.checkpoint, &m->model.config, &m->parameters,
                               folder, options, &err) != S3R_OK)
        fail_msg("%s", err.message);
}

/* What is in the folder equals the trained values, or else those of the first model. */
static void check_saved(const trained_model *m, const char *folder, s3r_dtype dtype)
{
    s3r_checkpoint *saved;
    s3r_model_config config;
    s3r_weight_plan plan;
    static float expected[65536], found[65536];
    static unsigned char stored[65536 * sizeof(float)];
    assert_int_equal(s3r_checkpoint_open(&saved, folder, &err), S3R_OK);
    assert_int_equal(s3r_model_config_open(&config, saved, NULL, &err), S3R_OK);
    assert_int_equal(s3r_weight_plan_make(&plan, saved, NULL, &config, &err), S3R_OK);
    assert_int_equal(plan.count, m->parameters.count);
    for (size_t i = 0; i < plan.count; i++) {
        const s3r_parameter *parameter = &m->parameters.items[i];
        const s3r_tensor *first = parameter->entry->tensor;
        size_t count = s3r_parameter_elements(parameter), bad;
        assert_true(count <= S3R_ARRAY_LEN(expected));
        assert_string_equal(plan.entries[i].name, parameter->entry->name);
        if (parameter->values)
            s3r_parameter_to_stored(parameter, parameter->values, expected);
        else
            s3r_stored_to_f32(expected, first->data, first->dtype, 0, count);
        assert_true(s3r_stored_from_f32(stored, dtype, expected, count, &bad));
        s3r_stored_to_f32(expected, stored, dtype, 0, count);
        const s3r_tensor *tensor = plan.entries[i].tensor;
        assert_int_equal(tensor->dtype, dtype);
        s3r_stored_to_f32(found, tensor->data, tensor->dtype, 0, count);
        if (memcmp(expected, found, count * sizeof *found) != 0)
            fail_msg("%s: \"%s\" differs", folder, plan.entries[i].name);
    }
    s3r_weight_plan_release(&plan);
    s3r_checkpoint_close(saved);
}

static void test_every_form(void **state)
{
    static const char *const models[] = {"w2v2_group_postln",  "w2v2_layer_preln",
                                         "hubert_layer_preln", "data2vec_audio",
                                         "wavlm_base",         "odd_shapes"};
    static const s3r_dtype types[] = {S3R_DTYPE_F32, S3R_DTYPE_BF16};
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(models); i++) {
        for (size_t step = 1; step <= 2; step++) {
            trained_model m;
            const char *folder = test_path(test_folder(), "saved");
            open_trained(&m, models[i]);
            change(&m, step);
            for (size_t t = 0; t < S3R_ARRAY_LEN(types); t++) {
                const s3r_save_trained_options options = {.dtype = types[t],
                                                          .is_forced = true};
                save(&m, folder, &options);
                check_saved(&m, folder, types[t]);
            }
            close_trained(&m);
        }
    }
}

static void test_reading_pieces(void **state)
{
    trained_model m;
    (void)state;
    open_trained(&m, "hubert_group");
    change(&m, 1);
    for (size_t i = 0; i < m.parameters.count; i++) {
        const s3r_parameter *parameter = &m.parameters.items[i];
        static float whole[65536], piece[7];
        size_t count = s3r_parameter_elements(parameter);
        s3r_parameter_to_stored(parameter, parameter->values, whole);
        for (size_t at = 0; at < count; at += 7) {
            size_t some = S3R_MIN(count - at, (size_t)7);
            s3r_parameter_read(parameter, at, some, piece);
            assert_memory_equal(piece, whole + at, some * sizeof *piece);
        }
    }
    close_trained(&m);
}

static void test_extra(void **state)
{
    static const float embeddings[6] = {1, 2, 3, 4, 5, 6}, bias[2] = {0.1f, -0.2f};
    const s3r_tensor extra[] = {{.name = "label_embs_concat",
                                 .dtype = S3R_DTYPE_F32,
                                 .rank = 2,
                                 .shape = {3, 2},
                                 .data = embeddings,
                                 .size_bytes = sizeof embeddings},
                                {.name = "final_proj.bias",
                                 .dtype = S3R_DTYPE_F32,
                                 .rank = 1,
                                 .shape = {2},
                                 .data = bias,
                                 .size_bytes = sizeof bias}};
    trained_model m;
    s3r_file_map map;
    s3r_safetensors file;
    const char *folder = test_path(test_folder(), "saved");
    (void)state;
    open_trained(&m, "hubert_group");
    change(&m, 1);
    json_t *metadata = json_pack("{s:s, s:s}", "step", "1000", "seed", "7");
    const s3r_save_trained_options options = {
        .dtype = S3R_DTYPE_BF16, .extra = extra, .extra_count = 2, .metadata = metadata};
    save(&m, folder, &options);
    check_saved(&m, folder, S3R_DTYPE_BF16);
    const char *path = test_path(folder, "model.safetensors");
    assert_int_equal(s3r_file_map_open(&map, path, S3R_ERR_DATA, &err), S3R_OK);
    assert_int_equal(s3r_safetensors_parse(&file, map.data, map.size, path, &err),
                     S3R_OK);
    for (size_t i = 0; i < 2; i++) {
        const s3r_tensor *found = &file.tensors[file.tensor_count - 2 + i];
        assert_string_equal(found->name, extra[i].name);
        assert_int_equal(found->dtype, S3R_DTYPE_F32);
        assert_memory_equal(found->data, extra[i].data, extra[i].size_bytes);
    }
    assert_string_equal(json_string_value(json_object_get(file.metadata, "step")),
                        "1000");
    assert_string_equal(json_string_value(json_object_get(file.metadata, "format")),
                        "pt");
    s3r_safetensors_release(&file);
    s3r_file_map_close(&map);
    json_decref(metadata);
    close_trained(&m);
}

static void test_failures(void **state)
{
    trained_model m;
    const char *parent = test_folder(), *folder = test_path(parent, "saved");
    s3r_save_trained_options options = {.dtype = S3R_DTYPE_F16};
    s3r_folder_list list;
    (void)state;
    open_trained(&m, "hubert_group");
    change(&m, 1);
    m.parameters.items[3].values[0] = 1e6f;
    assert_int_equal(s3r_model_save_trained(m.model.checkpoint, &m.model.config,
                                            &m.parameters, folder, &options, &err),
                     S3R_ERR_MODEL);
    assert_non_null(strstr(err.message, "expected a value that F16 can hold"));
    assert_int_equal(s3r_folder_list_read(&list, parent, "", S3R_ERR_RUNTIME, &err),
                     S3R_OK);
    assert_int_equal(list.count, 0);
    s3r_folder_list_release(&list);
    /* A second one replaces the first only when asked to. */
    options.dtype = S3R_DTYPE_F32;
    save(&m, folder, &options);
    assert_int_equal(s3r_model_save_trained(m.model.checkpoint, &m.model.config,
                                            &m.parameters, folder, &options, &err),
                     S3R_ERR_USAGE);
    m.parameters.items[3].values[0] = 2.0f;
    options.is_forced = true;
    save(&m, folder, &options);
    check_saved(&m, folder, S3R_DTYPE_F32);
    close_trained(&m);
}

typedef struct attempt_context {
    trained_model model;
    const char *folder;
} attempt_context;

static s3r_status attempt(void *context, s3r_error *error)
{
    attempt_context *c = context;
    const s3r_save_trained_options options = {.dtype = S3R_DTYPE_F32, .is_forced = true};
    return s3r_model_save_trained(c->model.model.checkpoint, &c->model.model.config,
                                  &c->model.parameters, c->folder, &options, error);
}

static void test_without_memory(void **state)
{
    attempt_context context;
    (void)state;
    context.folder = test_path(test_folder(), "saved");
    open_trained(&context.model, "hubert_no_projection_norm");
    change(&context.model, 1);
    test_survives_alloc_faults(attempt, &context);
    check_saved(&context.model, context.folder, S3R_DTYPE_F32);
    close_trained(&context.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form),     cmocka_unit_test(test_reading_pieces),
        cmocka_unit_test(test_extra),          cmocka_unit_test(test_failures),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
