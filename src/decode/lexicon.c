/*
 * Reading words, and sorting their spellings into a trie level by level.
 */
#include "decode/lexicon.h"

#include <stdlib.h>

#include "text/line_stream.h"
#include "text/unicode_text.h"
#include "text/vocabulary_encode.h"

void s3r_lexicon_release(s3r_lexicon *lexicon)
{
    s3r_word_table_release(&lexicon->words);
    s3r_free(lexicon->spellings);
    s3r_free(lexicon->labels);
    s3r_free(lexicon->nodes);
    s3r_free(lexicon->node_words);
    *lexicon = (s3r_lexicon){0};
}

/* ---- words ---- */

static s3r_status grow(void **block, size_t *capacity, size_t needed, size_t size,
                       s3r_error *err)
{
    size_t wanted = S3R_MAX(2 * *capacity, S3R_MAX(needed, (size_t)256));
    if (needed <= *capacity)
        return S3R_OK;
    void *grown =
        wanted < UINT32_MAX ? s3r_realloc(*block, *capacity, wanted, size) : NULL;
    if (!grown)
        return s3r_fail_memory(err, "the lexicon", wanted * size);
    *block = grown;
    *capacity = wanted;
    return S3R_OK;
}

s3r_status s3r_lexicon_add_spelling(s3r_lexicon *lexicon, const char *word, size_t size,
                                    const uint32_t *labels, size_t count, s3r_error *err)
{
    uint32_t id;
    void *block = lexicon->labels;
    S3R_TRY(grow(&block, &lexicon->label_capacity, lexicon->label_count + count,
                 sizeof *labels, err));
    lexicon->labels = block;
    block = lexicon->spellings;
    S3R_TRY(grow(&block, &lexicon->spelling_capacity, lexicon->spelling_count + 1,
                 sizeof *lexicon->spellings, err));
    lexicon->spellings = block;
    S3R_TRY(s3r_word_table_add(&lexicon->words, &id, word, size, err));
    lexicon->spellings[lexicon->spelling_count++] =
        (s3r_spelling){id, (uint32_t)lexicon->label_count, (uint32_t)count};
    memcpy(lexicon->labels + lexicon->label_count, labels, count * sizeof *labels);
    lexicon->label_count += count;
    return S3R_OK;
}

/* Whether the labels are the word, letter by letter. */
static bool spells_exactly(const s3r_vocabulary *vocabulary, const uint32_t *labels,
                           size_t count, const char *word)
{
    if (vocabulary->is_phonemes)
        return count > 0;
    for (size_t i = 0; i < count; i++) {
        const char *label = vocabulary->labels[labels[i]];
        size_t length = strlen(label);
        if (strncmp(word, label, length) != 0)
            return false;
        word += length;
    }
    return count > 0 && *word == '\0';
}

s3r_status s3r_lexicon_add(s3r_lexicon *lexicon, const char *word,
                           const s3r_vocabulary *vocabulary, bool *is_spelled,
                           s3r_error *err)
{
    s3r_arena arena;
    uint32_t *labels = NULL;
    size_t count = 0;
    s3r_arena_init(&arena, 4096);
    s3r_status status =
        s3r_vocabulary_encode(vocabulary, word, &arena, &labels, &count, err);
    *is_spelled = status == S3R_OK && count <= S3R_LEXICON_LONGEST &&
                  spells_exactly(vocabulary, labels, count, word);
    if (*is_spelled)
        status =
            s3r_lexicon_add_spelling(lexicon, word, strlen(word), labels, count, err);
    s3r_arena_release(&arena);
    return status == S3R_ERR_DATA ? S3R_OK : status;
}

/* ---- files ---- */

/* "W O R D |" into labels; names the first label that is not there. */
static s3r_status read_labels(const s3r_line_stream *lines, char *at,
                              const s3r_vocabulary *vocabulary, uint32_t *labels,
                              size_t *count, s3r_error *err)
{
    size_t length;
    *count = 0;
    for (char *field; (field = s3r_next_word(&at, &length)); (*count)++) {
        char kept = field[length];
        field[length] = '\0';
        uint32_t label = s3r_vocabulary_find(vocabulary, field);
        if (label == S3R_NO_LABEL || vocabulary->is_special[label])
            return s3r_line_stream_fail(lines, err,
                                        "expected labels of the vocabulary %s, found "
                                        "\"%.100s\" (are letters and case the same?)",
                                        vocabulary->path, field);
        field[length] = kept;
        if (*count == S3R_LEXICON_LONGEST)
            return s3r_line_stream_fail(lines, err, "expected at most %zu labels",
                                        S3R_LEXICON_LONGEST);
        labels[*count] = label;
    }
    if (*count > 0 && labels[*count - 1] == vocabulary->delimiter_id)
        (*count)--;
    for (size_t i = 0; i < *count; i++)
        if (labels[i] == vocabulary->delimiter_id)
            return s3r_line_stream_fail(lines, err,
                                        "expected the delimiter only at the end");
    return *count > 0 ? S3R_OK
                      : s3r_line_stream_fail(lines, err, "expected labels, found none");
}

static s3r_status add_line(s3r_lexicon *lexicon, const s3r_line_stream *lines,
                           const s3r_vocabulary *vocabulary, uint32_t *labels,
                           s3r_error *err)
{
    char *at = lines->text;
    size_t length, count;
    if (s3r_utf8_prefix(lines->text, lines->length) != lines->length)
        return s3r_line_stream_fail(lines, err, "expected UTF-8");
    char *word = s3r_next_word(&at, &length);
    if (!word)
        return S3R_OK;
    if (*at != '\0') {
        *at++ = '\0';
        S3R_TRY(read_labels(lines, at, vocabulary, labels, &count, err));
        return s3r_lexicon_add_spelling(lexicon, word, length, labels, count, err);
    }
    bool is_spelled;
    S3R_TRY(s3r_lexicon_add(lexicon, word, vocabulary, &is_spelled, err));
    if (!is_spelled)
        return s3r_line_stream_fail(lines, err,
                                    "expected a word in the labels of %s, found "
                                    "\"%.100s\" (are letters and case the same?)",
                                    vocabulary->path, word);
    return S3R_OK;
}

static s3r_status read_lines(s3r_lexicon *lexicon, s3r_line_stream *lines,
                             const s3r_vocabulary *vocabulary, s3r_error *err)
{
    uint32_t *labels = s3r_alloc_raw(S3R_LEXICON_LONGEST, sizeof *labels);
    bool has_line = true;
    s3r_status status = labels ? S3R_OK : s3r_fail_memory(err, "a spelling", 4096);
    while (status == S3R_OK) {
        status = s3r_line_stream_next(lines, &has_line, err);
        if (status != S3R_OK || !has_line)
            break;
        status = add_line(lexicon, lines, vocabulary, labels, err);
    }
    if (status == S3R_OK && lexicon->spelling_count == 0)
        status =
            s3r_fail(err, S3R_ERR_DATA, "%s: expected words, found none", lines->path);
    s3r_free(labels);
    s3r_line_stream_close(lines);
    return status;
}

s3r_status s3r_lexicon_open(s3r_lexicon *lexicon, const char *path,
                            const s3r_vocabulary *vocabulary, s3r_error *err)
{
    s3r_line_stream lines;
    S3R_TRY(s3r_line_stream_open(&lines, path, err));
    return read_lines(lexicon, &lines, vocabulary, err);
}

s3r_status s3r_lexicon_parse(s3r_lexicon *lexicon, const char *bytes, size_t size,
                             const char *label, const s3r_vocabulary *vocabulary,
                             s3r_error *err)
{
    s3r_line_stream lines;
    S3R_TRY(s3r_line_stream_from_bytes(&lines, bytes, size, label, err));
    return read_lines(lexicon, &lines, vocabulary, err);
}

/* ---- the trie ---- */

/* A spelling that can be compared without its lexicon. */
typedef struct sorted_spelling {
    const uint32_t *labels;
    uint32_t count, word;
} sorted_spelling;

static int compare_spellings(const void *a, const void *b)
{
    const sorted_spelling *x = a, *y = b;
    for (uint32_t i = 0; i < x->count && i < y->count; i++)
        if (x->labels[i] != y->labels[i])
            return x->labels[i] < y->labels[i] ? -1 : 1;
    if (x->count != y->count)
        return x->count < y->count ? -1 : 1;
    return (x->word > y->word) - (x->word < y->word);
}

/* Of each node its spellings, [first, end) of the sorted ones, and their labels so far.
 */
typedef struct trie_range {
    uint32_t first, end, depth;
} trie_range;

/* The words that end at the node, and its children behind all nodes there are. */
static void open_node(s3r_lexicon *lexicon, uint32_t number, trie_range *ranges,
                      const sorted_spelling *sorted, uint32_t *used_words)
{
    s3r_trie_node *node = &lexicon->nodes[number];
    uint32_t at = ranges[number].first, end = ranges[number].end;
    uint32_t depth = ranges[number].depth;
    node->first_word = *used_words;
    for (; at < end && sorted[at].count == depth; at++) {
        bool is_again = *used_words > node->first_word &&
                        lexicon->node_words[*used_words - 1] == sorted[at].word;
        if (!is_again)
            lexicon->node_words[(*used_words)++] = sorted[at].word;
    }
    node->first_child = (uint32_t)lexicon->node_count;
    while (at < end) {
        uint32_t label = sorted[at].labels[depth], from = at;
        while (at < end && sorted[at].labels[depth] == label)
            at++;
        ranges[lexicon->node_count] = (trie_range){from, at, depth + 1};
        lexicon->nodes[lexicon->node_count++] = (s3r_trie_node){.label = label};
    }
}

/* A node for each label that a spelling does not share with the one before, and the root.
 */
static size_t count_nodes(const sorted_spelling *sorted, size_t count)
{
    size_t nodes = 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t shared = 0;
        while (i > 0 && shared < sorted[i].count && shared < sorted[i - 1].count &&
               sorted[i].labels[shared] == sorted[i - 1].labels[shared])
            shared++;
        nodes += sorted[i].count - shared;
    }
    return nodes;
}

static s3r_status make_trie(s3r_lexicon *lexicon, sorted_spelling *sorted, s3r_error *err)
{
    size_t count = lexicon->spelling_count;
    uint32_t words = 0;
    for (size_t i = 0; i < count; i++) {
        const s3r_spelling *s = &lexicon->spellings[i];
        sorted[i] =
            (sorted_spelling){lexicon->labels + s->first_label, s->label_count, s->word};
    }
    qsort(sorted, count, sizeof *sorted, compare_spellings);
    size_t nodes = count_nodes(sorted, count);
    trie_range *ranges = s3r_alloc_raw(nodes, sizeof *ranges);
    lexicon->nodes = s3r_alloc_raw(nodes + 1, sizeof *lexicon->nodes);
    lexicon->node_words = s3r_alloc_raw(count, sizeof *lexicon->node_words);
    if (!ranges || !lexicon->nodes || !lexicon->node_words) {
        s3r_free(ranges);
        return s3r_fail_memory(err, "the lexicon", nodes * sizeof *lexicon->nodes);
    }
    ranges[0] = (trie_range){0, (uint32_t)count, 0};
    lexicon->nodes[0] = (s3r_trie_node){.label = S3R_NO_LABEL};
    lexicon->node_count = 1;
    for (uint32_t i = 0; i < lexicon->node_count; i++)
        open_node(lexicon, i, ranges, sorted, &words);
    lexicon->nodes[nodes] = (s3r_trie_node){
        .label = S3R_NO_LABEL, .first_child = (uint32_t)nodes, .first_word = words};
    s3r_free(ranges);
    return S3R_OK;
}

s3r_status s3r_lexicon_finish(s3r_lexicon *lexicon, s3r_error *err)
{
    sorted_spelling *sorted = s3r_alloc_raw(lexicon->spelling_count, sizeof *sorted);
    if (!sorted)
        return s3r_fail_memory(err, "the lexicon",
                               lexicon->spelling_count * sizeof *sorted);
    s3r_status status = make_trie(lexicon, sorted, err);
    s3r_free(sorted);
    s3r_free(lexicon->spellings);
    s3r_free(lexicon->labels);
    lexicon->spellings = NULL;
    lexicon->labels = NULL;
    s3r_word_table_freeze(&lexicon->words);
    return status;
}

uint32_t s3r_trie_child(const s3r_lexicon *lexicon, uint32_t node, uint32_t label)
{
    const s3r_trie_node *parent = &lexicon->nodes[node];
    uint32_t low = parent->first_child, high = parent[1].first_child;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (lexicon->nodes[middle].label < label)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_found = low < parent[1].first_child && lexicon->nodes[low].label == label;
    return is_found ? low : 0;
}
