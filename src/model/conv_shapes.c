/*
 * Convolutions of the extractor and of the positions.
 */
#include "model/conv_shapes.h"

s3r_conv_shape s3r_extractor_conv_shape(const s3r_model_config *config, size_t layer)
{
    return (s3r_conv_shape){.in = layer ? config->conv[layer - 1].dim : 1,
                            .out = config->conv[layer].dim,
                            .kernel = config->conv[layer].kernel,
                            .stride = config->conv[layer].stride,
                            .groups = 1};
}

s3r_conv_shape s3r_pos_conv_shape(const s3r_model_config *config)
{
    size_t kernel = config->pos_conv_kernel;
    return (s3r_conv_shape){.in = config->hidden_size,
                            .out = config->hidden_size,
                            .kernel = kernel,
                            .stride = 1,
                            .groups = config->pos_conv_groups,
                            .pad_left = kernel / 2,
                            .pad_right = (kernel - 1) / 2};
}
