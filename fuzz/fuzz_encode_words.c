/*
 * Any bytes as a text for alignment: an error, or labels and words that fit each other.
 * The first byte chooses vocabulary and policy.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/vocabulary_encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char letters[] =
    "{\"labels\": [\"<pad>\", \"|\", \"A\", \"B\", \"\\u00c9\", \"TH\", \"T\", "
    "\"\\u00b7\"], "
    "\"special\": [0], \"blank\": 0, \"delimiter\": 1, \"unknown\": null, "
    "\"delimiter_text\": \" \", \"lower_case_output\": false, \"phonemes\": false}";
static const char phones[] =
    "{\"labels\": [\"<pad>\", \"a\", \"t\\u0283\", \"|\"], \"special\": [0], "
    "\"blank\": 0, \"delimiter\": null, \"unknown\": null, \"delimiter_text\": \" \", "
    "\"lower_case_output\": false, \"phonemes\": true}";

static void check(const s3r_vocabulary *vocabulary, const s3r_encoded_text *found)
{
    size_t next = 0;
    for (size_t i = 0; i < found->word_count; i++) {
        const s3r_encoded_word *word = &found->words[i];
        if (!word->text || !word->text[0])
            abort();
        if (word->label_count == 0)
            continue;
        if (word->first_label < next)
            abort();
        next = word->first_label + word->label_count;
    }
    if (next > found->count)
        abort();
    for (size_t i = 0; i < found->count; i++)
        if (found->labels[i] != S3R_STAR_LABEL && found->labels[i] >= vocabulary->count)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    s3r_vocabulary vocabulary;
    s3r_arena arena;
    s3r_encoded_text found;
    json_t *object = json_loads(data[0] & 1 ? phones : letters, 0, NULL);
    if (s3r_vocabulary_from_json(&vocabulary, object, "fuzz", NULL) != S3R_OK)
        abort();
    json_decref(object);
    char *text = s3r_strndup((const char *)data + 1, size - 1);
    s3r_arena_init(&arena, (size_t)1 << 12);
    if (text && s3r_vocabulary_encode_words(&vocabulary, text,
                                            (s3r_missing_policy)((data[0] >> 1) % 3),
                                            &arena, &found, NULL) == S3R_OK)
        check(&vocabulary, &found);
    s3r_arena_release(&arena);
    s3r_free(text);
    s3r_vocabulary_close(&vocabulary);
    return 0;
}
