/*
 * Shard indices: which file holds which tensor.
 */
#include "checkpoint/shard_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/json_read.h"

/* A stranger's index must not reach out of its folder. */
static bool is_plain_name(const char *name)
{
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           !strpbrk(name, "/\\");
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static s3r_status collect_shards(s3r_shard_index *index, const char *path, s3r_error *err)
{
    const char *key;
    json_t *value;
    size_t count = 0, entry_count = json_object_size(index->weight_map);
    index->shards = s3r_alloc(entry_count, sizeof *index->shards);
    if (!index->shards)
        return s3r_fail_memory(err, "a shard index", entry_count * sizeof(char *));
    json_object_foreach(index->weight_map, key, value)
    {
        if (!json_is_string(value) || !is_plain_name(json_string_value(value)))
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: \"%s\": expected the name of a file in the same folder, "
                            "found \"%s\"",
                            path, key,
                            json_is_string(value) ? json_string_value(value) : "");
        index->shards[count++] = json_string_value(value);
    }
    if (count == 0)
        return s3r_fail(err, S3R_ERR_MODEL, "%s: \"weight_map\": it is empty", path);
    qsort(index->shards, count, sizeof *index->shards, compare_names);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(index->shards[i - 1], index->shards[i]) != 0)
            index->shards[index->shard_count++] = index->shards[i];
    }
    return S3R_OK;
}

s3r_status s3r_shard_index_load(s3r_shard_index *out, const char *path, s3r_error *err)
{
    s3r_shard_index index = {0};
    S3R_TRY(s3r_json_file_load(&index.root, path, err));
    index.weight_map = json_object_get(index.root, "weight_map");
    s3r_status status =
        json_is_object(index.weight_map)
            ? collect_shards(&index, path, err)
            : s3r_fail(err, S3R_ERR_MODEL, "%s: \"weight_map\": expected a JSON object",
                       path);
    if (status == S3R_OK)
        *out = index;
    else
        s3r_shard_index_release(&index);
    return status;
}

void s3r_shard_index_release(s3r_shard_index *index)
{
    s3r_free(index->shards);
    json_decref(index->root);
    *index = (s3r_shard_index){0};
}
