/*
 * Sealed tensor files: a safetensors container with JSON facts and a checksum over
 * everything, so that a cut, a flipped bit or a file of another kind is never taken for
 * good.  Mask files (.s3m) and training checkpoints (.s3c) are such files.
 *
 * __metadata__ has three strings:
 *   KIND            the version of the format, a decimal number ("s3r.mask": "1")
 *   "s3r.facts"     a JSON object
 *   "s3r.sha256"    hexadecimal SHA-256 of: KIND NUL version NUL facts NUL, then of each
 *                   tensor in the order of the file: name NUL, dtype NUL, rank as u64,
 *                   the shape as u64s, the data; integers little-endian
 */
#ifndef S3R_CHECKPOINT_SEALED_FILE_H
#define S3R_CHECKPOINT_SEALED_FILE_H

#include <jansson.h>

#include "base/file.h"
#include "checkpoint/safetensors.h"

typedef struct s3r_sealed_file {
    s3r_file_map map;
    s3r_safetensors container; /* data in the map */
    json_t *facts;
    unsigned version; /* of the format */
} s3r_sealed_file;

/* A kind of files and the versions of its format that a reader knows. */
typedef struct s3r_sealed_kind {
    const char *name;
    unsigned oldest, newest;
} s3r_sealed_kind;

#define S3R_SEAL_HEX_BYTES 65u /* with NUL */

/*
 * Opens and verifies the whole file, which reads all of it.  S3R_ERR_MODEL names the file
 * and: no such kind, another version (expected, found), a wrong checksum (both), a
 * damaged container; S3R_ERR_RESOURCE.  *out is empty after a failure.
 */
s3r_status s3r_sealed_file_open(s3r_sealed_file *out, const char *path, const char *kind,
                                unsigned version, s3r_error *err);
/* The same for bytes in memory, which must outlive the result. */
s3r_status s3r_sealed_file_parse(s3r_sealed_file *out, const void *bytes, size_t size,
                                 const char *label, const char *kind, unsigned version,
                                 s3r_error *err);
/* The two of them for several versions. */
s3r_status s3r_sealed_file_open_kind(s3r_sealed_file *out, const char *path,
                                     const s3r_sealed_kind *kind, s3r_error *err);
s3r_status s3r_sealed_file_parse_kind(s3r_sealed_file *out, const void *bytes,
                                      size_t size, const char *label,
                                      const s3r_sealed_kind *kind, s3r_error *err);
void s3r_sealed_file_close(s3r_sealed_file *file); /* a zeroed one is allowed */

/* The facts of a file whose seal is not checked, for lists of many files: *facts is the
 * caller's.  What is believed must be opened.  S3R_ERR_MODEL, S3R_ERR_RESOURCE. */
s3r_status s3r_sealed_file_peek(json_t **facts, const char *path,
                                const s3r_sealed_kind *kind, s3r_error *err);

/* The tensor of that name; NULL when there is none. */
const s3r_tensor *s3r_sealed_file_find(const s3r_sealed_file *file, const char *name);

/* The seal and the text of the facts as the file has them. */
const char *s3r_sealed_file_seal(const s3r_sealed_file *file);
const char *s3r_sealed_file_facts_text(const s3r_sealed_file *file);

/* The seal that s3r_sealed_file_save would give.  S3R_ERR_RESOURCE. */
s3r_status s3r_sealed_file_seal_of(char seal[S3R_SEAL_HEX_BYTES], const char *kind,
                                   unsigned version, const s3r_tensor *tensors,
                                   size_t count, const json_t *facts, s3r_error *err);

/* Writes atomically; facts is borrowed.  S3R_ERR_RUNTIME, S3R_ERR_RESOURCE. */
s3r_status s3r_sealed_file_save(const char *path, const char *kind, unsigned version,
                                const s3r_tensor *tensors, size_t count,
                                const json_t *facts, s3r_error *err);

#endif
