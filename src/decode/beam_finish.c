/*
 * The end: words are finished, the end of the sentence is scored, texts are made.
 */
#include <math.h>
#include <stdlib.h>

#include "decode/beam_hypothesis.h"
#include "decode/beam_words.h"

/* A hypothesis at the end of the audio. */
typedef struct final_hypothesis {
    double score;
    uint32_t history;
    uint32_t from; /* hypothesis */
    bool is_cut;   /* the last word was given up */
} final_hypothesis;

typedef struct final_list {
    final_hypothesis *items;
    size_t count, capacity;
} final_list;

static void release_decoded(s3r_decoded *decoded)
{
    s3r_free(decoded->text);
    s3r_free(decoded->spans);
    s3r_free(decoded->probabilities);
    s3r_word_list_release(&decoded->words);
    *decoded = (s3r_decoded){0};
}

void s3r_decodings_release(s3r_decodings *decodings)
{
    for (size_t i = 0; decodings->items && i < decodings->count; i++)
        release_decoded(&decodings->items[i]);
    s3r_free(decodings->items);
    *decodings = (s3r_decodings){0};
}

/* ---- finishing words ---- */

static s3r_status put_final(const s3r_beam *beam, final_list *list, uint32_t from,
                            uint32_t history, bool is_cut, s3r_error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = 2 * list->capacity + 64;
        final_hypothesis *grown =
            s3r_realloc(list->items, list->capacity, capacity, sizeof *grown);
        if (!grown)
            return s3r_fail_memory(err, "results", capacity * sizeof *grown);
        list->items = grown;
        list->capacity = capacity;
    }
    double score =
        beam->hypotheses[from].emission + beam->tree.histories[history].value +
        beam->search->options.lm_weight * s3r_history_end(&beam->tree, history);
    list->items[list->count++] = (final_hypothesis){score, history, from, is_cut};
    return S3R_OK;
}

static s3r_status finish_word(s3r_beam *beam, final_list *list, uint32_t from,
                              uint32_t history, uint32_t symbol, s3r_error *err)
{
    uint32_t child;
    S3R_TRY(s3r_history_child(&beam->tree, &child, history, symbol, err));
    return put_final(beam, list, from, child, false, err);
}

static s3r_status finish_in_trie(s3r_beam *beam, final_list *list, uint32_t from,
                                 s3r_error *err)
{
    const s3r_search *search = beam->search;
    const s3r_hypothesis_state *h = &beam->hypotheses[from];
    uint32_t history = h->history, node = h->node;
    if (node == 0)
        return put_final(beam, list, from, history, false, err);
    bool is_outside = node == S3R_NODE_UNKNOWN;
    const s3r_trie_node *n = is_outside ? NULL : &search->lexicon->nodes[node];
    /* without a delimiter words ended with their last label */
    bool has_delimiter = search->vocabulary->delimiter_id != S3R_NO_LABEL;
    for (uint32_t i = 0; n && has_delimiter && i < s3r_trie_word_count(n); i++)
        S3R_TRY(finish_word(
            beam, list, from, history,
            S3R_SYMBOL_WORD | search->lexicon->node_words[n->first_word + i], err));
    if ((n && s3r_trie_word_count(n) > 0) || !search->options.allows_unknown)
        return S3R_OK;
    if (!is_outside)
        S3R_TRY(s3r_history_child(&beam->tree, &history, history, S3R_SYMBOL_LEAVE | node,
                                  err));
    return finish_word(beam, list, from, history, S3R_SYMBOL_UNKNOWN, err);
}

static s3r_status finish_free(s3r_beam *beam, final_list *list, uint32_t from,
                              s3r_error *err)
{
    uint32_t history = beam->hypotheses[from].history;
    if (beam->tree.histories[history].letters == 0)
        return put_final(beam, list, from, history, false, err);
    return finish_word(beam, list, from, history, S3R_SYMBOL_BOUNDARY, err);
}

static int compare_finals(const void *a, const void *b)
{
    const final_hypothesis *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->from > y->from) - (x->from < y->from);
}

static s3r_status list_finals(s3r_beam *beam, final_list *list, s3r_error *err)
{
    for (uint32_t i = 0; i < beam->count; i++)
        S3R_TRY(beam->search->lexicon ? finish_in_trie(beam, list, i, err)
                                      : finish_free(beam, list, i, err));
    for (uint32_t i = 0; list->count == 0 && i < beam->count; i++)
        S3R_TRY(put_final(beam, list, i, beam->hypotheses[i].history, true, err));
    qsort(list->items, list->count, sizeof *list->items, compare_finals);
    return S3R_OK;
}

/* ---- results ---- */

/* The labels of the trace, from the last to the first. */
static s3r_status read_trace(const s3r_beam *beam, s3r_decoded *out, uint32_t from,
                             s3r_error *err)
{
    const s3r_hypothesis_state *h = &beam->hypotheses[from];
    const s3r_trace *traces = beam->tree.traces;
    size_t count = 0;
    for (uint32_t at = h->trace; at > 0; at = traces[at].parent)
        count++;
    out->spans = s3r_alloc(count, sizeof *out->spans);
    out->probabilities = s3r_alloc(count, sizeof *out->probabilities);
    if (!out->spans || !out->probabilities)
        return s3r_fail_memory(err, "labels", count * sizeof *out->spans);
    out->span_count = count;
    uint32_t end = h->end;
    float probability =
        (float)(h->probability / S3R_MAX(end - traces[h->trace].start, 1u));
    for (uint32_t at = h->trace; at > 0; at = traces[at].parent) {
        out->spans[--count] = (s3r_label_span){traces[at].label, traces[at].start, end};
        out->probabilities[count] = probability;
        end = traces[at].parent_end;
        probability = traces[at].parent_probability;
    }
    return S3R_OK;
}

/* Leaves the labels of a word that was given up out, where it can be told from others. */
static void cut_last_word(const s3r_beam *beam, s3r_decoded *out)
{
    if (beam->search->vocabulary->delimiter_id == S3R_NO_LABEL)
        return;
    while (out->span_count > 0 && out->spans[out->span_count - 1].label !=
                                      beam->search->vocabulary->delimiter_id)
        out->span_count--;
}

static s3r_status make_result(const s3r_beam *beam, s3r_decoded *out,
                              const final_hypothesis *final, s3r_error *err)
{
    const s3r_history *history = &beam->tree.histories[final->history];
    out->score = final->score;
    out->emission = beam->hypotheses[final->from].emission;
    out->lm = history->lm + s3r_history_end(&beam->tree, final->history);
    out->word_count = history->word_count;
    S3R_TRY(read_trace(beam, out, final->from, err));
    if (final->is_cut)
        cut_last_word(beam, out);
    if (beam->search->lexicon)
        return s3r_decoded_write_words(beam, out, final->history, err);
    S3R_TRY(s3r_vocabulary_words(beam->search->vocabulary, &out->words, out->spans,
                                 out->span_count, err));
    return s3r_vocabulary_text(beam->search->vocabulary, &out->text, out->spans,
                               out->span_count, err);
}

/* Whether the last result says what one before it says: histories with other spellings of
 * a word may have one text. */
static bool is_said(const s3r_decodings *out)
{
    const char *last = out->items[out->count - 1].text;
    for (size_t i = 0; i + 1 < out->count; i++)
        if (strcmp(out->items[i].text, last) == 0)
            return true;
    return false;
}

static s3r_status make_results(const s3r_beam *beam, const final_list *list, size_t most,
                               s3r_decodings *out, s3r_error *err)
{
    size_t wanted = S3R_MIN(S3R_MAX(most, (size_t)1), list->count);
    out->items = s3r_alloc(wanted, sizeof *out->items);
    if (!out->items)
        return s3r_fail_memory(err, "results", wanted * sizeof *out->items);
    for (size_t i = 0; i < list->count && out->count < wanted; i++) {
        S3R_TRY(make_result(beam, &out->items[out->count++], &list->items[i], err));
        if (is_said(out))
            release_decoded(&out->items[--out->count]);
    }
    return S3R_OK;
}

s3r_status s3r_beam_finish(s3r_beam *beam, size_t most, s3r_decodings *out,
                           s3r_error *err)
{
    final_list list = {0};
    *out = (s3r_decodings){0};
    s3r_status status = list_finals(beam, &list, err);
    if (status == S3R_OK)
        status = make_results(beam, &list, most, out, err);
    s3r_free(list.items);
    if (status != S3R_OK)
        s3r_decodings_release(out);
    return status;
}
