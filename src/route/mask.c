/*
 * The bits of a mask: filling, counting, comparing and the packed form of mask files.
 */
#include "route/mask.h"

#include <assert.h>
#include <string.h>

#define WORD_BITS 64u

size_t s3r_mask_stride(size_t cols)
{
    return S3R_CEIL_DIV(cols, WORD_BITS);
}

size_t s3r_mask_words(size_t rows, size_t cols)
{
    return rows * s3r_mask_stride(cols);
}

/* The bits of word `index` of a row that stand for columns. */
static uint64_t word_columns(size_t cols, size_t index)
{
    size_t left = cols - index * WORD_BITS;
    return left >= WORD_BITS ? UINT64_MAX : ((uint64_t)1 << left) - 1;
}

void s3r_mask_fill(s3r_mask *mask)
{
    for (size_t row = 0; row < mask->rows; row++)
        for (size_t i = 0; i < mask->stride; i++)
            mask->bits[row * mask->stride + i] = word_columns(mask->cols, i);
}

/* Sums of pairs, nibbles and bytes; compilers make vector code or popcnt of it. */
static size_t count_bits(uint64_t word)
{
    word -= (word >> 1) & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + ((word >> 2) & 0x3333333333333333u);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (size_t)((word * 0x0101010101010101u) >> 56);
}

size_t s3r_mask_kept_count(const s3r_mask *mask)
{
    size_t words = mask->rows * mask->stride, count = 0;
    for (size_t i = 0; i < words; i++)
        count += count_bits(mask->bits[i]);
    return count;
}

double s3r_mask_sparsity(const s3r_mask *mask)
{
    return 1.0 - (double)s3r_mask_kept_count(mask) / (double)(mask->rows * mask->cols);
}

size_t s3r_mask_distance(const s3r_mask *a, const s3r_mask *b)
{
    assert(a->rows == b->rows && a->cols == b->cols && a->stride == b->stride);
    size_t words = a->rows * a->stride, count = 0;
    for (size_t i = 0; i < words; i++)
        count += count_bits(a->bits[i] ^ b->bits[i]);
    return count;
}

size_t s3r_mask_packed_bytes(size_t rows, size_t cols)
{
    return S3R_CEIL_DIV(rows * cols, 8u);
}

size_t s3r_packed_kept_count(const uint8_t *packed, size_t bytes)
{
    size_t count = 0, at = 0;
    for (; at + sizeof(uint64_t) <= bytes; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, packed + at, sizeof word);
        count += count_bits(word);
    }
    for (; at < bytes; at++)
        count += count_bits(packed[at]);
    return count;
}

/* Bits on their way to bytes. */
typedef struct bit_sink {
    uint8_t *bytes;
    uint64_t pending;
    size_t pending_bits; /* < 8 between calls */
} bit_sink;

static void sink_bits(bit_sink *sink, uint64_t bits, size_t count)
{
    /* In halves, so that the bits and those that wait fit into one word. */
    while (count) {
        size_t part = S3R_MIN(count, 32u);
        sink->pending |= (bits & 0xffffffffu) << sink->pending_bits;
        sink->pending_bits += part;
        bits >>= 32;
        count -= part;
        for (; sink->pending_bits >= 8; sink->pending_bits -= 8) {
            *sink->bytes++ = (uint8_t)sink->pending;
            sink->pending >>= 8;
        }
    }
}

void s3r_mask_to_packed(const s3r_mask *mask, uint8_t *packed)
{
    bit_sink sink = {.bytes = packed};
    for (size_t row = 0; row < mask->rows; row++) {
        for (size_t i = 0; i < mask->stride; i++) {
            size_t left = mask->cols - i * WORD_BITS;
            sink_bits(&sink, mask->bits[row * mask->stride + i],
                      S3R_MIN(left, WORD_BITS));
        }
    }
    if (sink.pending_bits)
        *sink.bytes = (uint8_t)sink.pending;
}

/* `count` <= 64 bits at bit `at` of bytes. */
static uint64_t read_bits(const uint8_t *bytes, size_t at, size_t count)
{
    uint64_t word = 0;
    size_t skip = at % 8, have = 0;
    bytes += at / 8;
    word = (uint64_t)*bytes++ >> skip;
    for (have = 8 - skip; have < count; have += 8)
        word |= (uint64_t)*bytes++ << have;
    return count == WORD_BITS ? word : word & (((uint64_t)1 << count) - 1);
}

void s3r_mask_from_packed(s3r_mask *mask, const uint8_t *packed)
{
    for (size_t row = 0; row < mask->rows; row++) {
        for (size_t i = 0; i < mask->stride; i++) {
            size_t left = mask->cols - i * WORD_BITS;
            mask->bits[row * mask->stride + i] = read_bits(
                packed, row * mask->cols + i * WORD_BITS, S3R_MIN(left, WORD_BITS));
        }
    }
}

bool s3r_mask_use_packed(s3r_mask *mask, const uint8_t *packed)
{
    const uint64_t first = 1;
    bool is_little_endian = *(const uint8_t *)&first == 1;
    if (!is_little_endian || mask->cols % WORD_BITS != 0 ||
        (uintptr_t)packed % sizeof *mask->bits != 0)
        return false;
    mask->bits = (uint64_t *)(uintptr_t)packed;
    return true;
}

size_t s3r_removed_count(double sparsity, size_t n)
{
    /* Not sparsity * n: the original knows the kept fraction only, and 1 - 0.9 is a
     * little less than 0.1. */
    double keep = 1.0 - sparsity;
    double removed = (1.0 - keep) * (double)n;
    if (!(removed > 0))
        return 0;
    return removed >= (double)n ? n : (size_t)removed;
}
