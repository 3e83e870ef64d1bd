/*
 * Opening a checkpoint: which files it has, their tensors in one list, and its JSON.
 *
 * A checkpoint is one or more parts, each a memory map with its parsed directory.  The
 * content of a file decides how it is read, not its name, since both .bin and .pt name
 * several formats.
 */
#include "checkpoint/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/folder_list.h"
#include "base/memory.h"
#include "base/json_read.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/shard_index.h"
#include "checkpoint/torch_file.h"

typedef struct part {
    char *path;
    s3r_file_map map;
    bool is_torch;
    s3r_safetensors safetensors;
    s3r_torch_file torch;
} part;

struct s3r_checkpoint {
    char *path;
    char *folder;
    part *parts;
    size_t part_count;
    s3r_tensor *tensors; /* copies of the parts' records, whose names they borrow */
    size_t tensor_count;
    json_t *config;
    json_t *preprocessor;
};

/* A tensor's name and where it comes from, to find it by name. */
typedef struct name_entry {
    const char *name;
    const part *part;
} name_entry;

/* ---- parts ---- */

static void part_release(part *p)
{
    s3r_safetensors_release(&p->safetensors);
    s3r_torch_file_release(&p->torch);
    s3r_file_map_close(&p->map);
    s3r_free(p->path);
}

static bool is_lfs_pointer(const s3r_file_map *map)
{
    static const char begin[] = "version https://git-lfs";
    return map->size >= sizeof begin && memcmp(map->data, begin, sizeof begin - 1) == 0;
}

static bool is_named_safetensors(const char *path)
{
    static const char suffix[] = ".safetensors";
    size_t length = strlen(path), suffix_length = sizeof suffix - 1;
    return length >= suffix_length && strcmp(path + length - suffix_length, suffix) == 0;
}

/* Maps and parses the file at part->path. */
static s3r_status part_open(part *p, s3r_error *err)
{
    S3R_TRY(s3r_file_map_open(&p->map, p->path, S3R_ERR_MODEL, err));
    const unsigned char *bytes = p->map.data;
    size_t size = p->map.size;
    if (is_lfs_pointer(&p->map))
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: this is a Git LFS pointer, not the model: fetch the file "
                        "itself with `git lfs pull`",
                        p->path);
    p->is_torch = s3r_torch_file_is_likely(bytes, size);
    if (p->is_torch)
        return s3r_torch_file_parse(&p->torch, bytes, size, p->path, err);
    if ((size > 8 && bytes[8] == '{') || is_named_safetensors(p->path))
        return s3r_safetensors_parse(&p->safetensors, bytes, size, p->path, err);
    return s3r_fail(err, S3R_ERR_MODEL, "%s: expected a safetensors or PyTorch file",
                    p->path);
}

/* Adds the file folder/name (name = NULL: the checkpoint's path itself). */
static s3r_status add_part(s3r_checkpoint *c, const char *name, s3r_error *err)
{
    part *grown =
        s3r_realloc(c->parts, c->part_count, c->part_count + 1, sizeof *c->parts);
    if (!grown)
        return s3r_fail_memory(err, "a checkpoint", sizeof *grown);
    c->parts = grown;
    part *p = &c->parts[c->part_count];
    p->path = name ? s3r_path_join(c->folder, name) : s3r_strdup(c->path);
    if (!p->path)
        return s3r_fail_memory(err, "a path", 0);
    c->part_count++;
    return part_open(p, err);
}

/* ---- one list of tensors ---- */

static size_t part_tensor_count(const part *p)
{
    return p->is_torch ? p->torch.tensor_count : p->safetensors.tensor_count;
}

static const s3r_tensor *part_tensors(const part *p)
{
    return p->is_torch ? p->torch.tensors : p->safetensors.tensors;
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const name_entry *)a)->name, ((const name_entry *)b)->name);
}

/* Joins the parts; *names receives a new list sorted by name (s3r_free). */
static s3r_status join_parts(s3r_checkpoint *c, name_entry **names, s3r_error *err)
{
    size_t total = 0, count = 0;
    for (size_t i = 0; i < c->part_count; i++)
        total += part_tensor_count(&c->parts[i]);
    c->tensors = s3r_alloc(total, sizeof *c->tensors);
    *names = s3r_alloc(total, sizeof **names);
    if (!c->tensors || !*names)
        return s3r_fail_memory(err, "the list of tensors", total * sizeof *c->tensors);
    for (size_t i = 0; i < c->part_count; i++) {
        const s3r_tensor *tensors = part_tensors(&c->parts[i]);
        for (size_t k = 0; k < part_tensor_count(&c->parts[i]); k++) {
            (*names)[count] = (name_entry){tensors[k].name, &c->parts[i]};
            c->tensors[count++] = tensors[k];
        }
    }
    c->tensor_count = total;
    if (total > 0)
        qsort(*names, total, sizeof **names, compare_entries);
    for (size_t i = 1; i < total; i++) {
        if (strcmp((*names)[i - 1].name, (*names)[i].name) == 0)
            return s3r_fail(err, S3R_ERR_MODEL, "%s: \"%s\": the tensor occurs twice",
                            (*names)[i].part->path, (*names)[i].name);
    }
    return S3R_OK;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Every tensor of the index must be in the shard that the index names. */
static s3r_status check_index(const s3r_checkpoint *c, const s3r_shard_index *index,
                              const name_entry *names, s3r_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(index->weight_map, key, value)
    {
        name_entry wanted = {.name = key};
        const char *shard = json_string_value(value);
        const name_entry *found =
            c->tensor_count
                ? bsearch(&wanted, names, c->tensor_count, sizeof wanted, compare_entries)
                : NULL;
        if (!found || strcmp(base_name(found->part->path), shard) != 0)
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: \"%s\": the index expects it in %s, where it is missing",
                            c->path, key, shard);
    }
    return S3R_OK;
}

static s3r_status open_file(s3r_checkpoint *c, const char *name, s3r_error *err)
{
    name_entry *names = NULL;
    S3R_TRY(add_part(c, name, err));
    s3r_status status = join_parts(c, &names, err);
    s3r_free(names);
    return status;
}

static s3r_status open_shards(s3r_checkpoint *c, const char *index_path, s3r_error *err)
{
    s3r_shard_index index;
    name_entry *names = NULL;
    S3R_TRY(s3r_shard_index_load(&index, index_path, err));
    s3r_status status = S3R_OK;
    for (size_t i = 0; status == S3R_OK && i < index.shard_count; i++)
        status = add_part(c, index.shards[i], err);
    if (status == S3R_OK)
        status = join_parts(c, &names, err);
    if (status == S3R_OK)
        status = check_index(c, &index, names, err);
    s3r_free(names);
    s3r_shard_index_release(&index);
    return status;
}

/* ---- folders ---- */

static s3r_status open_only_pt(s3r_checkpoint *c, s3r_error *err)
{
    s3r_folder_list list;
    S3R_TRY(s3r_folder_list_read(&list, c->folder, ".pt", S3R_ERR_MODEL, err));
    s3r_status status =
        list.count == 1
            ? open_file(c, list.names[0], err)
            : s3r_fail(err, S3R_ERR_MODEL,
                       "%s: expected model.safetensors, pytorch_model.bin, one of their "
                       "indices, or exactly one .pt file; found %zu .pt files",
                       c->path, list.count);
    s3r_folder_list_release(&list);
    return status;
}

static s3r_status open_folder(s3r_checkpoint *c, s3r_error *err)
{
    static const struct {
        const char *name;
        bool is_index;
    } choices[] = {{"model.safetensors", false},
                   {"model.safetensors.index.json", true},
                   {"pytorch_model.bin", false},
                   {"pytorch_model.bin.index.json", true}};
    for (size_t i = 0; i < S3R_ARRAY_LEN(choices); i++) {
        char *path = s3r_path_join(c->folder, choices[i].name);
        if (!path)
            return s3r_fail_memory(err, "a path", 0);
        bool is_there = s3r_path_exists(path);
        s3r_status status = S3R_OK;
        if (is_there)
            status = choices[i].is_index ? open_shards(c, path, err)
                                         : open_file(c, choices[i].name, err);
        s3r_free(path);
        if (is_there)
            return status;
    }
    return open_only_pt(c, err);
}

/* ---- side files ---- */

/* *out = NULL when the folder has no such file. */
static s3r_status load_side_file(json_t **out, const s3r_checkpoint *c, const char *name,
                                 s3r_error *err)
{
    char *path = s3r_path_join(c->folder, name);
    if (!path)
        return s3r_fail_memory(err, "a path", 0);
    s3r_status status =
        s3r_path_exists(path) ? s3r_json_file_load(out, path, err) : S3R_OK;
    s3r_free(path);
    return status;
}

static s3r_status load_json(s3r_checkpoint *c, s3r_error *err)
{
    if (c->parts[0].torch.config)
        c->config = json_incref(c->parts[0].torch.config);
    else
        S3R_TRY(load_side_file(&c->config, c, "config.json", err));
    return load_side_file(&c->preprocessor, c, "preprocessor_config.json", err);
}

static char *folder_of(const char *path)
{
    if (s3r_path_is_folder(path))
        return s3r_strdup(path);
    const char *slash = strrchr(path, '/');
    if (!slash)
        return s3r_strdup(".");
    return s3r_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

s3r_status s3r_checkpoint_open(s3r_checkpoint **out, const char *path, s3r_error *err)
{
    s3r_checkpoint *c = s3r_alloc(1, sizeof *c);
    if (!c)
        return s3r_fail_memory(err, "a checkpoint", sizeof *c);
    c->path = s3r_strdup(path);
    c->folder = folder_of(path);
    s3r_status status = S3R_OK;
    if (!c->path || !c->folder)
        status = s3r_fail_memory(err, "a path", strlen(path));
    else if (s3r_path_is_folder(path))
        status = open_folder(c, err);
    else
        status = open_file(c, NULL, err);
    if (status == S3R_OK)
        status = load_json(c, err);
    if (status == S3R_OK)
        *out = c;
    else
        s3r_checkpoint_close(c);
    return status;
}

void s3r_checkpoint_close(s3r_checkpoint *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->part_count; i++)
        part_release(&c->parts[i]);
    s3r_free(c->parts);
    s3r_free(c->tensors);
    json_decref(c->config);
    json_decref(c->preprocessor);
    s3r_free(c->folder);
    s3r_free(c->path);
    s3r_free(c);
}

const char *s3r_checkpoint_path(const s3r_checkpoint *c)
{
    return c->path;
}

const char *s3r_checkpoint_folder(const s3r_checkpoint *c)
{
    return c->folder;
}

s3r_checkpoint_format s3r_checkpoint_get_format(const s3r_checkpoint *c)
{
    const part *first = &c->parts[0];
    if (!first->is_torch)
        return S3R_FORMAT_SAFETENSORS;
    return first->torch.is_legacy ? S3R_FORMAT_TORCH_LEGACY : S3R_FORMAT_TORCH_ZIP;
}

size_t s3r_checkpoint_tensor_count(const s3r_checkpoint *c)
{
    return c->tensor_count;
}

const s3r_tensor *s3r_checkpoint_tensor(const s3r_checkpoint *c, size_t index)
{
    return &c->tensors[index];
}

s3r_file_map s3r_checkpoint_map_of(const s3r_checkpoint *c, const void *data)
{
    for (size_t i = 0; i < c->part_count; i++)
        if (s3r_file_map_has(&c->parts[i].map, data))
            return c->parts[i].map;
    return (s3r_file_map){0};
}

void s3r_checkpoint_forget(const s3r_checkpoint *c, const s3r_tensor *tensor)
{
    /* Copies of tensors are in no map, which then is empty. */
    s3r_file_map map = s3r_checkpoint_map_of(c, tensor->data);
    s3r_file_map_forget(&map, tensor->data, tensor->size_bytes);
}

json_t *s3r_checkpoint_config(const s3r_checkpoint *c)
{
    return c->config;
}

json_t *s3r_checkpoint_preprocessor(const s3r_checkpoint *c)
{
    return c->preprocessor;
}

bool s3r_checkpoint_is_fairseq(const s3r_checkpoint *c)
{
    return c->parts[0].torch.is_fairseq;
}
