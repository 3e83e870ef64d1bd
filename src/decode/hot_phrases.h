/*
 * Words and phrases to listen for, each with a boost.
 *
 * A phrase is said where its words stand in a row, and each time its boost is added to
 * the score, also when it shares words with another one.  The states are those of Aho and
 * Corasick over words: the longest end of what was said that begins a phrase.
 *
 * So that a beam sees what is coming, a hypothesis within a phrase has a credit: the
 * boost by the part of the words that is said, letters of the next one included.  It is
 * no part of the score: gone when the phrase breaks off, and when the boost itself comes.
 */
#ifndef S3R_DECODE_HOT_PHRASES_H
#define S3R_DECODE_HOT_PHRASES_H

#include "decode/lexicon.h"

typedef struct s3r_phrase_state {
    uint32_t fallback; /* the state of the longest shorter end */
    uint32_t depth;    /* words */
    float gain;        /* boosts of all phrases that end here */
    float slope;       /* greatest boost a word of the phrases here and below */
} s3r_phrase_state;

typedef struct s3r_phrase_credit {
    uint32_t state, node;
    float credit; /* 0 = a free place */
} s3r_phrase_credit;

/* Zeroed before use; then phrases are added, then s3r_hot_phrases_finish. */
typedef struct s3r_hot_phrases {
    const s3r_lexicon *words; /* whose words the phrases are made of */
    s3r_lexicon phrases;      /* its words are phrases, its labels words */
    float *boosts;            /* by phrase */
    size_t boost_capacity;
    s3r_phrase_state *states;   /* [nodes of phrases]; 0 is outside of all */
    s3r_phrase_credit *credits; /* [credit_slots] by state and node of words */
    size_t credit_slots;        /* a power of two */
    double most;                /* that one label can bring */
} s3r_hot_phrases;

void s3r_hot_phrases_release(s3r_hot_phrases *hot);

/* Adds a phrase of words [count], at most S3R_LEXICON_LONGEST; text names it.  Of equal
 * texts the last boost counts.  S3R_ERR_RESOURCE. */
s3r_status s3r_hot_phrases_add(s3r_hot_phrases *hot, const char *text,
                               const uint32_t *words, size_t count, float boost,
                               s3r_error *err);

/* No phrase will be added any more.  words is finished, knows all words of the phrases
 * and outlives them.  S3R_ERR_RESOURCE. */
s3r_status s3r_hot_phrases_finish(s3r_hot_phrases *hot, const s3r_lexicon *words,
                                  s3r_error *err);

/* The state behind one more word; S3R_NO_WORD = one that no phrase has. */
uint32_t s3r_hot_phrases_next(const s3r_hot_phrases *hot, uint32_t state, uint32_t word);

/* The credit of a state with the letters of the next word up to a node of words. */
double s3r_hot_phrases_credit(const s3r_hot_phrases *hot, uint32_t state, uint32_t node);

#endif
