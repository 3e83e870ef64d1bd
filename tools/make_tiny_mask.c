/*
 * Writes a mask file with random content for a model, so that the program can be tried
 * and tested without training.
 *
 *   make_tiny_mask MODEL OUT.s3m [METHOD [SEED [FIRST_BLOCK]]]
 *
 * METHOD: mask (default; half of the connections of every block removed), mask-ffn (a
 * tenth of those of the feed-forward layers), bias (other biases and norms), mask+weights
 * (everything is other), lora, adapter, or lid: as mask, with a head that tells three
 * languages apart.  Blocks before FIRST_BLOCK (0) are left alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_mask.h"

int main(int argc, char **argv)
{
    s3r_error err = {S3R_OK, ""};
    test_mask_options options = {.method = "mask", .sparsity = 0.5, .labels = 20};
    if (argc < 3 || argc > 6) {
        fputs("usage: make_tiny_mask MODEL OUT.s3m [METHOD [SEED [FIRST_BLOCK]]]\n",
              stderr);
        return S3R_ERR_USAGE;
    }
    if (argc > 3)
        options.method = argv[3];
    if (strcmp(options.method, "lid") == 0) {
        options.method = "mask";
        options.identifies_languages = true;
        options.labels = 3;
    }
    options.seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
    options.first_block = argc > 5 ? strtoul(argv[5], NULL, 10) : 0;
    options.is_ffn_only = strcmp(options.method, "mask-ffn") == 0;
    if (options.is_ffn_only) {
        options.method = "mask";
        options.sparsity = 0.1;
    }
    options.has_masks = strncmp(options.method, "mask", 4) == 0;
    options.has_vectors = strcmp(options.method, "bias") == 0;
    options.has_all_values = strcmp(options.method, "mask+weights") == 0;
    options.has_lora = strcmp(options.method, "lora") == 0;
    options.has_adapters = strcmp(options.method, "adapter") == 0;
    s3r_status status = test_mask_write(argv[2], argv[1], &options, &err);
    if (status != S3R_OK)
        fprintf(stderr, "make_tiny_mask: %s\n", err.message);
    return status;
}
