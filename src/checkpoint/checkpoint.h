/*
 * One pretrained checkpoint, whatever its files: named tensors and JSON metadata.
 *
 * Understood: a Hugging Face folder (config.json with model.safetensors, a sharded
 * index or pytorch_model.bin), one .safetensors file (its folder supplies config.json),
 * and a fairseq .pt (zip or the legacy format of 2020).  Tensor data stays in the memory
 * map whenever it is contiguous there.  Names are as in the file: tensor_names.h makes
 * them canonical.  (spec 2.14, 3.1, 3.2, 3.4)
 */
#ifndef S3R_CHECKPOINT_CHECKPOINT_H
#define S3R_CHECKPOINT_CHECKPOINT_H

#include <jansson.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/file.h"

typedef enum s3r_checkpoint_format {
    S3R_FORMAT_SAFETENSORS,  /* one file or shards */
    S3R_FORMAT_TORCH_ZIP,    /* pytorch_model.bin or fairseq .pt, PyTorch >= 1.6 */
    S3R_FORMAT_TORCH_LEGACY, /* the same before 1.6 */
} s3r_checkpoint_format;

typedef struct s3r_checkpoint s3r_checkpoint;

/*
 * Opens path (a folder or a file).  The checkpoint may be read by many threads at once.
 * Errors: S3R_ERR_MODEL naming file, thing, expected and found; S3R_ERR_RESOURCE.
 */
s3r_status s3r_checkpoint_open(s3r_checkpoint **out, const char *path, s3r_error *err);
void s3r_checkpoint_close(s3r_checkpoint *checkpoint); /* NULL is allowed */

const char *s3r_checkpoint_path(const s3r_checkpoint *checkpoint);
/* The folder whose side files (vocab.json, dict.ltr.txt) belong to the checkpoint. */
const char *s3r_checkpoint_folder(const s3r_checkpoint *checkpoint);
s3r_checkpoint_format s3r_checkpoint_get_format(const s3r_checkpoint *checkpoint);

size_t s3r_checkpoint_tensor_count(const s3r_checkpoint *checkpoint);
/* index < tensor_count; order of the file. Views live as long as the checkpoint. */
const s3r_tensor *s3r_checkpoint_tensor(const s3r_checkpoint *checkpoint, size_t index);
/* The map of a file of the checkpoint that holds the byte at data; empty when none does.
 */
s3r_file_map s3r_checkpoint_map_of(const s3r_checkpoint *checkpoint, const void *data);
/* The tensor's pages leave memory until they are touched again. */
void s3r_checkpoint_forget(const s3r_checkpoint *checkpoint, const s3r_tensor *tensor);

/*
 * Borrowed JSON, NULL when absent.  "config" is config.json, or for fairseq the pickled
 * "cfg" (dataclasses and omegaconf nodes as objects) or "args" (argparse.Namespace as an
 * object); values that JSON cannot hold (opaque classes) are null.
 */
json_t *s3r_checkpoint_config(const s3r_checkpoint *checkpoint);
json_t *s3r_checkpoint_preprocessor(const s3r_checkpoint *checkpoint);
/* True for a fairseq checkpoint (tensors under "model", config from cfg/args). */
bool s3r_checkpoint_is_fairseq(const s3r_checkpoint *checkpoint);

#endif
