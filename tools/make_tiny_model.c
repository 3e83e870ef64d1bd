/*
 * Writes a Hugging Face folder with a small wav2vec 2.0 CTC model of random weights, so
 * that the program can be tried and tested without a download.  What it "recognises"
 * means nothing; shapes, names and files are those of a real model.
 *
 *   make_tiny_model FOLDER [SEED]
 */
#include <stdio.h>
#include <stdlib.h>

#include "support_tiny_model.h"

int main(int argc, char **argv)
{
    s3r_error err = {S3R_OK, ""};
    if (argc < 2 || argc > 3) {
        fputs("usage: make_tiny_model FOLDER [SEED]\n", stderr);
        return S3R_ERR_USAGE;
    }
    uint64_t seed = argc == 3 ? strtoull(argv[2], NULL, 10) : 1;
    s3r_status status = test_tiny_model_write(argv[1], seed, &err);
    if (status != S3R_OK)
        fprintf(stderr, "make_tiny_model: %s\n", err.message);
    return status;
}
