/*
 * Histories are found by (parent, symbol) through open addressing.
 */
#include "decode/beam_tree.h"

#define FIRST_NODES ((size_t)4096)

s3r_status s3r_beam_tree_init(s3r_beam_tree *tree, const s3r_search *search,
                              s3r_error *err)
{
    *tree = (s3r_beam_tree){.search = search,
                            .history_capacity = FIRST_NODES,
                            .slot_count = 4 * FIRST_NODES,
                            .trace_capacity = FIRST_NODES,
                            .sweep_at = FIRST_NODES};
    tree->histories = s3r_alloc_raw(tree->history_capacity, sizeof *tree->histories);
    tree->slots = s3r_alloc(tree->slot_count, sizeof *tree->slots);
    tree->traces = s3r_alloc_raw(tree->trace_capacity, sizeof *tree->traces);
    if (!tree->histories || !tree->slots || !tree->traces) {
        s3r_beam_tree_release(tree);
        return s3r_fail_memory(err, "a beam", FIRST_NODES * sizeof(s3r_history));
    }
    tree->histories[0] = (s3r_history){.symbol = S3R_NO_LABEL};
    if (search->lm)
        tree->histories[0].state = s3r_lm_begin(search->lm);
    tree->traces[0] = (s3r_trace){.label = S3R_NO_LABEL};
    tree->history_count = tree->trace_count = 1;
    return S3R_OK;
}

void s3r_beam_tree_release(s3r_beam_tree *tree)
{
    s3r_free(tree->histories);
    s3r_free(tree->slots);
    s3r_free(tree->traces);
    *tree = (s3r_beam_tree){0};
}

/* ---- the language model ---- */

/* The word that the letters behind the last boundary spell. */
static uint32_t spelled_word(const s3r_beam_tree *tree, const s3r_history *history)
{
    char word[1024];
    size_t at = sizeof word;
    for (size_t left = history->letters; left > 0; left--) {
        const char *label = tree->search->vocabulary->labels[history->symbol];
        size_t length = strlen(label);
        if (length > at)
            return S3R_WORD_UNKNOWN;
        at -= length;
        memcpy(word + at, label, length);
        history = &tree->histories[history->parent];
    }
    return s3r_lm_find(tree->search->lm, word + at, sizeof word - at);
}

/* The language model's word for a symbol; S3R_NO_WORD when it says nothing yet. */
static uint32_t lm_word(const s3r_beam_tree *tree, const s3r_history *parent,
                        uint32_t symbol)
{
    const s3r_search *search = tree->search;
    uint32_t kind = symbol & S3R_SYMBOL_KIND;
    if (!search->lm || kind == S3R_SYMBOL_LEAVE)
        return S3R_NO_WORD;
    if (search->label_words)
        return kind == 0 ? search->label_words[symbol] : S3R_NO_WORD;
    if (kind == 0)
        return S3R_NO_WORD;
    if (kind == S3R_SYMBOL_WORD)
        return search->lm_words[symbol & ~S3R_SYMBOL_KIND];
    return symbol == S3R_SYMBOL_UNKNOWN ? S3R_WORD_UNKNOWN : spelled_word(tree, parent);
}

/* A model of characters hears the delimiter with the letter behind it, so that one at the
 * end of the audio changes nothing. */
static bool begins_later_word(const s3r_search *search, const s3r_history *from,
                              uint32_t symbol)
{
    return search->label_words && (symbol & S3R_SYMBOL_KIND) == 0 && from->letters == 0 &&
           from->word_count > 0 && search->vocabulary->delimiter_id != S3R_NO_LABEL;
}

static void hear(const s3r_search *search, s3r_history *history, uint32_t word)
{
    double prob =
        (double)s3r_lm_word_score(search->lm, &history->state, word, &history->state);
    history->lm += prob;
    history->value += search->options.lm_weight * prob;
}

/* The word that the symbol ends, as the hot phrases know it. */
static uint32_t hot_word(const s3r_search *search, const s3r_history *parent,
                         uint32_t symbol)
{
    const s3r_lexicon *words = search->hot->words;
    if ((symbol & S3R_SYMBOL_KIND) == S3R_SYMBOL_WORD)
        return symbol & ~S3R_SYMBOL_KIND;
    if (symbol != S3R_SYMBOL_BOUNDARY || parent->hot_node == S3R_NO_NODE)
        return S3R_NO_WORD;
    const s3r_trie_node *node = &words->nodes[parent->hot_node];
    return s3r_trie_word_count(node) > 0 ? words->node_words[node->first_word]
                                         : S3R_NO_WORD;
}

static bool ends_word(uint32_t symbol)
{
    uint32_t kind = symbol & S3R_SYMBOL_KIND;
    return kind == S3R_SYMBOL_WORD || kind == S3R_SYMBOL_UNKNOWN;
}

static uint32_t follow_hot(const s3r_search *search, uint32_t node, uint32_t label)
{
    if (!search->hot || search->lexicon || node == S3R_NO_NODE)
        return S3R_NO_NODE;
    uint32_t child = s3r_trie_child(search->hot->words, node, label);
    return child > 0 ? child : S3R_NO_NODE;
}

static s3r_history make_child(const s3r_beam_tree *tree, uint32_t parent, uint32_t symbol)
{
    const s3r_search *search = tree->search;
    const s3r_history *from = &tree->histories[parent];
    s3r_history to = *from;
    uint32_t word = lm_word(tree, from, symbol);
    to.parent = parent;
    to.symbol = symbol;
    if (begins_later_word(search, from, symbol))
        hear(search, &to, search->label_words[search->vocabulary->delimiter_id]);
    if (word != S3R_NO_WORD)
        hear(search, &to, word);
    if ((symbol & S3R_SYMBOL_KIND) == 0) {
        to.letters++;
        to.hot_node = follow_hot(search, from->hot_node, symbol);
    }
    if (!ends_word(symbol))
        return to;
    bool is_unknown = symbol == S3R_SYMBOL_UNKNOWN ||
                      (symbol == S3R_SYMBOL_BOUNDARY && !search->label_words &&
                       word == S3R_WORD_UNKNOWN);
    to.letters = to.hot_node = 0;
    to.word_count++;
    to.value +=
        search->options.word_score + (is_unknown ? search->options.unknown_score : 0);
    if (search->hot) {
        to.hot_state = s3r_hot_phrases_next(search->hot, from->hot_state,
                                            hot_word(search, from, symbol));
        to.value += (double)search->hot->states[to.hot_state].gain;
    }
    return to;
}

double s3r_history_end(const s3r_beam_tree *tree, uint32_t history)
{
    const s3r_lm *lm = tree->search->lm;
    s3r_lm_state state;
    return lm ? (double)s3r_lm_word_score(lm, &tree->histories[history].state,
                                          lm->end_word, &state)
              : 0;
}

/* ---- growing ---- */

static size_t slot_of(const s3r_beam_tree *tree, uint32_t parent, uint32_t symbol)
{
    uint64_t key = ((uint64_t)parent << 32 | symbol) * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(key >> 32) & (tree->slot_count - 1);
    while (tree->slots[at] > 0) {
        const s3r_history *found = &tree->histories[tree->slots[at] - 1];
        if (found->parent == parent && found->symbol == symbol)
            break;
        at = (at + 1) & (tree->slot_count - 1);
    }
    return at;
}

static void fill_slots(s3r_beam_tree *tree)
{
    for (size_t i = 1; i < tree->history_count; i++) {
        const s3r_history *h = &tree->histories[i];
        tree->slots[slot_of(tree, h->parent, h->symbol)] = (uint32_t)(i + 1);
    }
}

static s3r_status grow_histories(s3r_beam_tree *tree, s3r_error *err)
{
    size_t capacity = 2 * tree->history_capacity;
    if (capacity >= S3R_NO_NODE)
        return s3r_fail_memory(err, "a beam", capacity * sizeof(s3r_history));
    uint32_t *slots = s3r_alloc(4 * capacity, sizeof *slots);
    s3r_history *grown =
        s3r_realloc(tree->histories, tree->history_capacity, capacity, sizeof *grown);
    if (grown) {
        tree->histories = grown;
        tree->history_capacity = capacity;
    }
    if (!slots || !grown) {
        s3r_free(slots);
        return s3r_fail_memory(err, "a beam", capacity * sizeof(s3r_history));
    }
    s3r_free(tree->slots);
    tree->slots = slots;
    tree->slot_count = 4 * capacity;
    fill_slots(tree);
    return S3R_OK;
}

s3r_status s3r_history_child(s3r_beam_tree *tree, uint32_t *child, uint32_t parent,
                             uint32_t symbol, s3r_error *err)
{
    size_t at = slot_of(tree, parent, symbol);
    if (tree->slots[at] == 0) {
        if (tree->history_count == tree->history_capacity) {
            S3R_TRY(grow_histories(tree, err));
            at = slot_of(tree, parent, symbol);
        }
        tree->histories[tree->history_count] = make_child(tree, parent, symbol);
        tree->slots[at] = (uint32_t)++tree->history_count;
    }
    *child = tree->slots[at] - 1;
    return S3R_OK;
}

s3r_status s3r_trace_add(s3r_beam_tree *tree, uint32_t *added, const s3r_trace *trace,
                         s3r_error *err)
{
    if (tree->trace_count == tree->trace_capacity) {
        size_t capacity = 2 * tree->trace_capacity;
        s3r_trace *grown = NULL;
        if (capacity < S3R_NO_NODE)
            grown =
                s3r_realloc(tree->traces, tree->trace_capacity, capacity, sizeof *grown);
        if (!grown)
            return s3r_fail_memory(err, "a beam", capacity * sizeof *grown);
        tree->traces = grown;
        tree->trace_capacity = capacity;
    }
    *added = (uint32_t)tree->trace_count;
    tree->traces[tree->trace_count++] = *trace;
    return S3R_OK;
}

/* ---- throwing away ---- */

/* Parents come before their children, so numbers can be given in one pass. */
static void sweep_histories(s3r_beam_tree *tree, uint32_t *numbers)
{
    size_t kept = 0;
    for (size_t i = tree->history_count; i-- > 1;)
        if (numbers[i])
            numbers[tree->histories[i].parent] = 1;
    numbers[0] = 1;
    for (size_t i = 0; i < tree->history_count; i++) {
        if (!numbers[i])
            continue;
        s3r_history h = tree->histories[i];
        h.parent = numbers[h.parent];
        numbers[i] = (uint32_t)kept;
        tree->histories[kept++] = h;
    }
    tree->histories[0].parent = 0;
    tree->history_count = kept;
    memset(tree->slots, 0, tree->slot_count * sizeof *tree->slots);
    fill_slots(tree);
}

static void sweep_traces(s3r_beam_tree *tree, uint32_t *numbers)
{
    size_t kept = 0;
    for (size_t i = tree->trace_count; i-- > 1;)
        if (numbers[i])
            numbers[tree->traces[i].parent] = 1;
    numbers[0] = 1;
    for (size_t i = 0; i < tree->trace_count; i++) {
        if (!numbers[i])
            continue;
        s3r_trace t = tree->traces[i];
        t.parent = numbers[t.parent];
        numbers[i] = (uint32_t)kept;
        tree->traces[kept++] = t;
    }
    tree->traces[0].parent = 0;
    tree->trace_count = kept;
}

s3r_status s3r_beam_tree_sweep(s3r_beam_tree *tree, uint32_t *histories, uint32_t *traces,
                               size_t count, s3r_error *err)
{
    size_t most = S3R_MAX(tree->history_count, tree->trace_count);
    uint32_t *numbers = s3r_alloc(most, sizeof *numbers);
    if (!numbers)
        return s3r_fail_memory(err, "a beam", most * sizeof *numbers);
    for (size_t i = 0; i < count; i++)
        numbers[histories[i]] = 1;
    sweep_histories(tree, numbers);
    for (size_t i = 0; i < count; i++)
        histories[i] = numbers[histories[i]];
    memset(numbers, 0, most * sizeof *numbers);
    for (size_t i = 0; i < count; i++)
        numbers[traces[i]] = 1;
    sweep_traces(tree, numbers);
    for (size_t i = 0; i < count; i++)
        traces[i] = numbers[traces[i]];
    s3r_free(numbers);
    tree->sweep_at = FIRST_NODES + 2 * S3R_MAX(tree->history_count, tree->trace_count);
    return S3R_OK;
}
