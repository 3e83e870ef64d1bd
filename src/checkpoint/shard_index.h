/*
 * The index of a checkpoint that is split into shards: model.safetensors.index.json.
 */
#ifndef S3R_CHECKPOINT_SHARD_INDEX_H
#define S3R_CHECKPOINT_SHARD_INDEX_H

#include <jansson.h>

#include "base/error.h"

typedef struct s3r_shard_index {
    json_t *root;
    json_t *weight_map;  /* object: tensor name -> file name; borrowed from root */
    const char **shards; /* each file name once, sorted; borrowed from root */
    size_t shard_count;
} s3r_shard_index;

/* Reads and checks the index at path: every file name must be a plain name in the same
 * folder.  S3R_ERR_MODEL, S3R_ERR_RESOURCE. */
s3r_status s3r_shard_index_load(s3r_shard_index *out, const char *path, s3r_error *err);
void s3r_shard_index_release(s3r_shard_index *index);

#endif
