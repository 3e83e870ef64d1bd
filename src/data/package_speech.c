/*
 * One pair at a time: checks from the cheapest to the dearest, the hash of the file last.
 */
#include "data/package_speech.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#include "audio/audio_load.h"
#include "base/file.h"
#include "base/hash_text.h"
#include "data/clean_text.h"
#include "data/text_split.h"
#include "text/plain_text.h"

#define MIN_SECONDS 0.4
#define MAX_SECONDS 20.0
/* Characters a second; speech has 8 to 20. */
#define MIN_RATE 2.0
#define MAX_RATE 26.0

/* The language and the SHA-256 of the file, in hexadecimal. */
#define AUDIO_KEY_BYTES (16u + 2 * SHA256_DIGEST_SIZE + 1)

static const char *text_fault(const char *text)
{
    if (!text || text[0] == '\0')
        return "no text";
    if (strstr(text, "%1"))
        return "a placeholder in the text";
    if (strchr("[<(", text[0]))
        return "a note instead of a text";
    for (int32_t character; (character = s3r_character_next(&text)) != 0;)
        if (character > 0 && s3r_character_is_digit(character))
            return "digits in the text";
    return NULL;
}

static const char *audio_fault(double seconds, size_t characters)
{
    if (seconds < 0)
        return "unreadable audio";
    if (seconds < MIN_SECONDS)
        return "shorter than 0.4 s";
    if (seconds > MAX_SECONDS)
        return "longer than 20 s";
    double rate = (double)characters / seconds;
    if (rate < MIN_RATE)
        return "too long for its text";
    return rate > MAX_RATE ? "too short for its text" : NULL;
}

static s3r_status hash_audio(char key[AUDIO_KEY_BYTES], const s3r_speech_pair *pair,
                             s3r_error *err)
{
    s3r_file_map map;
    struct sha256_ctx sha;
    uint8_t digest[SHA256_DIGEST_SIZE];
    S3R_TRY(s3r_file_map_open(&map, pair->path, S3R_ERR_DATA, err));
    sha256_init(&sha);
    sha256_update(&sha, map.size, map.data);
    sha256_digest(&sha, sizeof digest, digest);
    s3r_file_map_close(&map);
    size_t used = (size_t)snprintf(key, 16, "%.15s", pair->language);
    s3r_bytes_to_hex(key + used, digest, sizeof digest);
    return S3R_OK;
}

static s3r_status check_new(s3r_package_speech *speech, const s3r_speech_pair *pair,
                            bool *is_new, s3r_error *err)
{
    char *key = s3r_arena_alloc(&speech->corpus->owned, AUDIO_KEY_BYTES, 1);
    size_t *stored;
    if (!key)
        return s3r_fail_memory(err, "a corpus", AUDIO_KEY_BYTES);
    S3R_TRY(hash_audio(key, pair, err));
    return s3r_string_map_add(&speech->known, key, 1, &stored, is_new, err);
}

static s3r_status add_checked(s3r_package_speech *speech, const s3r_speech_pair *pair,
                              double seconds, const char *split, s3r_arena *scratch,
                              s3r_error *err)
{
    const s3r_plain_text_options options = {.text_case = S3R_CASE_LOWER};
    bool is_new = false;
    char *text;
    S3R_TRY(s3r_text_make_plain(&text, scratch, pair->text, &options, err));
    S3R_TRY(check_new(speech, pair, &is_new, err));
    if (!is_new)
        return s3r_corpus_drop(speech->corpus, "the same audio again", err);
    const s3r_corpus_item item = {.utterance = {.id = pair->id,
                                                .audio_path = pair->path,
                                                .duration_s = seconds,
                                                .text = text,
                                                .language = pair->language,
                                                .speaker = pair->speaker},
                                  .split = split,
                                  .source = speech->source};
    return s3r_corpus_add(speech->corpus, &item, err);
}

static s3r_status add_pair(s3r_package_speech *speech, const s3r_speech_pair *pair,
                           s3r_arena *scratch, s3r_error *err)
{
    /* The split is decided with quotation marks that look like apostrophes kept. */
    const s3r_plain_text_options options = {.text_case = S3R_CASE_LOWER,
                                            .keeps_quotes = true};
    char *plain;
    const char *fault = text_fault(pair->text);
    if (fault)
        return s3r_corpus_drop(speech->corpus, fault, err);
    S3R_TRY(s3r_text_make_plain(&plain, scratch,
                                pair->split_text ? pair->split_text : pair->text,
                                &options, err));
    if (plain[0] == '\0')
        return s3r_corpus_drop(speech->corpus, "no text", err);
    double seconds = s3r_audio_probe_seconds(pair->path);
    fault = audio_fault(seconds, s3r_text_characters(plain));
    if (fault)
        return s3r_corpus_drop(speech->corpus, fault, err);
    return add_checked(speech, pair, seconds, s3r_text_split(pair->language, plain),
                       scratch, err);
}

s3r_status s3r_package_speech_add(s3r_package_speech *speech, const s3r_speech_pair *pair,
                                  s3r_error *err)
{
    s3r_arena scratch;
    s3r_arena_init(&scratch, 4096);
    s3r_status status = add_pair(speech, pair, &scratch, err);
    s3r_arena_release(&scratch);
    return status == S3R_OK ? S3R_OK : s3r_fail_prefix(err, status, pair->path);
}

void s3r_package_speech_release(s3r_package_speech *speech)
{
    s3r_string_map_release(&speech->known);
}
