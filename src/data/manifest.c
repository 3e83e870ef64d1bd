/*
 * Manifests: each line is parsed by jansson; the strings of an utterance are one block of
 * the arena.
 */
#include "data/manifest.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/random.h"
#include "base/plain_number.h"
#include "data/clean_text.h"
#include "data/line_reader.h"
#include "data/string_map.h"
#include "text/unicode_text.h"

#define ARENA_CHUNK_BYTES ((size_t)256 << 10)
#define MAX_DURATION_S    (24.0 * 3600)
#define MAX_OFFSET_S      1e7
#define MICRO             1e6

/* ---- one line ---- */

/* The strings of a line before they are copied; they live in the JSON object. */
typedef struct raw_line {
    const char *id, *path, *text, *language, *speaker;
    double offset_s, duration_s;
} raw_line;

static s3r_status fail_type(const s3r_line_reader *reader, const char *key,
                            const char *expected, const json_t *value, s3r_error *err)
{
    static const char *const names[] = {"an object", "an array", "a string", "a number",
                                        "a number",  "true",     "false",    "null"};
    return s3r_line_fail(reader, err, "\"%s\": expected %s, found %s", key, expected,
                         names[json_typeof(value)]);
}

/* NULL when the key is absent or null. */
static s3r_status read_string(const s3r_line_reader *reader, const json_t *object,
                              const char *key, const char **out, s3r_error *err)
{
    const json_t *value = json_object_get(object, key);
    *out = NULL;
    if (!value || json_is_null(value))
        return S3R_OK;
    if (!json_is_string(value))
        return fail_type(reader, key, "a string", value, err);
    *out = json_string_value(value);
    return S3R_OK;
}

static s3r_status read_seconds(const s3r_line_reader *reader, const json_t *object,
                               const char *key, double least, double most, double *out,
                               s3r_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value))
        return S3R_OK;
    if (!json_is_number(value))
        return fail_type(reader, key, "seconds", value, err);
    double seconds = json_number_value(value);
    if (!(seconds >= least && seconds <= most))
        return s3r_line_fail(reader, err, "\"%s\": expected %g to %g seconds, found %g",
                             key, least, most, seconds);
    *out = seconds;
    return S3R_OK;
}

static s3r_status read_path(const s3r_line_reader *reader, const json_t *object,
                            raw_line *raw, s3r_error *err)
{
    static const char *const similar[] = {"audio_path", "audio", "path", "file", "wav"};
    S3R_TRY(read_string(reader, object, "audio_filepath", &raw->path, err));
    if (raw->path && raw->path[0] != '\0')
        return S3R_OK;
    const char *found = raw->path ? "an empty string" : "no such key";
    for (size_t i = 0; i < S3R_ARRAY_LEN(similar); i++)
        if (!raw->path && json_object_get(object, similar[i]))
            found = similar[i];
    return s3r_line_fail(reader, err, "\"audio_filepath\": expected a path, found %s",
                         found);
}

static s3r_status read_keys(const s3r_line_reader *reader, const json_t *object,
                            raw_line *raw, s3r_error *err)
{
    *raw = (raw_line){.duration_s = -1};
    S3R_TRY(read_path(reader, object, raw, err));
    S3R_TRY(read_string(reader, object, "id", &raw->id, err));
    if (raw->id && raw->id[0] == '\0')
        return s3r_line_fail(reader, err,
                             "\"id\": expected a name, found an empty string");
    S3R_TRY(read_string(reader, object, "text", &raw->text, err));
    S3R_TRY(read_string(reader, object, "lang", &raw->language, err));
    S3R_TRY(read_string(reader, object, "speaker", &raw->speaker, err));
    S3R_TRY(read_seconds(reader, object, "offset", 0, MAX_OFFSET_S, &raw->offset_s, err));
    /* The least duration is one sample of any rate, roughly. */
    return read_seconds(reader, object, "duration", 1e-6, MAX_DURATION_S,
                        &raw->duration_s, err);
}

/* ---- the manifest ---- */

typedef struct manifest_parser {
    s3r_manifest manifest;
    size_t capacity;
    s3r_string_map ids; /* value: index of the utterance */
    s3r_line_reader reader;
    size_t folder_length; /* of the manifest's path, with its slash */
} manifest_parser;

static char *put(char **at, const char *text)
{
    char *copy = *at;
    if (!text)
        return NULL;
    size_t bytes = strlen(text) + 1;
    memcpy(copy, text, bytes);
    *at += bytes;
    return copy;
}

static size_t bytes_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* Copies the strings of raw, whose text is already clean, into one block. */
static s3r_status copy_strings(manifest_parser *p, const raw_line *raw,
                               s3r_utterance *out, s3r_error *err)
{
    char made_id[64] = "";
    size_t folder_bytes = raw->path[0] == '/' ? 0 : p->folder_length;
    /* "-" alone would be standard input. */
    bool is_dash = folder_bytes == 0 && strcmp(raw->path, "-") == 0;
    if (!raw->id && raw->offset_s > 0)
        s3r_plain_print(made_id, sizeof made_id, "@%.15g", raw->offset_s);
    size_t bytes = bytes_of(raw->id ? raw->id : raw->path) + strlen(made_id) +
                   folder_bytes + 2 + bytes_of(raw->path) + bytes_of(raw->text) +
                   bytes_of(raw->language) + bytes_of(raw->speaker);
    char *at = s3r_arena_alloc(&p->manifest.owned, bytes, 1);
    if (!at)
        return s3r_fail_memory(err, "a manifest", bytes);
    out->id = put(&at, raw->id ? raw->id : raw->path);
    if (made_id[0] != '\0') {
        at--;
        put(&at, made_id);
    }
    out->audio_path = at;
    memcpy(at, p->manifest.path, folder_bytes);
    at += folder_bytes;
    if (is_dash) {
        put(&at, "./");
        at--;
    }
    put(&at, raw->path);
    out->text = put(&at, raw->text);
    out->language = put(&at, raw->language);
    out->speaker = put(&at, raw->speaker);
    return S3R_OK;
}

static s3r_status reserve_item(manifest_parser *p, s3r_error *err)
{
    s3r_manifest *manifest = &p->manifest;
    if (manifest->count < p->capacity)
        return S3R_OK;
    size_t larger = p->capacity ? 2 * p->capacity : 256;
    s3r_utterance *grown =
        s3r_realloc(manifest->items, p->capacity, larger, sizeof *grown);
    if (!grown)
        return s3r_fail_memory(err, "a manifest", larger * sizeof *grown);
    manifest->items = grown;
    p->capacity = larger;
    return S3R_OK;
}

static s3r_status add_utterance(manifest_parser *p, const raw_line *raw, s3r_error *err)
{
    S3R_TRY(reserve_item(p, err));
    s3r_utterance *item = &p->manifest.items[p->manifest.count];
    size_t *first;
    bool is_new;
    *item = (s3r_utterance){
        .offset_s = raw->offset_s, .duration_s = raw->duration_s, .line = p->reader.line};
    S3R_TRY(copy_strings(p, raw, item, err));
    S3R_TRY(
        s3r_string_map_add(&p->ids, item->id, p->manifest.count, &first, &is_new, err));
    if (!is_new)
        return s3r_line_fail(
            &p->reader, err,
            "\"id\": expected a new one, found \"%.200s\" of line %zu again", item->id,
            p->manifest.items[*first].line);
    item->key = s3r_utterance_key(item->id, item->text);
    p->manifest.count++;
    return S3R_OK;
}

static s3r_status parse_object(manifest_parser *p, const json_t *object, s3r_error *err)
{
    raw_line raw;
    char *text = NULL;
    S3R_TRY(read_keys(&p->reader, object, &raw, err));
    if (raw.text) {
        s3r_status status = s3r_text_clean(&text, raw.text, err);
        if (status != S3R_OK)
            return s3r_line_prefix(&p->reader, status, err);
        raw.text = text;
    }
    s3r_status status = add_utterance(p, &raw, err);
    s3r_free(text);
    return status;
}

static s3r_status parse_line(manifest_parser *p, s3r_error *err)
{
    json_error_t error = {0};
    const char *text = p->reader.text;
    if (text[strspn(text, " \t")] == '\0')
        return S3R_OK;
    json_t *object = json_loadb(text, p->reader.length, JSON_REJECT_DUPLICATES, &error);
    if (!object &&
        (error.text[0] == '\0' || json_error_code(&error) == json_error_out_of_memory))
        return s3r_fail_memory(err, "a line of a manifest", p->reader.length);
    if (!object)
        return s3r_line_fail(&p->reader, err, "byte %d: expected a JSON object: %s",
                             error.position, error.text);
    s3r_status status =
        json_is_object(object)
            ? parse_object(p, object, err)
            : s3r_line_fail(&p->reader, err, "expected a JSON object, found an array");
    json_decref(object);
    return status;
}

static s3r_status parse_lines(manifest_parser *p, s3r_error *err)
{
    bool has_line = true;
    while (has_line) {
        S3R_TRY(s3r_line_reader_next(&p->reader, &has_line, err));
        if (has_line)
            S3R_TRY(parse_line(p, err));
    }
    if (p->manifest.count == 0)
        return s3r_fail(err, S3R_ERR_DATA, "%s: expected utterances, found none",
                        p->manifest.path);
    return S3R_OK;
}

/* Takes the reader of p in any case. */
static s3r_status parse(manifest_parser *p, s3r_manifest *out, const char *path,
                        s3r_error *err)
{
    const char *slash = strrchr(path, '/');
    p->folder_length = slash ? (size_t)(slash - path) + 1 : 0;
    s3r_arena_init(&p->manifest.owned, ARENA_CHUNK_BYTES);
    p->manifest.path = s3r_strdup(path);
    s3r_status status = p->manifest.path ? parse_lines(p, err)
                                         : s3r_fail_memory(err, "a path", strlen(path));
    s3r_line_reader_close(&p->reader);
    s3r_string_map_release(&p->ids);
    if (status == S3R_OK)
        *out = p->manifest;
    else
        s3r_manifest_close(&p->manifest);
    return status;
}

s3r_status s3r_manifest_open(s3r_manifest *out, const char *path, s3r_error *err)
{
    manifest_parser p = {0};
    S3R_TRY(s3r_line_reader_open(&p.reader, path, err));
    return parse(&p, out, path, err);
}

s3r_status s3r_manifest_parse(s3r_manifest *out, const char *bytes, size_t size,
                              const char *label, s3r_error *err)
{
    manifest_parser p = {0};
    S3R_TRY(s3r_line_reader_from_bytes(&p.reader, bytes, size, label, err));
    return parse(&p, out, label, err);
}

void s3r_manifest_close(s3r_manifest *manifest)
{
    s3r_free(manifest->path);
    s3r_free(manifest->items);
    s3r_arena_release(&manifest->owned);
    *manifest = (s3r_manifest){0};
}

uint64_t s3r_utterance_key(const char *id, const char *text)
{
    return s3r_random_at(s3r_string_hash(id), s3r_string_hash(text ? text : ""), 0);
}

/* ---- writing ---- */

static bool set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static json_t *seconds(double value)
{
    return json_real(nearbyint(value * MICRO) / MICRO);
}

static json_t *to_json(const s3r_utterance *item)
{
    json_t *object = json_object();
    bool is_complete = object && set(object, "id", json_string(item->id)) &&
                       set(object, "audio_filepath", json_string(item->audio_path));
    if (is_complete && item->offset_s > 0)
        is_complete = set(object, "offset", seconds(item->offset_s));
    if (is_complete && item->duration_s >= 0)
        is_complete = set(object, "duration", seconds(item->duration_s));
    if (is_complete && item->text)
        is_complete = set(object, "text", json_string(item->text));
    if (is_complete && item->language)
        is_complete = set(object, "lang", json_string(item->language));
    if (is_complete && item->speaker)
        is_complete = set(object, "speaker", json_string(item->speaker));
    if (is_complete)
        return object;
    json_decref(object);
    return NULL;
}

static s3r_status write_line(s3r_file_writer *writer, const char *path,
                             const s3r_utterance *item, s3r_error *err)
{
    /* JSON holds UTF-8 only; names of files may be anything. */
    const char *const strings[] = {item->id, item->audio_path, item->text, item->language,
                                   item->speaker};
    for (size_t i = 0; i < S3R_ARRAY_LEN(strings); i++)
        if (strings[i] &&
            s3r_utf8_prefix(strings[i], strlen(strings[i])) < strlen(strings[i]))
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: a manifest is UTF-8, which \"%s\" is not", path,
                            strings[i]);
    json_t *object = to_json(item);
    char *line =
        object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(object);
    if (!line)
        return s3r_fail_memory(err, "a line of a manifest", 0);
    s3r_status status = s3r_file_writer_write(writer, line, strlen(line), err);
    if (status == S3R_OK)
        status = s3r_file_writer_write(writer, "\n", 1, err);
    s3r_free(line);
    return status;
}

s3r_status s3r_manifest_save(const char *path, const s3r_utterance *items, size_t count,
                             s3r_error *err)
{
    s3r_file_writer *writer;
    s3r_status status = S3R_OK;
    S3R_TRY(s3r_file_writer_open(&writer, path, err));
    for (size_t i = 0; status == S3R_OK && i < count; i++)
        status = write_line(writer, path, &items[i], err);
    if (status == S3R_OK)
        return s3r_file_writer_commit(writer, err);
    s3r_file_writer_abort(writer);
    return status;
}
