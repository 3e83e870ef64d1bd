/*
 * From options to a decoder.
 */
#include "decode_options.h"

/* An option that differs from its default but has nothing to work on. */
static s3r_status check_used(const s3r_decode_choice *choice,
                             const s3r_decoder_options *defaults, s3r_error *err)
{
    const struct {
        const char *option, *needed;
        bool is_given, is_used;
    } rules[] = {
        {"--lm-weight", "--lm", choice->lm_weight != defaults->lm_weight, choice->lm},
        {"--lm-units", "--lm", choice->lm_units != 0, choice->lm},
        {"--unknown-words", "--lexicon", choice->allows_unknown, choice->lexicon},
        {"--unknown-score", "--unknown-words, or --lm without --lexicon",
         choice->unknown_score != defaults->unknown_score,
         choice->allows_unknown || (choice->lm && !choice->lexicon)},
        {"--hot-boost", "--hot-words", choice->hot_word_boost != defaults->hot_word_boost,
         choice->hot_words},
        {"--word-score", "--lm, --lexicon, --hot-words or --beam",
         choice->word_score != defaults->word_score,
         choice->lm || choice->lexicon || choice->hot_words || choice->beam},
        {"--beam-threshold", "--lm, --lexicon, --hot-words or --beam",
         choice->beam_threshold != defaults->beam_threshold,
         choice->lm || choice->lexicon || choice->hot_words || choice->beam},
        {"--token-beam", "--lm, --lexicon, --hot-words or --beam", choice->token_beam > 0,
         choice->lm || choice->lexicon || choice->hot_words || choice->beam},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i].is_given && !rules[i].is_used)
            return s3r_cli_fail(err, S3R_ERR_USAGE, "%s: does nothing without %s",
                                rules[i].option, rules[i].needed);
    return S3R_OK;
}

static void warn(s3r_terminal *terminal, const s3r_decode_choice *choice,
                 const s3r_decoder_info *info)
{
    if (info->lexicon_left_out > 0)
        s3r_print_warning(
            terminal, "%s: %zu words cannot be spelled in the labels and are left out",
            choice->lm, info->lexicon_left_out);
    if (info->lexicon_unknown > 0)
        s3r_print_warning(terminal, "%s: %zu of %zu words of the lexicon are unknown",
                          choice->lm, info->lexicon_unknown, info->lexicon_words);
    if (info->labels_unknown > 0)
        s3r_print_warning(terminal, "%s: %zu labels are unknown", choice->lm,
                          info->labels_unknown);
}

bool s3r_decode_is_wanted(const s3r_decode_choice *choice)
{
    return choice->lm || choice->lexicon || choice->hot_words || choice->beam > 0 ||
           choice->nbest > 1;
}

s3r_status s3r_decode_choice_open(s3r_decoder **out, const s3r_decode_choice *choice,
                                  const s3r_model *model, s3r_terminal *terminal,
                                  s3r_error *err)
{
    s3r_decoder_options options;
    s3r_decoder_info info;
    *out = NULL;
    s3r_decoder_options_init(&options);
    s3r_status status = check_used(choice, &options, err);
    if (status != S3R_OK)
        return status;
    if (!s3r_decode_is_wanted(choice))
        return S3R_OK;
    options.lm_path = choice->lm;
    options.lm_unit = (s3r_decoder_unit)choice->lm_units;
    options.lexicon_path = choice->lexicon;
    options.hot_words_path = choice->hot_words;
    options.hot_word_boost = choice->hot_word_boost;
    options.lm_weight = choice->lm_weight;
    options.word_score = choice->word_score;
    options.allows_unknown = choice->allows_unknown;
    options.unknown_score = choice->unknown_score;
    options.beam = choice->beam > 0 ? choice->beam : options.beam;
    options.beam_threshold = choice->beam_threshold;
    options.token_beam = choice->token_beam;
    options.nbest = choice->nbest;
    status = s3r_decoder_open(out, model, &options, err);
    if (status != S3R_OK)
        return status;
    s3r_decoder_get_info(*out, &info);
    warn(terminal, choice, &info);
    return S3R_OK;
}
