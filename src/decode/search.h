/*
 * What a beam search is told: labels, words, language model, weights.
 *
 * The score of a hypothesis is
 *
 *   sum of ln p(label of a frame)  +  lm_weight * sum of log10 p(word or character)
 *   + word_score * words  +  unknown_score * unknown words  +  boosts of hot words
 *
 * with the natural logarithm for the network and log10 for the language model, as
 * flashlight and KenLM have it (spec 2.12), so weights from papers can be used.  The end
 * of the sentence counts as a word of the model, not for the word score.
 */
#ifndef S3R_DECODE_SEARCH_H
#define S3R_DECODE_SEARCH_H

#include "decode/hot_phrases.h"
#include "decode/language_model.h"
#include "decode/lm_text.h"

typedef struct s3r_search_options {
    size_t beam;       /* hypotheses kept after a frame */
    size_t token_beam; /* likeliest labels of a frame that may begin; 0 = all */
    double threshold;  /* hypotheses so far below the best are dropped */
    double lm_weight, word_score;
    bool allows_unknown; /* with a lexicon: words that it lacks, from any letters */
    double unknown_score;
} s3r_search_options;

/* The paper's values (50, 2, -1), and 25 for the threshold. */
void s3r_search_options_init(s3r_search_options *options);

/* Shared by any number of searches at once.  The first part is the caller's. */
typedef struct s3r_search {
    const s3r_vocabulary *vocabulary;
    size_t label_count; /* numbers a frame has: rows of the head, which may be fewer than
                           the vocabulary has labels; 0 = as many */
    const s3r_lm *lm;   /* NULL = none */
    const s3r_lexicon *lexicon; /* finished; NULL: words are whatever letters make */
    const s3r_hot_phrases *hot; /* finished, of words of the lexicon or, without, of an
                                   own one; NULL = none */
    s3r_search_options options;
    /* private */
    uint32_t *letters; /* [letter_count] labels that words are made of */
    size_t letter_count;
    uint32_t *label_words; /* [labels] the language model's characters; or NULL */
    uint32_t *lm_words; /* [words of the lexicon] the language model's words; or NULL */
    float *ahead;       /* [nodes of the lexicon] see s3r_search_set_weights */
    double unknown_ahead;
    double most_gain; /* that one label can add beside its own probability */
} s3r_search;

/* -1000000 to 1000000, an LM weight at least 0: sums of any audio are numbers then. */
bool s3r_search_weights_are_valid(double lm_weight, double word_score);

/* Fills the private part.  S3R_ERR_USAGE: options out of range, or unknown words or words
 * of a language model without a delimiter; S3R_ERR_RESOURCE. */
s3r_status s3r_search_prepare(s3r_search *search, s3r_error *err);
void s3r_search_release(s3r_search *search); /* the private part */

/*
 * Other weights for a prepared search that nobody is using; also computes what is added
 * to hypotheses within a word, so that the beam sees what is coming: the best lm_weight *
 * log10 p(word | <s>) below a node of the trie, beside the credits of hot phrases.  It is
 * taken off again at the end of the word.
 */
void s3r_search_set_weights(s3r_search *search, double lm_weight, double word_score);

#endif
