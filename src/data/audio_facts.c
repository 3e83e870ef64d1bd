/*
 * Files are measured in groups; between groups the caller hears of progress.
 *
 * Headers of MP3 count frames by estimate, so that such files are decoded.
 */
#include "data/audio_facts.h"

#include <nettle/md5.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/hash_text.h"

#define GROUP_FILES      64u
#define TOLERATED_LACK_S 0.05
#define RATE_HZ          16000u
#define LONGEST_SECONDS  ((size_t)24 * 3600)

typedef struct measuring {
    s3r_audio_fact *items; /* of the group */
    const s3r_facts_options *options;
} measuring;

s3r_status s3r_audio_facts_add(s3r_audio_facts *facts, const char *path, s3r_error *err)
{
    bool is_new;
    if (facts->count == facts->capacity) {
        size_t larger = facts->capacity ? 2 * facts->capacity : 256;
        s3r_audio_fact *grown =
            s3r_realloc(facts->items, facts->capacity, larger, sizeof *grown);
        if (!grown)
            return s3r_fail_memory(err, "facts of files", larger * sizeof *grown);
        facts->items = grown;
        facts->capacity = larger;
    }
    S3R_TRY(s3r_string_map_add(&facts->by_path, path, facts->count, NULL, &is_new, err));
    if (is_new)
        facts->items[facts->count++] = (s3r_audio_fact){.path = path, .seconds = -1};
    return S3R_OK;
}

static void record_failure(s3r_audio_fact *fact, const s3r_error *error)
{
    size_t length = strlen(fact->path);
    const char *message = error->message;
    if (strncmp(message, fact->path, length) == 0 &&
        strncmp(message + length, ": ", 2) == 0)
        message += length + 2;
    fact->error = error->code;
    fact->seconds = -1;
    s3r_free(fact->message);
    fact->message = s3r_strdup(message);
}

static void decode(s3r_audio_fact *fact)
{
    s3r_audio audio;
    s3r_audio_options options;
    s3r_error error = {.message = ""};
    s3r_audio_options_init(&options);
    options.sample_rate_hz = RATE_HZ;
    options.max_sample_count = LONGEST_SECONDS * RATE_HZ;
    if (s3r_audio_load(&audio, fact->path, &options, &error) != S3R_OK) {
        record_failure(fact, &error);
        return;
    }
    fact->seconds = (double)audio.sample_count / RATE_HZ;
    s3r_audio_release(&audio);
}

static void hash_file(s3r_audio_fact *fact)
{
    s3r_file_map map;
    s3r_error error = {.message = ""};
    struct md5_ctx md5;
    uint8_t digest[MD5_DIGEST_SIZE];
    if (s3r_file_map_open(&map, fact->path, S3R_ERR_DATA, &error) != S3R_OK) {
        record_failure(fact, &error);
        return;
    }
    md5_init(&md5);
    md5_update(&md5, map.size, map.data);
    md5_digest(&md5, sizeof digest, digest);
    s3r_file_map_close(&map);
    s3r_bytes_to_hex(fact->hash, digest, sizeof digest);
}

static bool has_exact_header(const char *path)
{
    size_t length = strlen(path);
    return length < 4 || (strcmp(path + length - 4, ".mp3") != 0 &&
                          strcmp(path + length - 4, ".MP3") != 0);
}

static void measure(void *context, size_t task, size_t worker)
{
    const measuring *m = context;
    s3r_audio_fact *fact = &m->items[task];
    (void)worker;
    if (!m->options->is_decoded && has_exact_header(fact->path))
        fact->seconds = s3r_audio_probe_seconds(fact->path);
    if (fact->seconds <= 0)
        decode(fact);
    if (fact->error == S3R_OK && m->options->has_hash)
        hash_file(fact);
}

s3r_status s3r_audio_facts_measure(s3r_audio_facts *facts, s3r_pool *pool,
                                   const s3r_facts_options *options, s3r_error *err)
{
    for (size_t first = 0; first < facts->count; first += GROUP_FILES) {
        measuring m = {facts->items + first, options};
        if (options->progress &&
            !options->progress(options->progress_context, first, facts->count))
            return s3r_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
        size_t group = S3R_MIN(facts->count - first, (size_t)GROUP_FILES);
        s3r_pool_run(pool, group, measure, &m);
        for (size_t i = 0; i < group; i++)
            if (m.items[i].error == S3R_ERR_RESOURCE)
                return s3r_fail(err, S3R_ERR_RESOURCE, "%s: %s", m.items[i].path,
                                m.items[i].message ? m.items[i].message : "no memory");
    }
    return S3R_OK;
}

const s3r_audio_fact *s3r_audio_facts_get(const s3r_audio_facts *facts, const char *path)
{
    const size_t *index = s3r_string_map_find(&facts->by_path, path);
    return index ? &facts->items[*index] : NULL;
}

void s3r_audio_facts_release(s3r_audio_facts *facts)
{
    for (size_t i = 0; i < facts->count; i++)
        s3r_free(facts->items[i].message);
    s3r_free(facts->items);
    s3r_string_map_release(&facts->by_path);
    *facts = (s3r_audio_facts){0};
}

double s3r_utterance_seconds(const s3r_utterance *utterance, double file_seconds)
{
    double left = file_seconds - utterance->offset_s;
    if (left <= 0 || utterance->duration_s > left + TOLERATED_LACK_S)
        return -1;
    return utterance->duration_s < 0 ? left : S3R_MIN(left, utterance->duration_s);
}
