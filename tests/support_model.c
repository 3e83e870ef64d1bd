/*
 * Opens the reference models in tests/golden.
 */
#include "support_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "model/stored_values.h"

void test_model_open(test_model *model, const char *name, s3r_cpu_level level,
                     size_t threads, bool is_bf16, bool keeps_unpacked)
{
    char path[512];
    s3r_error err = {0};
    snprintf(path, sizeof path, "tests/golden/%s", name);
    *model = (test_model){.kernels = s3r_kernels_get(level)};
    assert_int_equal(s3r_pool_create(&model->pool, threads, &err), S3R_OK);
    if (s3r_checkpoint_open(&model->checkpoint, path, &err) != S3R_OK ||
        s3r_model_config_open(&model->config, model->checkpoint, NULL, &err) != S3R_OK)
        fail_msg("%s", err.message);
    s3r_weights_options options;
    s3r_weights_options_init(&options);
    options.is_bf16 = is_bf16;
    options.keeps_unpacked = keeps_unpacked;
    options.kernels = model->kernels;
    options.pool = model->pool;
    if (s3r_model_weights_open(&model->weights, model->checkpoint, &model->config,
                               &options, &err) != S3R_OK)
        fail_msg("%s", err.message);
}

void test_model_close(test_model *model)
{
    s3r_model_weights_close(&model->weights);
    s3r_checkpoint_close(model->checkpoint);
    s3r_pool_destroy(model->pool);
}

static void widen(test_golden *golden)
{
    size_t total = 0;
    for (size_t i = 0; i < golden->file.tensor_count; i++)
        if (golden->file.tensors[i].dtype == S3R_DTYPE_F16)
            total += golden->file.tensors[i].size_bytes / sizeof(uint16_t);
    float *to = golden->widened = malloc((total + 1) * sizeof *to);
    assert_non_null(to);
    for (size_t i = 0; i < golden->file.tensor_count; i++) {
        s3r_tensor *tensor = &golden->file.tensors[i];
        if (tensor->dtype != S3R_DTYPE_F16)
            continue;
        size_t count = tensor->size_bytes / sizeof(uint16_t);
        s3r_stored_to_f32(to, tensor->data, tensor->dtype, 0, count);
        tensor->data = to;
        tensor->dtype = S3R_DTYPE_F32;
        tensor->size_bytes = count * sizeof *to;
        to += count;
    }
}

void test_golden_open(test_golden *golden, const char *name)
{
    char path[512];
    s3r_error err = {0};
    snprintf(path, sizeof path, "tests/golden/%s/golden.safetensors", name);
    if (s3r_file_map_open(&golden->map, path, S3R_ERR_DATA, &err) != S3R_OK ||
        s3r_safetensors_parse(&golden->file, golden->map.data, golden->map.size, path,
                              &err) != S3R_OK)
        fail_msg("%s", err.message);
    widen(golden);
}

void test_golden_close(test_golden *golden)
{
    free(golden->widened);
    s3r_safetensors_release(&golden->file);
    s3r_file_map_close(&golden->map);
}

const s3r_tensor *test_golden_find(const test_golden *golden, const char *format, ...)
{
    char name[256];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    for (size_t i = 0; i < golden->file.tensor_count; i++)
        if (strcmp(golden->file.tensors[i].name, name) == 0)
            return &golden->file.tensors[i];
    return NULL;
}
