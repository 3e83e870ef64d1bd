/*
 * Curves from lines of JSON.
 */
#include "train/run_curves.h"

#include <jansson.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

static const struct {
    const char *group, *key;
} places[S3R_CURVE_COUNT] = {
    [S3R_CURVE_TRAIN_LOSS] = {"train", "loss"},
    [S3R_CURVE_DEV_LOSS] = {"dev", "loss"},
    [S3R_CURVE_LR] = {"train", "lr"},
    [S3R_CURVE_WER] = {"dev", "wer"},
    [S3R_CURVE_CER] = {"dev", "cer"},
    [S3R_CURVE_PER] = {"dev", "per"},
    [S3R_CURVE_ERROR] = {"dev", "error"},
    [S3R_CURVE_TRAIN_BLANKS] = {"train", "blank_ratio"},
    [S3R_CURVE_DEV_BLANKS] = {"dev", "blank_ratio"},
    [S3R_CURVE_CHANGED_SINCE_START] = {"mask", "changed_since_start"},
    [S3R_CURVE_CHANGED_SINCE_EVALUATION] = {"mask", "changed_since_evaluation"},
    [S3R_CURVE_FRAMES_PER_SECOND] = {"train", "frames_per_second"},
};

static bool add_point(s3r_curve *curve, double step, double value)
{
    if (curve->count == curve->capacity) {
        size_t capacity = 2 * curve->capacity + 256;
        s3r_point *grown =
            s3r_realloc(curve->points, curve->capacity, capacity, sizeof *grown);
        if (!grown)
            return false;
        curve->points = grown;
        curve->capacity = capacity;
    }
    curve->points[curve->count++] = (s3r_point){step, value};
    return true;
}

static bool add_line(s3r_run_curves *curves, const char *line, size_t size)
{
    json_error_t error = {0};
    json_t *object = json_loadb(line, size, 0, &error);
    /* Some paths of jansson run out of memory without filling the record. */
    if (!object &&
        (!error.text[0] || json_error_code(&error) == json_error_out_of_memory))
        return false;
    const json_t *step = json_object_get(object, "step");
    bool fits = true;
    for (size_t i = 0; fits && json_is_number(step) && i < S3R_CURVE_COUNT; i++) {
        const json_t *value =
            json_object_get(json_object_get(object, places[i].group), places[i].key);
        if (json_is_number(value))
            fits = add_point(&curves->items[i], json_number_value(step),
                             json_number_value(value));
    }
    json_decref(object);
    return fits;
}

s3r_status s3r_run_curves_load(s3r_run_curves *out, const char *folder, s3r_error *err)
{
    s3r_file_map map = {0};
    memset(out, 0, sizeof *out);
    char *path = s3r_path_join(folder, "metrics.jsonl");
    if (!path)
        return s3r_fail_memory(err, "the curves of the run", 0);
    s3r_status status = S3R_OK;
    if (s3r_path_exists(path))
        status = s3r_file_map_open(&map, path, S3R_ERR_RUNTIME, err);
    const char *text = (const char *)map.data;
    for (size_t begin = 0, end; status == S3R_OK && begin < map.size; begin = end + 1) {
        const char *newline = memchr(text + begin, '\n', map.size - begin);
        end = newline ? (size_t)(newline - text) : map.size;
        if (!add_line(out, text + begin, end - begin))
            status = s3r_fail_memory(err, "the curves of the run", map.size);
    }
    s3r_file_map_close(&map);
    s3r_free(path);
    if (status != S3R_OK)
        s3r_run_curves_release(out);
    return status;
}

void s3r_run_curves_release(s3r_run_curves *curves)
{
    for (size_t i = 0; i < S3R_CURVE_COUNT; i++)
        s3r_free(curves->items[i].points);
    memset(curves, 0, sizeof *curves);
}

size_t s3r_curve_best(const s3r_curve *curve)
{
    size_t best = 0;
    for (size_t i = 1; i < curve->count; i++) {
        if (curve->points[i].value < curve->points[best].value)
            best = i;
    }
    return best;
}
