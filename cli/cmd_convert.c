/*
 * s3r convert: any checkpoint in, a Hugging Face folder out.
 */
#include "session.h"

typedef struct convert_options {
    int dtype;
    const char *language, *mask;
    bool is_forced;
} convert_options;

static const char *const dtype_names[] = {"f32", "f16", "bf16", "int8"};

static s3r_status run_convert(const s3r_command *command, s3r_error *err)
{
    const convert_options *options = command->options;
    const char *dtype = dtype_names[options->dtype], *folder = command->positionals[1];
    s3r_session session;
    s3r_model_info info;
    s3r_status status =
        s3r_session_open(&session, command,
                         &(s3r_session_options){.model = command->positionals[0],
                                                .language = options->language,
                                                .mask = options->mask},
                         err);
    if (status != S3R_OK)
        return status;
    s3r_model_get_info(session.model, &info);
    status = s3r_model_save(session.model, folder, dtype, options->is_forced, err);
    if (status == S3R_OK)
        s3r_print_note(command->terminal, "%s: %zu parameters as %s", folder,
                       info.parameter_count, dtype);
    s3r_session_close(&session);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "dtype",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(convert_options, dtype),
     .values = "f32|f16|bf16|int8",
     .fallback = "f32",
     .help = "How weights are stored; f16 and bf16 round to nearest. int8: the "
             "matrices of the blocks, a scale for each output; s3r alone reads it."},
    {.name = "force",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(convert_options, is_forced),
     .help = "Replace a model that is in OUT; its other files stay."},
    {.name = "mask",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(convert_options, mask),
     .argument = "FILE.s3m",
     .help = "Write the merged model: removed weights are zero, new values, head and "
             "vocabulary are the mask file's."},
    {.name = "language",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(convert_options, language),
     .argument = "LANG",
     .help = "The language of a multilingual vocabulary, as in \"deu\"."},
};

static const char *const example[] = {
    "s3r convert wav2vec_small_960h.pt wav2vec2-base-960h",
    "s3r convert --dtype bf16 wavlm-large wavlm-large-bf16",
    "s3r convert --mask nl.s3m wav2vec2-base wav2vec2-base-nl", NULL};

const s3r_verb s3r_verb_convert = {
    .name = "convert",
    .summary = "Write a model as a Hugging Face folder",
    .description = "Writes config.json, preprocessor_config.json, vocab.json and "
                   "model.safetensors, then reads the tensors back and compares them. "
                   "OUT appears when it is complete. An OUT that holds something is "
                   "refused; with --force a model in it is replaced, other files stay.",
    .usage = "IN OUT",
    .positionals = {{"IN", NULL,
                     "A Hugging Face folder, a .safetensors file, a fairseq .pt, or "
                     "\"default\" for the shipped model."},
                    {"OUT", NULL, "The folder to write."}},
    .min_positionals = 2,
    .max_positionals = 2,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(convert_options),
    .example = example,
    .run = run_convert,
};
