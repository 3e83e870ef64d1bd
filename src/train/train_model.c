/*
 * Opening a backbone for training.
 */
#include "train/train_model.h"

#include "base/memory.h"
#include "model/model_find.h"

/* What trains at or below the positional convolution has its gradient through that: the
 * convolutions' weights are then needed as they are, beside their packed form. */
static bool needs_unpacked(const s3r_train_config *config)
{
    bool is_deep_method =
        config->method == S3R_METHOD_WEIGHTS || config->method == S3R_METHOD_PRETRAIN ||
        config->method == S3R_METHOD_MASK_WEIGHTS || config->method == S3R_METHOD_BIAS;
    return is_deep_method || config->also.mask_embedding || config->also.biases ||
           config->also.norms || config->also.pos_conv || config->also.projection ||
           config->also.extractor;
}

static void replace(double *value, double wanted)
{
    if (wanted >= 0.0)
        *value = wanted;
}

static void apply_settings(s3r_model_config *model, const s3r_train_config *config)
{
    replace(&model->hidden_dropout, config->dropout.hidden);
    replace(&model->attention_dropout, config->dropout.attention);
    replace(&model->activation_dropout, config->dropout.activation);
    replace(&model->feat_proj_dropout, config->dropout.projection);
    replace(&model->final_dropout, config->dropout.final);
    replace(&model->layerdrop, config->dropout.layer_drop);
    replace(&model->mask_time_prob, config->augment.time_prob);
    replace(&model->mask_feature_prob, config->augment.channel_prob);
    model->mask_time_length = config->augment.time_length;
    /* Exports of data2vec carry the default of the others; it was trained with 1.  (spec
     * 2.6) */
    if (config->augment.time_min_masks != SIZE_MAX)
        model->mask_time_min_masks = config->augment.time_min_masks;
    else if (model->family == S3R_FAMILY_DATA2VEC_AUDIO)
        model->mask_time_min_masks = 1;
    model->mask_feature_length = config->augment.channel_length;
    model->mask_feature_min_masks = config->augment.channel_min_masks;
}

static s3r_status open_vocabulary(s3r_train_model *model, const char *folder,
                                  s3r_error *err)
{
    const char *own = s3r_checkpoint_folder(model->checkpoint);
    const json_t *json = NULL;
    if (!folder && !s3r_vocabulary_exists(own))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: the backbone has no vocabulary: name one with --vocab (s3r "
                        "vocab build makes it)",
                        model->path);
    if (!folder && !s3r_checkpoint_is_fairseq(model->checkpoint))
        json = s3r_checkpoint_config(model->checkpoint);
    S3R_TRY(
        s3r_vocabulary_open(&model->vocabulary, folder ? folder : own, json, NULL, err));
    model->has_own_head = !folder && model->config.has_head &&
                          model->vocabulary.count == model->config.vocab_size;
    model->config.has_head = true;
    model->config.vocab_size = model->vocabulary.count;
    model->config.pad_token_id = model->vocabulary.blank_id;
    return S3R_OK;
}

static s3r_status open_parts(s3r_train_model *model, const s3r_train_model_source *source,
                             const s3r_train_config *config, s3r_error *err)
{
    s3r_weights_options options;
    s3r_weights_options_init(&options);
    options.is_bf16 = config->precision == S3R_PRECISION_BF16;
    options.keeps_unpacked = needs_unpacked(config);
    options.kernels = source->kernels;
    options.pool = source->pool;
    S3R_TRY(s3r_model_find_path(&model->path, source->path, err));
    S3R_TRY(s3r_checkpoint_open(&model->checkpoint, model->path, err));
    S3R_TRY(s3r_model_config_open(&model->config, model->checkpoint, NULL, err));
    if (model->config.is_int8)
        return s3r_fail(
            err, S3R_ERR_MODEL,
            "%s: expected weights to train on, found int8: train on the backbone "
            "that it was made from; mask files of that one fit both",
            model->path);
    S3R_TRY(s3r_model_weights_open(&model->weights, model->checkpoint, &model->config,
                                   &options, err));
    S3R_TRY(s3r_model_hash(model->hash, model->checkpoint, &model->config, err));
    S3R_TRY(s3r_parameters_open(&model->parameters, model->checkpoint, &model->config,
                                &model->weights, err));
    if (config->method == S3R_METHOD_PRETRAIN || config->task == S3R_TASK_CHOICE_LID)
        model->config.has_head = false;
    else
        S3R_TRY(open_vocabulary(model, source->vocabulary_folder, err));
    apply_settings(&model->config, config);
    if (model->config.mask_time_prob > 0.0 && !model->weights.mask_embedding.data)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: the backbone has no mask embedding (masked_spec_embed): "
                        "%s",
                        model->path,
                        config->method == S3R_METHOD_PRETRAIN
                            ? "it cannot be pretrained further"
                            : "set augment.time_prob=0");
    if (config->method == S3R_METHOD_PRETRAIN && !(model->config.mask_time_prob > 0.0))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "augment.time_prob: expected more than 0 for pretraining, which "
                        "learns from masked frames; %s says 0",
                        model->path);
    return S3R_OK;
}

s3r_status s3r_train_model_open(s3r_train_model *out,
                                const s3r_train_model_source *source,
                                const s3r_train_config *config, s3r_error *err)
{
    *out = (s3r_train_model){0};
    s3r_status status = open_parts(out, source, config, err);
    if (status != S3R_OK)
        s3r_train_model_close(out);
    return status;
}

void s3r_train_model_close(s3r_train_model *model)
{
    s3r_vocabulary_close(&model->vocabulary);
    s3r_language_list_release(&model->languages);
    s3r_parameters_close(&model->parameters);
    s3r_model_weights_close(&model->weights);
    s3r_checkpoint_close(model->checkpoint);
    s3r_free(model->path);
    *model = (s3r_train_model){0};
}
