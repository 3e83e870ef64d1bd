/*
 * Mask files (.s3m): everything that turns a backbone into one language or task, pinned
 * to that backbone by a content hash.  A safetensors container (docs/formats.md):
 *
 *   mask/PARAMETER     U8 [bytes], packed bits; the matrix's shape is in the facts
 *   values/PARAMETER   F32: a parameter that replaces the backbone's
 *   lora/PARAMETER/down, .../up          F32 [rank, in], [out, rank]; scale in the facts
 *   adapter/BLOCK/{norm,down,up}.{weight,bias}   F32
 *   head/weight, head/bias               F32 [labels, width], [labels]
 *
 * in a sealed file of kind "s3r.mask" (checkpoint/sealed_file.h: version, checksum,
 * facts).
 */
#ifndef S3R_ROUTE_MASK_FILE_H
#define S3R_ROUTE_MASK_FILE_H

#include <jansson.h>

#include "checkpoint/sealed_file.h"

#define S3R_MASK_FILE_KIND   "s3r.mask"
#define S3R_MASK_FILE_FORMAT 1

#define S3R_MASK_PREFIX    "mask/"
#define S3R_VALUES_PREFIX  "values/"
#define S3R_LORA_PREFIX    "lora/"
#define S3R_ADAPTER_PREFIX "adapter/"

typedef struct s3r_mask_file {
    char *path;
    s3r_sealed_file sealed;
    const json_t *facts;                                /* of the sealed file */
    const char *backbone_hash, *family, *task, *method; /* in facts; never NULL */
} s3r_mask_file;

/*
 * Opens and verifies: container, format version, checksum, facts, packed sizes against
 * shapes, head against vocabulary, parts that must come together.  S3R_ERR_MODEL names
 * the file, the thing, expected and found (cut short: how many bytes; flipped bits:
 * checksums); S3R_ERR_RESOURCE.  *out is empty after a failure.
 */
s3r_status s3r_mask_file_open(s3r_mask_file *out, const char *path, s3r_error *err);
/* The same for bytes in memory, which must outlive the result. */
s3r_status s3r_mask_file_parse(s3r_mask_file *out, const void *bytes, size_t size,
                               const char *label, s3r_error *err);
void s3r_mask_file_close(s3r_mask_file *file); /* a zeroed one is allowed */

/* The tensor of that name; NULL when there is none. */
const s3r_tensor *s3r_mask_file_find(const s3r_mask_file *file, const char *name);
/* The tensor PREFIX NAME SUFFIX. */
const s3r_tensor *s3r_mask_file_find_part(const s3r_mask_file *file, const char *prefix,
                                          const char *name, const char *suffix);

/* Rows and columns of the matrix with number `index` of the facts' "matrices", and its
 * name; false past the last. */
bool s3r_mask_file_matrix(const s3r_mask_file *file, size_t index, const char **name,
                          size_t *rows, size_t *cols);
/* Scale of the low-rank updates; 0 when there are none. */
double s3r_mask_file_lora_scale(const s3r_mask_file *file);

/* Writes atomically; facts is borrowed.  Tensor data must be set.  S3R_ERR_RUNTIME,
 * S3R_ERR_RESOURCE. */
s3r_status s3r_mask_file_save(const char *path, const s3r_tensor *tensors, size_t count,
                              const json_t *facts, s3r_error *err);

#endif
