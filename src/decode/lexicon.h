/*
 * The words that a search may find, and how the labels spell them, as a trie.
 *
 * A file has a line a word: "WORD", which the vocabulary spells, or "WORD<tab>W O R D |",
 * labels with spaces between (a delimiter at the end is left out).  A word may have
 * several spellings, a spelling several words.
 */
#ifndef S3R_DECODE_LEXICON_H
#define S3R_DECODE_LEXICON_H

#include "base/memory.h"
#include "decode/word_table.h"
#include "text/vocabulary.h"

#define S3R_LEXICON_LONGEST ((size_t)1024) /* labels of a spelling */

/* Nodes lie level by level, children in the order of their labels; so what belongs to a
 * node ends where that of the next node begins, and there is one node more at the end. */
typedef struct s3r_trie_node {
    uint32_t label; /* that leads here */
    uint32_t first_child;
    uint32_t first_word; /* in s3r_lexicon.node_words: spelled to here */
} s3r_trie_node;

typedef struct s3r_spelling {
    uint32_t word;
    uint32_t first_label, label_count; /* in s3r_lexicon.labels */
} s3r_spelling;

/* Zeroed before use; then words are added, then s3r_lexicon_finish makes the trie. */
typedef struct s3r_lexicon {
    s3r_word_table words;
    s3r_spelling *spellings;
    size_t spelling_count, spelling_capacity;
    uint32_t *labels; /* of all spellings */
    size_t label_count, label_capacity;
    s3r_trie_node *nodes; /* [node_count + 1] node 0 is the root */
    size_t node_count;
    uint32_t *node_words; /* words by node */
} s3r_lexicon;

void s3r_lexicon_release(s3r_lexicon *lexicon);

/*
 * Adds what a file says.  S3R_ERR_DATA names file, line and what is wrong: labels that
 * the vocabulary lacks (with their number and the case, when that is it), an empty
 * spelling, not UTF-8, no word at all; S3R_ERR_RESOURCE.
 */
s3r_status s3r_lexicon_open(s3r_lexicon *lexicon, const char *path,
                            const s3r_vocabulary *vocabulary, s3r_error *err);
s3r_status s3r_lexicon_parse(s3r_lexicon *lexicon, const char *bytes, size_t size,
                             const char *label, const s3r_vocabulary *vocabulary,
                             s3r_error *err);

/* Adds a word with the spelling of the vocabulary; *is_spelled tells whether there is one
 * whose labels, written one after another, are the word itself (nothing is added without:
 * another case, letters that are missing).  S3R_ERR_RESOURCE. */
s3r_status s3r_lexicon_add(s3r_lexicon *lexicon, const char *word,
                           const s3r_vocabulary *vocabulary, bool *is_spelled,
                           s3r_error *err);

/* Adds a spelling [count] of the word, which may have others: at most S3R_LEXICON_LONGEST
 * labels.  S3R_ERR_RESOURCE. */
s3r_status s3r_lexicon_add_spelling(s3r_lexicon *lexicon, const char *word, size_t size,
                                    const uint32_t *labels, size_t count, s3r_error *err);

/* Makes the trie of what was added; words cannot be added or searched any more.
 * S3R_ERR_RESOURCE. */
s3r_status s3r_lexicon_finish(s3r_lexicon *lexicon, s3r_error *err);

static inline uint32_t s3r_trie_child_count(const s3r_trie_node *node)
{
    return node[1].first_child - node->first_child;
}

static inline uint32_t s3r_trie_word_count(const s3r_trie_node *node)
{
    return node[1].first_word - node->first_word;
}

/* The child that the label leads to; 0 when there is none. */
uint32_t s3r_trie_child(const s3r_lexicon *lexicon, uint32_t node, uint32_t label);

#endif
