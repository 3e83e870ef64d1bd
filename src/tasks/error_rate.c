/*
 * Alignment by dynamic programming over one row of cells.
 *
 * A cell is the best alignment of the first i reference and j hypothesis tokens.  Its
 * counts need not be stored: the cost is 4 S + 3 (D + I), and D - I = i - j, so cost and
 * S give them all.  Of predecessors with equal cost sclite (found by experiment: version
 * 2.10, thousands of random pairs, each other order differs) takes the diagonal one, then
 * the insertion, then the deletion.
 */
#include "tasks/error_rate.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash_text.h"
#include "base/memory.h"
#include "text/unicode_text.h"

#define COST_SUBSTITUTION 4u
#define COST_GAP          3u
#define MAX_TOKENS        ((size_t)1 << 28) /* costs stay below 2^32 */

/* ---- tokens ---- */

/* A word: bytes of the text. */
typedef struct word {
    const char *first;
    size_t size;
} word;

/* Words of two texts by number: equal words have equal numbers.  A hash table with open
 * addressing. */
typedef struct word_table {
    word *words;       /* [slot_count]; first NULL = free */
    size_t slot_count; /* a power of two, more than twice the words */
} word_table;

static uint64_t hash_word(word w)
{
    uint64_t hash = s3r_hash_bytes(w.first, w.size);
    return hash ^ (hash >> 32);
}

/* The slot of the word, which is its number. */
static uint32_t number_word(word_table *table, word w)
{
    size_t mask = table->slot_count - 1, slot = (size_t)hash_word(w) & mask;
    for (;; slot = (slot + 1) & mask) {
        word *at = &table->words[slot];
        if (!at->first)
            *at = w;
        if (at->size == w.size && memcmp(at->first, w.first, w.size) == 0)
            return (uint32_t)slot;
    }
}

/* The next word at *at, of size 0 at the end. */
static word next_word(const char **at)
{
    const char *end = *at, *first = NULL;
    for (int32_t character; (character = s3r_character_next(&end)) != 0; *at = end) {
        bool is_space = s3r_character_is_space(character);
        if (!first && !is_space)
            first = *at;
        if (first && is_space)
            break;
    }
    return (word){first, first ? (size_t)(*at - first) : 0};
}

static size_t take_words(word_table *table, uint32_t *tokens, const char *text,
                         bool is_phones)
{
    size_t count = 0;
    for (word w; (w = next_word(&text)).size > 0;)
        if (!is_phones || w.size != 1 || *w.first != '|')
            tokens[count++] = number_word(table, w);
    return count;
}

/* Code points; one space between words. */
static size_t take_characters(uint32_t *tokens, const char *text)
{
    size_t count = 0;
    bool is_apart = false;
    for (;;) {
        const char *start = text;
        int32_t character = s3r_character_next(&text);
        if (character == 0)
            return count;
        if (s3r_character_is_space(character)) {
            is_apart = count > 0;
            continue;
        }
        if (is_apart)
            tokens[count++] = ' ';
        is_apart = false;
        tokens[count++] =
            character > 0 ? (uint32_t)character : 0x110000u + (unsigned char)*start;
    }
}

/* ---- alignment ---- */

typedef struct cell {
    uint32_t cost, substitutions;
} cell;

enum { MOVE_BOTH, MOVE_INSERTION, MOVE_DELETION };

/*
 * Row 0: nothing but insertions.  Afterwards row[j] belongs to the last reference token.
 * moves [reference_count, hypothesis_count] receives how each cell was reached; NULL =
 * not wanted.
 */
static void align(cell *row, const uint32_t *reference, size_t reference_count,
                  const uint32_t *hypothesis, size_t hypothesis_count,
                  unsigned char *moves)
{
    for (size_t j = 0; j <= hypothesis_count; j++)
        row[j] = (cell){COST_GAP * (uint32_t)j, 0};
    for (size_t i = 0; i < reference_count; i++) {
        cell diagonal = row[0], left = {COST_GAP * (uint32_t)(i + 1), 0};
        uint32_t token = reference[i];
        row[0] = left;
        for (size_t j = 1; j <= hypothesis_count; j++) {
            cell above = row[j];
            cell best = diagonal;
            unsigned char move = MOVE_BOTH;
            if (hypothesis[j - 1] != token) {
                best.cost += COST_SUBSTITUTION;
                best.substitutions++;
            }
            if (left.cost + COST_GAP < best.cost) {
                best = (cell){left.cost + COST_GAP, left.substitutions};
                move = MOVE_INSERTION;
            }
            if (above.cost + COST_GAP < best.cost) {
                best = (cell){above.cost + COST_GAP, above.substitutions};
                move = MOVE_DELETION;
            }
            if (moves)
                moves[i * hypothesis_count + j - 1] = move;
            row[j] = left = best;
            diagonal = above;
        }
    }
}

static void add_cell(s3r_error_counts *counts, cell end, size_t reference_count,
                     size_t hypothesis_count)
{
    size_t gaps = (end.cost - COST_SUBSTITUTION * end.substitutions) / COST_GAP;
    /* deletions - insertions = reference - hypothesis */
    size_t deletions = (gaps + reference_count - hypothesis_count) / 2;
    counts->substitutions += end.substitutions;
    counts->deletions += deletions;
    counts->insertions += gaps - deletions;
    counts->reference += reference_count;
}

/* Memory of one pair in one block. */
typedef struct pair_memory {
    uint32_t *reference, *hypothesis;
    cell *row;
    word_table table;
} pair_memory;

static void release_memory(pair_memory *memory)
{
    s3r_free(memory->reference);
    s3r_free(memory->hypothesis);
    s3r_free(memory->row);
    s3r_free(memory->table.words);
}

/* A text of n bytes has at most n tokens. */
static s3r_status get_memory(pair_memory *memory, size_t reference_bytes,
                             size_t hypothesis_bytes, s3r_token_unit unit, s3r_error *err)
{
    *memory = (pair_memory){0};
    if (reference_bytes > MAX_TOKENS || hypothesis_bytes > MAX_TOKENS)
        return s3r_fail(err, S3R_ERR_RESOURCE,
                        "a text to score: expected at most %zu bytes, found %zu",
                        MAX_TOKENS, S3R_MAX(reference_bytes, hypothesis_bytes));
    memory->reference = s3r_alloc_raw(reference_bytes + 1, sizeof(uint32_t));
    memory->hypothesis = s3r_alloc_raw(hypothesis_bytes + 1, sizeof(uint32_t));
    memory->row = s3r_alloc_raw(hypothesis_bytes + 1, sizeof(cell));
    bool is_complete = memory->reference && memory->hypothesis && memory->row;
    if (unit != S3R_UNIT_CHARACTER && is_complete) {
        size_t slots = 16; /* words are at most half of the bytes, and one */
        while (slots < reference_bytes + hypothesis_bytes + 5)
            slots *= 2;
        memory->table = (word_table){s3r_alloc(slots, sizeof(word)), slots};
        is_complete = memory->table.words != NULL;
    }
    if (is_complete)
        return S3R_OK;
    release_memory(memory);
    return s3r_fail_memory(err, "the alignment of a text", hypothesis_bytes);
}

s3r_status s3r_error_counts_add(s3r_error_counts *counts, const char *reference,
                                const char *hypothesis, s3r_token_unit unit,
                                s3r_error *err)
{
    pair_memory memory;
    size_t reference_count, hypothesis_count;
    S3R_TRY(get_memory(&memory, strlen(reference), strlen(hypothesis), unit, err));
    if (unit == S3R_UNIT_CHARACTER) {
        reference_count = take_characters(memory.reference, reference);
        hypothesis_count = take_characters(memory.hypothesis, hypothesis);
    } else {
        bool is_phones = unit == S3R_UNIT_PHONE;
        reference_count =
            take_words(&memory.table, memory.reference, reference, is_phones);
        hypothesis_count =
            take_words(&memory.table, memory.hypothesis, hypothesis, is_phones);
    }
    align(memory.row, memory.reference, reference_count, memory.hypothesis,
          hypothesis_count, NULL);
    add_cell(counts, memory.row[hypothesis_count], reference_count, hypothesis_count);
    release_memory(&memory);
    return S3R_OK;
}

/* Walks back from the last tokens. */
static void trace_right(bool *is_right, const pair_memory *memory, size_t reference_count,
                        size_t hypothesis_count, const unsigned char *moves)
{
    size_t i = reference_count, j = hypothesis_count;
    memset(is_right, 0, hypothesis_count * sizeof *is_right);
    while (i > 0 && j > 0) {
        unsigned char move = moves[(i - 1) * hypothesis_count + j - 1];
        if (move == MOVE_BOTH)
            is_right[j - 1] = memory->reference[i - 1] == memory->hypothesis[j - 1];
        i -= move != MOVE_INSERTION;
        j -= move != MOVE_DELETION;
    }
}

s3r_status s3r_error_right_words(bool *is_right, const char *reference,
                                 const char *hypothesis, s3r_error *err)
{
    pair_memory memory;
    size_t cells;
    S3R_TRY(
        get_memory(&memory, strlen(reference), strlen(hypothesis), S3R_UNIT_WORD, err));
    size_t rows = take_words(&memory.table, memory.reference, reference, false);
    size_t cols = take_words(&memory.table, memory.hypothesis, hypothesis, false);
    unsigned char *moves = NULL;
    if (s3r_size_mul(rows, cols, &cells) && cells <= MAX_TOKENS)
        moves = s3r_alloc_raw(cells, 1);
    if (moves) {
        align(memory.row, memory.reference, rows, memory.hypothesis, cols, moves);
        trace_right(is_right, &memory, rows, cols, moves);
    }
    s3r_free(moves);
    release_memory(&memory);
    if (!moves)
        return s3r_fail(err, S3R_ERR_RESOURCE,
                        "an alignment of %zu with %zu words: no memory, or more than %zu "
                        "pairs",
                        rows, cols, MAX_TOKENS);
    return S3R_OK;
}

/* ---- rates ---- */

double s3r_error_rate(const s3r_error_counts *counts)
{
    size_t errors = counts->substitutions + counts->deletions + counts->insertions;
    return (double)errors / (double)S3R_MAX(counts->reference, (size_t)1);
}

void s3r_error_counts_sum(s3r_error_counts *counts, const s3r_error_counts *more)
{
    counts->substitutions += more->substitutions;
    counts->deletions += more->deletions;
    counts->insertions += more->insertions;
    counts->reference += more->reference;
}

static int compare_rates(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which a share of the sorted rates lies, interpolated. */
static double quantile(const double *rates, size_t count, double share)
{
    double place = share * (double)(count - 1);
    size_t below = (size_t)place;
    size_t above = S3R_MIN(below + 1, count - 1);
    return rates[below] + (place - (double)below) * (rates[above] - rates[below]);
}

s3r_status s3r_error_interval(s3r_interval *out, const s3r_error_counts *items,
                              size_t count, size_t resamples, uint64_t seed,
                              s3r_error *err)
{
    s3r_error_counts total = {0};
    for (size_t i = 0; i < count; i++)
        s3r_error_counts_sum(&total, &items[i]);
    out->low = out->high = s3r_error_rate(&total);
    if (count == 0 || resamples == 0)
        return S3R_OK;
    double *rates = s3r_alloc_raw(resamples, sizeof *rates);
    if (!rates)
        return s3r_fail_memory(err, "resampled error rates", resamples * sizeof *rates);
    for (size_t k = 0; k < resamples; k++) {
        s3r_random random;
        s3r_random_init(&random, seed, k);
        total = (s3r_error_counts){0};
        for (size_t i = 0; i < count; i++)
            s3r_error_counts_sum(&total, &items[s3r_random_below(&random, count)]);
        rates[k] = s3r_error_rate(&total);
    }
    qsort(rates, resamples, sizeof *rates, compare_rates);
    out->low = quantile(rates, resamples, 0.025);
    out->high = quantile(rates, resamples, 0.975);
    s3r_free(rates);
    return S3R_OK;
}
