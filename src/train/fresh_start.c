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
#include "model/model_init.h"

#define RECORD "made_from.json"

static json_t *make_record(const s3r_fresh_start *fresh)
{
    char seed[24];
    json_t *shape = json_array();
    snprintf(seed, sizeof seed, "%" PRIu64, fresh->seed);
    for (size_t i = 0; shape && i < fresh->shape_count; i++) {
        if (json_array_append_new(shape, json_string(fresh->shape[i])) != 0) {
            json_decref(shape);
            shape = NULL;
        }
    }
    return shape ? json_pack("{so, ss}", "shape", shape, "seed", seed) : NULL;
}

static s3r_status write_start(const s3r_fresh_start *fresh, const char *path,
                              s3r_error *err)
{
    char *config = s3r_path_join(path, "config.json");
    if (!config)
        return s3r_fail_memory(err, path, 0);
    if (s3r_path_exists(config)) /* of a run that came to no checkpoint */
        s3r_folder_remove(path);
    s3r_free(config);
    S3R_TRY(s3r_model_init(fresh->config, fresh->seed, NULL, path, err));
    json_t *record = make_record(fresh);
    s3r_status status = s3r_json_write(record, path, RECORD, 0, err);
    json_decref(record);
    return status;
}

/* A start without a record is of a version that wrote none. */
static s3r_status check_start(const s3r_fresh_start *fresh, const char *path,
                              s3r_error *err)
{
    char *file = s3r_path_join(path, RECORD);
    if (!file)
        return s3r_fail_memory(err, RECORD, 0);
    json_t *found = json_load_file(file, 0, NULL), *expected = make_record(fresh);
    s3r_status status = S3R_OK;
    if (!expected)
        status = s3r_fail_memory(err, RECORD, 0);
    else if (found && !json_equal(found, expected)) {
        char *is = json_dumps(found, JSON_COMPACT),
             *wanted = json_dumps(expected, JSON_COMPACT);
        status = s3r_fail(err, S3R_ERR_USAGE,
                          "%s: the run began with another model: expected %.300s, found "
                          "%.300s",
                          path, wanted ? wanted : "?", is ? is : "?");
        free(is);
        free(wanted);
    }
    json_decref(found);
    json_decref(expected);
    s3r_free(file);
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
