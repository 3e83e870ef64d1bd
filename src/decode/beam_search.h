/*
 * Beam search over the label probabilities of CTC, frame by frame (spec 2.12).
 *
 * A hypothesis is what it says (a history), where in the trie the current word is, and
 * the label of the last frame, which decides whether the same label again is a new one.
 * Equal hypotheses are one: the better path stays.  So with a beam that drops nothing the
 * result is the text whose best path has the highest score.
 *
 * A word ends at the delimiter, or at the end of the audio; delimiters before the first
 * word and repeated ones say nothing.  Without a delimiter in the vocabulary a word ends
 * with its last label.  At the end, hypotheses within a word that is no word count only
 * when there are no others, and without that word.
 *
 * The result depends on the emissions alone, not on how they are cut into calls.
 */
#ifndef S3R_DECODE_BEAM_SEARCH_H
#define S3R_DECODE_BEAM_SEARCH_H

#include "decode/beam_tree.h"

typedef struct s3r_beam s3r_beam;

/* search must outlive the beam. */
s3r_status s3r_beam_create(s3r_beam **out, const s3r_search *search, s3r_error *err);
void s3r_beam_destroy(s3r_beam *beam); /* NULL is allowed */

/* Before the first frame: the temperature > 0 of the probabilities of results (not of the
 * scores); 1 at first. */
void s3r_beam_set_temperature(s3r_beam *beam, double temperature);

/* The next frames, [count, labels] of natural log-probabilities, rows stride floats
 * apart.  S3R_ERR_DATA: a number that is NaN or +infinity; S3R_ERR_RESOURCE. */
s3r_status s3r_beam_add(s3r_beam *beam, const float *log_probs, size_t count,
                        size_t stride, s3r_error *err);

typedef struct s3r_decoded {
    char *text;
    double score;    /* as search.h defines it */
    double emission; /* the network's part, natural log */
    double lm;       /* the language model's part, log10, before the weight */
    size_t word_count;
    s3r_label_span *spans; /* labels of the best path, blanks left out; delimiters only
                              between words and at the end */
    float *probabilities;  /* [span_count] of each label at the temperature, mean over its
                              frames */
    size_t span_count;
    s3r_word_list words; /* of the text, as it has them, on the spans */
} s3r_decoded;

typedef struct s3r_decodings {
    s3r_decoded *items; /* the best first; different texts */
    size_t count;       /* at least 1 */
} s3r_decodings;

/* The `most` best texts of all frames so far; more frames may follow.
 * S3R_ERR_RESOURCE. */
s3r_status s3r_beam_finish(s3r_beam *beam, size_t most, s3r_decodings *out,
                           s3r_error *err);
void s3r_decodings_release(s3r_decodings *decodings); /* zeroed ones are allowed */

#endif
