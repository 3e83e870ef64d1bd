/*
 * One frame: every hypothesis goes on with a blank, with its label again, or with a new
 * one; equal candidates are joined; the best stay.
 */
#include "decode/beam_search.h"

#include <math.h>
#include <stdlib.h>

#include "decode/beam_hypothesis.h"

#define FIRST_CANDIDATES ((size_t)1024)
#define LEAST_LOG_PROB   (-1e4f) /* for minus infinity */

void s3r_beam_destroy(s3r_beam *beam)
{
    if (!beam)
        return;
    s3r_beam_tree_release(&beam->tree);
    s3r_free(beam->hypotheses);
    s3r_free(beam->candidates);
    s3r_free(beam->slots);
    s3r_free(beam->frame);
    s3r_free(beam->may_begin);
    s3r_free(beam->ranked);
    s3r_free(beam);
}

s3r_status s3r_beam_create(s3r_beam **out, const s3r_search *search, s3r_error *err)
{
    size_t labels = search->label_count;
    s3r_beam *beam = s3r_alloc(1, sizeof *beam);
    if (!beam)
        return s3r_fail_memory(err, "a beam", sizeof *beam);
    beam->search = search;
    beam->candidate_capacity = FIRST_CANDIDATES;
    beam->slot_count = 4 * FIRST_CANDIDATES;
    beam->hypotheses = s3r_alloc(search->options.beam, sizeof *beam->hypotheses);
    beam->candidates = s3r_alloc_raw(FIRST_CANDIDATES, sizeof *beam->candidates);
    beam->slots = s3r_alloc(beam->slot_count, sizeof *beam->slots);
    beam->frame = s3r_alloc(labels, sizeof *beam->frame);
    beam->may_begin = s3r_alloc(labels, sizeof *beam->may_begin);
    beam->ranked = s3r_alloc(labels, sizeof *beam->ranked);
    bool is_made = beam->hypotheses && beam->candidates && beam->slots && beam->frame &&
                   beam->may_begin && beam->ranked;
    s3r_status status = is_made ? s3r_beam_tree_init(&beam->tree, search, err)
                                : s3r_fail_memory(err, "a beam", labels);
    if (status != S3R_OK) {
        s3r_beam_destroy(beam);
        return status;
    }
    beam->temperature = 1;
    beam->count = 1;
    beam->hypotheses[0] = (s3r_hypothesis_state){.last = search->vocabulary->blank_id};
    *out = beam;
    return S3R_OK;
}

/* ---- candidates ---- */

static double look_ahead(const s3r_beam *beam, uint32_t history, uint32_t node)
{
    const s3r_search *search = beam->search;
    const s3r_history *h = &beam->tree.histories[history];
    if (node == S3R_NODE_UNKNOWN)
        return search->unknown_ahead;
    double ahead = search->lexicon ? (double)search->ahead[node] : 0;
    uint32_t at = search->lexicon ? node : h->hot_node;
    if (search->hot && at != S3R_NO_NODE)
        ahead += s3r_hot_phrases_credit(search->hot, h->hot_state, at);
    return ahead;
}

static size_t find_slot(const s3r_beam *beam, const s3r_beam_candidate *c)
{
    uint64_t key = ((uint64_t)c->history << 32 | c->node) * 0x9e3779b97f4a7c15u;
    key = (key ^ c->last) * 0xbf58476d1ce4e5b9u;
    size_t at = (size_t)(key >> 32) & (beam->slot_count - 1);
    for (; beam->slots[at] > 0; at = (at + 1) & (beam->slot_count - 1)) {
        const s3r_beam_candidate *found = &beam->candidates[beam->slots[at] - 1];
        if (found->history == c->history && found->node == c->node &&
            found->last == c->last)
            break;
    }
    return at;
}

static s3r_status grow_candidates(s3r_beam *beam, s3r_error *err)
{
    size_t capacity = 2 * beam->candidate_capacity;
    uint32_t *slots = s3r_alloc(4 * capacity, sizeof *slots);
    s3r_beam_candidate *grown = NULL;
    if (slots)
        grown = s3r_realloc(beam->candidates, beam->candidate_capacity, capacity,
                            sizeof *grown);
    if (!grown) {
        s3r_free(slots);
        return s3r_fail_memory(err, "a beam", capacity * sizeof *grown);
    }
    beam->candidates = grown;
    beam->candidate_capacity = capacity;
    s3r_free(beam->slots);
    beam->slots = slots;
    beam->slot_count = 4 * capacity;
    for (size_t i = 0; i < beam->candidate_count; i++)
        beam->slots[find_slot(beam, &beam->candidates[i])] = (uint32_t)(i + 1);
    return S3R_OK;
}

/* Of equal candidates the better path stays. */
static s3r_status push(s3r_beam *beam, s3r_beam_candidate c, s3r_error *err)
{
    c.score = c.emission + beam->tree.histories[c.history].value +
              look_ahead(beam, c.history, c.node);
    if (c.score < beam->best - beam->search->options.threshold)
        return S3R_OK;
    beam->best = fmax(beam->best, c.score);
    size_t at = find_slot(beam, &c);
    if (beam->slots[at] == 0 && beam->candidate_count == beam->candidate_capacity) {
        S3R_TRY(grow_candidates(beam, err));
        at = find_slot(beam, &c);
    }
    if (beam->slots[at] == 0) {
        c.order = (uint32_t)beam->candidate_count;
        beam->candidates[beam->candidate_count++] = c;
        beam->slots[at] = (uint32_t)beam->candidate_count;
        return S3R_OK;
    }
    s3r_beam_candidate *held = &beam->candidates[beam->slots[at] - 1];
    if (c.score > held->score) {
        c.order = held->order;
        *held = c;
    }
    return S3R_OK;
}

/* ---- one hypothesis ---- */

/* A hypothesis with one more label; the parts that all its continuations share. */
typedef struct step {
    s3r_beam *beam;
    uint32_t from;
    const s3r_hypothesis_state *h;
    uint32_t label;
} step;

static s3r_beam_candidate with_label(const step *s, uint32_t history, uint32_t node)
{
    return (s3r_beam_candidate){.emission =
                                    s->h->emission + (double)s->beam->frame[s->label],
                                .history = history,
                                .node = node,
                                .last = s->label,
                                .from = s->from,
                                .begins_label = true};
}

/* Whether the label could still be among the best, whatever its words bring: asking the
 * language model costs more than all the rest. */
static bool is_worth_it(const step *s)
{
    const s3r_beam *beam = s->beam;
    double most = s->h->emission + (double)beam->frame[s->label] +
                  beam->tree.histories[s->h->history].value + beam->search->most_gain;
    return most >= beam->best - beam->search->options.threshold;
}

static bool may_follow(const step *s)
{
    return s->label != s->h->last && s->beam->may_begin[s->label];
}

/* The history of one more symbol, as a candidate at the node. */
static s3r_status push_symbol(const step *s, uint32_t history, uint32_t symbol,
                              uint32_t node, s3r_error *err)
{
    uint32_t child;
    S3R_TRY(s3r_history_child(&s->beam->tree, &child, history, symbol, err));
    return push(s->beam, with_label(s, child, node), err);
}

/* All words that end at the node. */
static s3r_status push_words(const step *s, uint32_t history, uint32_t node,
                             s3r_error *err)
{
    const s3r_lexicon *lexicon = s->beam->search->lexicon;
    const s3r_trie_node *n = &lexicon->nodes[node];
    for (uint32_t i = 0; i < s3r_trie_word_count(n); i++)
        S3R_TRY(push_symbol(s, history,
                            S3R_SYMBOL_WORD | lexicon->node_words[n->first_word + i], 0,
                            err));
    return S3R_OK;
}

/* The word so far becomes an unknown one, when it has not already. */
static s3r_status leave_trie(const step *s, uint32_t *history, s3r_error *err)
{
    *history = s->h->history;
    if (s->h->node == S3R_NODE_UNKNOWN)
        return S3R_OK;
    return s3r_history_child(&s->beam->tree, history, s->h->history,
                             S3R_SYMBOL_LEAVE | s->h->node, err);
}

/* The delimiter, with a lexicon. */
static s3r_status end_word(const step *s, s3r_error *err)
{
    const s3r_hypothesis_state *h = s->h;
    const s3r_search *search = s->beam->search;
    uint32_t history;
    if (h->node == 0) {
        s3r_beam_candidate c = with_label(s, h->history, 0);
        c.begins_label = false;
        return push(s->beam, c, err);
    }
    if (!is_worth_it(s))
        return S3R_OK;
    if (h->node != S3R_NODE_UNKNOWN &&
        s3r_trie_word_count(&search->lexicon->nodes[h->node]) > 0)
        return push_words(s, h->history, h->node, err);
    if (!search->options.allows_unknown)
        return S3R_OK;
    S3R_TRY(leave_trie(s, &history, err));
    return push_symbol(s, history, S3R_SYMBOL_UNKNOWN, 0, err);
}

/* A letter that the trie has here.  With a language model of characters it is a symbol of
 * the history too. */
static s3r_status enter_child(const step *s, uint32_t child, s3r_error *err)
{
    const s3r_search *search = s->beam->search;
    const s3r_trie_node *node = &search->lexicon->nodes[child];
    uint32_t history = s->h->history;
    if (search->label_words) {
        if (!is_worth_it(s))
            return S3R_OK;
        S3R_TRY(s3r_history_child(&s->beam->tree, &history, history, s->label, err));
    }
    if (search->vocabulary->delimiter_id != S3R_NO_LABEL)
        return push(s->beam, with_label(s, history, child), err);
    if (s3r_trie_child_count(node) > 0)
        S3R_TRY(push(s->beam, with_label(s, history, child), err));
    return is_worth_it(s) ? push_words(s, history, child, err) : S3R_OK;
}

static s3r_status expand_in_trie(step *s, s3r_error *err)
{
    const s3r_lexicon *lexicon = s->beam->search->lexicon;
    const s3r_trie_node *node = &lexicon->nodes[s->h->node];
    for (uint32_t i = 0; i < s3r_trie_child_count(node); i++) {
        uint32_t child = node->first_child + i;
        s->label = lexicon->nodes[child].label;
        if (may_follow(s))
            S3R_TRY(enter_child(s, child, err));
    }
    return S3R_OK;
}

/* Letters that lead out of the trie, or go on outside. */
static s3r_status expand_unknown(step *s, s3r_error *err)
{
    const s3r_search *search = s->beam->search;
    for (size_t i = 0; i < search->letter_count; i++) {
        uint32_t history;
        s->label = search->letters[i];
        bool is_inside = s->h->node != S3R_NODE_UNKNOWN &&
                         s3r_trie_child(search->lexicon, s->h->node, s->label) > 0;
        if (is_inside || !may_follow(s) || !is_worth_it(s))
            continue;
        S3R_TRY(leave_trie(s, &history, err));
        S3R_TRY(push_symbol(s, history, s->label, S3R_NODE_UNKNOWN, err));
    }
    return S3R_OK;
}

/* Without a lexicon every letter may follow. */
static s3r_status expand_free(step *s, s3r_error *err)
{
    const s3r_search *search = s->beam->search;
    for (size_t i = 0; i < search->letter_count; i++) {
        s->label = search->letters[i];
        if (may_follow(s) && is_worth_it(s))
            S3R_TRY(push_symbol(s, s->h->history, s->label, 0, err));
    }
    s->label = search->vocabulary->delimiter_id;
    if (s->label == S3R_NO_LABEL || !may_follow(s))
        return S3R_OK;
    if (s->beam->tree.histories[s->h->history].letters > 0)
        return is_worth_it(s) ? push_symbol(s, s->h->history, S3R_SYMBOL_BOUNDARY, 0, err)
                              : S3R_OK;
    s3r_beam_candidate c = with_label(s, s->h->history, 0);
    c.begins_label = false;
    return push(s->beam, c, err);
}

static s3r_status expand(s3r_beam *beam, uint32_t from, s3r_error *err)
{
    const s3r_search *search = beam->search;
    const s3r_hypothesis_state *h = &beam->hypotheses[from];
    uint32_t blank = search->vocabulary->blank_id;
    step s = {.beam = beam, .from = from, .h = h};
    s3r_beam_candidate c = {.emission = h->emission + (double)beam->frame[blank],
                            .history = h->history,
                            .node = h->node,
                            .last = blank,
                            .from = from};
    S3R_TRY(push(beam, c, err));
    if (h->last != blank) {
        c.emission = h->emission + (double)beam->frame[h->last];
        c.last = h->last;
        c.extends_label = h->is_open;
        S3R_TRY(push(beam, c, err));
    }
    if (!search->lexicon)
        return expand_free(&s, err);
    if (h->node != S3R_NODE_UNKNOWN)
        S3R_TRY(expand_in_trie(&s, err));
    if (search->options.allows_unknown)
        S3R_TRY(expand_unknown(&s, err));
    s.label = search->vocabulary->delimiter_id;
    return s.label != S3R_NO_LABEL && may_follow(&s) ? end_word(&s, err) : S3R_OK;
}

/* ---- one frame ---- */

static int compare_candidates(const void *a, const void *b)
{
    const s3r_beam_candidate *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* The best `beam` candidates within the threshold come first, sorted. */
static size_t prune(s3r_beam *beam)
{
    double least = beam->best - beam->search->options.threshold;
    size_t kept = 0;
    for (size_t i = 0; i < beam->candidate_count; i++)
        if (beam->candidates[i].score >= least)
            beam->candidates[kept++] = beam->candidates[i];
    qsort(beam->candidates, kept, sizeof *beam->candidates, compare_candidates);
    return S3R_MIN(kept, beam->search->options.beam);
}

/* The candidate as a hypothesis, with its label in the trace. */
static s3r_status adopt(s3r_beam *beam, s3r_hypothesis_state *to,
                        const s3r_beam_candidate *c, s3r_error *err)
{
    const s3r_hypothesis_state *from = &beam->hypotheses[c->from];
    *to = *from;
    to->score = c->score;
    to->emission = c->emission;
    to->history = c->history;
    to->node = c->node;
    to->last = c->last;
    to->is_open = c->begins_label || c->extends_label;
    if (!to->is_open)
        return S3R_OK;
    double probability =
        exp((double)beam->frame[c->last] / beam->temperature - beam->log_sum);
    to->end = beam->frames + 1;
    to->probability = c->extends_label ? from->probability + probability : probability;
    if (c->extends_label)
        return S3R_OK;
    uint32_t length = from->end - beam->tree.traces[from->trace].start;
    const s3r_trace trace = {.parent = from->trace,
                             .label = c->last,
                             .start = beam->frames,
                             .parent_end = from->end,
                             .parent_probability =
                                 (float)(from->probability / S3R_MAX(length, 1u))};
    return s3r_trace_add(&beam->tree, &to->trace, &trace, err);
}

/* Numbers of the tree change. */
static s3r_status sweep(s3r_beam *beam, s3r_error *err)
{
    size_t count = beam->count;
    uint32_t *numbers = s3r_alloc(count, 2 * sizeof *numbers);
    if (!numbers)
        return s3r_fail_memory(err, "a beam", count * 2 * sizeof *numbers);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = beam->hypotheses[i].history;
        numbers[count + i] = beam->hypotheses[i].trace;
    }
    s3r_status status =
        s3r_beam_tree_sweep(&beam->tree, numbers, numbers + count, count, err);
    for (size_t i = 0; status == S3R_OK && i < count; i++) {
        beam->hypotheses[i].history = numbers[i];
        beam->hypotheses[i].trace = numbers[count + i];
    }
    s3r_free(numbers);
    return status;
}

static s3r_status run_frame(s3r_beam *beam, s3r_error *err)
{
    s3r_hypothesis_state *next = s3r_alloc_raw(beam->search->options.beam, sizeof *next);
    if (!next)
        return s3r_fail_memory(err, "a beam", beam->search->options.beam * sizeof *next);
    s3r_status status = S3R_OK;
    beam->candidate_count = 0;
    beam->best = -INFINITY;
    memset(beam->slots, 0, beam->slot_count * sizeof *beam->slots);
    for (uint32_t i = 0; status == S3R_OK && i < beam->count; i++)
        status = expand(beam, i, err);
    size_t kept = status == S3R_OK ? prune(beam) : 0;
    for (size_t i = 0; status == S3R_OK && i < kept; i++)
        status = adopt(beam, &next[i], &beam->candidates[i], err);
    if (status != S3R_OK) {
        s3r_free(next);
        return status;
    }
    s3r_free(beam->hypotheses);
    beam->hypotheses = next;
    beam->count = kept;
    beam->frames++;
    return s3r_beam_tree_is_full(&beam->tree) ? sweep(beam, err) : S3R_OK;
}

/* ---- frames ---- */

void s3r_beam_set_temperature(s3r_beam *beam, double temperature)
{
    beam->temperature = temperature;
}

/* What probabilities at the temperature are divided by, as a logarithm; 0 at 1. */
static double log_sum_of(const s3r_beam *beam)
{
    size_t labels = beam->search->label_count;
    double sum = 0, most = -INFINITY;
    if (beam->temperature == 1)
        return 0;
    for (size_t i = 0; i < labels; i++)
        most = fmax(most, (double)beam->frame[i]);
    for (size_t i = 0; i < labels; i++)
        sum += exp(((double)beam->frame[i] - most) / beam->temperature);
    return most / beam->temperature + log(sum);
}

/* Marks the likeliest labels; of equals the first. */
static void choose_labels(s3r_beam *beam)
{
    size_t labels = beam->search->label_count;
    size_t most = beam->search->options.token_beam, held = 0;
    if (most == 0 || most >= labels) {
        memset(beam->may_begin, 1, labels);
        return;
    }
    memset(beam->may_begin, 0, labels);
    for (uint32_t i = 0; i < labels; i++) {
        size_t at = held;
        while (at > 0 && beam->frame[i] > beam->frame[beam->ranked[at - 1]])
            at--;
        if (at == most)
            continue;
        held = S3R_MIN(held + 1, most);
        memmove(beam->ranked + at + 1, beam->ranked + at,
                (held - at - 1) * sizeof *beam->ranked);
        beam->ranked[at] = i;
    }
    for (size_t i = 0; i < held; i++)
        beam->may_begin[beam->ranked[i]] = true;
}

s3r_status s3r_beam_add(s3r_beam *beam, const float *log_probs, size_t count,
                        size_t stride, s3r_error *err)
{
    size_t labels = beam->search->label_count;
    for (size_t i = 0; i < count; i++) {
        const float *row = log_probs + i * stride;
        for (size_t j = 0; j < labels; j++) {
            if (!(row[j] <= 1e4f))
                return s3r_fail(err, S3R_ERR_DATA,
                                "frame %u: expected finite log-probabilities, found %g",
                                beam->frames, (double)row[j]);
            beam->frame[j] = fmaxf(row[j], LEAST_LOG_PROB);
        }
        beam->log_sum = log_sum_of(beam);
        choose_labels(beam);
        S3R_TRY(run_frame(beam, err));
    }
    return S3R_OK;
}
