/*
 * The table of verbs and the options that all verbs share.
 */
#include "verb.h"

#include <string.h>

#define S3R_VERB(name) extern const s3r_verb s3r_verb_##name;
#include "verb_list.h"
#undef S3R_VERB

#define S3R_VERB(name) &s3r_verb_##name,
const s3r_verb *const s3r_verbs[] = {
#include "verb_list.h"
};
#undef S3R_VERB
const size_t s3r_verb_count = sizeof s3r_verbs / sizeof s3r_verbs[0];

const char *const s3r_cpu_choice_names[] = {"auto",   "portable",   "avx2",
                                            "avx512", "avx512vnni", "avx512bf16"};

const s3r_option s3r_global_option_table[] = {
    {.name = "threads",
     .letter = 't',
     .type = S3R_OPTION_SIZE,
     .offset = offsetof(s3r_global_options, threads),
     .argument = "N",
     .help =
         "Threads that compute; 0 is one a processor. The result does not depend on it."},
    {.name = "cpu",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(s3r_global_options, cpu),
     .values = "auto|portable|avx2|avx512|avx512vnni|avx512bf16",
     .fallback = "auto",
     .environment = "S3R_CPU",
     .help = "Kernels to use; auto is the best that this machine has."},
    {.name = "weights",
     .type = S3R_OPTION_ENUM,
     .offset = offsetof(s3r_global_options, weights),
     .values = "auto|shared|packed",
     .fallback = "auto",
     .environment = "S3R_WEIGHTS",
     .help = "Memory of the weights of a model that runs, not of one that is trained: "
             "shared is the mapped file, which processes share; packed is a copy in the "
             "form that products read, which is faster; auto goes from one to the other "
             "after some passes. The result does not depend on it."},
    {.name = "quiet",
     .letter = 'q',
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(s3r_global_options, is_quiet),
     .help = "Print errors and results only."},
    {.name = "json",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(s3r_global_options, is_json),
     .help = "Print the result as JSON."},
    {.name = "help",
     .letter = 'h',
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(s3r_global_options, is_help),
     .help = "Print this help."},
};
const size_t s3r_global_option_count =
    sizeof s3r_global_option_table / sizeof s3r_global_option_table[0];

const s3r_verb *s3r_verb_find(const char *name)
{
    for (size_t i = 0; i < s3r_verb_count; i++)
        if (strcmp(s3r_verbs[i]->name, name) == 0)
            return s3r_verbs[i];
    return NULL;
}

size_t s3r_verb_first_word(const s3r_verb *verb)
{
    return strcspn(verb->name, " ");
}

const char *s3r_verb_second_word(const s3r_verb *verb)
{
    const char *space = strchr(verb->name, ' ');
    return space ? space + 1 : "";
}

const s3r_verb *s3r_verb_in_family(const char *word, size_t word_length, size_t *index)
{
    while (*index < s3r_verb_count) {
        const s3r_verb *verb = s3r_verbs[(*index)++];
        if (!verb->is_hidden && strncmp(verb->name, word, word_length) == 0 &&
            verb->name[word_length] == ' ')
            return verb;
    }
    return NULL;
}

bool s3r_verb_starts_family(const s3r_verb *verb)
{
    size_t first = 0;
    return s3r_verb_in_family(verb->name, s3r_verb_first_word(verb), &first) == verb;
}

bool s3r_verb_has_global(const s3r_verb *verb, const s3r_option *option)
{
    return !verb || verb->has_json ||
           option->offset != offsetof(s3r_global_options, is_json);
}
