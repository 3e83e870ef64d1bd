/*
 * s3r lm build: an n-gram language model from text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <s3r/lm.h>

#include "lm_text_options.h"

typedef struct build_options {
    s3r_lm_text_choice text; /* first: lm_text_option_list.h counts on it */
    const char *out, *prune, *fallback;
    size_t order;
    int units;
} build_options;

/* "0 0 1" or "0,0,1" into numbers; the last counts for the orders behind it.  Returns how
 * many there were, 0 for anything else. */
static size_t read_numbers(const char *text, double *numbers, size_t most)
{
    size_t count = 0;
    while (*text != '\0') {
        char *end;
        double value = strtod(text, &end);
        if (end == text || count == most || !(value >= 0 && value < 1e9))
            return 0;
        numbers[count++] = value;
        text = end + strspn(end, ", ");
    }
    for (size_t i = count; count > 0 && i < most; i++)
        numbers[i] = numbers[count - 1];
    return count;
}

static s3r_status set_options(s3r_lm_build_options *out, const build_options *chosen,
                              s3r_error *err)
{
    double prune[S3R_LM_BUILD_ORDER_MAX];
    s3r_lm_build_options_init(out);
    out->order = chosen->order;
    out->unit = (s3r_lm_unit)chosen->units;
    out->text = s3r_lm_text_chosen(&chosen->text);
    if (chosen->prune && read_numbers(chosen->prune, prune, S3R_LM_BUILD_ORDER_MAX) == 0)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--prune: expected a count for each order, as in \"0 0 1\", "
                            "found \"%s\"",
                            chosen->prune);
    for (size_t i = 0; chosen->prune && i < S3R_LM_BUILD_ORDER_MAX; i++)
        out->prune[i] = (size_t)prune[i];
    out->has_discount_fallback = chosen->fallback != NULL;
    if (chosen->fallback && strcmp(chosen->fallback, "default") != 0 &&
        read_numbers(chosen->fallback, out->discount_fallback, 3) == 0)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--discount-fallback: expected \"default\" or up to three "
                            "numbers, as in \"0.5 1 1.5\", found \"%s\"",
                            chosen->fallback);
    return S3R_OK;
}

static void print_report(s3r_terminal *terminal, const char *out,
                         const s3r_lm_build_report *report)
{
    s3r_print_note(terminal, "%s: order %zu, from %zu words in %zu sentences", out,
                   report->order, report->words, report->sentences);
    for (size_t i = 0; i < report->order; i++)
        s3r_print_note(terminal, "%zu-grams: %zu, discounts %.4f %.4f %.4f%s", i + 1,
                       report->ngrams[i], report->discounts[i][0],
                       report->discounts[i][1], report->discounts[i][2],
                       report->is_fallback[i] ? " (fallback)" : "");
}

static s3r_status run_lm_build(const s3r_command *command, s3r_error *err)
{
    const build_options *chosen = command->options;
    s3r_lm_build_options options;
    s3r_lm_build_report report;
    if (!chosen->out)
        return s3r_cli_fail(err, S3R_ERR_USAGE, "lm build: expected -o FILE");
    s3r_status status = set_options(&options, chosen, err);
    if (status == S3R_OK)
        status = s3r_lm_build(command->positionals, command->positional_count,
                              chosen->out, &options, &report, err);
    if (status == S3R_OK)
        print_report(command->terminal, chosen->out, &report);
    return status;
}

static const s3r_option option_table[] = {
#include "lm_text_option_list.h"
    {.name = "out",
     .letter = 'o',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(build_options, out),
     .argument = "FILE",
     .help = "NAME.arpa, NAME.arpa.gz, or NAME.s3l for the compiled form."},
    {.name = "order",
     .letter = 'n',
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(build_options, order),
     .argument = "N",
     .fallback = "4",
     .help = "Words of the longest n-grams, 1 to 5."},
    {.name = "units",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(build_options, units),
     .values = "word|char",
     .fallback = "word",
     .help = "What the model is of: words, or characters with | between words."},
    {.name = "prune",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(build_options, prune),
     .argument = "COUNTS",
     .help = "Leave out n-grams that occur at most so often, a count for each order, the "
             "last for all that follow: \"0 0 1\"."},
    {.name = "discount-fallback",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(build_options, fallback),
     .argument = "D1,D2,D3",
     .help =
         "Discounts for orders whose own cannot be estimated, because the text is "
         "small or artificial: \"default\" is 0.5,1,1.5. Of characters they are always "
         "there."},
};

static const char *const example[] = {
    "s3r lm build -o words.arpa.gz train.jsonl",
    "s3r lm build -n 3 --prune '0 0 1' --case lower --plain -o lm.s3l wiki.txt.gz",
    "s3r lm build --units char -n 5 -o letters.s3l train.jsonl", NULL};

const s3r_verb s3r_verb_lm_build = {
    .name = "lm build",
    .summary = "Estimate a language model from text",
    .description =
        "Modified Kneser-Ney smoothing, interpolated: the same model as KenLM's lmplz "
        "makes of the same text. A sentence a line, or the texts of manifests. The text "
        "must be spelled as the labels of the model that it is for: the same letters, "
        "the same case, no punctuation (--case, --plain).",
    .usage = "-o FILE TEXT...",
    .positionals = {{"TEXT", NULL,
                     "Manifests (NAME.jsonl) or text, plain or gzip; - is standard "
                     "input."}},
    .min_positionals = 1,
    .max_positionals = SIZE_MAX,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(build_options),
    .example = example,
    .run = run_lm_build,
};
