/*
 * Initialisation: the plan of the configuration, and values drawn while the writer asks
 * for them.
 */
#include "model/model_init.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/affix.h"
#include "base/file.h"
#include "base/folder_writer.h"
#include "base/memory.h"
#include "base/random.h"
#include "checkpoint/safetensors.h"
#include "model/model_folder.h"
#include "model/weight_plan.h"

#define PIECE_ELEMENTS 16384u
#define PREFIX_BYTES   24u
#define MATRIX_STD     0.02

typedef struct initialisation {
    const s3r_model_config *config;
    uint64_t seed;
    s3r_weight_plan plan;
    s3r_tensor *tensors;
    char (*names)[S3R_TENSOR_NAME_BYTES + PREFIX_BYTES];
    float *values; /* [PIECE_ELEMENTS] */
} initialisation;

/* ---- values ---- */

typedef enum filling { FILL_NORMAL, FILL_UNIFORM, FILL_ONES, FILL_ZEROS } filling;

/* How a tensor is filled; *std is set for FILL_NORMAL. */
static filling filling_of(const s3r_model_config *config, const s3r_weight_entry *entry,
                          double *std)
{
    double fan_in;
    switch (entry->rule->kind) {
    case S3R_WEIGHT_CONV:
        fan_in = (double)entry->shape[1] * (double)entry->shape[2];
        *std = sqrt(2.0 / fan_in);
        return FILL_NORMAL;
    case S3R_WEIGHT_DIRECTION:
        *std =
            sqrt(4.0 / ((double)config->pos_conv_kernel * (double)config->hidden_size));
        return FILL_NORMAL;
    case S3R_WEIGHT_MATRIX:
        *std = MATRIX_STD;
        return FILL_NORMAL;
    default:
        break;
    }
    if (strcmp(entry->name, "masked_spec_embed") == 0)
        return FILL_UNIFORM;
    return s3r_ends_with(entry->name, "norm.weight") ? FILL_ONES : FILL_ZEROS;
}

static s3r_random stream_of(const initialisation *init, const s3r_weight_entry *entry)
{
    s3r_random random;
    uint64_t stream = 0;
    for (size_t i = 0; entry->name[i]; i++)
        stream = s3r_random_at(stream, i, (unsigned char)entry->name[i]);
    s3r_random_init(&random, init->seed, stream);
    return random;
}

static void fill(float *values, size_t count, filling how, double std, s3r_random *random)
{
    for (size_t i = 0; i < count; i++) {
        switch (how) {
        case FILL_NORMAL:
            values[i] = (float)(std * s3r_random_normal(random));
            break;
        case FILL_UNIFORM:
            /* 24 bits: a float below 1 */
            values[i] = (float)(s3r_random_bits(random) >> 40) * 0x1p-24f;
            break;
        default:
            values[i] = how == FILL_ONES ? 1.0f : 0.0f;
            break;
        }
    }
}

/* The length of each tap of the direction that follows: with this gain weight norm gives
 * the direction back. */
static s3r_status make_gain(const initialisation *init, const s3r_weight_entry *direction,
                            float *gain, size_t taps, s3r_error *err)
{
    double std, *squares = s3r_alloc(taps, sizeof *squares);
    size_t rows = direction->shape[0] * direction->shape[1];
    s3r_random random = stream_of(init, direction);
    filling how = filling_of(init->config, direction, &std);
    if (!squares)
        return s3r_fail_memory(err, "gains", taps * sizeof *squares);
    for (size_t i = 0; i < rows; i++) {
        for (size_t tap = 0; tap < taps; tap++) {
            float value;
            fill(&value, 1, how, std, &random);
            squares[tap] += (double)value * (double)value;
        }
    }
    for (size_t tap = 0; tap < taps; tap++)
        gain[tap] = (float)sqrt(squares[tap]);
    s3r_free(squares);
    return S3R_OK;
}

/* An s3r_tensor_source_fn. */
static s3r_status supply(void *context, size_t index, s3r_tensor_write_fn write,
                         void *write_context, s3r_error *err)
{
    initialisation *init = context;
    const s3r_weight_entry *entry = &init->plan.entries[index];
    size_t total = s3r_tensor_elements(&init->tensors[index]);
    double std = 0;
    if (entry->rule->kind == S3R_WEIGHT_GAIN) {
        /* The plan has the direction behind its gain; a kernel fits in a piece. */
        S3R_TRY(make_gain(init, entry + 1, init->values, total, err));
        return write(write_context, init->values, total * sizeof *init->values, err);
    }
    filling how = filling_of(init->config, entry, &std);
    s3r_random random = stream_of(init, entry);
    for (size_t at = 0; at < total; at += PIECE_ELEMENTS) {
        size_t count = S3R_MIN(total - at, (size_t)PIECE_ELEMENTS);
        fill(init->values, count, how, std, &random);
        S3R_TRY(write(write_context, init->values, count * sizeof *init->values, err));
    }
    return S3R_OK;
}

/* ---- the folder ---- */

static s3r_status check_kind(const s3r_model_config *config, s3r_error *err)
{
    const char *found = NULL;
    if (config->family != S3R_FAMILY_WAV2VEC2 && config->family != S3R_FAMILY_HUBERT)
        found = s3r_family_name(config->family);
    else if (config->adapter_attn_dim > 0)
        found = "a model with adapters";
    else if (!config->has_feature_projection)
        found = "a model without feature projection";
    else if (config->pos_conv_kernel > PIECE_ELEMENTS)
        found = "a positional convolution this long";
    if (!found)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_USAGE,
                    "a new model: expected a plain wav2vec2 or hubert, found %s", found);
}

static s3r_status list_tensors(initialisation *init, s3r_error *err)
{
    const char *prefix = s3r_family_prefix(init->config->family);
    size_t count = init->plan.count;
    init->tensors = s3r_alloc(count, sizeof *init->tensors);
    init->names = s3r_alloc(count, sizeof *init->names);
    init->values = s3r_alloc_raw(PIECE_ELEMENTS, sizeof *init->values);
    if (!init->tensors || !init->names || !init->values)
        return s3r_fail_memory(err, "the list of tensors", count * sizeof *init->tensors);
    for (size_t i = 0; i < count; i++) {
        const s3r_weight_entry *entry = &init->plan.entries[i];
        s3r_tensor *tensor = &init->tensors[i];
        bool is_head = strncmp(entry->name, "lm_head.", 8) == 0;
        snprintf(init->names[i], sizeof init->names[i], "%s%s", is_head ? "" : prefix,
                 entry->name);
        *tensor = (s3r_tensor){
            .name = init->names[i], .dtype = S3R_DTYPE_F32, .rank = entry->rank};
        memcpy(tensor->shape, entry->shape, sizeof entry->shape);
        if (!s3r_size_mul(s3r_tensor_elements(tensor), sizeof(float),
                          &tensor->size_bytes))
            return s3r_fail_memory(err, entry->name, SIZE_MAX);
    }
    return S3R_OK;
}

static s3r_status write_folder(initialisation *init, const s3r_vocabulary *vocabulary,
                               const char *folder, s3r_error *err)
{
    const s3r_model_description description = {
        .config = init->config, .vocabulary = vocabulary, .dtype = S3R_DTYPE_F32};
    S3R_TRY(s3r_model_folder_describe(folder, &description, err));
    json_t *metadata = json_pack("{s:s}", "format", "pt");
    char *path = s3r_path_join(folder, S3R_MODEL_FILE);
    s3r_status status = metadata && path
                            ? s3r_safetensors_save(path, init->tensors, init->plan.count,
                                                   metadata, supply, init, err)
                            : s3r_fail_memory(err, "a path", strlen(folder));
    json_decref(metadata);
    s3r_free(path);
    return status;
}

static s3r_status run(initialisation *init, const s3r_vocabulary *vocabulary,
                      const char *folder, s3r_error *err)
{
    s3r_folder_writer writer = {0};
    S3R_TRY(s3r_weight_plan_list(&init->plan, init->config, err));
    S3R_TRY(list_tensors(init, err));
    S3R_TRY(s3r_folder_writer_open(&writer, folder, err));
    s3r_status status = write_folder(init, vocabulary, writer.temporary_path, err);
    if (status == S3R_OK)
        return s3r_folder_writer_commit(&writer, s3r_model_folder_owns, err);
    s3r_folder_writer_abort(&writer);
    return status;
}

s3r_status s3r_model_init(const s3r_model_config *config, uint64_t seed,
                          const s3r_vocabulary *vocabulary, const char *folder,
                          s3r_error *err)
{
    s3r_model_config own = *config;
    initialisation init = {.config = &own, .seed = seed};
    own.is_fairseq = false;
    own.has_head = vocabulary != NULL;
    own.vocab_size = vocabulary ? vocabulary->count : 0;
    S3R_TRY(check_kind(config, err));
    S3R_TRY(s3r_model_folder_check(folder, false, err));
    s3r_status status = run(&init, vocabulary, folder, err);
    s3r_weight_plan_release(&init.plan);
    s3r_free(init.tensors);
    s3r_free(init.names);
    s3r_free(init.values);
    return status;
}
