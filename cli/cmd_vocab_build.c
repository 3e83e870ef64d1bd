/*
 * s3r vocab build: from the texts of manifests to a vocabulary.
 */
#include <stdint.h>

#include <s3r/vocab.h>

#include "verb.h"

typedef struct vocab_options {
    int unit, text_case;
    const char *language, *voice, *folder;
    bool keeps_punctuation, is_forced;
} vocab_options;

static s3r_status run_vocab_build(const s3r_command *command, s3r_error *err)
{
    const vocab_options *chosen = command->options;
    s3r_vocab_options options;
    s3r_vocab_report report;
    if (!chosen->folder)
        return s3r_cli_fail(err, S3R_ERR_USAGE, "vocab build: expected -o DIR");
    s3r_vocab_options_init(&options);
    options.unit = (s3r_vocab_unit)chosen->unit;
    options.text_case = (s3r_vocab_case)chosen->text_case;
    options.language = chosen->language;
    options.voice = chosen->voice;
    options.keeps_punctuation = chosen->keeps_punctuation;
    options.is_forced = chosen->is_forced;
    s3r_status status = s3r_vocab_build(command->positionals, command->positional_count,
                                        chosen->folder, &options, &report, err);
    if (status != S3R_OK)
        return status;
    if (report.with_digits > 0)
        s3r_print_warning(command->terminal,
                          "%zu texts have digits, which say nothing about how they are "
                          "spoken: \"%s\"",
                          report.with_digits, report.digit_example);
    if (report.without_text > 0)
        s3r_print_warning(command->terminal, "%zu utterances without text are left out",
                          report.without_text);
    s3r_print_note(command->terminal, "%s: %zu labels of %zu texts", chosen->folder,
                   report.label_count, report.utterance_count);
    return S3R_OK;
}

static const s3r_option option_table[] = {
    {.name = "out",
     .letter = 'o',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(vocab_options, folder),
     .argument = "DIR",
     .help = "Where vocab.json, its side files and the manifests to train on go."},
    {.name = "unit",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(vocab_options, unit),
     .values = "char|grapheme|phone",
     .fallback = "char",
     .help = "What a label is: a character, a letter with its marks, or an IPA phone of "
             "espeak-ng."},
    {.name = "case",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(vocab_options, text_case),
     .values = "lower|upper|keep",
     .fallback = "lower",
     .help = "The case of the labels."},
    {.name = "lang",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(vocab_options, language),
     .argument = "LANG",
     .help =
         "Only utterances of this language, as in \"fr\"; the language of phones where "
         "a manifest does not tell it."},
    {.name = "voice",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(vocab_options, voice),
     .argument = "VOICE",
     .help =
         "The voice of espeak-ng for phones, as in \"en-us\", instead of the language."},
    {.name = "keep-punctuation",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(vocab_options, keeps_punctuation),
     .help = "Make labels of punctuation too."},
    {.name = "force",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(vocab_options, is_forced),
     .help = "Replace a vocabulary that is in DIR."},
};

static const char *const example[] = {
    "s3r vocab build -o vocab train.jsonl dev.jsonl test.jsonl",
    "s3r vocab build --unit phone --lang fr -o phones train.jsonl dev.jsonl", NULL};

const s3r_verb s3r_verb_vocab_build = {
    .name = "vocab build",
    .summary = "Make a vocabulary of the texts of manifests",
    .description =
        "Writes vocab.json, tokenizer_config.json and special_tokens_map.json: <pad> "
        "(the "
        "blank), <s>, </s>, <unk>, | (between words), then the units by code point. "
        "Punctuation is left out but for apostrophes and hyphens inside words.\n\n"
        "DIR/NAME.text.jsonl has the texts of NAME.jsonl as the labels spell them; for "
        "phones it is DIR/NAME.phones.jsonl. Train on these.",
    .usage = "-o DIR MANIFEST...",
    .positionals = {{"MANIFEST", NULL, "JSON lines; docs/data.md has the keys."}},
    .min_positionals = 1,
    .max_positionals = SIZE_MAX,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(vocab_options),
    .example = example,
    .run = run_vocab_build,
};
