/*
 * Interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998; Heafield et al.
 * 2013), with the choices of KenLM's lmplz, so that both give the same model.
 *
 *   p(w | c) = (a(cw) - D(a(cw))) / sum_x a(cx) + g(c) p(w | c')
 *
 * a is the count for the highest order and for n-grams that begin with <s>, else the
 * number of different words before the n-gram; c' is c without its first word; below the
 * unigrams is the uniform distribution over all words but <s>; g(c), the back-off, is
 * what the discounts D leave.
 */
#ifndef S3R_DECODE_KNESER_NEY_H
#define S3R_DECODE_KNESER_NEY_H

#include "decode/lm_text.h"

#define S3R_LM_BUILD_ORDERS 5u

typedef struct s3r_kneser_ney {
    size_t order;                      /* 1 to S3R_LM_BUILD_ORDERS */
    size_t prune[S3R_LM_BUILD_ORDERS]; /* n-grams with at most this count are left out,
                                          by order - 1; ascending, the first is 0 */
    bool has_fallback;                 /* discounts where the text gives none: */
    float fallback[3];                 /* of counts 1, 2, and 3 or more */
} s3r_kneser_ney;

/* The discounts that were used, [order - 1][0 .. 2] of counts 1, 2, 3 or more. */
typedef struct s3r_discounts {
    float amount[S3R_LM_BUILD_ORDERS][3];
    bool is_fallback[S3R_LM_BUILD_ORDERS];
} s3r_discounts;

/*
 * Estimates the model of a text.
 *
 *   ngrams  initialised with the order, and its words are the text's; receives the lists
 *
 * S3R_ERR_DATA: no sentence; or discounts cannot be estimated (the text is too small or
 * artificial), and there is no fallback.  S3R_ERR_RESOURCE.  Deterministic.
 */
s3r_status s3r_kneser_ney_estimate(s3r_ngrams *ngrams, s3r_discounts *discounts,
                                   const s3r_lm_text *text, const s3r_kneser_ney *options,
                                   s3r_error *err);

#endif
