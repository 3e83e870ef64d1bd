/*
 * The options of decoding with words, for the verbs that have them.
 */
#ifndef S3R_CLI_DECODE_OPTIONS_H
#define S3R_CLI_DECODE_OPTIONS_H

#include <s3r/decode.h>

#include "verb.h"

/* What decode_option_list.h fills: a member of the verb's options with the name `decode`.
 */
typedef struct s3r_decode_choice {
    const char *lm, *lexicon, *hot_words;
    int lm_units;
    double lm_weight, word_score, unknown_score, hot_word_boost, beam_threshold;
    size_t beam, token_beam, nbest;
    bool allows_unknown;
} s3r_decode_choice;

/* True when a search was asked for. */
bool s3r_decode_is_wanted(const s3r_decode_choice *choice);
/*
 * Opens the decoder that was asked for; *out is NULL when none was: no language model, no
 * lexicon, no hot words, no beam, one text.  Says on stderr what does not fit well.
 * S3R_ERR_USAGE: an option that would do nothing.
 */
s3r_status s3r_decode_choice_open(s3r_decoder **out, const s3r_decode_choice *choice,
                                  const s3r_model *model, s3r_terminal *terminal,
                                  s3r_error *err);

#endif
