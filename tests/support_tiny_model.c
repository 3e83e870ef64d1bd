/*
 * A small wav2vec 2.0 CTC model: post-LN encoder of 2 blocks, 64 wide, 4 heads; 7
 * convolutions of 64 channels with a group norm after the first; 32 labels.
 */
#include "support_tiny_model.h"

#include <math.h>
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "checkpoint/safetensors.h"

#define WIDTH       64
#define FFN_WIDTH   128
#define BLOCKS      2
#define LABELS      32
#define CONVS       7
#define POS_KERNEL  128
#define POS_GROUPS  16
#define MAX_TENSORS 80
#define NAME_BYTES  96

static const char config_json[] = "{\n"
                                  "  \"architectures\": [\"Wav2Vec2ForCTC\"],\n"
                                  "  \"model_type\": \"wav2vec2\",\n"
                                  "  \"conv_bias\": false,\n"
                                  "  \"conv_dim\": [64, 64, 64, 64, 64, 64, 64],\n"
                                  "  \"conv_kernel\": [10, 3, 3, 3, 3, 2, 2],\n"
                                  "  \"conv_stride\": [5, 2, 2, 2, 2, 2, 2],\n"
                                  "  \"do_stable_layer_norm\": false,\n"
                                  "  \"feat_extract_activation\": \"gelu\",\n"
                                  "  \"feat_extract_norm\": \"group\",\n"
                                  "  \"hidden_act\": \"gelu\",\n"
                                  "  \"hidden_size\": 64,\n"
                                  "  \"intermediate_size\": 128,\n"
                                  "  \"layer_norm_eps\": 1e-05,\n"
                                  "  \"num_attention_heads\": 4,\n"
                                  "  \"num_conv_pos_embedding_groups\": 16,\n"
                                  "  \"num_conv_pos_embeddings\": 128,\n"
                                  "  \"num_feat_extract_layers\": 7,\n"
                                  "  \"num_hidden_layers\": 2,\n"
                                  "  \"pad_token_id\": 0,\n"
                                  "  \"bos_token_id\": 1,\n"
                                  "  \"eos_token_id\": 2,\n"
                                  "  \"vocab_size\": 32\n"
                                  "}\n";

static const char preprocessor_json[] =
    "{\n"
    "  \"do_normalize\": true,\n"
    "  \"feature_extractor_type\": \"Wav2Vec2FeatureExtractor\",\n"
    "  \"feature_size\": 1,\n"
    "  \"padding_side\": \"right\",\n"
    "  \"padding_value\": 0.0,\n"
    "  \"return_attention_mask\": false,\n"
    "  \"sampling_rate\": 16000\n"
    "}\n";

static const char tokenizer_json[] =
    "{\"bos_token\": \"<s>\", \"do_lower_case\": false, \"eos_token\": \"</s>\", "
    "\"pad_token\": \"<pad>\", \"tokenizer_class\": \"Wav2Vec2CTCTokenizer\", "
    "\"unk_token\": \"<unk>\", \"word_delimiter_token\": \"|\"}\n";

static const char vocab_json[] =
    "{\"<pad>\": 0, \"<s>\": 1, \"</s>\": 2, \"<unk>\": 3, \"|\": 4, \"'\": 5, "
    "\"A\": 6, \"B\": 7, \"C\": 8, \"D\": 9, \"E\": 10, \"F\": 11, \"G\": 12, "
    "\"H\": 13, \"I\": 14, \"J\": 15, \"K\": 16, \"L\": 17, \"M\": 18, \"N\": 19, "
    "\"O\": 20, \"P\": 21, \"Q\": 22, \"R\": 23, \"S\": 24, \"T\": 25, \"U\": 26, "
    "\"V\": 27, \"W\": 28, \"X\": 29, \"Y\": 30, \"Z\": 31}\n";

/* The tensors of the model; `has_failed` remembers any failure until the end. */
typedef struct builder {
    s3r_tensor tensors[MAX_TENSORS];
    char names[MAX_TENSORS][NAME_BYTES];
    size_t count;
    s3r_random random;
    bool has_failed;
} builder;

/*
 * Adds a tensor [d0,d1,d2] (0 ends the shape): mean + deviation * normal.
 */
static void add(builder *b, const char *name, size_t d0, size_t d1, size_t d2, float mean,
                double deviation)
{
    const size_t shape[3] = {d0, d1, d2};
    size_t elements = 1;
    s3r_tensor *tensor = &b->tensors[b->count];
    if (b->has_failed || b->count == MAX_TENSORS) {
        b->has_failed = true;
        return;
    }
    for (tensor->rank = 0; tensor->rank < 3 && shape[tensor->rank]; tensor->rank++) {
        tensor->shape[tensor->rank] = shape[tensor->rank];
        elements *= shape[tensor->rank];
    }
    float *values = s3r_alloc(elements, sizeof *values);
    if (!values) {
        b->has_failed = true;
        return;
    }
    for (size_t i = 0; i < elements; i++)
        values[i] =
            mean + (float)(deviation > 0 ? deviation * s3r_random_normal(&b->random) : 0);
    snprintf(b->names[b->count], NAME_BYTES, "%s", name);
    tensor->name = b->names[b->count++];
    tensor->dtype = S3R_DTYPE_F32;
    tensor->data = values;
    tensor->size_bytes = elements * sizeof *values;
}

/* "PREFIX.weight" [out,in] and "PREFIX.bias" [out]. */
static void add_linear(builder *b, const char *prefix, size_t out, size_t in)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.weight", prefix);
    add(b, name, out, in, 0, 0, 1 / sqrt((double)in));
    snprintf(name, sizeof name, "%s.bias", prefix);
    add(b, name, out, 0, 0, 0, 0.02);
}

static void add_norm(builder *b, const char *prefix, size_t width)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.weight", prefix);
    add(b, name, width, 0, 0, 1, 0);
    snprintf(name, sizeof name, "%s.bias", prefix);
    add(b, name, width, 0, 0, 0, 0);
}

static void add_extractor(builder *b)
{
    static const size_t kernels[CONVS] = {10, 3, 3, 3, 3, 2, 2};
    for (size_t i = 0; i < CONVS; i++) {
        char name[NAME_BYTES];
        size_t in = i == 0 ? 1 : WIDTH;
        snprintf(name, sizeof name,
                 "wav2vec2.feature_extractor.conv_layers.%zu.conv.weight", i);
        add(b, name, WIDTH, in, kernels[i], 0, sqrt(2.0 / (double)(in * kernels[i])));
    }
    add_norm(b, "wav2vec2.feature_extractor.conv_layers.0.layer_norm", WIDTH);
    add_norm(b, "wav2vec2.feature_projection.layer_norm", WIDTH);
    add_linear(b, "wav2vec2.feature_projection.projection", WIDTH, WIDTH);
    add(b, "wav2vec2.masked_spec_embed", WIDTH, 0, 0, 0, 1);
}

static void add_block(builder *b, size_t index)
{
    static const struct {
        const char *name;
        size_t out, in;
    } linears[] = {
        {"attention.q_proj", WIDTH, WIDTH},
        {"attention.k_proj", WIDTH, WIDTH},
        {"attention.v_proj", WIDTH, WIDTH},
        {"attention.out_proj", WIDTH, WIDTH},
        {"feed_forward.intermediate_dense", FFN_WIDTH, WIDTH},
        {"feed_forward.output_dense", WIDTH, FFN_WIDTH},
    };
    static const char *const norms[] = {"layer_norm", "final_layer_norm"};
    char prefix[NAME_BYTES - 16];
    for (size_t i = 0; i < S3R_ARRAY_LEN(linears); i++) {
        snprintf(prefix, sizeof prefix, "wav2vec2.encoder.layers.%zu.%s", index,
                 linears[i].name);
        add_linear(b, prefix, linears[i].out, linears[i].in);
    }
    for (size_t i = 0; i < S3R_ARRAY_LEN(norms); i++) {
        snprintf(prefix, sizeof prefix, "wav2vec2.encoder.layers.%zu.%s", index,
                 norms[i]);
        add_norm(b, prefix, WIDTH);
    }
}

static void add_model(builder *b)
{
    add_extractor(b);
    add(b, "wav2vec2.encoder.pos_conv_embed.conv.weight_v", WIDTH, WIDTH / POS_GROUPS,
        POS_KERNEL, 0, 0.1);
    add(b, "wav2vec2.encoder.pos_conv_embed.conv.weight_g", 1, 1, POS_KERNEL, 1, 0.1);
    add(b, "wav2vec2.encoder.pos_conv_embed.conv.bias", WIDTH, 0, 0, 0, 0.02);
    add_norm(b, "wav2vec2.encoder.layer_norm", WIDTH);
    for (size_t i = 0; i < BLOCKS; i++)
        add_block(b, i);
    add_linear(b, "lm_head", LABELS, WIDTH);
}

static s3r_status save_text(const char *folder, const char *name, const char *text,
                            size_t size, s3r_error *err)
{
    char *path = s3r_path_join(folder, name);
    s3r_status status =
        path ? s3r_file_write_all(path, text, size, err) : s3r_fail_memory(err, name, 0);
    s3r_free(path);
    return status;
}

static s3r_status save_weights(const char *folder, const builder *b, s3r_error *err)
{
    json_t *metadata = json_pack("{s:s}", "format", "pt");
    char *path = s3r_path_join(folder, "model.safetensors");
    s3r_status status = S3R_OK;
    if (b->has_failed || !path || !metadata)
        status = s3r_fail_memory(err, "the weights", 0);
    else
        status =
            s3r_safetensors_save(path, b->tensors, b->count, metadata, NULL, NULL, err);
    s3r_free(path);
    json_decref(metadata);
    return status;
}

static s3r_status save_folder(const char *folder, const builder *b, s3r_error *err)
{
    S3R_TRY(s3r_folder_create(folder, err));
    S3R_TRY(save_text(folder, "config.json", config_json, sizeof config_json - 1, err));
    S3R_TRY(save_text(folder, "preprocessor_config.json", preprocessor_json,
                      sizeof preprocessor_json - 1, err));
    S3R_TRY(save_text(folder, "tokenizer_config.json", tokenizer_json,
                      sizeof tokenizer_json - 1, err));
    S3R_TRY(save_text(folder, "vocab.json", vocab_json, sizeof vocab_json - 1, err));
    return save_weights(folder, b, err);
}

s3r_status test_tiny_model_write(const char *folder, uint64_t seed, s3r_error *err)
{
    builder *b = s3r_alloc(1, sizeof *b);
    if (!b)
        return s3r_fail_memory(err, "a tiny model", sizeof *b);
    s3r_random_init(&b->random, seed, 0);
    add_model(b);
    s3r_status status = save_folder(folder, b, err);
    for (size_t i = 0; i < b->count; i++)
        s3r_free((void *)b->tensors[i].data);
    s3r_free(b);
    return status;
}
