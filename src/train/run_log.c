/*
 * metrics.jsonl and TensorBoard events, a line and an event a call.
 *
 * A crash can leave a part of a last line, a power cut zeros before later lines; opening
 * cuts that off, together with the lines of steps that a resumed run will do again.  What
 * is kept is written under another name and renamed, so that a crash while cutting loses
 * nothing.
 */
#include "train/run_log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text_buffer.h"
#include "train/tensorboard_write.h"

#define MAX_DEPTH 8u /* of objects in a line */
/* Enough to tell two values apart; fp32 has 7 digits. */
#define LINE_FLAGS JSON_REAL_PRECISION(9)

struct s3r_run_log {
    FILE *stream;
    char *path;
    s3r_event_file *events;
    char *line;
    size_t line_capacity;
    s3r_scalar *scalars;
    size_t scalar_count, scalar_capacity;
    s3r_text_buffer tags; /* the names of scalars, NUL after NUL */
    s3r_text_buffer name; /* the path of the object that is walked */
};

/* The step of a line; false when it is not a line of ours. */
static bool read_step(const char *line, size_t length, json_int_t *step)
{
    json_error_t error;
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
    const json_t *value = json_object_get(object, "step");
    bool is_ours = json_is_integer(value);
    if (is_ours)
        *step = json_integer_value(value);
    json_decref(object);
    return is_ours;
}

static s3r_status fail_line(const char *path, size_t number, const char *line,
                            size_t length, s3r_error *err)
{
    return s3r_fail(err, S3R_ERR_RUNTIME,
                    "%s:%zu: expected a JSON object with an integer \"step\", found "
                    "\"%.*s\"; remove the line or the file to go on",
                    path, number, (int)S3R_MIN(length, (size_t)80), line);
}

/* The lines up to a step, in kept [map->size].  These were on the disk before the
 * checkpoint of the step, so a damaged line may stand behind them, not between. */
static s3r_status keep_lines(const char *path, const s3r_file_map *map, size_t step,
                             char *kept, size_t *kept_size, s3r_error *err)
{
    const char *text = (const char *)map->data;
    size_t begin = 0, number = 1, bad_number = 0, bad_begin = 0, bad_length = 0;
    *kept_size = 0;
    while (begin < map->size) {
        const char *newline = memchr(text + begin, '\n', map->size - begin);
        size_t end = newline ? (size_t)(newline - text) + 1 : map->size;
        json_int_t found;
        bool is_ours = newline && read_step(text + begin, end - begin - 1, &found);
        bool is_kept = is_ours && found >= 0 && (uintmax_t)found <= step;
        if (is_kept && bad_number > 0)
            return fail_line(path, bad_number, text + bad_begin, bad_length, err);
        if (is_kept) {
            memcpy(kept + *kept_size, text + begin, end - begin);
            *kept_size += end - begin;
        } else if (!is_ours && bad_number == 0) {
            bad_number = number;
            bad_begin = begin;
            bad_length = end - begin - (newline != NULL);
        }
        begin = end;
        number++;
    }
    return S3R_OK;
}

static s3r_status cut_later_lines(const char *path, size_t step, s3r_error *err)
{
    s3r_file_map map;
    if (!s3r_path_exists(path))
        return S3R_OK;
    S3R_TRY(s3r_file_map_open(&map, path, S3R_ERR_RUNTIME, err));
    size_t kept_size = 0;
    char *kept = s3r_alloc_raw(map.size, 1);
    s3r_status status = kept ? keep_lines(path, &map, step, kept, &kept_size, err)
                             : s3r_fail_memory(err, path, map.size);
    if (status == S3R_OK && kept_size != map.size)
        status = s3r_file_write_all(path, kept, kept_size, err);
    s3r_free(kept);
    s3r_file_map_close(&map);
    return status;
}

static s3r_status open_files(s3r_run_log *log, const char *folder, size_t step,
                             s3r_error *err)
{
    log->path = s3r_path_join(folder, "metrics.jsonl");
    if (!log->path)
        return s3r_fail_memory(err, "metrics.jsonl", 0);
    S3R_TRY(cut_later_lines(log->path, step, err));
    log->stream = fopen(log->path, "ab");
    if (!log->stream)
        return s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot open for writing: %s",
                        log->path, strerror(errno));
    return s3r_event_file_open(&log->events, folder, step ? step + 1 : 0, err);
}

s3r_status s3r_run_log_open(s3r_run_log **out, const char *folder, size_t step,
                            s3r_error *err)
{
    s3r_run_log *log = s3r_alloc(1, sizeof *log);
    if (!log)
        return s3r_fail_memory(err, "the log of the run", sizeof *log);
    s3r_status status = open_files(log, folder, step, err);
    if (status != S3R_OK) {
        (void)s3r_run_log_close(log, NULL);
        return status;
    }
    *out = log;
    return S3R_OK;
}

static s3r_status write_line(s3r_run_log *log, const json_t *object, s3r_error *err)
{
    size_t size = json_dumpb(object, NULL, 0, LINE_FLAGS);
    if (size == 0)
        return s3r_fail_memory(err, log->path, 0);
    if (size + 1 > log->line_capacity) {
        s3r_free(log->line);
        log->line_capacity = 0;
        log->line = s3r_alloc_raw(2 * size + 256, 1);
        if (!log->line)
            return s3r_fail_memory(err, log->path, 2 * size + 256);
        log->line_capacity = 2 * size + 256;
    }
    if (json_dumpb(object, log->line, log->line_capacity, LINE_FLAGS) != size)
        return s3r_fail_memory(err, log->path, size);
    log->line[size] = '\n';
    if (fwrite(log->line, 1, size + 1, log->stream) != size + 1 ||
        fflush(log->stream) != 0)
        return s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot write: %s", log->path,
                        strerror(errno));
    return S3R_OK;
}

static bool grow_scalars(s3r_run_log *log)
{
    if (log->scalar_count < log->scalar_capacity)
        return true;
    size_t capacity = 2 * log->scalar_capacity + 64;
    s3r_scalar *grown =
        s3r_realloc(log->scalars, log->scalar_capacity, capacity, sizeof *grown);
    if (!grown)
        return false;
    log->scalars = grown;
    log->scalar_capacity = capacity;
    return true;
}

/* Collects the numbers of an object.  log->name is its path; it grows by a key and is cut
 * back. */
static bool collect(s3r_run_log *log, json_t *object, unsigned depth)
{
    size_t length = log->name.length;
    for (void *at = json_object_iter(object); at;
         at = json_object_iter_next(object, at)) {
        const char *key = json_object_iter_key(at);
        json_t *value = json_object_iter_value(at);
        if (depth == 0 && strcmp(key, "step") == 0)
            continue;
        s3r_buffer_add(&log->name, "%s%s", length ? "/" : "", key);
        if (json_is_number(value)) {
            if (!grow_scalars(log))
                return false;
            log->scalars[log->scalar_count++].value = json_number_value(value);
            s3r_buffer_add(&log->tags, "%s%c", log->name.text ? log->name.text : "",
                           '\0');
        } else if (json_is_object(value) && depth + 1 < MAX_DEPTH &&
                   !collect(log, value, depth + 1)) {
            return false;
        }
        log->name.length = length;
    }
    return !log->tags.has_failed && !log->name.has_failed;
}

s3r_status s3r_run_log_write(s3r_run_log *log, const json_t *object, s3r_error *err)
{
    const json_t *step = json_object_get(object, "step");
    if (!json_is_integer(step) || json_integer_value(step) < 0)
        return s3r_fail(err, S3R_ERR_RUNTIME,
                        "%s: expected an object with an integer \"step\"", log->path);
    S3R_TRY(write_line(log, object, err));
    log->scalar_count = 0;
    log->tags.length = log->name.length = 0;
    /* jansson's iterators want what they do not change. */
    if (!collect(log, (json_t *)(uintptr_t)object, 0))
        return s3r_fail_memory(err, log->path, log->tags.length);
    const char *tag = log->tags.text;
    for (size_t i = 0; i < log->scalar_count; i++) {
        log->scalars[i].tag = tag;
        tag += strlen(tag) + 1;
    }
    if (log->scalar_count == 0)
        return S3R_OK;
    return s3r_event_file_write(log->events, (size_t)json_integer_value(step),
                                log->scalars, log->scalar_count, err);
}

s3r_status s3r_run_log_sync(s3r_run_log *log, s3r_error *err)
{
    S3R_TRY(s3r_stream_sync(log->stream, log->path, err));
    return s3r_event_file_sync(log->events, err);
}

s3r_status s3r_run_log_close(s3r_run_log *log, s3r_error *err)
{
    if (!log)
        return S3R_OK;
    s3r_status status = s3r_event_file_close(log->events, err);
    if (log->stream && fclose(log->stream) != 0 && status == S3R_OK)
        status = s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot write: %s", log->path,
                          strerror(errno));
    s3r_free(log->path);
    s3r_free(log->line);
    s3r_free(log->scalars);
    s3r_buffer_release(&log->tags);
    s3r_buffer_release(&log->name);
    s3r_free(log);
    return status;
}
