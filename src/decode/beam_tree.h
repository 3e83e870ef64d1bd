/*
 * What hypotheses of a beam share: the words that they have found, and the labels.
 *
 * A history is a path from the root: its symbols are words and letters, so that two
 * hypotheses with one history say the same, and only those may become one.  It knows the
 * state of the language model and all of the score but the network's.
 *
 * A trace is a path of labels with their frames, one of those that lead to its text.
 *
 * What no hypothesis needs any more is thrown away now and then, so memory grows with the
 * length of the text, not with that of the search.
 */
#ifndef S3R_DECODE_BEAM_TREE_H
#define S3R_DECODE_BEAM_TREE_H

#include "decode/search.h"

/* Symbols: a letter is its label. */
#define S3R_SYMBOL_KIND     0xc0000000u
#define S3R_SYMBOL_WORD     0x40000000u /* | number in the lexicon */
#define S3R_SYMBOL_LEAVE    0x80000000u /* | node where the word left the trie */
#define S3R_SYMBOL_UNKNOWN  0xc0000000u /* an unknown word ends */
#define S3R_SYMBOL_BOUNDARY 0xc0000001u /* without lexicon: a word ends */
#define S3R_NO_NODE         UINT32_MAX

typedef struct s3r_history {
    uint32_t parent, symbol;
    uint32_t letters;   /* of the word that is not finished, as far as they are symbols */
    uint32_t hot_node;  /* without lexicon: of the hot words; S3R_NO_NODE = none */
    uint32_t hot_state; /* of the hot phrases */
    uint32_t word_count;
    s3r_lm_state state;
    double lm;    /* log10, of all so far */
    double value; /* weighted, with word scores and boosts */
} s3r_history;

typedef struct s3r_trace {
    uint32_t parent;
    uint32_t label;
    uint32_t start;           /* frame */
    uint32_t parent_end;      /* the parent's end, exclusive */
    float parent_probability; /* mean of the parent's label over its frames */
} s3r_trace;

typedef struct s3r_beam_tree {
    const s3r_search *search;
    s3r_history *histories; /* 0 is the beginning */
    size_t history_count, history_capacity;
    uint32_t *slots; /* (parent, symbol) -> history + 1; 0 = free */
    size_t slot_count;
    s3r_trace *traces; /* 0 is the beginning */
    size_t trace_count, trace_capacity;
    size_t sweep_at; /* histories or traces from which on it pays to throw away */
} s3r_beam_tree;

s3r_status s3r_beam_tree_init(s3r_beam_tree *tree, const s3r_search *search,
                              s3r_error *err);
void s3r_beam_tree_release(s3r_beam_tree *tree);

/* The history that the symbol leads to; made when it is new.  S3R_ERR_RESOURCE. */
s3r_status s3r_history_child(s3r_beam_tree *tree, uint32_t *child, uint32_t parent,
                             uint32_t symbol, s3r_error *err);
s3r_status s3r_trace_add(s3r_beam_tree *tree, uint32_t *added, const s3r_trace *trace,
                         s3r_error *err);

static inline bool s3r_beam_tree_is_full(const s3r_beam_tree *tree)
{
    return tree->history_count > tree->sweep_at || tree->trace_count > tree->sweep_at;
}

/* Keeps what the named histories and traces [count] need; they receive their new numbers.
 * S3R_ERR_RESOURCE: nothing has changed. */
s3r_status s3r_beam_tree_sweep(s3r_beam_tree *tree, uint32_t *histories, uint32_t *traces,
                               size_t count, s3r_error *err);

/* log10 p of the end of the sentence after the history; 0 without a language model. */
double s3r_history_end(const s3r_beam_tree *tree, uint32_t history);

#endif
