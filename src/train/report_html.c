/*
 * report.html: one file with everything in it, no scripts, light and dark.
 */
#include <string.h>

#include "train/config_value.h"
#include "train/run_summary.h"
#include "train/svg_chart.h"

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>";

static const char style[] =
    ":root{--page:#fcfcfb;--ink:#14181d;--muted:#5d6570;--grid:#e3e6ea;--s0:#2a78d6;"
    "--s1:#c8501c;--s2:#15845c}\n"
    "@media(prefers-color-scheme:dark){:root{--page:#16191d;--ink:#e8eaed;"
    "--muted:#a2aab4;--grid:#343a42;--s0:#5b9df0;--s1:#f08a5b;--s2:#45c493}}\n"
    "body{margin:0;background:var(--page);color:var(--ink);"
    "font:16px/1.5 system-ui,sans-serif}\n"
    "main{max-width:72rem;margin:0 auto;padding:1.5rem 1rem 4rem}\n"
    "h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}\n"
    "p{margin:.3rem 0}.note{color:var(--muted)}\n"
    ".charts{display:grid;gap:1.8rem;"
    "grid-template-columns:repeat(auto-fit,minmax(min(26rem,100%),1fr))}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse}\n"
    "td,th{text-align:left;padding:.2rem 1.2rem .2rem 0;border-bottom:1px solid "
    "var(--grid);vertical-align:top;overflow-wrap:anywhere}\n"
    "td.n{font-variant-numeric:tabular-nums}tr.set td{font-weight:600}\n"
    "summary{cursor:pointer;color:var(--muted)}\n";

static void add_row(s3r_text_buffer *out, const char *name, const char *value)
{
    if (!value)
        return;
    s3r_buffer_add_string(out, "<tr><th>");
    s3r_buffer_add_html(out, name);
    s3r_buffer_add_string(out, "</th><td class=\"n\">");
    s3r_buffer_add_html(out, value);
    s3r_buffer_add_string(out, "</td></tr>\n");
}

static void add_number_row(s3r_text_buffer *out, const char *name, const char *metric,
                           double value)
{
    s3r_buffer_add_string(out, "<tr><th>");
    s3r_buffer_add_html(out, name);
    bool is_rate = s3r_metric_is_rate(metric);
    s3r_buffer_add(out,
                   is_rate ? "</th><td class=\"n\">%.2f %%</td></tr>\n"
                           : "</th><td class=\"n\">%.6g</td></tr>\n",
                   is_rate ? 100 * value : value);
}

static void add_result(s3r_text_buffer *out, const s3r_run_summary *s)
{
    const char *name;
    double value;
    s3r_buffer_add_string(out, "<h2>Result</h2>\n<div class=\"wide\"><table>\n");
    if (s->has_best)
        s3r_buffer_add(out,
                       "<tr><th>best dev %s</th><td class=\"n\">%.2f %% at step "
                       "%.0f</td></tr>\n",
                       s->metric_name, 100 * s->best.value, s->best.step);
    for (size_t i = 0; s3r_run_summary_metric(s, i, &name, &value); i++)
        add_number_row(out, name, name, value);
    if (s->elements > 0)
        s3r_buffer_add(out,
                       "<tr><th>removed</th><td class=\"n\">%.0f of %.0f connections "
                       "(%.2f %%) in %zu matrices</td></tr>\n",
                       s->removed, s->elements, 100 * s->removed / s->elements,
                       s->matrices);
    const json_t *step = json_object_get(s->facts, "step");
    const json_t *seed = json_object_get(s->facts, "seed");
    if (json_is_integer(step))
        s3r_buffer_add(out, "<tr><th>steps</th><td class=\"n\">%lld</td></tr>\n",
                       (long long)json_integer_value(step));
    if (json_is_integer(seed))
        s3r_buffer_add(out, "<tr><th>seed</th><td class=\"n\">%lld</td></tr>\n",
                       (long long)json_integer_value(seed));
    s3r_buffer_add_string(out, "</table></div>\n");
    if (!s->has_best)
        s3r_buffer_add_string(out,
                              "<p class=\"note\">Nothing was evaluated on a dev set: "
                              "the result is that of the last step.</p>\n");
}

static void add_data_rows(s3r_text_buffer *out, const s3r_run_summary *s,
                          const char *group, const char *title)
{
    const json_t *data = json_object_get(s->facts, group);
    if (!json_is_object(data))
        return;
    s3r_buffer_add(out, "<tr><th>%s</th><td class=\"n\">%lld utterances, ", title,
                   (long long)json_integer_value(json_object_get(data, "utterances")));
    s3r_buffer_add_hours(out, json_number_value(json_object_get(data, "hours")));
    s3r_buffer_add_string(out, "</td></tr>\n");
    add_row(out, "hash of its list", s3r_run_summary_text(s, group, "hash", NULL));
}

static void add_origin(s3r_text_buffer *out, const s3r_run_summary *s)
{
    s3r_buffer_add_string(out,
                          "<h2>Backbone and data</h2>\n<div class=\"wide\"><table>\n");
    add_row(out, "backbone", s3r_run_summary_text(s, "backbone", "name", NULL));
    add_row(out, "family", s3r_run_summary_text(s, "backbone", "family", NULL));
    add_row(out, "hash", s3r_run_summary_text(s, "backbone", "hash", NULL));
    add_row(out, "language", s3r_run_summary_text(s, "language", NULL, NULL));
    add_row(out, "licence", s3r_run_summary_text(s, "license", NULL, NULL));
    add_data_rows(out, s, "data", "training data");
    add_data_rows(out, s, "dev", "dev data");
    add_row(out, "made by", s3r_run_summary_text(s, "created_by", NULL, NULL));
    s3r_buffer_add_string(out, "</table></div>\n");
}

static void add_charts(s3r_text_buffer *out, const s3r_run_summary *s)
{
    const s3r_curve *c = s->curves.items;
    const s3r_chart charts[] = {
        {"Loss an utterance",
         false,
         true,
         {{"training", &c[S3R_CURVE_TRAIN_LOSS]}, {"dev", &c[S3R_CURVE_DEV_LOSS]}}},
        {"Error rate on dev",
         true,
         true,
         {{"words", &c[S3R_CURVE_WER]},
          {"characters", &c[S3R_CURVE_CER]},
          {"phones", &c[S3R_CURVE_PER]}}},
        {"Languages named wrong on dev", true, true, {{NULL, &c[S3R_CURVE_ERROR]}}},
        {"Learning rate", false, true, {{NULL, &c[S3R_CURVE_LR]}}},
        {"Frames that are blank",
         true,
         true,
         {{"training", &c[S3R_CURVE_TRAIN_BLANKS]}, {"dev", &c[S3R_CURVE_DEV_BLANKS]}}},
        {"Mask that changed",
         true,
         true,
         {{"since the start", &c[S3R_CURVE_CHANGED_SINCE_START]},
          {"since the last evaluation", &c[S3R_CURVE_CHANGED_SINCE_EVALUATION]}}},
        {"Frames a second", false, true, {{NULL, &c[S3R_CURVE_FRAMES_PER_SECOND]}}},
    };
    size_t before = out->length;
    s3r_buffer_add_string(out, "<h2>Curves</h2>\n<div class=\"charts\">\n");
    size_t empty = out->length;
    for (size_t i = 0; i < S3R_ARRAY_LEN(charts); i++)
        s3r_chart_add(out, &charts[i]);
    if (out->length == empty && !out->has_failed)
        out->length = before; /* a run without a log has no such part */
    else
        s3r_buffer_add_string(out, "</div>\n");
}

static void add_settings(s3r_text_buffer *out, const s3r_run_summary *s)
{
    const s3r_config_key *key;
    if (!s->has_config)
        return;
    s3r_train_config defaults;
    s3r_train_config_init(&defaults);
    s3r_buffer_add_string(out,
                          "<h2>Settings</h2>\n<p class=\"note\">Bold: not the default."
                          "</p>\n<details open><summary>all keys</summary>"
                          "<div class=\"wide\"><table>\n");
    for (size_t i = 0; (key = s3r_config_key_at(i)) != NULL; i++) {
        char value[S3R_CONFIG_VALUE_BYTES], fallback[S3R_CONFIG_VALUE_BYTES];
        s3r_config_value_write(key, &s->config, value);
        s3r_config_value_write(key, &defaults, fallback);
        bool is_default = strcmp(value, fallback) == 0;
        s3r_buffer_add(out, "<tr%s><td>%s</td><td class=\"n\">",
                       is_default ? "" : " class=\"set\"", key->key);
        s3r_buffer_add_html(out, value);
        s3r_buffer_add_string(out, "</td><td class=\"note\">");
        s3r_buffer_add_html(out, key->help);
        s3r_buffer_add_string(out, "</td></tr>\n");
    }
    s3r_buffer_add_string(out, "</table></div></details>\n");
}

void s3r_report_html(s3r_text_buffer *out, const s3r_run_summary *s)
{
    const char *method = s3r_run_summary_text(s, "method", NULL, "training");
    const char *language = s3r_run_summary_text(s, "language", NULL, NULL);
    const char *name = s3r_run_summary_text(s, "backbone", "name", "a backbone");
    s3r_buffer_add_string(out, head);
    for (int is_body = 0; is_body < 2; is_body++) {
        s3r_buffer_add_string(out, "Method ");
        s3r_buffer_add_html(out, method);
        s3r_buffer_add_string(out, " on ");
        s3r_buffer_add_html(out, name);
        s3r_buffer_add_string(out, language ? ", " : "");
        s3r_buffer_add_html(out, language);
        if (is_body)
            break;
        s3r_buffer_add(out, "</title>\n<style>\n%s%s</style></head>\n<body><main>\n<h1>",
                       style, s3r_chart_style());
    }
    s3r_buffer_add_string(out, "</h1>\n");
    add_result(out, s);
    add_charts(out, s);
    add_origin(out, s);
    add_settings(out, s);
    s3r_buffer_add_string(out, "</main></body></html>\n");
}
