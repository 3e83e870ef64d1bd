/*
 * README.md, the model card: what the result is, how it was made, how to use it, and what
 * not to expect of it.  The block at the top is what model hubs read.
 */
#include <string.h>

#include "base/memory.h"
#include "train/run_summary.h"

/* A JSON string is a YAML string; what is no text of one line is left out. */
static void add_yaml_string(s3r_text_buffer *out, const char *key, const char *text)
{
    if (!text)
        return;
    s3r_buffer_add(out, "%s: \"", key);
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20)
            continue;
        if (*text == '"' || *text == '\\')
            s3r_buffer_add_string(out, "\\");
        s3r_buffer_add_bytes(out, text, 1);
    }
    s3r_buffer_add_string(out, "\"\n");
}

static const char *method_phrase(const char *method)
{
    static const struct {
        const char *method, *phrase;
    } phrases[] = {
        {"mask", "a learned binary mask on its frozen weights, a head"},
        {"magnitude", "a fixed mask that removes its smallest weights, a head"},
        {"mask+weights", "a learned binary mask, retrained weights, a head"},
        {"weights", "retrained weights, a head"},
        {"head", "a head on the frozen network"},
        {"adapter", "adapters between its frozen layers, a head"},
        {"lora", "low-rank additions to its frozen weights, a head"},
        {"bias", "retrained biases and norms, a head"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(phrases); i++) {
        if (method && strcmp(phrases[i].method, method) == 0)
            return phrases[i].phrase;
    }
    return "a trained head";
}

/* "owner/model": hubs know a model by that, and not by its architecture. */
static bool is_hub_name(const char *name)
{
    const char *slash = name ? strchr(name, '/') : NULL;
    return slash && slash != name && slash[1] && !strpbrk(slash + 1, "/ ") &&
           name[0] != '.' && !strpbrk(name, " \\:\n");
}

static bool identifies_languages(const s3r_run_summary *s)
{
    return strcmp(s3r_run_summary_text(s, "task", NULL, ""), "lid") == 0;
}

static void add_backbone_name(s3r_text_buffer *out, const s3r_run_summary *s)
{
    s3r_buffer_add_string(out, "\n\n`best.s3m` turns the backbone ");
    s3r_buffer_add_markdown(out,
                            s3r_run_summary_text(s, "backbone", "name", "named below"));
}

static void add_recogniser_heading(s3r_text_buffer *out, const s3r_run_summary *s)
{
    const char *language = s3r_run_summary_text(s, "language", NULL, NULL);
    s3r_buffer_add_string(out, "Speech recognition");
    s3r_buffer_add_string(out, language ? " for " : "");
    s3r_buffer_add_markdown(out, language);
    add_backbone_name(out, s);
    s3r_buffer_add_string(out, " into a recogniser. ");
}

static void add_language_heading(s3r_text_buffer *out, const s3r_run_summary *s)
{
    const json_t *languages = json_object_get(s->facts, "languages");
    s3r_buffer_add_string(out, "Spoken language identification");
    add_backbone_name(out, s);
    s3r_buffer_add_string(out, " into a judge of which language is spoken: ");
    for (size_t i = 0; i < json_array_size(languages); i++) {
        s3r_buffer_add_string(out, i > 0 ? ", " : "");
        s3r_buffer_add_markdown(out, json_string_value(json_array_get(languages, i)));
    }
    s3r_buffer_add_string(out, ". ");
}

static void add_top(s3r_text_buffer *out, const s3r_run_summary *s)
{
    s3r_buffer_add_string(out, "---\n");
    add_yaml_string(out, "language", s3r_run_summary_text(s, "language", NULL, NULL));
    add_yaml_string(out, "license", s3r_run_summary_text(s, "license", NULL, NULL));
    const char *backbone = s3r_run_summary_text(s, "backbone", "name", NULL);
    if (is_hub_name(backbone))
        add_yaml_string(out, "base_model", backbone);
    s3r_buffer_add(out, "pipeline_tag: %s\ntags:\n  - s3r\n  - speech\n---\n\n# ",
                   identifies_languages(s) ? "audio-classification"
                                           : "automatic-speech-recognition");
    if (identifies_languages(s))
        add_language_heading(out, s);
    else
        add_recogniser_heading(out, s);
    s3r_buffer_add(
        out,
        "It holds %s, the %s and the record of where it comes from, but not the "
        "backbone.\n\n",
        method_phrase(s3r_run_summary_text(s, "method", NULL, NULL)),
        identifies_languages(s) ? "list of languages" : "vocabulary");
}

/* "| name | value |" */
static void add_row(s3r_text_buffer *out, const char *name, const char *value)
{
    if (!value)
        return;
    s3r_buffer_add_string(out, "| ");
    s3r_buffer_add_markdown(out, name);
    s3r_buffer_add_string(out, " | ");
    s3r_buffer_add_markdown(out, value);
    s3r_buffer_add_string(out, " |\n");
}

static void add_hours_row(s3r_text_buffer *out, const char *name, double hours)
{
    if (hours <= 0)
        return;
    s3r_buffer_add(out, "| %s | ", name);
    s3r_buffer_add_hours(out, hours);
    s3r_buffer_add_string(out, " |\n");
}

static void add_facts(s3r_text_buffer *out, const s3r_run_summary *s)
{
    s3r_buffer_add_string(out, "| | |\n|---|---|\n");
    add_row(out, "backbone", s3r_run_summary_text(s, "backbone", "name", NULL));
    add_row(out, "family", s3r_run_summary_text(s, "backbone", "family", NULL));
    add_row(out, "content hash", s3r_run_summary_text(s, "backbone", "hash", NULL));
    add_row(out, "method", s3r_run_summary_text(s, "method", NULL, NULL));
    if (s->elements > 0)
        s3r_buffer_add(
            out,
            "| sparsity | %.2f %% of the connections of %zu matrices are removed |\n",
            100 * s->removed / s->elements, s->matrices);
    add_hours_row(out, "training data", s->hours);
    add_hours_row(out, "dev data", s->dev_hours);
    add_row(out, "made by", s3r_run_summary_text(s, "created_by", NULL, NULL));
    s3r_buffer_add_string(out, "\n");
}

/* All that was measured at the best step. */
static void add_best_metrics(s3r_text_buffer *out, const s3r_run_summary *s)
{
    static const struct {
        s3r_curve_kind kind;
        const char *name;
        bool is_rate;
    } metrics[] = {{S3R_CURVE_WER, "WER", true},
                   {S3R_CURVE_CER, "CER", true},
                   {S3R_CURVE_PER, "PER", true},
                   {S3R_CURVE_ERROR, "languages named wrong", true},
                   {S3R_CURVE_DEV_LOSS, "loss (nats an utterance)", false},
                   {S3R_CURVE_DEV_BLANKS, "frames that are blank", true}};
    for (size_t i = 0; i < S3R_ARRAY_LEN(metrics); i++) {
        const s3r_curve *curve = &s->curves.items[metrics[i].kind];
        const s3r_point *point = NULL;
        for (size_t j = 0; j < curve->count && !point; j++)
            if (curve->points[j].step == s->best.step)
                point = &curve->points[j];
        if (point)
            s3r_buffer_add(
                out, metrics[i].is_rate ? "| %s | %.2f %% |\n" : "| %s | %.4g |\n",
                metrics[i].name, metrics[i].is_rate ? 100 * point->value : point->value);
    }
}

/* Without a log: what the facts say. */
static void add_fact_metrics(s3r_text_buffer *out, const s3r_run_summary *s)
{
    const char *name;
    double value;
    for (size_t i = 0; s3r_run_summary_metric(s, i, &name, &value); i++) {
        bool is_rate = s3r_metric_is_rate(name);
        s3r_buffer_add_string(out, "| ");
        s3r_buffer_add_markdown(out, name);
        s3r_buffer_add(out, is_rate ? " | %.2f %% |\n" : " | %.6g |\n",
                       is_rate ? 100 * value : value);
    }
}

static void add_metrics(s3r_text_buffer *out, const s3r_run_summary *s)
{
    const char *name;
    double value;
    const json_t *seed = json_object_get(s->facts, "seed");
    s3r_buffer_add_string(out, "## Results\n\n");
    if (!s->has_best && !s3r_run_summary_metric(s, 0, &name, &value)) {
        s3r_buffer_add_string(out, "Not evaluated: there was no dev set.\n\n");
        return;
    }
    s3r_buffer_add_string(out, "On the dev set");
    if (s->has_best)
        s3r_buffer_add(out, " at step %.0f, which has the best %s", s->best.step,
                       s->metric_name);
    if (json_is_integer(seed))
        s3r_buffer_add(out, ", one run with seed %lld",
                       (long long)json_integer_value(seed));
    s3r_buffer_add_string(out, ":\n\n| metric | value |\n|---|---|\n");
    if (s->has_best)
        add_best_metrics(out, s);
    else
        add_fact_metrics(out, s);
    s3r_buffer_add(out,
                   "\nThe best step was chosen on this same set, so the numbers are a "
                   "little optimistic; measure on a test set with\n\n"
                   "    s3r %s -m BACKBONE --mask best.s3m --%s\n\n",
                   identifies_languages(s) ? "identify" : "eval",
                   identifies_languages(s) ? "manifest test.jsonl"
                                           : "data test.jsonl --metrics wer,cer");
}

/* The settings without their comments, folded away.  Indented lines are code whatever
 * stands in them. */
static void add_settings(s3r_text_buffer *out, const s3r_run_summary *s)
{
    char *text = NULL;
    if (!s->has_config)
        return;
    if (s3r_train_config_text(&s->config, &text, NULL) != S3R_OK) {
        out->has_failed = true;
        return;
    }
    s3r_buffer_add_string(out, "## Settings\n\n<details>\n<summary>All settings, as s3r "
                               "train -c reads them</summary>\n\n");
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        if (length > 0 && line[strspn(line, " ")] != '#') {
            s3r_buffer_add_string(out, "    ");
            s3r_buffer_add_bytes(out, line, length);
            s3r_buffer_add_string(out, "\n");
        }
        line += length + (line[length] == '\n');
    }
    s3r_buffer_add_string(out, "\n</details>\n\n");
    s3r_free(text);
}

void s3r_model_card(s3r_text_buffer *out, const s3r_run_summary *s)
{
    add_top(out, s);
    add_facts(out, s);
    add_metrics(out, s);
    add_settings(out, s);
    s3r_buffer_add(
        out,
        "## Use\n\n    s3r %s -m BACKBONE --mask best.s3m a.wav\n\n"
        "BACKBONE is the checkpoint with the content hash above; any other one is "
        "refused. `s3r mask info best.s3m` shows what the file holds%s.\n\n"
        "## Licence\n\n",
        identifies_languages(s) ? "identify" : "transcribe",
        identifies_languages(s) ? ""
                                : ", and `s3r convert --mask best.s3m BACKBONE OUT` "
                                  "merges both into a Hugging Face folder");
    const char *license = s3r_run_summary_text(s, "license", NULL, NULL);
    if (license) {
        s3r_buffer_add_string(out, "That of the backbone: ");
        s3r_buffer_add_markdown(out, license);
        s3r_buffer_add_string(out, ". ");
    } else {
        s3r_buffer_add_string(out, "The backbone's checkpoint names none. ");
    }
    s3r_buffer_add_string(out, "The licence of the training data may ask for more.\n\n"
                               "## Limitations\n\n");
    s3r_buffer_add_string(
        out,
        identifies_languages(s)
            ? "* It knows the speakers, rooms and microphones of its training data as "
              "well as the languages; expect more errors elsewhere.\n"
              "* Whatever it hears it gives one of its languages, also another language, "
              "music or noise.\n"
            : "* It knows the speakers, rooms, spelling and characters of its training "
              "data; expect more errors elsewhere.\n"
              "* It writes no punctuation, case or digits that the training texts did "
              "not have.\n");
    s3r_buffer_add_string(out,
                          "* The numbers are of one run; another seed gives others.\n"
                          "* A mask makes the file small, not the network fast.\n");
    if (s->hours > 0 && s->hours < 1) {
        s3r_buffer_add_string(out, "* It was trained on ");
        s3r_buffer_add_hours(out, s->hours);
        s3r_buffer_add_string(out, identifies_languages(s)
                                       ? " of speech.\n"
                                       : " of speech: good enough to help a person who "
                                         "transcribes, not to replace one.\n");
    }
    s3r_buffer_add_string(out, "\n`report.html` has the curves and `config.yaml` all "
                               "settings of the run.\n");
}
