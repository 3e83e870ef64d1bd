/*
 * s3r mask storage: what N languages cost on one backbone, by method.
 *
 * Arithmetic on the backbone's shape; only the backbone itself is read.  A head of the
 * same size belongs to every method.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "session.h"

typedef struct storage_options {
    const char *model;
    size_t languages, labels, adapter_width, lora_rank;
    double sparsity;
    int dtype; /* index into the values of the option */
} storage_options;

typedef struct storage_row {
    const char *key, *name;
    double bytes;         /* a language */
    bool shares_backbone; /* which then is there once */
} storage_row;

#define ROW_COUNT 6

/* Bits of one connection of independent masks. (spec 1.10) */
static double entropy(double p)
{
    return p <= 0 || p >= 1 ? 0 : -(p * log2(p) + (1 - p) * log2(1 - p));
}

static void make_rows(storage_row rows[ROW_COUNT], const s3r_model_info *info,
                      const storage_options *options, double weight_bytes)
{
    double d = (double)info->hidden_size, f = (double)info->ffn_size;
    double blocks = (double)info->blocks, all = (double)info->encoder_parameter_count;
    double width = (double)options->adapter_width, rank = (double)options->lora_rank;
    double head = (double)options->labels * (d + 1) * weight_bytes;
    double ffn = blocks * 2 * d * f;
    double adapter = blocks * (2 * d * width + width + d + 2 * d);
    double lora = blocks * 2 * 2 * d * rank; /* of queries and values */
    const storage_row made[ROW_COUNT] = {
        {"fine_tuned", "a fine-tuned model each", all * weight_bytes + head, false},
        {"adapters", "adapters", adapter * weight_bytes + head, true},
        {"lora", "LoRA of queries and values", lora * weight_bytes + head, true},
        {"masks_all_weights", "masks of all weights, a bit each", all / 8 + head, true},
        {"masks", "masks of the FFN, a bit each", ffn / 8 + head, true},
        {"masks_entropy", "masks of the FFN, entropy",
         ffn * entropy(options->sparsity) / 8 + head, true},
    };
    for (size_t i = 0; i < ROW_COUNT; i++)
        rows[i] = made[i];
}

static double total_of(const storage_row *row, double backbone, double languages)
{
    return languages * row->bytes + (row->shares_backbone ? backbone : 0);
}

static void print_text(const storage_row *rows, const s3r_model_info *info,
                       const storage_options *options, double backbone)
{
    double n = (double)options->languages, most = total_of(&rows[0], backbone, n);
    printf("backbone     %zu parameters, %.0f bytes\n", info->encoder_parameter_count,
           backbone);
    printf("languages    %zu, heads of %zu labels; sparsity %g for the entropy\n\n",
           options->languages, options->labels, options->sparsity);
    printf("%-34s %16s %9s %16s %9s\n", "", "a language", "of model", "all together",
           "saved");
    for (size_t i = 0; i < ROW_COUNT; i++) {
        double total = total_of(&rows[i], backbone, n);
        printf("%-34s %16.0f %7.2f %% %16.0f %7.2f %%\n", rows[i].name, rows[i].bytes,
               100 * rows[i].bytes / backbone, total, 100 * (1 - total / most));
    }
}

static s3r_status print_json(const storage_row *rows, const s3r_model_info *info,
                             const storage_options *options, double backbone,
                             s3r_error *err)
{
    double n = (double)options->languages, most = total_of(&rows[0], backbone, n);
    json_t *list = json_array();
    for (size_t i = 0; i < ROW_COUNT; i++) {
        double total = total_of(&rows[i], backbone, n);
        json_array_append_new(
            list, json_pack("{ss, sI, sI, sf}", "method", rows[i].key, "language_bytes",
                            (json_int_t)ceil(rows[i].bytes), "total_bytes",
                            (json_int_t)ceil(total), "saved", 1 - total / most));
    }
    json_t *object = json_pack(
        "{sI, sI, sI, sI, sf, so}", "parameters",
        (json_int_t)info->encoder_parameter_count, "backbone_bytes", (json_int_t)backbone,
        "languages", (json_int_t)options->languages, "labels",
        (json_int_t)options->labels, "sparsity", options->sparsity, "methods", list);
    char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    json_decref(object);
    if (!text)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "mask storage: no memory");
    puts(text);
    free(text);
    return S3R_OK;
}

static s3r_status run_mask_storage(const s3r_command *command, s3r_error *err)
{
    static const double weight_bytes[] = {2, 4};
    const storage_options *options = command->options;
    s3r_session session = {0};
    s3r_model_info info;
    storage_row rows[ROW_COUNT];
    if (options->languages == 0 || !(options->sparsity >= 0 && options->sparsity <= 1))
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "mask storage: expected at least one language and a sparsity "
                            "from 0 to 1, found %zu and %g",
                            options->languages, options->sparsity);
    s3r_status status = s3r_session_open(
        &session, command, &(s3r_session_options){.model = options->model}, err);
    if (status != S3R_OK)
        return status;
    s3r_model_get_info(session.model, &info);
    double bytes = weight_bytes[options->dtype];
    double backbone = (double)info.encoder_parameter_count * bytes;
    make_rows(rows, &info, options, bytes);
    if (command->global.is_json)
        status = print_json(rows, &info, options, backbone, err);
    else
        print_text(rows, &info, options, backbone);
    s3r_session_close(&session);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "model",
     .letter = 'm',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(storage_options, model),
     .argument = "MODEL",
     .help = "The backbone: a folder, a file or the name of a shipped model. Without it "
             "the shipped one."},
    {.name = "languages",
     .letter = 'n',
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(storage_options, languages),
     .argument = "N",
     .fallback = "19",
     .help = "Languages (or tasks) on one backbone."},
    {.name = "labels",
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(storage_options, labels),
     .argument = "N",
     .fallback = "32",
     .help = "Labels of each head."},
    {.name = "sparsity",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(storage_options, sparsity),
     .argument = "PART",
     .fallback = "0.1",
     .help = "Part of the connections that masks remove."},
    {.name = "adapter-width",
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(storage_options, adapter_width),
     .argument = "N",
     .fallback = "256",
     .help = "Width of the adapters, one a block."},
    {.name = "lora-rank",
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(storage_options, lora_rank),
     .argument = "N",
     .fallback = "8",
     .help = "Rank of the updates."},
    {.name = "dtype",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(storage_options, dtype),
     .values = "f16|f32",
     .fallback = "f16",
     .help = "How weights are stored; the paper counts two bytes."},
};

static const char *const example[] = {"s3r mask storage -m wav2vec2-base -n 19", NULL};

const s3r_verb s3r_verb_mask_storage = {
    .name = "mask storage",
    .summary = "Say what N languages cost, by method",
    .description =
        "Computes bytes from the shape of a backbone: a fine-tuned copy for each "
        "language, adapters, LoRA, masks of all weights, masks of the feed-forward "
        "matrices, and those at the entropy of independent bits, which s3r mask pack "
        "comes close to or below. The backbone counts once where it is shared; every "
        "language has a head.",
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(storage_options),
    .has_json = true,
    .example = example,
    .run = run_mask_storage,
};
