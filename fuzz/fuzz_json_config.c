/*
 * Any bytes as the configuration of a model: an error or a configuration that holds what
 * it promises.  The first byte chooses between Hugging Face and fairseq.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/json_read.h"
#include "model/model_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const s3r_model_config *config)
{
    size_t field = s3r_config_receptive_field(config);
    if (config->hidden_size % config->head_count != 0 ||
        config->hidden_size % config->pos_conv_groups != 0 || config->conv_count < 1 ||
        config->conv_count > S3R_MAX_CONV_LAYERS || s3r_config_stride(config) == 0 ||
        s3r_config_frames(config, field) != 1 ||
        s3r_config_frames(config, field - 1) != 0)
        abort();
    json_t *json = s3r_model_config_to_json(config, NULL);
    if (!json)
        abort();
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3r_model_config config;
    s3r_error err;
    json_t *root;
    if (size == 0 ||
        s3r_json_parse_object(&root, data + 1, size - 1, "fuzz", &err) != S3R_OK)
        return 0;
    s3r_config_source source = {root, root, "config.json", "preprocessor_config.json",
                                data[0] == 'f'};
    if (s3r_model_config_parse(&config, &source, &err) == S3R_OK)
        check(&config);
    json_decref(root);
    return 0;
}
