/*
 * Gathers what a run left and writes report.html and README.md.
 */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/run_log.h"
#include "train/run_summary.h"

const char *s3r_run_summary_text(const s3r_run_summary *summary, const char *group,
                                 const char *key, const char *fallback)
{
    const json_t *value = json_object_get(summary->facts, group);
    if (key)
        value = json_object_get(value, key);
    const char *text = json_string_value(value);
    return text && text[0] ? text : fallback;
}

bool s3r_run_summary_metric(const s3r_run_summary *summary, size_t index,
                            const char **name, double *value)
{
    /* jansson's iterators want what they do not change. */
    json_t *metrics = (json_t *)(uintptr_t)json_object_get(summary->facts, "metrics");
    for (void *at = json_object_iter(metrics); at;
         at = json_object_iter_next(metrics, at)) {
        const json_t *number = json_object_iter_value(at);
        if (!json_is_number(number))
            continue;
        if (index-- > 0)
            continue;
        *name = json_object_iter_key(at);
        *value = json_number_value(number);
        return true;
    }
    return false;
}

bool s3r_metric_is_rate(const char *name)
{
    static const char *const rates[] = {"wer",   "cer",      "per",
                                        "error", "accuracy", "blank_ratio"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(rates); i++) {
        if (strcmp(rates[i], name) == 0)
            return true;
    }
    return false;
}

void s3r_buffer_add_hours(s3r_text_buffer *out, double hours)
{
    double seconds = 3600 * hours;
    if (seconds < 120)
        s3r_buffer_add(out, "%.3g seconds", seconds);
    else if (hours < 2)
        s3r_buffer_add(out, "%.3g minutes", seconds / 60);
    else
        s3r_buffer_add(out, "%.3g hours", hours);
}

/* config.yaml of the folder, else the recipe of the facts; neither is not a failure. */
static s3r_status read_config(s3r_run_summary *summary, const char *folder,
                              s3r_error *err)
{
    s3r_status status = S3R_ERR_USAGE;
    const char *recipe = s3r_run_summary_text(summary, "recipe", NULL, NULL);
    char *path = s3r_path_join(folder, "config.yaml");
    if (!path)
        return s3r_fail_memory(err, "config.yaml", 0);
    s3r_train_config_init(&summary->config);
    if (s3r_path_exists(path))
        status = s3r_train_config_load(&summary->config, path, NULL);
    if (status == S3R_ERR_USAGE && recipe)
        status = s3r_train_config_parse(&summary->config, recipe, strlen(recipe),
                                        "recipe", NULL);
    s3r_free(path);
    summary->has_config = status == S3R_OK;
    return status == S3R_ERR_RESOURCE ? s3r_fail_memory(err, "config.yaml", 0) : S3R_OK;
}

static void find_best(s3r_run_summary *summary)
{
    static const struct {
        s3r_curve_kind kind;
        const char *name;
    } metrics[] = {[S3R_METRIC_WER] = {S3R_CURVE_WER, "WER"},
                   [S3R_METRIC_CER] = {S3R_CURVE_CER, "CER"},
                   [S3R_METRIC_PER] = {S3R_CURVE_PER, "PER"}};
    s3r_metric metric =
        summary->has_config ? summary->config.eval.metric : S3R_METRIC_WER;
    bool is_lid = summary->has_config && summary->config.task == S3R_TASK_CHOICE_LID;
    summary->metric =
        &summary->curves.items[is_lid ? S3R_CURVE_ERROR : metrics[metric].kind];
    summary->metric_name = is_lid ? "error rate" : metrics[metric].name;
    size_t best = s3r_curve_best(summary->metric);
    summary->has_best = best < summary->metric->count;
    if (summary->has_best)
        summary->best = summary->metric->points[best];
}

static void count_matrices(s3r_run_summary *summary)
{
    const json_t *list = json_object_get(summary->facts, "matrices");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i),
                     *shape = json_object_get(one, "shape");
        double elements = json_number_value(json_array_get(shape, 0)) *
                          json_number_value(json_array_get(shape, 1));
        double sparsity = json_number_value(json_object_get(one, "sparsity"));
        if (elements <= 0)
            continue;
        summary->matrices++;
        summary->elements += elements;
        summary->removed += sparsity * elements;
    }
}

static s3r_status write_text(const s3r_run_summary *summary,
                             void (*make)(s3r_text_buffer *, const s3r_run_summary *),
                             const char *folder, const char *name, s3r_error *err)
{
    s3r_text_buffer buffer = {0};
    char *text = NULL, *path = s3r_path_join(folder, name);
    make(&buffer, summary);
    s3r_status status = s3r_buffer_take(&buffer, &text, name, err);
    if (status == S3R_OK && !path)
        status = s3r_fail_memory(err, name, 0);
    if (status == S3R_OK)
        status = s3r_file_write_all(path, text, strlen(text), err);
    s3r_free(text);
    s3r_free(path);
    return status;
}

static s3r_status write_both(s3r_run_summary *summary, const char *folder, s3r_error *err)
{
    const json_t *data = json_object_get(summary->facts, "data");
    const json_t *dev = json_object_get(summary->facts, "dev");
    S3R_TRY(read_config(summary, folder, err));
    find_best(summary);
    count_matrices(summary);
    summary->hours = json_number_value(json_object_get(data, "hours"));
    summary->dev_hours = json_number_value(json_object_get(dev, "hours"));
    S3R_TRY(write_text(summary, s3r_report_html, folder, "report.html", err));
    return write_text(summary, s3r_model_card, folder, "README.md", err);
}

s3r_status s3r_run_report_write(const char *folder, const json_t *facts, s3r_error *err)
{
    s3r_run_summary summary = {.facts = facts};
    S3R_TRY(s3r_run_curves_load(&summary.curves, folder, err));
    s3r_status status = write_both(&summary, folder, err);
    s3r_run_curves_release(&summary.curves);
    return status;
}
