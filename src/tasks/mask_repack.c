/*
 * Packing and unpacking mask files.  Both make the plain file in memory and compare its
 * seal, so that nothing is written that could not be read again.
 */
#include "tasks/mask_repack.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define ARENA_CHUNK ((size_t)1 << 20)

typedef struct repacker {
    s3r_mask_file file;
    const s3r_mask_backbone *backbone;
    s3r_cpu_level level;
    s3r_pool *pool;
    s3r_weighed_mask *masks;
    size_t count;
    s3r_tensor *tensors; /* of the plain form, in its order */
    size_t tensor_count;
    size_t *places; /* [count] of each mask among them */
    json_t *facts;  /* of the plain form */
    s3r_arena owned;
} repacker;

/* ---- the plain form in memory ---- */

/* The place of a mask in a plain file, or as the fact of a compact one has it.  Masks
 * come first in what s3r trains, and then nothing needs to be said. */
static size_t place_of(const repacker *r, size_t index, const char *tensor)
{
    const s3r_safetensors *container = &r->file.sealed.container;
    const json_t *places =
        json_object_get(json_object_get(r->file.facts, S3R_COMPACT_FACT), "places");
    if (r->file.is_compact) {
        const json_t *place = json_array_get(places, index);
        return places ? (size_t)json_integer_value(place) : index;
    }
    size_t i = 0;
    while (i < container->tensor_count && strcmp(container->tensors[i].name, tensor) != 0)
        i++;
    return i;
}

static s3r_status add_plain_mask(repacker *r, size_t index, s3r_error *err)
{
    const char *name;
    size_t rows, cols;
    s3r_mask_file_matrix(&r->file, index, &name, &rows, &cols);
    size_t bytes = s3r_mask_packed_bytes(rows, cols);
    size_t name_bytes = strlen(S3R_MASK_PREFIX) + strlen(name) + 1;
    uint8_t *bits = s3r_arena_alloc(&r->owned, bytes, 1);
    char *full = s3r_arena_alloc(&r->owned, name_bytes, 1);
    if (!bits || !full)
        return s3r_fail_memory(err, name, bytes);
    s3r_mask_to_packed(&r->masks[index].mask, bits);
    snprintf(full, name_bytes, S3R_MASK_PREFIX "%s", name);
    size_t place = r->places[index] = place_of(r, index, full);
    if (place >= r->tensor_count || r->tensors[place].name)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: facts: \"compact.places\": expected a place below %zu that "
                        "is free, found %zu",
                        r->file.path, r->tensor_count, place);
    r->tensors[place] = (s3r_tensor){.name = full,
                                     .dtype = S3R_DTYPE_U8,
                                     .rank = 1,
                                     .shape = {bytes},
                                     .data = bits,
                                     .size_bytes = bytes};
    return S3R_OK;
}

static bool is_mask(const s3r_tensor *tensor)
{
    return strncmp(tensor->name, S3R_MASK_PREFIX, strlen(S3R_MASK_PREFIX)) == 0 ||
           strcmp(tensor->name, S3R_COMPACT_TENSOR) == 0;
}

static s3r_status make_plain(repacker *r, s3r_error *err)
{
    const s3r_safetensors *container = &r->file.sealed.container;
    size_t place = 0;
    r->tensor_count = container->tensor_count;
    if (r->file.is_compact)
        r->tensor_count += r->count - 1; /* one stands for all masks */
    r->tensors = s3r_alloc(r->tensor_count, sizeof *r->tensors);
    r->places = s3r_alloc(r->count, sizeof *r->places);
    r->facts = json_copy((json_t *)(uintptr_t)r->file.facts);
    if (!r->tensors || !r->places || !r->facts)
        return s3r_fail_memory(err, r->file.path, r->tensor_count * sizeof *r->tensors);
    json_object_del(r->facts, S3R_COMPACT_FACT);
    for (size_t i = 0; i < r->count; i++)
        S3R_TRY(add_plain_mask(r, i, err));
    for (size_t i = 0; i < container->tensor_count; i++) {
        if (is_mask(&container->tensors[i]))
            continue;
        while (r->tensors[place].name)
            place++;
        r->tensors[place] = container->tensors[i];
    }
    return S3R_OK;
}

static s3r_status check_seal(const repacker *r, const char *otherwise, s3r_error *err)
{
    char seal[S3R_SEAL_HEX_BYTES];
    S3R_TRY(s3r_sealed_file_seal_of(seal, S3R_MASK_FILE_KIND, S3R_MASK_FILE_FORMAT,
                                    r->tensors, r->tensor_count, r->facts, err));
    if (strcmp(seal, r->file.content_hash) == 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_MODEL, "%s: %s: expected SHA-256 %s, found %s",
                    r->file.path, otherwise, r->file.content_hash, seal);
}

static s3r_status load(repacker *r, s3r_error *err)
{
    r->count = s3r_mask_file_matrix_count(&r->file);
    r->masks = s3r_alloc(r->count, sizeof *r->masks);
    if (!r->masks)
        return s3r_fail_memory(err, "the masks", r->count * sizeof *r->masks);
    S3R_TRY(s3r_mask_file_check_backbone(&r->file, r->backbone, err));
    S3R_TRY(s3r_mask_bits_load(r->masks, &r->owned, &r->file, r->backbone, false,
                               r->level, r->pool, err));
    return make_plain(r, err);
}

static void release(repacker *r)
{
    s3r_free(r->masks);
    s3r_free(r->tensors);
    s3r_free(r->places);
    json_decref(r->facts);
    s3r_arena_release(&r->owned);
    s3r_mask_file_close(&r->file);
}

/* ---- writing ---- */

/* False without memory. */
static bool add_compact_fact(repacker *r)
{
    bool are_first = true;
    json_t *places = json_array();
    for (size_t i = 0; i < r->count; i++) {
        are_first = are_first && r->places[i] == i;
        json_array_append_new(places, json_integer((json_int_t)r->places[i]));
    }
    bool is_whole = json_array_size(places) == r->count;
    json_t *fact =
        json_pack("{ss, so}", "sha256", r->file.content_hash, "places", places);
    if (are_first)
        json_object_del(fact, "places");
    if (!is_whole) {
        json_decref(fact);
        return false;
    }
    return json_object_set_new(r->facts, S3R_COMPACT_FACT, fact) == 0;
}

static s3r_status write_compact(repacker *r, const char *out_path, s3r_error *err)
{
    uint8_t *coded = NULL;
    size_t size = 0, count = 0;
    S3R_TRY(s3r_mask_bits_check_order(r->masks, &r->file, err));
    if (!add_compact_fact(r))
        return s3r_fail_memory(err, out_path, 0);
    S3R_TRY(s3r_masks_encode(&coded, &size, r->masks, r->count, r->pool, err));
    for (size_t i = 0; i < r->tensor_count; i++)
        if (!is_mask(&r->tensors[i]))
            r->tensors[count++] = r->tensors[i];
    /* At the end, so that the others stay aligned. */
    r->tensors[count++] = (s3r_tensor){.name = S3R_COMPACT_TENSOR,
                                       .dtype = S3R_DTYPE_U8,
                                       .rank = 1,
                                       .shape = {size},
                                       .data = coded,
                                       .size_bytes = size};
    s3r_status status =
        s3r_sealed_file_save(out_path, S3R_MASK_FILE_KIND, S3R_MASK_FILE_COMPACT,
                             r->tensors, count, r->facts, err);
    s3r_free(coded);
    return status;
}

static s3r_status pack(repacker *r, const char *out_path, s3r_error *err)
{
    if (r->file.is_compact)
        return s3r_fail(err, S3R_ERR_USAGE, "%s: is compact already", r->file.path);
    if (s3r_mask_file_matrix_count(&r->file) == 0)
        return s3r_fail(err, S3R_ERR_USAGE, "%s: has no masks (method \"%s\") to pack",
                        r->file.path, r->file.method);
    S3R_TRY(load(r, err));
    S3R_TRY(check_seal(r,
                       "its facts are not spelt as s3r writes them, so unpacking could "
                       "not give back the same file",
                       err));
    return write_compact(r, out_path, err);
}

static s3r_status unpack(repacker *r, const char *out_path, s3r_error *err)
{
    if (!r->file.is_compact)
        return s3r_fail(err, S3R_ERR_USAGE, "%s: is not compact", r->file.path);
    S3R_TRY(load(r, err));
    S3R_TRY(check_seal(r, "damaged: its plain form is another", err));
    return out_path
               ? s3r_mask_file_save(out_path, r->tensors, r->tensor_count, r->facts, err)
               : S3R_OK;
}

typedef s3r_status (*repack_fn)(repacker *r, const char *out_path, s3r_error *err);

static s3r_status repack(repack_fn run, const char *out_path, const char *path,
                         const s3r_mask_backbone *backbone, s3r_cpu_level level,
                         s3r_pool *pool, s3r_error *err)
{
    repacker r = {.backbone = backbone, .level = level, .pool = pool};
    S3R_TRY(s3r_mask_file_open(&r.file, path, err));
    s3r_arena_init(&r.owned, ARENA_CHUNK);
    s3r_status status = run(&r, out_path, err);
    release(&r);
    return status;
}

s3r_status s3r_mask_file_pack(const char *out_path, const char *path,
                              const s3r_mask_backbone *backbone, s3r_cpu_level level,
                              s3r_pool *pool, s3r_error *err)
{
    return repack(pack, out_path, path, backbone, level, pool, err);
}

s3r_status s3r_mask_file_unpack(const char *out_path, const char *path,
                                const s3r_mask_backbone *backbone, s3r_cpu_level level,
                                s3r_pool *pool, s3r_error *err)
{
    return repack(unpack, out_path, path, backbone, level, pool, err);
}
