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
#include "checkpoint/json_file.h"

#define FACTS_KEY    "s3r.facts"
#define CHECKSUM_KEY "s3r.sha256"
#define HEX_BYTES    (2 * SHA256_DIGEST_SIZE + 1)

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

static s3r_status verify(s3r_sealed_file *file, const char *label, const char *kind,
                         unsigned version, s3r_error *err)
{
    char expected[16], seal[HEX_BYTES];
    const json_t *metadata = file->container.metadata;
    const char *found = json_string_value(json_object_get(metadata, kind));
    const char *facts = json_string_value(json_object_get(metadata, FACTS_KEY));
    const char *checksum = json_string_value(json_object_get(metadata, CHECKSUM_KEY));
    snprintf(expected, sizeof expected, "%u", version);
    if (!found)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: expected a file of kind \"%s\", found a safetensors file "
                        "that is none",
                        label, kind);
    if (strcmp(found, expected) != 0)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: %s: expected format version %s, found \"%.32s\"", label,
                        kind, expected, found);
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
    seal_of(seal, kind, found, facts, file->container.tensors,
            file->container.tensor_count);
    if (strcmp(seal, checksum) != 0)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: damaged: expected SHA-256 %.64s, found %s", label, checksum,
                        seal);
    return s3r_json_parse_object(&file->facts, facts, strlen(facts), label, err);
}

s3r_status s3r_sealed_file_parse(s3r_sealed_file *out, const void *bytes, size_t size,
                                 const char *label, const char *kind, unsigned version,
                                 s3r_error *err)
{
    *out = (s3r_sealed_file){0};
    s3r_status status = s3r_safetensors_parse(&out->container, bytes, size, label, err);
    if (status == S3R_OK)
        status = verify(out, label, kind, version, err);
    if (status != S3R_OK)
        s3r_sealed_file_close(out);
    return status;
}

s3r_status s3r_sealed_file_open(s3r_sealed_file *out, const char *path, const char *kind,
                                unsigned version, s3r_error *err)
{
    s3r_file_map map;
    *out = (s3r_sealed_file){0};
    S3R_TRY(s3r_file_map_open(&map, path, S3R_ERR_MODEL, err));
    s3r_status status =
        s3r_sealed_file_parse(out, map.data, map.size, path, kind, version, err);
    if (status == S3R_OK)
        out->map = map;
    else
        s3r_file_map_close(&map);
    return status;
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

s3r_status s3r_sealed_file_save(const char *path, const char *kind, unsigned version,
                                const s3r_tensor *tensors, size_t count,
                                const json_t *facts, s3r_error *err)
{
    char number[16], seal[HEX_BYTES];
    snprintf(number, sizeof number, "%u", version);
    char *text = json_dumps(facts, JSON_COMPACT | JSON_SORT_KEYS);
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
