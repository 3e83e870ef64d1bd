/*
 * s3r lm compile: a language model as a file that is ready at once.
 */
#include <s3r/lm.h>

#include "verb.h"

static s3r_status run_lm_compile(const s3r_command *command, s3r_error *err)
{
    s3r_lm_info info;
    s3r_status status =
        s3r_lm_compile(command->positionals[0], command->positionals[1], &info, err);
    if (status == S3R_OK)
        s3r_print_note(command->terminal, "%s: order %zu, %zu words",
                       command->positionals[1], info.order, info.ngrams[0]);
    return status;
}

static const char *const example[] = {"s3r lm compile 4-gram.arpa.gz 4-gram.s3l", NULL};

const s3r_verb s3r_verb_lm_compile = {
    .name = "lm compile",
    .summary = "Turn a language model into a file that opens at once",
    .description =
        "Reads an ARPA file (plain or gzip) or a KenLM binary of the type probing, and "
        "writes a memory-mapped, checksummed file (NAME.s3l). The probabilities are the "
        "same.",
    .usage = "IN OUT",
    .positionals = {{"IN", NULL, "ARPA, ARPA.gz or a KenLM probing binary."},
                    {"OUT", NULL, "The compiled model, NAME.s3l."}},
    .min_positionals = 2,
    .max_positionals = 2,
    .example = example,
    .run = run_lm_compile,
};
