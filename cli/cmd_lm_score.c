/*
 * s3r lm score: how well a language model expects texts.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include <s3r/lm.h>

#include "line_text.h"
#include "lm_text_options.h"

typedef struct score_options {
    s3r_lm_text_choice text; /* first: lm_text_option_list.h counts on it */
    const char *lm;
    bool has_sentences;
} score_options;

/* What a sentence is printed with. */
typedef struct printer {
    bool is_json;
    bool is_out_of_memory;
} printer;

/* JSON has no infinity. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *describe(const s3r_lm_score *score)
{
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o}", "sentences",
                     (json_int_t)score->sentences, "words", (json_int_t)score->words,
                     "unknown_words", (json_int_t)score->unknown_words, "log10_prob",
                     number(score->log10_prob), "perplexity", number(score->perplexity),
                     "known_perplexity", number(score->known_perplexity));
}

static bool print_json(json_t *value)
{
    char *line = s3r_json_line(value);
    if (line)
        fputs(line, stdout);
    free(line);
    return line != NULL;
}

static s3r_status print_sentence(void *context, const char *sentence,
                                 const s3r_lm_score *score)
{
    printer *p = context;
    bool is_done;
    if (p->is_json) {
        json_t *value = describe(score);
        if (value)
            json_object_set_new(value, "text", s3r_json_from_bytes(sentence));
        is_done = print_json(value);
    } else {
        char *text = s3r_line_from_text(sentence);
        is_done = text != NULL;
        if (text)
            printf("%.4f\t%.2f\t%zu\t%s\n", score->log10_prob, score->perplexity,
                   score->unknown_words, text);
        free(text);
    }
    p->is_out_of_memory = !is_done;
    return is_done ? S3R_OK : S3R_ERR_RESOURCE;
}

static void print_total(const s3r_lm_score *total)
{
    printf("sentences         %zu\n", total->sentences);
    printf("words             %zu\n", total->words);
    printf("unknown words     %zu (%.2f %%)\n", total->unknown_words,
           total->words ? 100 * (double)total->unknown_words / (double)total->words : 0);
    printf("log10 probability %.4f\n", total->log10_prob);
    printf("perplexity        %.4f\n", total->perplexity);
    printf("of known words    %.4f\n", total->known_perplexity);
}

static s3r_status run_lm_score(const s3r_command *command, s3r_error *err)
{
    const score_options *chosen = command->options;
    const s3r_lm_text_options text = s3r_lm_text_chosen(&chosen->text);
    printer p = {.is_json = command->global.is_json};
    s3r_language_model *lm;
    s3r_lm_score total;
    if (!chosen->lm)
        return s3r_cli_fail(err, S3R_ERR_USAGE, "lm score: expected --lm FILE");
    s3r_status status = s3r_language_model_open(&lm, chosen->lm, err);
    if (status != S3R_OK)
        return status;
    status = s3r_lm_score_texts(lm, command->positionals, command->positional_count,
                                &text, chosen->has_sentences ? print_sentence : NULL, &p,
                                &total, err);
    s3r_language_model_close(lm);
    if (status == S3R_OK && !p.is_json)
        print_total(&total);
    if (status == S3R_OK && p.is_json && !print_json(describe(&total)))
        p.is_out_of_memory = true;
    return p.is_out_of_memory
               ? s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the result")
               : status;
}

static const s3r_option option_table[] = {
#include "lm_text_option_list.h"
    {.name = "lm",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(score_options, lm),
     .argument = "FILE",
     .help = "The language model: NAME.s3l, ARPA, or a KenLM probing binary."},
    {.name = "sentences",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(score_options, has_sentences),
     .help = "Before the sums, a line a sentence: log10 probability, perplexity, unknown "
             "words, text, parted by tabs."},
};

static const char *const example[] = {
    "s3r lm score --lm 4-gram.s3l dev.jsonl",
    "s3r lm score --lm 4-gram.s3l --sentences --json dev.txt", NULL};

const s3r_verb s3r_verb_lm_score = {
    .name = "lm score",
    .summary = "Perplexity and unknown words of texts",
    .description =
        "Scores each sentence from its beginning to its end, and prints the sums. "
        "Perplexity counts the end of a sentence as a word; unknown words count with the "
        "probability of <unk>, or not at all (\"of known words\").",
    .usage = "--lm FILE TEXT...",
    .positionals = {{"TEXT", NULL,
                     "Manifests (NAME.jsonl) or text, plain or gzip; - is standard "
                     "input."}},
    .min_positionals = 1,
    .max_positionals = SIZE_MAX,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(score_options),
    .has_json = true,
    .example = example,
    .run = run_lm_score,
};
