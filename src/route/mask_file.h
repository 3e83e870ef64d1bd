/*
 * Mask files (.s3m): everything that turns a backbone into one language or task, pinned
 * to that backbone by a content hash.  A safetensors container (docs/formats.md):
 *
 *   mask/PARAMETER     U8 [bytes], packed bits; the matrix's shape is in the metadata
 *   values/PARAMETER   F32: a parameter that replaces the backbone's
 *   lora/PARAMETER/down, .../up          F32, with scale in the metadata
 *   adapter/BLOCK/{norm,down,up}.{weight,bias}   F32
 *   head/weight, head/bias               F32
 *
 * in a sealed file of kind "s3r.mask" (checkpoint/sealed_file.h: version, checksum,
 * facts); docs/formats.md has the facts.
 */
#ifndef S3R_ROUTE_MASK_FILE_H
#define S3R_ROUTE_MASK_FILE_H

#include <jansson.h>

#include "checkpoint/sealed_file.h"

#define S3R_MASK_FILE_FORMAT 1

typedef struct s3r_mask_file {
    char *path;
    s3r_sealed_file sealed;
    const json_t *facts;                                /* of the sealed file */
    const char *backbone_hash, *family, *task, *method; /* in facts; never NULL */
} s3r_mask_file;

/*
 * Opens and verifies: container, format version, checksum, facts, packed sizes against
 * shapes, head against vocabulary.  S3R_ERR_MODEL names the file, the thing, expected and
 * found (cut short: how many bytes; flipped bits: checksums); S3R_ERR_RESOURCE.
 */
s3r_status s3r_mask_file_open(s3r_mask_file *out, const char *path, s3r_error *err);
void s3r_mask_file_close(s3r_mask_file *file); /* a zeroed one is allowed */

/* The tensor of that name; NULL when there is none. */
const s3r_tensor *s3r_mask_file_find(const s3r_mask_file *file, const char *name);

/* Writes atomically; facts (borrowed) gets no checksum of its own, the container does.
 * Tensor data must be set.  S3R_ERR_RUNTIME, S3R_ERR_RESOURCE. */
s3r_status s3r_mask_file_save(const char *path, const s3r_tensor *tensors, size_t count,
                              const json_t *facts, s3r_error *err);

#endif
