/*
 * Sealed tensor files: sealing and verifying.
 */
#include "checkpoint/sealed_file.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_text.h"
#include "base/memory.h"
#include "base/json_read.h"

#define FACTS_KEY    "s3r.facts"
#define CHECKSUM_KEY "s3r.sha256"
#define HEX_BYTES    S3R_SEAL_HEX_BYTES

_Static_assert(HEX_BYTES == 2 * SHA256_DIGEST_SIZE + 1, "room for the digits");

static void hash_text(struct sha256_ctx *hash, const char *text)
{
    sha256_update(hash, strlen(text) + 1, (const uint8_t *)text);
}

static void hash_number(struct sha256_ctx *hash, uint64_t number)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    sha256_update(hash, sizeof bytes, bytes);
}

static void seal_of(char hex[HEX_BYTES], const char *kind, const char *version,
                    const char *facts, const s3r_tensor *tensors, size_t count)
{
    struct sha256_ctx hash;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&hash);
    hash_text(&hash, kind);
    hash_text(&hash, version);
    hash_text(&hash, facts);
    for (size_t i = 0; i < count; i++) {
        hash_text(&hash, tensors[i].name);
        hash_text(&hash, s3r_dtype_name(tensors[i].dtype));
        hash_number(&hash, tensors[i].rank);
        for (unsigned d = 0; d < tensors[i].rank; d++)
            hash_number(&hash, tensors[i].shape[d]);
        if (tensors[i].size_bytes > 0)
            sha256_update(&hash, tensors[i].size_bytes, tensors[i].data);
    }
    sha256_digest(&hash, sizeof digest, digest);
    s3r_bytes_to_hex(hex, digest, sizeof digest);
}

/* Sets the version when `found` is exactly the text of one that the kind has. */
static s3r_status read_version(s3r_sealed_file *file, const char *label,
                               const s3r_sealed_kind *kind, const char *found,
                               s3r_error *err)
{
    char text[16], expected[40];
    for (unsigned version = kind->oldest; version <= kind->newest; version++) {
        snprintf(text, sizeof text, "%u", version);
        if (strcmp(found, text) == 0) {
            file->version = version;
            return S3R_OK;
        }
    }
    snprintf(expected, sizeof expected, "%u", kind->oldest);
    if (kind->newest > kind->oldest)
        snprintf(expected, sizeof expected, "%u to %u", kind->oldest, kind->newest);
    return s3r_fail(err, S3R_ERR_MODEL,
                    "%s: %s: expected format version %s, found \"%.32s\"", label,
                    kind->name, expected, found);
}

/* Everything but the seal itself. */
static s3r_status check_metadata(s3r_sealed_file *file, const char *label,
                                 const s3r_sealed_kind *kind, s3r_error *err)
{
    const json_t *metadata = file->container.metadata;
    const char *found = json_string_value(json_object_get(metadata, kind->name));
    const char *facts = s3r_sealed_file_facts_text(file);
    const char *checksum = s3r_sealed_file_seal(file);
    if (!found)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: expected a file of kind \"%s\", found a safetensors file "
                        "that is none",
                        label, kind->name);
    S3R_TRY(read_version(file, label, kind, found, err));
    if (!facts || !checksum)
        return s3r_fail(err, S3R_ERR_MODEL, "%s: \"%s\" is missing in the metadata",
                        label, facts ? CHECKSUM_KEY : FACTS_KEY);
    /* The seal covers three of the strings; nothing may hide in others. */
    const char *format = json_string_value(json_object_get(metadata, "format"));
    if (json_object_size(metadata) != 4 || !format || strcmp(format, "pt") != 0)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: damaged: expected \"format\": \"pt\" and the three strings "
                        "of a sealed file in the metadata, found other ones",
                        label);
    return S3R_OK;
}

static s3r_status read_facts(json_t **facts, const s3r_sealed_file *file,
                             const char *label, s3r_error *err)
{
    const char *text = s3r_sealed_file_facts_text(file);
    return s3r_json_parse_object(facts, text, strlen(text), label, err);
}

static s3r_status verify(s3r_sealed_file *file, const char *label,
                         const s3r_sealed_kind *kind, s3r_error *err)
{
    char seal[HEX_BYTES];
    S3R_TRY(check_metadata(file, label, kind, err));
    const json_t *metadata = file->container.metadata;
    const char *checksum = s3r_sealed_file_seal(file);
    seal_of(seal, kind->name, json_string_value(json_object_get(metadata, kind->name)),
            s3r_sealed_file_facts_text(file), file->container.tensors,
            file->container.tensor_count);
    if (strcmp(seal, checksum) != 0)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: damaged: expected SHA-256 %.64s, found %s", label, checksum,
                        seal);
    return read_facts(&file->facts, file, label, err);
}

s3r_status s3r_sealed_file_parse_kind(s3r_sealed_file *out, const void *bytes,
                                      size_t size, const char *label,
                                      const s3r_sealed_kind *kind, s3r_error *err)
{
    *out = (s3r_sealed_file){0};
    s3r_status status = s3r_safetensors_parse(&out->container, bytes, size, label, err);
    if (status == S3R_OK)
        status = verify(out, label, kind, err);
    if (status != S3R_OK)
        s3r_sealed_file_close(out);
    return status;
}

s3r_status s3r_sealed_file_parse(s3r_sealed_file *out, const void *bytes, size_t size,
                                 const char *label, const char *kind, unsigned version,
                                 s3r_error *err)
{
    const s3r_sealed_kind one = {kind, version, version};
    return s3r_sealed_file_parse_kind(out, bytes, size, label, &one, err);
}

s3r_status s3r_sealed_file_open_kind(s3r_sealed_file *out, const char *path,
                                     const s3r_sealed_kind *kind, s3r_error *err)
{
    s3r_file_map map;
    *out = (s3r_sealed_file){0};
    S3R_TRY(s3r_file_map_open(&map, path, S3R_ERR_MODEL, err));
    s3r_status status =
        s3r_sealed_file_parse_kind(out, map.data, map.size, path, kind, err);
    if (status == S3R_OK)
        out->map = map;
    else
        s3r_file_map_close(&map);
    return status;
}

s3r_status s3r_sealed_file_peek(json_t **facts, const char *path,
                                const s3r_sealed_kind *kind, s3r_error *err)
{
    s3r_sealed_file file = {0};
    *facts = NULL;
    S3R_TRY(s3r_file_map_open(&file.map, path, S3R_ERR_MODEL, err));
    s3r_status status =
        s3r_safetensors_parse(&file.container, file.map.data, file.map.size, path, err);
    if (status == S3R_OK)
        status = check_metadata(&file, path, kind, err);
    if (status == S3R_OK)
        status = read_facts(facts, &file, path, err);
    s3r_sealed_file_close(&file);
    return status;
}

s3r_status s3r_sealed_file_open(s3r_sealed_file *out, const char *path, const char *kind,
                                unsigned version, s3r_error *err)
{
    const s3r_sealed_kind one = {kind, version, version};
    return s3r_sealed_file_open_kind(out, path, &one, err);
}

void s3r_sealed_file_close(s3r_sealed_file *file)
{
    json_decref(file->facts);
    s3r_safetensors_release(&file->container);
    s3r_file_map_close(&file->map);
    *file = (s3r_sealed_file){0};
}

const s3r_tensor *s3r_sealed_file_find(const s3r_sealed_file *file, const char *name)
{
    for (size_t i = 0; i < file->container.tensor_count; i++)
        if (strcmp(file->container.tensors[i].name, name) == 0)
            return &file->container.tensors[i];
    return NULL;
}

const char *s3r_sealed_file_seal(const s3r_sealed_file *file)
{
    return json_string_value(json_object_get(file->container.metadata, CHECKSUM_KEY));
}

const char *s3r_sealed_file_facts_text(const s3r_sealed_file *file)
{
    return json_string_value(json_object_get(file->container.metadata, FACTS_KEY));
}

/* The facts as they are written, from the allocator of jansson; NULL without memory. */
static char *facts_to_text(const json_t *facts)
{
    return json_dumps(facts, JSON_COMPACT | JSON_SORT_KEYS);
}

s3r_status s3r_sealed_file_seal_of(char seal[S3R_SEAL_HEX_BYTES], const char *kind,
                                   unsigned version, const s3r_tensor *tensors,
                                   size_t count, const json_t *facts, s3r_error *err)
{
    char number[16];
    char *text = facts_to_text(facts);
    if (!text)
        return s3r_fail_memory(err, "the facts", 0);
    snprintf(number, sizeof number, "%u", version);
    seal_of(seal, kind, number, text, tensors, count);
    free(text);
    return S3R_OK;
}

s3r_status s3r_sealed_file_save(const char *path, const char *kind, unsigned version,
                                const s3r_tensor *tensors, size_t count,
                                const json_t *facts, s3r_error *err)
{
    char number[16], seal[HEX_BYTES];
    snprintf(number, sizeof number, "%u", version);
    char *text = facts_to_text(facts);
    if (!text)
        return s3r_fail_memory(err, path, 0);
    seal_of(seal, kind, number, text, tensors, count);
    json_t *metadata = json_pack("{ss, ss, ss, ss}", kind, number, FACTS_KEY, text,
                                 CHECKSUM_KEY, seal, "format", "pt");
    free(text);
    if (!metadata)
        return s3r_fail_memory(err, path, 0);
    s3r_status status =
        s3r_safetensors_save(path, tensors, count, metadata, NULL, NULL, err);
    json_decref(metadata);
    return status;
}
