/*
 * What the objectives of pretraining train beside the network. (spec 2.10)
 */
#include <math.h>

#include "train/trainable_maker.h"

/* A projection as PyTorch starts it: uniform in +-1/sqrt(in). */
static s3r_status add_projection(s3r_trainable_maker *m, s3r_weight *weight,
                                 s3r_weight *bias, const char *name, size_t out,
                                 size_t in, s3r_error *err)
{
    S3R_TRY(s3r_trainable_add(m, (s3r_trained){.rows = out, .cols = in},
                              "pretrain/%s.weight", name, err));
    s3r_trained_fill_uniform(m, s3r_trainable_last(m), 1.0 / sqrt((double)in));
    s3r_trained_bind(weight, s3r_trainable_last(m));
    S3R_TRY(s3r_trainable_add(m, (s3r_trained){.rows = 1, .cols = out},
                              "pretrain/%s.bias", name, err));
    s3r_trained_fill_uniform(m, s3r_trainable_last(m), 1.0 / sqrt((double)in));
    s3r_trained_bind(bias, s3r_trainable_last(m));
    return S3R_OK;
}

/* A table that starts uniform in [0, 1). */
static s3r_status add_table(s3r_trainable_maker *m, s3r_weight *weight, const char *name,
                            size_t rows, size_t cols, s3r_error *err)
{
    S3R_TRY(s3r_trainable_add(m, (s3r_trained){.rows = rows, .cols = cols}, "pretrain/%s",
                              name, err));
    s3r_trained *item = s3r_trainable_last(m);
    s3r_trained_fill_uniform(m, item, 0.5);
    for (size_t i = 0; i < item->count; i++)
        item->values[i] += 0.5f;
    s3r_trained_bind(weight, item);
    return S3R_OK;
}

/*
 * Label embeddings, of which only directions count.  The original starts them uniform in
 * [0, 1): nearly parallel, and so long that Adam needs hundreds of steps to turn them.
 * Short ones around zero turn with what is learned first.
 */
static s3r_status add_embeddings(s3r_trainable_maker *m, s3r_weight *weight,
                                 const char *name, size_t rows, size_t cols,
                                 s3r_error *err)
{
    S3R_TRY(s3r_trainable_add(m, (s3r_trained){.rows = rows, .cols = cols}, "pretrain/%s",
                              name, err));
    s3r_trained_fill_normal(m, s3r_trainable_last(m), 0.02);
    s3r_trained_bind(weight, s3r_trainable_last(m));
    return S3R_OK;
}

static s3r_status add_quantizer(s3r_trainable_maker *m, s3r_error *err)
{
    s3r_contrastive_weights *weights = &m->model->contrastive;
    const s3r_model_config *config = &m->model->config;
    size_t codes = m->config->pretrain.groups * m->config->pretrain.entries;
    size_t code_width = m->config->pretrain.code_width;
    size_t width = m->config->pretrain.projection;
    size_t channels = config->conv[config->conv_count - 1].dim;
    S3R_TRY(add_projection(m, &weights->code_projection, &weights->code_bias,
                           "quantizer.weight_proj", codes, channels, err));
    s3r_trained *weight = &m->trainable->items[m->trainable->count - 2];
    s3r_trained_fill_normal(m, weight, 1.0);
    s3r_trained_fill_constant(s3r_trainable_last(m), 0.0f);
    S3R_TRY(
        add_table(m, &weights->vectors, "quantizer.codevectors", codes, code_width, err));
    S3R_TRY(add_projection(m, &weights->target_projection, &weights->target_bias,
                           "project_q", width, m->config->pretrain.groups * code_width,
                           err));
    return add_projection(m, &weights->hidden_projection, &weights->hidden_bias,
                          "project_hid", width, config->hidden_size, err);
}

s3r_status s3r_trainable_add_objective(s3r_trainable_maker *m, s3r_error *err)
{
    s3r_masked_prediction_weights *weights = &m->model->prediction;
    size_t width = m->config->pretrain.projection;
    if (m->config->pretrain.objective == S3R_OBJECTIVE_WAV2VEC2)
        return add_quantizer(m, err);
    S3R_TRY(add_projection(m, &weights->projection, &weights->projection_bias,
                           "final_proj", width, m->model->config.hidden_size, err));
    return add_embeddings(m, &weights->embeddings, "label_embs_concat",
                          m->model->cluster_count, width, err);
}
