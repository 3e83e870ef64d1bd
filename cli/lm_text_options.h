/*
 * How the verbs of lm take texts.
 */
#ifndef S3R_CLI_LM_TEXT_OPTIONS_H
#define S3R_CLI_LM_TEXT_OPTIONS_H

#include <s3r/lm.h>

#include "verb.h"

/* What lm_text_option_list.h fills; the first member of a verb's options. */
typedef struct s3r_lm_text_choice {
    int text_case;
    bool is_plain;
} s3r_lm_text_choice;

static inline s3r_lm_text_options s3r_lm_text_chosen(const s3r_lm_text_choice *choice)
{
    return (s3r_lm_text_options){.text_case = (s3r_lm_case)choice->text_case,
                                 .is_plain = choice->is_plain};
}

#endif
