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
    search->letters = search->label_words = search->lm_words = NULL;
    search->ahead = NULL;
}

/* So that a score of hours of words is a number. */
static bool is_weight(double value)
{
    return value >= -1e6 && value <= 1e6;
}

bool s3r_search_weights_are_valid(double lm_weight, double word_score)
{
    return lm_weight >= 0 && is_weight(lm_weight) && is_weight(word_score);
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
    if (!s3r_search_weights_are_valid(o->lm_weight, o->word_score) ||
        !is_weight(o->unknown_score))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "weights: expected numbers from -1000000 to 1000000, and an LM "
                        "weight of at least 0, found %g, %g and %g",
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

/* Children come behind their parents, so one way back through the nodes is enough. */
static void look_ahead(s3r_search *search)
{
    const s3r_lexicon *lexicon = search->lexicon;
    float *ahead = search->ahead;
    for (size_t i = lexicon->node_count; search->lm_words && i-- > 0;) {
        const s3r_trie_node *node = &lexicon->nodes[i];
        double score = -INFINITY;
        for (uint32_t j = node->first_word; j < node[1].first_word; j++)
            score = fmax(
                score, score_at_begin(search, search->lm_words[lexicon->node_words[j]]));
        for (uint32_t j = node->first_child; j < node[1].first_child; j++)
            score = fmax(score, (double)ahead[j]);
        ahead[i] = (float)score;
    }
    ahead[0] = 0;
}

void s3r_search_set_weights(s3r_search *search, double lm_weight, double word_score)
{
    s3r_search_options *o = &search->options;
    double most_boost = search->hot ? search->hot->most : 0;
    o->lm_weight = lm_weight;
    o->word_score = word_score;
    search->unknown_ahead = o->unknown_score;
    if (search->lm && !search->lm->has_characters)
        search->unknown_ahead += score_at_begin(search, S3R_WORD_UNKNOWN);
    search->most_gain = fmax(most_boost, o->unknown_score) + fmax(word_score, 0);
    if (search->lexicon)
        look_ahead(search);
}

s3r_status s3r_search_prepare(s3r_search *search, s3r_error *err)
{
    const s3r_lexicon *lexicon = search->lexicon;
    size_t labels = search->vocabulary->count;
    S3R_TRY(check(search, err));
    if (search->label_count == 0)
        search->label_count = labels;
    bool has_words = search->lm && lexicon && !search->lm->has_characters;
    bool has_characters = search->lm && search->lm->has_characters;
    search->letters = s3r_alloc(labels, sizeof *search->letters);
    search->letter_count = 0;
    if (has_characters)
        search->label_words = s3r_alloc(labels, sizeof *search->label_words);
    if (has_words)
        search->lm_words = s3r_alloc(lexicon->words.count, sizeof(uint32_t));
    if (lexicon)
        search->ahead = s3r_alloc(lexicon->node_count, sizeof *search->ahead);
    if (!search->letters || (has_characters && !search->label_words) ||
        (has_words && !search->lm_words) || (lexicon && !search->ahead)) {
        s3r_search_release(search);
        return s3r_fail_memory(err, "the search", labels * 8);
    }
    find_letters(search);
    find_lm_words(search);
    s3r_search_set_weights(search, search->options.lm_weight, search->options.word_score);
    return S3R_OK;
}
