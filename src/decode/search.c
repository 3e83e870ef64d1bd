/*
 * Preparing a search: what letters are, which words the language model knows, and the
 * look-ahead.
 */
#include "decode/search.h"

#include <math.h>

void s3r_search_options_init(s3r_search_options *options)
{
    *options = (s3r_search_options){
        .beam = 50, .threshold = 25, .lm_weight = 2, .word_score = -1};
}

void s3r_search_release(s3r_search *search)
{
    s3r_free(search->letters);
    s3r_free(search->label_words);
    s3r_free(search->lm_words);
    s3r_free(search->ahead);
    s3r_free(search->slopes);
    search->letters = search->label_words = search->lm_words = NULL;
    search->ahead = search->slopes = NULL;
}

static const s3r_lexicon *trie_of(const s3r_search *search)
{
    return search->lexicon ? search->lexicon : search->hot;
}

static s3r_status check(const s3r_search *search, s3r_error *err)
{
    const s3r_search_options *o = &search->options;
    bool has_delimiter = search->vocabulary->delimiter_id != S3R_NO_LABEL;
    if (o->beam == 0 || o->beam > 1000000)
        return s3r_fail(err, S3R_ERR_USAGE, "beam: expected 1 to 1000000, found %zu",
                        o->beam);
    if (!(o->threshold > 0))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "beam threshold: expected more than 0, found %g", o->threshold);
    if (!(o->lm_weight >= 0) || !isfinite(o->lm_weight) || !isfinite(o->word_score) ||
        !isfinite(o->unknown_score))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "weights: expected finite numbers, and an LM weight of at least "
                        "0, found %g, %g and %g",
                        o->lm_weight, o->word_score, o->unknown_score);
    bool wants_delimiter = o->allows_unknown && search->lexicon;
    if (!search->lexicon && search->lm && !search->lm->has_characters)
        wants_delimiter = true;
    if (wants_delimiter && !has_delimiter)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: has no label between words, so words need a lexicon, and "
                        "unknown ones cannot be told apart",
                        search->vocabulary->path);
    return S3R_OK;
}

static void find_letters(s3r_search *search)
{
    const s3r_vocabulary *v = search->vocabulary;
    for (uint32_t i = 0; i < search->label_count; i++)
        if (i != v->blank_id && i != v->delimiter_id && !v->is_special[i] &&
            v->printed[i])
            search->letters[search->letter_count++] = i;
}

static void find_lm_words(s3r_search *search)
{
    const s3r_vocabulary *v = search->vocabulary;
    for (uint32_t i = 0; search->label_words && i < v->count; i++) {
        const char *label = i == v->delimiter_id ? S3R_LM_DELIMITER : v->labels[i];
        search->label_words[i] = s3r_lm_find(search->lm, label, strlen(label));
    }
    for (uint32_t i = 0; search->lm_words && i < search->lexicon->words.count; i++) {
        const char *word = s3r_word_table_word(&search->lexicon->words, i);
        search->lm_words[i] = s3r_lm_find(search->lm, word, strlen(word));
    }
}

static double score_at_begin(const s3r_search *search, uint32_t word)
{
    s3r_lm_state state = s3r_lm_begin(search->lm);
    return search->options.lm_weight *
           (double)s3r_lm_word_score(search->lm, &state, word, &state);
}

/* The best word that ends at the node: its score, and its boost a letter. */
static void rate_node(const s3r_search *search, const s3r_trie_node *node, size_t depth,
                      double *score, double *boost)
{
    const s3r_lexicon *trie = trie_of(search);
    for (uint32_t i = node->first_word; i < node[1].first_word; i++) {
        uint32_t word = trie->node_words[i];
        if (search->lm_words)
            *score = fmax(*score, score_at_begin(search, search->lm_words[word]));
        if (search->boosts)
            *boost = fmax(*boost, (double)search->boosts[word] / (double)depth);
    }
}

/* Where the levels of the trie begin, and the one that a walk through the nodes is on. */
typedef struct level_walk {
    size_t depth;
    size_t starts[S3R_LEXICON_LONGEST + 1];
} level_walk;

static void find_levels(level_walk *walk, const s3r_lexicon *trie)
{
    walk->depth = walk->starts[0] = 0;
    for (size_t at = trie->nodes[0].first_child;
         at < trie->node_count && walk->depth < S3R_LEXICON_LONGEST;
         at = trie->nodes[at].first_child)
        walk->starts[++walk->depth] = at;
}

/* Children come behind their parents, so one way back through the nodes is enough: ahead
 * holds the best score below, slopes (when there are boosts) the greatest boost a letter.
 */
static void look_ahead(s3r_search *search)
{
    const s3r_lexicon *trie = trie_of(search);
    float *ahead = search->ahead, *slopes = search->slopes;
    level_walk walk;
    find_levels(&walk, trie);
    size_t deepest = walk.depth;
    for (size_t i = trie->node_count; i-- > 0;) {
        const s3r_trie_node *node = &trie->nodes[i];
        double score = -INFINITY, boost = 0;
        walk.depth -= i < walk.starts[walk.depth];
        rate_node(search, node, walk.depth, &score, &boost);
        for (uint32_t j = node->first_child; j < node[1].first_child; j++) {
            score = fmax(score, (double)ahead[j]);
            boost = fmax(boost, slopes ? (double)slopes[j] : 0);
        }
        ahead[i] = (float)score;
        if (slopes)
            slopes[i] = (float)boost;
    }
    walk.depth = 0;
    for (size_t i = 0; i < trie->node_count; i++) {
        walk.depth += walk.depth < deepest && i >= walk.starts[walk.depth + 1];
        double score = search->lm_words && isfinite(ahead[i]) ? (double)ahead[i] : 0;
        ahead[i] = (float)(score + (slopes ? (double)slopes[i] * (double)walk.depth : 0));
    }
    ahead[0] = 0;
}

void s3r_search_set_weights(s3r_search *search, double lm_weight, double word_score)
{
    const s3r_lexicon *trie = trie_of(search);
    s3r_search_options *o = &search->options;
    double most_boost = 0;
    o->lm_weight = lm_weight;
    o->word_score = word_score;
    search->unknown_ahead = o->unknown_score;
    if (search->lm && !search->lm->has_characters)
        search->unknown_ahead += score_at_begin(search, S3R_WORD_UNKNOWN);
    for (size_t i = 0; search->boosts && i < trie->words.count; i++)
        most_boost = fmax(most_boost, (double)search->boosts[i]);
    search->most_gain = fmax(fmax(most_boost, o->unknown_score) + word_score, most_boost);
    search->most_gain = fmax(search->most_gain, 0);
    if (trie)
        look_ahead(search);
}

s3r_status s3r_search_prepare(s3r_search *search, s3r_error *err)
{
    const s3r_lexicon *trie = trie_of(search);
    size_t labels = search->vocabulary->count;
    S3R_TRY(check(search, err));
    if (search->label_count == 0)
        search->label_count = labels;
    bool has_words = search->lm && search->lexicon && !search->lm->has_characters;
    bool has_characters = search->lm && search->lm->has_characters;
    search->letters = s3r_alloc(labels, sizeof *search->letters);
    search->letter_count = 0;
    if (has_characters)
        search->label_words = s3r_alloc(labels, sizeof *search->label_words);
    if (has_words)
        search->lm_words = s3r_alloc(search->lexicon->words.count, sizeof(uint32_t));
    if (trie)
        search->ahead = s3r_alloc(trie->node_count, sizeof *search->ahead);
    if (trie && search->boosts)
        search->slopes = s3r_alloc(trie->node_count, sizeof *search->slopes);
    if (!search->letters || (has_characters && !search->label_words) ||
        (has_words && !search->lm_words) || (trie && !search->ahead) ||
        (trie && search->boosts && !search->slopes)) {
        s3r_search_release(search);
        return s3r_fail_memory(err, "the search", labels * 8);
    }
    find_letters(search);
    find_lm_words(search);
    s3r_search_set_weights(search, search->options.lm_weight, search->options.word_score);
    return S3R_OK;
}
