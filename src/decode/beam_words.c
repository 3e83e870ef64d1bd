/*
 * With a delimiter words end there.  Without one a word ends where one of its spellings
 * does: of all ways to lay the words on the labels, one after another, the first that
 * uses every label is taken.
 */
#include "decode/beam_words.h"

#include "base/text_buffer.h"

/* A way to lay the words so far: where it ends, and the way without the last word. */
typedef struct layout {
    size_t end; /* in the spans */
    uint32_t before;
} layout;

typedef struct layouts {
    layout *items;
    size_t count, capacity;
} layouts;

typedef struct word_writer {
    const s3r_beam *beam;
    s3r_decoded *out;
    uint32_t *symbols; /* [count] of the words */
    size_t *ends;      /* [count] behind the last span of each */
    size_t count;
} word_writer;

static bool has_delimiter(const word_writer *w)
{
    return w->beam->search->vocabulary->delimiter_id != S3R_NO_LABEL;
}

/* ---- where words end ---- */

static s3r_status add_layout(layouts *all, size_t first, size_t end, uint32_t before,
                             s3r_error *err)
{
    for (size_t i = first; i < all->count; i++)
        if (all->items[i].end == end)
            return S3R_OK;
    if (all->count == all->capacity) {
        size_t capacity = 2 * all->capacity + 64;
        layout *grown = s3r_realloc(all->items, all->capacity, capacity, sizeof *grown);
        if (!grown)
            return s3r_fail_memory(err, "words", capacity * sizeof *grown);
        all->items = grown;
        all->capacity = capacity;
    }
    all->items[all->count++] = (layout){end, before};
    return S3R_OK;
}

static bool spells(const s3r_lexicon *lexicon, uint32_t node, uint32_t word)
{
    const s3r_trie_node *n = &lexicon->nodes[node];
    for (uint32_t i = 0; i < s3r_trie_word_count(n); i++)
        if (lexicon->node_words[n->first_word + i] == word)
            return true;
    return false;
}

/* Every end of the next word behind a layout; those from `first` on are of this word. */
static s3r_status lay_word(const word_writer *w, layouts *all, size_t first,
                           uint32_t before, uint32_t word, s3r_error *err)
{
    const s3r_lexicon *lexicon = w->beam->search->lexicon;
    uint32_t node = 0;
    for (size_t at = all->items[before].end; at < w->out->span_count; at++) {
        node = s3r_trie_child(lexicon, node, w->out->spans[at].label);
        if (node == 0)
            return S3R_OK;
        if (spells(lexicon, node, word))
            S3R_TRY(add_layout(all, first, at + 1, before, err));
    }
    return S3R_OK;
}

/* The layout that uses the most labels: all, unless the last word was given up. */
static void read_ends(word_writer *w, const layouts *all, size_t first)
{
    size_t best = first;
    for (size_t i = first; i < all->count; i++)
        if (all->items[i].end > all->items[best].end)
            best = i;
    for (size_t i = w->count; i > 0; i--) {
        w->ends[i - 1] = all->items[best].end;
        best = all->items[best].before;
    }
}

static s3r_status find_ends_by_spelling(word_writer *w, layouts *all, s3r_error *err)
{
    size_t first = 0;
    S3R_TRY(add_layout(all, 0, 0, 0, err));
    for (size_t i = 0; i < w->count; i++) {
        size_t next = all->count;
        for (size_t before = first; before < next; before++)
            S3R_TRY(lay_word(w, all, next, (uint32_t)before,
                             w->symbols[i] & ~S3R_SYMBOL_KIND, err));
        if (all->count == next) { /* cannot be: each word was spelled */
            w->count = i;
            break;
        }
        first = next;
    }
    read_ends(w, all, first);
    return S3R_OK;
}

static void find_ends_by_delimiter(word_writer *w)
{
    uint32_t delimiter = w->beam->search->vocabulary->delimiter_id;
    size_t at = 0;
    for (size_t i = 0; i < w->count; i++) {
        while (at < w->out->span_count && w->out->spans[at].label != delimiter)
            at++;
        w->ends[i] = at;
        at = S3R_MIN(at + 1, w->out->span_count);
    }
}

/* ---- texts ---- */

/* A word, with a NUL behind it, and its spans; an empty one is left out. */
static void add_word(word_writer *w, size_t index, size_t first, s3r_text_buffer *names)
{
    const s3r_search *search = w->beam->search;
    s3r_decoded *out = w->out;
    size_t end = w->ends[index], count = end - first;
    if (count == 0)
        return;
    if (w->symbols[index] != S3R_SYMBOL_UNKNOWN)
        s3r_buffer_add_string(names,
                              s3r_word_table_word(&search->lexicon->words,
                                                  w->symbols[index] & ~S3R_SYMBOL_KIND));
    for (size_t i = first; w->symbols[index] == S3R_SYMBOL_UNKNOWN && i < end; i++)
        s3r_buffer_add_string(names, search->vocabulary->printed[out->spans[i].label]);
    s3r_buffer_add_bytes(names, "", 1);
    out->words.items[out->words.count++] =
        (s3r_word_span){.first_span = first,
                        .span_count = count,
                        .start_frame = out->spans[first].start_frame,
                        .end_frame = out->spans[end - 1].end_frame};
}

static s3r_status join_words(s3r_decoded *out, s3r_error *err)
{
    s3r_text_buffer text = {0};
    for (size_t i = 0; i < out->words.count; i++) {
        s3r_buffer_add_string(&text, i > 0 ? " " : "");
        s3r_buffer_add_string(&text, out->words.items[i].text);
    }
    s3r_buffer_add_string(&text, "");
    return s3r_buffer_take(&text, &out->text, "a text", err);
}

static s3r_status write_words(word_writer *w, s3r_error *err)
{
    s3r_text_buffer names = {0};
    layouts all = {0};
    s3r_status status = S3R_OK;
    if (has_delimiter(w))
        find_ends_by_delimiter(w);
    else
        status = find_ends_by_spelling(w, &all, err);
    s3r_free(all.items);
    S3R_TRY(status);
    size_t skipped = has_delimiter(w), first = 0;
    for (size_t i = 0; i < w->count; i++) {
        add_word(w, i, first, &names);
        first = S3R_MIN(w->ends[i] + skipped, w->out->span_count);
    }
    S3R_TRY(s3r_word_list_take_texts(&w->out->words, &names, err));
    return join_words(w->out, err);
}

s3r_status s3r_decoded_write_words(const s3r_beam *beam, s3r_decoded *out,
                                   uint32_t history, s3r_error *err)
{
    const s3r_history *histories = beam->tree.histories;
    size_t left = histories[history].word_count;
    word_writer w = {.beam = beam,
                     .out = out,
                     .symbols = s3r_alloc(left, sizeof *w.symbols),
                     .ends = s3r_alloc(left, sizeof *w.ends),
                     .count = left};
    out->words.items = s3r_alloc(left, sizeof *out->words.items);
    s3r_status status = S3R_OK;
    if (!w.symbols || !w.ends || !out->words.items)
        status = s3r_fail_memory(err, "words", left * sizeof *out->words.items);
    for (uint32_t i = history; status == S3R_OK && left > 0; i = histories[i].parent)
        if ((histories[i].symbol & S3R_SYMBOL_KIND) == S3R_SYMBOL_WORD ||
            histories[i].symbol == S3R_SYMBOL_UNKNOWN)
            w.symbols[--left] = histories[i].symbol;
    if (status == S3R_OK)
        status = write_words(&w, err);
    s3r_free(w.symbols);
    s3r_free(w.ends);
    return status;
}
