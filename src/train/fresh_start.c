/*
 * start/ and start/made_from.json.
 */
#define _POSIX_C_SOURCE 200809L
#include "train/fresh_start.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/folder_writer.h"
#include "base/json_write.h"
#include "base/memory.h"
#include "model/model_folder.h"
#include "model/model_init.h"

#define RECORD "made_from.json"

static json_t *make_record(const s3r_fresh_start *fresh)
{
    char seed[24];
    json_t *config = s3r_model_config_to_json(fresh->config, NULL);
    snprintf(seed, sizeof seed, "%" PRIu64, fresh->seed);
    return config ? json_pack("{so, ss}", "shape", config, "seed", seed) : NULL;
}

/* The record of a start; NULL when it has none. */
static s3r_status read_record(json_t **record, const char *path, s3r_error *err)
{
    char *file = s3r_path_join(path, RECORD);
    if (!file)
        return s3r_fail_memory(err, path, 0);
    *record = json_load_file(file, 0, NULL);
    s3r_free(file);
    return S3R_OK;
}

static bool is_ours(const char *name)
{
    return s3r_model_folder_owns(name) || strcmp(name, RECORD) == 0;
}

/* A model in the way is a run's, one that came to no checkpoint, or somebody's own. */
static s3r_status check_place(const char *path, s3r_error *err)
{
    json_t *record = NULL;
    char *config = s3r_path_join(path, "config.json");
    if (!config)
        return s3r_fail_memory(err, path, 0);
    bool has_model = s3r_path_exists(config);
    s3r_free(config);
    S3R_TRY(read_record(&record, path, err));
    bool is_run = record != NULL;
    json_decref(record);
    if (has_model && !is_run)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: holds a model that no run made (it has no " RECORD
                        "): name it with --model, or move it away",
                        path);
    return S3R_OK;
}

static s3r_status write_start(const s3r_fresh_start *fresh, const char *path,
                              s3r_error *err)
{
    s3r_folder_writer writer = {0};
    S3R_TRY(check_place(path, err));
    json_t *record = make_record(fresh);
    s3r_status status = s3r_folder_writer_open(&writer, path, err);
    if (status == S3R_OK)
        status =
            s3r_model_init(fresh->config, fresh->seed, NULL, writer.temporary_path, err);
    if (status == S3R_OK)
        status = s3r_json_write(record, writer.temporary_path, RECORD, 0, err);
    if (status == S3R_OK)
        status = s3r_folder_writer_commit(&writer, is_ours, err);
    else
        s3r_folder_writer_abort(&writer);
    json_decref(record);
    return status;
}

/* Names the first key of the shape that differs, or the seed. */
static s3r_status fail_other(const json_t *found, const json_t *expected,
                             const char *path, s3r_error *err)
{
    const char *key = "seed";
    json_t *value, *is = json_object_get(found, "shape");
    const json_t *was = json_object_get(found, "seed");
    const json_t *wanted = json_object_get(expected, "seed");
    const char *at;
    json_object_foreach(json_object_get(expected, "shape"), at, value)
    {
        if (!json_equal(value, json_object_get(is, at))) {
            key = at;
            was = json_object_get(is, at);
            wanted = value;
            break;
        }
    }
    char *old = json_dumps(was, JSON_COMPACT | JSON_ENCODE_ANY);
    char *new = json_dumps(wanted, JSON_COMPACT | JSON_ENCODE_ANY);
    s3r_fail(err, S3R_ERR_USAGE,
             "%s: the run began with another model: %s: expected %.100s, found %.100s",
             path, key, old ? old : "nothing", new ? new : "nothing");
    free(old);
    free(new);
    return S3R_ERR_USAGE;
}

/* A start without a record is of a version that wrote none. */
static s3r_status check_start(const s3r_fresh_start *fresh, const char *path,
                              s3r_error *err)
{
    json_t *found = NULL, *expected = make_record(fresh);
    s3r_status status =
        expected ? read_record(&found, path, err) : s3r_fail_memory(err, RECORD, 0);
    if (status == S3R_OK && found && !json_equal(found, expected))
        status = fail_other(found, expected, path, err);
    json_decref(found);
    json_decref(expected);
    return status;
}

s3r_status s3r_fresh_start_make(char **path, const s3r_fresh_start *fresh,
                                const char *folder, bool is_kept, s3r_error *err)
{
    *path = s3r_path_join(folder, "start");
    if (!*path)
        return s3r_fail_memory(err, folder, 0);
    return is_kept && s3r_path_is_folder(*path) ? check_start(fresh, *path, err)
                                                : write_start(fresh, *path, err);
}

s3r_status s3r_fresh_start_lend(char **path, const s3r_fresh_start *fresh,
                                const char *temporary, s3r_error *err)
{
    *path = s3r_path_join(temporary, "s3r-start-XXXXXX");
    if (!*path)
        return s3r_fail_memory(err, temporary, 0);
    if (!mkdtemp(*path))
        return s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot create a folder: %s", temporary,
                        strerror(errno));
    return s3r_model_init(fresh->config, fresh->seed, NULL, *path, err);
}
