/*
 * Any bytes as the vocabulary of a mask file, and what follows the first newline as a
 * text to encode: an error, or a vocabulary that survives being written, and labels below
 * its count.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_read.h"
#include "text/vocabulary_encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const s3r_vocabulary *vocabulary)
{
    s3r_vocabulary back;
    json_t *first = s3r_vocabulary_to_json(vocabulary);
    if (!first || s3r_vocabulary_from_json(&back, first, "back", NULL) != S3R_OK)
        abort();
    json_t *second = s3r_vocabulary_to_json(&back);
    if (!json_equal(first, second))
        abort();
    json_decref(first);
    json_decref(second);
    s3r_vocabulary_close(&back);
}

static void check_encoding(const s3r_vocabulary *vocabulary, const char *text)
{
    s3r_arena arena;
    s3r_error err;
    uint32_t *labels;
    size_t count;
    s3r_arena_init(&arena, 4096);
    if (s3r_vocabulary_encode(vocabulary, text, &arena, &labels, &count, &err) ==
        S3R_OK) {
        for (size_t i = 0; i < count; i++)
            if (labels[i] >= vocabulary->count || labels[i] == vocabulary->blank_id)
                abort();
    }
    s3r_arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3r_vocabulary vocabulary;
    s3r_error err;
    json_t *object;
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t json_bytes = newline ? (size_t)(newline - data) : size;
    if (s3r_json_parse_object(&object, data, json_bytes, "fuzz", &err) != S3R_OK)
        return 0;
    if (s3r_vocabulary_from_json(&vocabulary, object, "fuzz", &err) == S3R_OK) {
        char *text = newline
                         ? s3r_strndup((const char *)newline + 1, size - json_bytes - 1)
                         : s3r_strdup("");
        check_round_trip(&vocabulary);
        if (text)
            check_encoding(&vocabulary, text);
        s3r_free(text);
        s3r_vocabulary_close(&vocabulary);
    }
    json_decref(object);
    return 0;
}
