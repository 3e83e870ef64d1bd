/*
 * Any bytes as a manifest: an error, or utterances that hold what the header promises.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/clean_text.h"
#include "data/manifest.h"
#include "text/unicode_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int is_true)
{
    if (!is_true)
        abort();
}

static void check_text(const char *text)
{
    char *again;
    require(s3r_utf8_prefix(text, strlen(text)) == strlen(text));
    if (s3r_text_clean(&again, text, NULL) == S3R_OK)
        require(strcmp(text, again) == 0);
    s3r_free(again);
}

static void check(const s3r_utterance *item)
{
    require(item->id && item->audio_path && item->audio_path[0] != '\0');
    require(strcmp(item->audio_path, "-") != 0);
    require(item->offset_s >= 0 && item->offset_s <= 1e7);
    require(item->duration_s < 0 ||
            (item->duration_s > 0 && item->duration_s <= 24 * 3600));
    require(item->key == s3r_utterance_key(item->id, item->text));
    if (item->text)
        check_text(item->text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3r_manifest manifest;
    s3r_error err = {.message = ""};
    s3r_status status =
        s3r_manifest_parse(&manifest, (const char *)data, size, "set/fuzz.jsonl", &err);
    if (status != S3R_OK) {
        require(status == S3R_ERR_DATA && err.message[0] != '\0');
        return 0;
    }
    require(manifest.count > 0);
    for (size_t i = 0; i < manifest.count; i++)
        check(&manifest.items[i]);
    s3r_manifest_close(&manifest);
    return 0;
}
