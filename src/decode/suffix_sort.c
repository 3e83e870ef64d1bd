/*
 * Radix sort, from the first word of the n-gram to the last.
 */
#include "decode/suffix_sort.h"

#include "base/memory.h"

#define DIGIT_BITS 11u

void s3r_suffixes_release(s3r_suffixes *suffixes)
{
    s3r_free(suffixes->place);
    s3r_free(suffixes->shared);
    *suffixes = (s3r_suffixes){0};
}

/* The word so many places before; <s> before the sentence. */
static uint32_t word_before(const uint32_t *tokens, uint32_t place, size_t steps)
{
    while (steps > 0 && tokens[place] != S3R_WORD_BEGIN) {
        place--;
        steps--;
    }
    return tokens[place];
}

/* One stable pass over one digit of the word `steps` before the last. */
static void sort_digit(uint32_t *to, const uint32_t *from, size_t count,
                       const uint32_t *tokens, size_t steps, unsigned shift)
{
    size_t starts[1u << DIGIT_BITS] = {0}, sum = 0;
    const uint32_t mask = (1u << DIGIT_BITS) - 1;
    for (size_t i = 0; i < count; i++)
        starts[(word_before(tokens, from[i], steps) >> shift) & mask]++;
    for (size_t digit = 0; digit <= mask; digit++) {
        size_t here = starts[digit];
        starts[digit] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++)
        to[starts[(word_before(tokens, from[i], steps) >> shift) & mask]++] = from[i];
}

static uint8_t count_shared(const uint32_t *tokens, uint32_t a, uint32_t b, size_t order)
{
    size_t shared = 0;
    while (shared < order && tokens[a - shared] == tokens[b - shared]) {
        if (tokens[a - shared] == S3R_WORD_BEGIN)
            return (uint8_t)order;
        shared++;
    }
    return (uint8_t)shared;
}

static void sort_places(s3r_suffixes *suffixes, uint32_t *spare, const s3r_lm_text *text,
                        size_t order)
{
    uint32_t *from = suffixes->place, *to = spare;
    for (size_t steps = order; steps-- > 0;) {
        for (unsigned shift = 0; shift < 32 && text->words->count >> shift > 0;
             shift += DIGIT_BITS) {
            sort_digit(to, from, suffixes->count, text->tokens, steps, shift);
            uint32_t *swap = from;
            from = to;
            to = swap;
        }
    }
    if (from != suffixes->place)
        memcpy(suffixes->place, from, suffixes->count * sizeof *from);
}

s3r_status s3r_suffixes_sort(s3r_suffixes *out, const s3r_lm_text *text, size_t order,
                             s3r_error *err)
{
    size_t capacity = text->count - text->sentences;
    uint32_t *spare = s3r_alloc_raw(capacity, sizeof *spare);
    *out = (s3r_suffixes){.place = s3r_alloc_raw(capacity, sizeof *out->place),
                          .shared = s3r_alloc_raw(capacity, 1)};
    if (!spare || !out->place || !out->shared) {
        s3r_free(spare);
        s3r_suffixes_release(out);
        return s3r_fail_memory(err, "the n-grams of the text", capacity * 9);
    }
    for (size_t i = 0; i < text->count; i++)
        if (text->tokens[i] != S3R_WORD_BEGIN)
            out->place[out->count++] = (uint32_t)i;
    sort_places(out, spare, text, order);
    s3r_free(spare);
    for (size_t i = 0; i < out->count; i++)
        out->shared[i] =
            i == 0 ? 0
                   : count_shared(text->tokens, out->place[i - 1], out->place[i], order);
    return S3R_OK;
}
