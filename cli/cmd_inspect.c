/*
 * s3r inspect: what a checkpoint is, without running it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "line_text.h"
#include "model_facts.h"
#include "session.h"

#define LABEL_COLUMNS 12
#define TEXT_COLUMNS  80

typedef struct inspect_options {
    const char *model, *mask;
    const char *language;
    bool has_tensors, is_without_hash;
} inspect_options;

static const char *text_of(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : otherwise;
}

static size_t number_of(const json_t *object, const char *key)
{
    return (size_t)json_integer_value(json_object_get(object, key));
}

/* "94.4 M", "360.0 MiB": a number with three or four digits. */
static const char *short_number(char text[16], size_t value, double unit, const char *end)
{
    static const char *const decimal[] = {"", " K", " M", " G", " T"};
    static const char *const binary[] = {" B", " KiB", " MiB", " GiB", " TiB"};
    double scaled = (double)value;
    size_t i = 0;
    for (; scaled >= unit && i < 4; i++)
        scaled /= unit;
    snprintf(text, 16, "%.*f%s%s", i == 0 ? 0 : 1, scaled,
             unit > 1000 ? binary[i] : decimal[i], end);
    return text;
}

static const char *size_text(char text[16], size_t bytes)
{
    return short_number(text, bytes, 1024, "");
}

static const char *count_text(char text[16], size_t value)
{
    return short_number(text, value, 1000, "");
}

static void print_mask(const json_t *mask)
{
    char *path = s3r_line_from_path(text_of(mask, "path", ""));
    size_t masked = number_of(mask, "masked_elements");
    size_t removed = number_of(mask, "removed_elements");
    if (mask && !json_is_null(mask)) {
        printf("mask         %s (%s", path ? path : "", text_of(mask, "method", ""));
        if (text_of(mask, "language", "")[0])
            printf(", %s", text_of(mask, "language", ""));
        printf(")");
        if (masked > 0)
            printf(", %zu of %zu connections removed (%.1f %%)", removed, masked,
                   100 * (double)removed / (double)masked);
        putchar('\n');
    }
    free(path);
}

static void print_origin(const json_t *facts)
{
    char *path = s3r_line_from_path(text_of(facts, "path", ""));
    printf("model        %s\n", path ? path : "");
    printf("format       %s%s\n", text_of(facts, "format", "unknown"),
           json_is_true(json_object_get(facts, "is_fairseq")) ? ", fairseq" : "");
    printf("family       %s", text_of(facts, "family", ""));
    if (text_of(facts, "architecture", NULL))
        printf(" (%s)", text_of(facts, "architecture", ""));
    printf("\nlicence      %s\n", text_of(facts, "license", "not named"));
    printf("hash         %s\n", text_of(facts, "hash", "not computed"));
    print_mask(json_object_get(facts, "mask"));
    free(path);
}

static void print_network(const json_t *facts)
{
    const json_t *network = json_object_get(facts, "network");
    double samples_per_ms = (double)number_of(facts, "sample_rate_hz") / 1000;
    size_t stride = number_of(network, "frame_stride");
    size_t field = number_of(network, "receptive_field");
    printf("input        %zu Hz, %s\n", number_of(facts, "sample_rate_hz"),
           json_is_true(json_object_get(network, "normalizes_input"))
               ? "normalised to zero mean and unit variance"
               : "not normalised");
    printf("extractor    %zu convolutions, %s norm; a frame is %zu samples (%g ms) and "
           "hears %zu (%g ms)\n",
           number_of(network, "conv_layers"), text_of(network, "extractor_norm", ""),
           stride, (double)stride / samples_per_ms, field,
           (double)field / samples_per_ms);
    size_t blocks = number_of(network, "blocks"), heads = number_of(network, "heads");
    printf("encoder      %zu block%s, width %zu, FFN %zu, %zu head%s\n", blocks,
           blocks == 1 ? "" : "s", number_of(network, "hidden_size"),
           number_of(network, "ffn_size"), heads, heads == 1 ? "" : "s");
    printf("layer norm   %s each sub-layer, eps %g\n",
           strcmp(text_of(network, "block_norm", ""), "pre") == 0 ? "before" : "after",
           json_real_value(json_object_get(network, "layer_norm_eps")));
}

/* Labels (or languages) side by side, wrapped. */
static void print_labels(const char *title, const json_t *labels)
{
    size_t index = 0, column = LABEL_COLUMNS;
    json_t *value = NULL;
    printf("%-12s", title);
    json_array_foreach(labels, index, value)
    {
        char *label = s3r_line_from_text(json_string_value(value));
        size_t length = label ? strlen(label) : 0;
        if (column + 1 + length > TEXT_COLUMNS && column > LABEL_COLUMNS) {
            printf("\n%*s", LABEL_COLUMNS, "");
            column = LABEL_COLUMNS;
        }
        printf(" %s", label ? label : "");
        column += 1 + length;
        free(label);
    }
    putchar('\n');
}

static void print_head(const json_t *facts)
{
    const json_t *vocabulary = json_object_get(facts, "vocabulary");
    const json_t *languages = json_object_get(facts, "languages");
    if (json_is_array(languages)) {
        printf("head         languages, %zu\n", json_array_size(languages));
        print_labels("languages", languages);
        return;
    }
    if (!json_is_true(json_object_get(facts, "has_head"))) {
        printf("head         none: a pretrained backbone\n");
        return;
    }
    printf("head         CTC, %zu labels, blank %zu\n", number_of(facts, "label_count"),
           number_of(facts, "blank_id"));
    if (json_is_array(vocabulary))
        print_labels("vocabulary", vocabulary);
    else
        printf("vocabulary   none beside the weights\n");
}

static void print_memory(const json_t *facts)
{
    char text[16];
    printf("parameters   %zu (%s)", number_of(facts, "parameter_count"),
           count_text(text, number_of(facts, "parameter_count")));
    printf(", of the encoder %zu (%s)\n", number_of(facts, "encoder_parameter_count"),
           count_text(text, number_of(facts, "encoder_parameter_count")));
    printf("memory       %s mapped from the file",
           size_text(text, number_of(facts, "stored_bytes")));
    printf(", %s prepared\n", size_text(text, number_of(facts, "prepared_bytes")));
}

static void print_groups(const char *title, json_t *groups)
{
    const char *name = NULL;
    json_t *group = NULL;
    printf("\n%-12s %8s %12s %10s\n", title, "tensors", "parameters", "size");
    json_object_foreach(groups, name, group)
    {
        char size[16];
        printf("%-12s %8zu %12zu %10s\n", name, number_of(group, "tensors"),
               number_of(group, "parameters"),
               size_text(size, number_of(group, "bytes")));
    }
}

static void print_tensors(const json_t *tensors)
{
    size_t index = 0, axis = 0;
    json_t *tensor = NULL, *extent = NULL;
    int width = 0;
    json_array_foreach(tensors, index, tensor)
    {
        int length = (int)strlen(text_of(tensor, "name", ""));
        width = length > width ? length : width;
    }
    putchar('\n');
    json_array_foreach(tensors, index, tensor)
    {
        printf("%-*s  %-5s [", width, text_of(tensor, "name", ""),
               text_of(tensor, "dtype", ""));
        json_array_foreach(json_object_get(tensor, "shape"), axis, extent)
            printf("%s%zu", axis ? ", " : "", (size_t)json_integer_value(extent));
        printf("]\n");
    }
}

static void print_text(const json_t *facts, bool has_tensors)
{
    print_origin(facts);
    putchar('\n');
    print_network(facts);
    print_head(facts);
    putchar('\n');
    print_memory(facts);
    print_groups("part", json_object_get(facts, "parts"));
    print_groups("dtype", json_object_get(facts, "dtypes"));
    if (has_tensors)
        print_tensors(json_object_get(facts, "tensors"));
}

static s3r_status print_model(const s3r_command *command, const s3r_model *model,
                              s3r_error *err)
{
    const inspect_options *options = command->options;
    char hash[S3R_HASH_HEX_BYTES] = "";
    if (!options->is_without_hash) {
        s3r_status status = s3r_model_get_hash(model, hash, err);
        if (status != S3R_OK)
            return status;
    }
    json_t *facts = s3r_model_facts(model, hash);
    if (!facts)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "inspect: no memory");
    if (command->global.is_json) {
        json_dumpf(facts, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_text(facts, options->has_tensors);
    }
    json_decref(facts);
    return S3R_OK;
}

static s3r_status run_inspect(const s3r_command *command, s3r_error *err)
{
    const inspect_options *options = command->options;
    s3r_session_options session_options = {
        .model = options->model, .mask = options->mask, .language = options->language};
    s3r_session session;
    if (command->positional_count > 0 && options->model)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "inspect: expected one model, found \"%s\" and -m \"%s\"",
                            command->positionals[0], options->model);
    if (command->positional_count > 0)
        session_options.model = command->positionals[0];
    s3r_status status = s3r_session_open(&session, command, &session_options, err);
    if (status == S3R_OK)
        status = print_model(command, session.model, err);
    s3r_session_close(&session);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(inspect_options, model),
     .argument = "MODEL",
     .help = "Another way to name the model."},
    {.name = "tensors",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(inspect_options, has_tensors),
     .help = "Also list all tensors (in JSON they always are)."},
    {.name = "no-hash",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(inspect_options, is_without_hash),
     .help = "Leave out the hash, which reads the whole model."},
    {.name = "mask",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(inspect_options, mask),
     .argument = "FILE.s3m",
     .help = "Describe the model with this mask file applied."},
    {.name = "language",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(inspect_options, language),
     .argument = "LANG",
     .help = "The language of a multilingual model (MMS), as in \"deu\"."},
};

static const char *const example[] = {"s3r inspect wav2vec2-base-960h",
                                      "s3r inspect --json --no-hash wavlm-large", NULL};

const s3r_verb s3r_verb_inspect = {
    .name = "inspect",
    .summary = "Describe a model",
    .description =
        "Prints what a checkpoint is: origin, network, normalisation, vocabulary, "
        "parameters, memory, tensors by part and by dtype. The hash is that of the "
        "contents of the encoder's tensors in their types; it does not depend on file "
        "format, names and order.",
    .usage = "[MODEL]",
    .positionals = {{"MODEL", NULL,
                     "A Hugging Face folder, a .safetensors file, a fairseq .pt or the "
                     "name of a shipped model. Without it the shipped one."}},
    .max_positionals = 1,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(inspect_options),
    .has_json = true,
    .example = example,
    .run = run_inspect,
};
