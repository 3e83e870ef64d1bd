/*
 * The trie of phrases lies level by level, so a state's fallback, which has fewer words,
 * is known before it; and so are the states below it on the way back.
 */
#include "decode/hot_phrases.h"

void s3r_hot_phrases_release(s3r_hot_phrases *hot)
{
    s3r_lexicon_release(&hot->phrases);
    s3r_free(hot->boosts);
    s3r_free(hot->states);
    s3r_free(hot->credits);
    *hot = (s3r_hot_phrases){0};
}

s3r_status s3r_hot_phrases_add(s3r_hot_phrases *hot, const char *text,
                               const uint32_t *words, size_t count, float boost,
                               s3r_error *err)
{
    s3r_lexicon *phrases = &hot->phrases;
    size_t length = strlen(text);
    uint32_t id = s3r_word_table_find(&phrases->words, text, length);
    if (id == S3R_NO_WORD) {
        S3R_TRY(s3r_lexicon_add_spelling(phrases, text, length, words, count, err));
        id = (uint32_t)phrases->words.count - 1;
    }
    if (id >= hot->boost_capacity) {
        size_t capacity = 2 * hot->boost_capacity + 64;
        float *grown =
            s3r_realloc(hot->boosts, hot->boost_capacity, capacity, sizeof *grown);
        if (!grown)
            return s3r_fail_memory(err, "hot words", capacity * sizeof *grown);
        hot->boosts = grown;
        hot->boost_capacity = capacity;
    }
    hot->boosts[id] = boost;
    return S3R_OK;
}

/* ---- states ---- */

uint32_t s3r_hot_phrases_next(const s3r_hot_phrases *hot, uint32_t state, uint32_t word)
{
    for (;;) {
        uint32_t child = s3r_trie_child(&hot->phrases, state, word);
        if (child > 0 || state == 0)
            return child;
        state = hot->states[state].fallback;
    }
}

static void link_states(s3r_hot_phrases *hot)
{
    const s3r_trie_node *nodes = hot->phrases.nodes;
    s3r_phrase_state *states = hot->states;
    for (uint32_t parent = 0; parent < hot->phrases.node_count; parent++) {
        for (uint32_t i = nodes[parent].first_child; i < nodes[parent + 1].first_child;
             i++) {
            s3r_phrase_state *to = &states[i];
            to->depth = states[parent].depth + 1;
            if (parent > 0)
                to->fallback =
                    s3r_hot_phrases_next(hot, states[parent].fallback, nodes[i].label);
            if (s3r_trie_word_count(&nodes[i]) > 0)
                to->gain = hot->boosts[hot->phrases.node_words[nodes[i].first_word]];
            to->slope = to->gain / (float)to->depth;
            to->gain += states[to->fallback].gain;
        }
    }
    for (size_t i = hot->phrases.node_count; i-- > 0;)
        for (uint32_t j = nodes[i].first_child; j < nodes[i + 1].first_child; j++)
            states[i].slope = S3R_MAX(states[i].slope, states[j].slope);
}

/* ---- credits ---- */

static size_t slot_of(const s3r_hot_phrases *hot, uint32_t state, uint32_t node)
{
    uint64_t key = ((uint64_t)state << 32 | node) * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(key >> 32) & (hot->credit_slots - 1);
    while (hot->credits[at].credit > 0 &&
           (hot->credits[at].state != state || hot->credits[at].node != node))
        at = (at + 1) & (hot->credit_slots - 1);
    return at;
}

double s3r_hot_phrases_credit(const s3r_hot_phrases *hot, uint32_t state, uint32_t node)
{
    float best = 0;
    for (;; state = hot->states[state].fallback) {
        best = S3R_MAX(best, hot->credits[slot_of(hot, state, node)].credit);
        if (state == 0)
            return (double)best;
    }
}

/* What giving credits needs to know and then forgets. */
typedef struct credit_plan {
    struct {
        uint32_t parent, depth;
    } * nodes;        /* [nodes of words] */
    uint32_t *before; /* [states] the state that this one goes on from */
    uint32_t *same;   /* [states] another state that ends with the same word; 0 = none */
    uint32_t *last;   /* [words] a state that ends with the word; 0 = none */
} credit_plan;

static void release_plan(credit_plan *plan)
{
    s3r_free(plan->nodes);
    s3r_free(plan->before);
    s3r_free(plan->same);
    s3r_free(plan->last);
}

static s3r_status make_plan(credit_plan *plan, const s3r_hot_phrases *hot, s3r_error *err)
{
    const s3r_lexicon *words = hot->words;
    size_t states = hot->phrases.node_count;
    plan->nodes = s3r_alloc(words->node_count, sizeof *plan->nodes);
    plan->before = s3r_alloc(states, sizeof *plan->before);
    plan->same = s3r_alloc(states, sizeof *plan->same);
    plan->last = s3r_alloc(words->words.count, sizeof *plan->last);
    if (!plan->nodes || !plan->before || !plan->same || !plan->last)
        return s3r_fail_memory(err, "hot words", words->node_count * 8);
    for (uint32_t i = 0; i < words->node_count; i++)
        for (uint32_t j = words->nodes[i].first_child;
             j < words->nodes[i + 1].first_child; j++) {
            plan->nodes[j].parent = i;
            plan->nodes[j].depth = plan->nodes[i].depth + 1;
        }
    const s3r_trie_node *nodes = hot->phrases.nodes;
    for (uint32_t i = 0; i < states; i++)
        for (uint32_t j = nodes[i].first_child; j < nodes[i + 1].first_child; j++) {
            plan->before[j] = i;
            plan->same[j] = plan->last[nodes[j].label];
            plan->last[nodes[j].label] = j;
        }
    return S3R_OK;
}

static void give(s3r_hot_phrases *hot, uint32_t state, uint32_t node, float credit)
{
    if (credit > 0) {
        s3r_phrase_credit *held = &hot->credits[slot_of(hot, state, node)];
        *held = (s3r_phrase_credit){state, node, S3R_MAX(held->credit, credit)};
    }
}

/* The way to a state along one spelling of its last word, which ends at the node: the
 * number of places, which receive their credits when there is a table. */
static size_t give_way(s3r_hot_phrases *hot, const credit_plan *plan, uint32_t state,
                       uint32_t node)
{
    uint32_t before = plan->before[state];
    float slope = hot->states[state].slope, length = (float)plan->nodes[node].depth;
    size_t places = 1;
    for (;; node = plan->nodes[node].parent, places++) {
        float said =
            (float)hot->states[before].depth + (float)plan->nodes[node].depth / length;
        if (hot->credits)
            give(hot, before, node, slope * said);
        if (node == 0)
            return places;
    }
}

static size_t give_all(s3r_hot_phrases *hot, const credit_plan *plan)
{
    const s3r_lexicon *words = hot->words;
    size_t places = 0;
    for (uint32_t node = 1; node < words->node_count; node++) {
        const s3r_trie_node *n = &words->nodes[node];
        for (uint32_t i = n->first_word; i < n[1].first_word; i++)
            for (uint32_t state = plan->last[words->node_words[i]]; state > 0;
                 state = plan->same[state])
                places += give_way(hot, plan, state, node);
    }
    return places;
}

static s3r_status make_credits(s3r_hot_phrases *hot, s3r_error *err)
{
    credit_plan plan = {0};
    s3r_status status = make_plan(&plan, hot, err);
    if (status == S3R_OK) {
        size_t places = give_all(hot, &plan);
        hot->credit_slots = 64;
        while (hot->credit_slots < 2 * places)
            hot->credit_slots *= 2;
        hot->credits = s3r_alloc(hot->credit_slots, sizeof *hot->credits);
        if (hot->credits)
            give_all(hot, &plan);
        else
            status = s3r_fail_memory(err, "hot words",
                                     hot->credit_slots * sizeof *hot->credits);
    }
    release_plan(&plan);
    return status;
}

s3r_status s3r_hot_phrases_finish(s3r_hot_phrases *hot, const s3r_lexicon *words,
                                  s3r_error *err)
{
    float most_boost = 0, most_gain = 0;
    S3R_TRY(s3r_lexicon_finish(&hot->phrases, err));
    hot->words = words;
    hot->states = s3r_alloc(hot->phrases.node_count, sizeof *hot->states);
    if (!hot->states)
        return s3r_fail_memory(err, "hot words", hot->phrases.node_count);
    link_states(hot);
    for (size_t i = 0; i < hot->phrases.words.count; i++)
        most_boost = S3R_MAX(most_boost, hot->boosts[i]);
    for (size_t i = 0; i < hot->phrases.node_count; i++)
        most_gain = S3R_MAX(most_gain, hot->states[i].gain);
    hot->most = (double)most_boost + (double)most_gain;
    return make_credits(hot, err);
}
