/*
 * The inside of a beam, for the two files that share it.
 */
#ifndef S3R_DECODE_BEAM_HYPOTHESIS_H
#define S3R_DECODE_BEAM_HYPOTHESIS_H

#include "decode/beam_search.h"

#define S3R_NODE_UNKNOWN UINT32_MAX /* outside of the trie: an unknown word */

typedef struct s3r_hypothesis_state {
    double score;    /* of the history, the emissions and the look-ahead */
    double emission; /* sum of ln p */
    uint32_t history, node, last;
    uint32_t trace;
    uint32_t end;       /* frame behind the trace's label */
    bool is_open;       /* the last frame belongs to the trace's label */
    double probability; /* sum over the frames of the trace's label */
} s3r_hypothesis_state;

/* What a hypothesis may become in the next frame. */
typedef struct s3r_beam_candidate {
    double score, emission;
    uint32_t history, node, last;
    uint32_t from;      /* hypothesis */
    bool begins_label;  /* a new label in the trace */
    bool extends_label; /* one more frame of it */
    uint32_t order;     /* in which it came, to break ties */
} s3r_beam_candidate;

struct s3r_beam {
    const s3r_search *search;
    s3r_beam_tree tree;
    s3r_hypothesis_state *hypotheses; /* [beam] the best first */
    size_t count;
    s3r_beam_candidate *candidates;
    size_t candidate_count, candidate_capacity;
    uint32_t *slots; /* (history, node, last) -> candidate + 1; 0 = free */
    size_t slot_count;
    double best;        /* score of the candidates so far */
    float *frame;       /* [labels] of the current frame */
    double temperature; /* of probabilities */
    double log_sum;     /* of the frame at the temperature */
    bool *may_begin;    /* [labels] in the token beam */
    uint32_t *ranked;   /* [labels] scratch of the token beam */
    uint32_t frames;
};

#endif
