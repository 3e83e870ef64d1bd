/*
 * Mask files (.s3m): everything that turns a backbone into one language or task, pinned
 * to that backbone by a content hash.  A safetensors container (docs/formats.md):
 *
 *   mask/PARAMETER     U8 [bytes], packed bits; the matrix's shape is in the facts
 *   values/PARAMETER   F32: a parameter that replaces the backbone's
 *   lora/PARAMETER/down, .../up          F32 [rank, in], [out, rank]; scale in the facts
 *   adapter/BLOCK/{norm,down,up}.{weight,bias}   F32
 *   head/weight, head/bias               F32 [labels, width], [labels]; the facts have
 *                      the "vocabulary" of the task "ctc" or the "languages" of "lid"
 *
 * in a sealed file of kind "s3r.mask" (checkpoint/sealed_file.h: version, checksum,
 * facts).  The compact form is version 2; in place of all the mask/PARAMETER it has
 *
 *   compact/masks      U8 [bytes] (route/mask_compact.h)
 *
 * which only the backbone's weights make readable, and the fact "compact" with the seal
 * of the file that it was made from.  A file with the task "none" has no head.
 */
#ifndef S3R_ROUTE_MASK_FILE_H
#define S3R_ROUTE_MASK_FILE_H

#include <jansson.h>

#include "checkpoint/sealed_file.h"

#define S3R_MASK_FILE_KIND    "s3r.mask"
#define S3R_MASK_FILE_FORMAT  1
#define S3R_MASK_FILE_COMPACT 2 /* the format version of the compact form */

#define S3R_COMPACT_TENSOR "compact/masks"
#define S3R_COMPACT_FACT   "compact"
#define S3R_TASK_CTC       "ctc"
#define S3R_TASK_LID       "lid" /* which language is spoken */
#define S3R_TASK_NONE      "none"

#define S3R_MASK_PREFIX    "mask/"
#define S3R_VALUES_PREFIX  "values/"
#define S3R_LORA_PREFIX    "lora/"
#define S3R_ADAPTER_PREFIX "adapter/"

typedef struct s3r_mask_file {
    char *path;
    s3r_sealed_file sealed;
    const json_t *facts;                                /* of the sealed file */
    const char *backbone_hash, *family, *task, *method; /* in facts; never NULL */
    /* The seal of the file in its plain form: who has the same content has the same. */
    const char *content_hash;
    bool is_compact;
    bool has_head; /* of either task */
    bool identifies_languages;
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
/* What a file says of itself, not checked beyond its container: *facts is the caller's.
 * S3R_ERR_MODEL, S3R_ERR_RESOURCE. */
s3r_status s3r_mask_file_peek(json_t **facts, const char *path, s3r_error *err);
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
/* How many of them there are. */
size_t s3r_mask_file_matrix_count(const s3r_mask_file *file);
/* How many elements of that matrix the facts say are removed. */
size_t s3r_mask_file_stated_removed(const s3r_mask_file *file, size_t index);
/* Whether so many removed elements are what the facts say, to the one that rounding may
 * cost.  S3R_ERR_MODEL. */
s3r_status s3r_mask_file_check_removed(const s3r_mask_file *file, size_t index,
                                       size_t removed, s3r_error *err);
/* Scale of the low-rank updates; 0 when there are none. */
double s3r_mask_file_lora_scale(const s3r_mask_file *file);

/* Writes the plain form atomically; facts is borrowed.  Tensor data must be set.
 * S3R_ERR_RUNTIME, S3R_ERR_RESOURCE. */
s3r_status s3r_mask_file_save(const char *path, const s3r_tensor *tensors, size_t count,
                              const json_t *facts, s3r_error *err);

#endif
