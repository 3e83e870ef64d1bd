/*
 * Decoding with words: beam search over a model's label probabilities, with a language
 * model, a lexicon, hot words.
 *
 * The score of a text is
 *
 *   sum of ln p(label of a frame)  +  lm_weight * sum of log10 p(word or character)
 *   + word_score * words  +  unknown_score * unknown words  +  boosts of hot words
 *
 * for the best alignment of the text, the end of the sentence included in the language
 * model's part.  docs/decoding.md has the details.
 */
#ifndef S3R_DECODE_H
#define S3R_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "s3r/lm.h"
#include "s3r/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct s3r_decoder s3r_decoder;

/* What s3r_decoder_options.lexicon_path may be instead of a path: the words of the
 * language model that the labels can spell. */
#define S3R_LEXICON_OF_LM "lm"

typedef enum s3r_decoder_unit {
    S3R_DECODER_UNIT_AUTO, /* what the model's file says, or its words look like */
    S3R_DECODER_UNIT_WORDS,
    S3R_DECODER_UNIT_CHARACTERS
} s3r_decoder_unit;

typedef struct s3r_decoder_options {
    size_t struct_size;  /* set by _init */
    const char *lm_path; /* NAME.s3l, ARPA or a KenLM probing binary; NULL = none */
    s3r_decoder_unit lm_unit;
    const char *lexicon_path;   /* lines "WORD" or "WORD<tab>W O R D |", or
                                   S3R_LEXICON_OF_LM; NULL: words are whatever letters
                                   make */
    const char *hot_words_path; /* lines of words with one boost, "WORD WORD..." or
                                   "WORD WORD...<tab>BOOST"; NULL = none */
    double hot_word_boost;      /* of lines without one; default 5 */
    double lm_weight;           /* default 2 */
    double word_score;          /* default -1 */
    bool allows_unknown;        /* with a lexicon: words that it lacks; default false */
    double unknown_score;       /* default -5 */
    size_t beam;                /* hypotheses; default 50 */
    double beam_threshold;      /* below the best are dropped; default 25 */
    size_t token_beam; /* likeliest labels of a frame that may begin; default 0 = all */
    size_t nbest;      /* texts in results; default 1 */
} s3r_decoder_options;

S3R_API void s3r_decoder_options_init(s3r_decoder_options *options);

/*
 * Opens the files and checks them against the model's labels.
 *
 *   model  gives the vocabulary, and must stay open as long as *out
 *
 * S3R_ERR_USAGE: options; S3R_ERR_MODEL: no vocabulary; S3R_ERR_DATA: a file that is
 * damaged, or that does not fit: letters that the labels lack, another case, a language
 * model that knows few of the words or characters; S3R_ERR_RESOURCE.  Thread-safe.
 */
S3R_API s3r_status s3r_decoder_open(s3r_decoder **out, const s3r_model *model,
                                    const s3r_decoder_options *options, s3r_error *err);
S3R_API void s3r_decoder_close(s3r_decoder *decoder); /* NULL is allowed */

typedef struct s3r_decoder_info {
    size_t lexicon_words;    /* 0 without a lexicon */
    size_t lexicon_left_out; /* words of the language model that the labels cannot spell;
                                S3R_LEXICON_OF_LM only */
    size_t lexicon_unknown;  /* words of the lexicon that the language model lacks */
    size_t labels_unknown;   /* labels that a language model of characters lacks */
    size_t hot_words;        /* and phrases */
} s3r_decoder_info;

S3R_API void s3r_decoder_get_info(const s3r_decoder *decoder, s3r_decoder_info *info);

/* Other weights.  Nothing may be decoding meanwhile.  S3R_ERR_USAGE. */
S3R_API s3r_status s3r_decoder_set_weights(s3r_decoder *decoder, double lm_weight,
                                           double word_score, s3r_error *err);

/* One text of a result. */
typedef struct s3r_hypothesis {
    const char *text;
    double score;    /* see above */
    double emission; /* the network's part, natural log */
    double lm_log10; /* the language model's part, before the weight */
    size_t words;
} s3r_hypothesis;

typedef struct s3r_decoding s3r_decoding;

/*
 * Decodes the frames of one utterance.
 *
 *   log_probs  [frames, labels] natural log, as s3r_forward gives them
 *
 * S3R_ERR_DATA: a number that is NaN or +infinity; S3R_ERR_RESOURCE.  Thread-safe: any
 * number of calls may share a decoder.
 */
S3R_API s3r_status s3r_decode(s3r_decoding **out, const s3r_decoder *decoder,
                              const float *log_probs, size_t frames, s3r_error *err);
S3R_API void s3r_decoding_free(s3r_decoding *decoding); /* NULL is allowed */

/* Number of texts, at least 1 and at most nbest; the best is number 0. */
S3R_API size_t s3r_decoding_count(const s3r_decoding *decoding);
/* The text of that number; valid until the decoding is freed. */
S3R_API void s3r_decoding_get(const s3r_decoding *decoding, size_t index,
                              s3r_hypothesis *out);

#ifdef __cplusplus
}
#endif
#endif
