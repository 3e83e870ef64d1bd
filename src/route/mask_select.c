/*
 * Which connections stay: those of largest |score|.  (paper 3.2; spec 1.2)
 *
 * The bits of |score|, read as an integer (its key), order like the number.  So the key
 * of the last removed element is found digit by digit: a histogram of the highest 11
 * bits says which digit it has, then the next 10 bits are counted among the keys that
 * begin so, then the last 10.  Nothing is sorted; the first count is scalar, the others
 * skip over blocks without such keys.  Of elements equal to the threshold the first ones
 * go; the chunks' counts of them, in order, say how many go in each chunk.
 *
 * Histograms are sums of integers and chunks are cut by shape, so any number of threads
 * gives the same bits.
 */
#include "route/mask.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"

#define WORD_BITS     64u
#define DIGIT_BITS    11u
#define BINS          ((size_t)1 << DIGIT_BITS)
#define TOP_SHIFT     20u /* of the 31 bits of a key: 11, 10, 10 */
#define LANES         4u /* histograms a worker, so that equal keys do not wait in line */
#define CHUNK_SCORES  ((size_t)1 << 16)
#define BLOCK         16u
#define COLUMNS_CHUNK ((size_t)64)
#define INFINITY_KEY  0x7f800000u

/* One round of the search over some matrices with a common threshold. */
typedef struct selection {
    s3r_pool *pool;
    s3r_mask_target *targets;
    size_t count;        /* targets */
    uint64_t *histogram; /* [workers][LANES][BINS] */
    size_t *ties;        /* [chunks] elements equal to the threshold, then to remove */
    uint32_t prefix;     /* what the searched keys begin with */
    unsigned shift;      /* bits of a key after that prefix and the digit */
    uint32_t threshold;
} selection;

/* Rows [row, row_end) of a target: the unit of work. */
typedef struct chunk {
    s3r_mask_target *target;
    size_t row, row_end;
} chunk;

static uint32_t key_of(float score)
{
    uint32_t key;
    memcpy(&key, &score, sizeof key);
    key &= 0x7fffffffu;
    return key > INFINITY_KEY ? 0 : key;
}

static size_t chunk_rows(const s3r_mask *mask)
{
    return mask->cols >= CHUNK_SCORES ? 1 : CHUNK_SCORES / S3R_MAX(mask->cols, 1u);
}

static size_t target_chunks(const s3r_mask *mask)
{
    return S3R_CEIL_DIV(mask->rows, chunk_rows(mask));
}

static size_t all_chunks(const s3r_mask_target *targets, size_t count)
{
    size_t chunks = 0;
    for (size_t i = 0; i < count; i++)
        chunks += target_chunks(&targets[i].mask);
    return chunks;
}

static chunk chunk_at(const selection *self, size_t index)
{
    s3r_mask_target *target = self->targets;
    for (size_t chunks; index >= (chunks = target_chunks(&target->mask)); target++)
        index -= chunks;
    size_t rows = chunk_rows(&target->mask), row = index * rows;
    return (chunk){target, row, S3R_MIN(row + rows, target->mask.rows)};
}

static void count_top_digits(void *context, size_t task, size_t worker)
{
    const selection *self = context;
    chunk part = chunk_at(self, task);
    size_t cols = part.target->mask.cols, n = (part.row_end - part.row) * cols;
    const float *scores = part.target->scores + part.row * cols;
    uint64_t *bins = self->histogram + worker * LANES * BINS;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            bins[lane * BINS + (key_of(scores[i + lane]) >> TOP_SHIFT)]++;
    for (; i < n; i++)
        bins[key_of(scores[i]) >> TOP_SHIFT]++;
}

/* Does one of BLOCK keys begin with prefix (above bit `shift`)? */
static bool block_has_prefix(const float *scores, uint32_t prefix, unsigned shift)
{
    uint32_t has = 0;
    for (size_t i = 0; i < BLOCK; i++)
        has |= (uint32_t)(key_of(scores[i]) >> shift == prefix);
    return has;
}

static void count_next_digits(void *context, size_t task, size_t worker)
{
    const selection *self = context;
    chunk part = chunk_at(self, task);
    size_t cols = part.target->mask.cols, n = (part.row_end - part.row) * cols;
    const float *scores = part.target->scores + part.row * cols;
    uint64_t *bins = self->histogram + worker * LANES * BINS;
    unsigned digit_bits = DIGIT_BITS - 1, above = self->shift + digit_bits;
    uint32_t prefix = self->prefix, digit_mask = (1u << digit_bits) - 1;
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t block = S3R_MIN(n - i, BLOCK);
        if (block == BLOCK && !block_has_prefix(scores + i, prefix, above))
            continue;
        for (size_t j = 0; j < block; j++) {
            uint32_t key = key_of(scores[i + j]);
            if (key >> above == prefix)
                bins[(j % LANES) * BINS + (key >> self->shift & digit_mask)]++;
        }
    }
}

/* Adds the histograms of all workers and lanes, finds the digit that element number
 * *rank (from 0, by size) has, and takes those with lower digits off the rank.  Leaves
 * the histograms clear.  *in_bin: elements with that digit. */
static uint32_t find_digit(selection *self, size_t *rank, size_t *in_bin)
{
    size_t tables = s3r_pool_threads(self->pool) * LANES;
    uint64_t *sum = self->histogram;
    for (size_t table = 1; table < tables; table++)
        for (size_t bin = 0; bin < BINS; bin++)
            sum[bin] += self->histogram[table * BINS + bin];
    uint32_t digit = 0;
    while (*rank >= sum[digit])
        *rank -= (size_t)sum[digit++];
    *in_bin = (size_t)sum[digit];
    memset(self->histogram, 0, tables * BINS * sizeof *sum);
    return digit;
}

/* ---------------------------------------------------------------------------- writing */

/* 64 truth bytes to 64 bits: a multiplication gathers one bit of each of 8 bytes. */
static uint64_t gather_bits(const uint8_t truth[WORD_BITS])
{
    uint64_t word = 0;
    for (size_t i = 0; i < WORD_BITS; i += 8) {
        uint64_t bytes = 0;
        for (size_t j = 0; j < 8; j++)
            bytes |= (uint64_t)truth[i + j] << (8 * j);
        word |= ((bytes * 0x0102040810204080u) >> 56) << i;
    }
    return word;
}

static uint64_t keep_word(const float *scores, size_t count, uint32_t threshold)
{
    uint8_t truth[WORD_BITS] = {0};
    if (count == WORD_BITS) {
        for (size_t i = 0; i < WORD_BITS; i++)
            truth[i] = key_of(scores[i]) > threshold;
    } else {
        for (size_t i = 0; i < count; i++)
            truth[i] = key_of(scores[i]) > threshold;
    }
    return gather_bits(truth);
}

/* Keeps what is above the threshold. */
static void write_bits(void *context, size_t task, size_t worker)
{
    (void)worker;
    const selection *self = context;
    chunk part = chunk_at(self, task);
    const s3r_mask *mask = &part.target->mask;
    for (size_t row = part.row; row < part.row_end; row++) {
        const float *scores = part.target->scores + row * mask->cols;
        for (size_t word = 0; word < mask->stride; word++) {
            size_t col = word * WORD_BITS, left = mask->cols - col;
            mask->bits[row * mask->stride + word] =
                keep_word(scores + col, S3R_MIN(left, WORD_BITS), self->threshold);
        }
    }
}

static void count_ties(void *context, size_t task, size_t worker)
{
    (void)worker;
    const selection *self = context;
    chunk part = chunk_at(self, task);
    size_t cols = part.target->mask.cols, n = (part.row_end - part.row) * cols, ties = 0;
    const float *scores = part.target->scores + part.row * cols;
    for (size_t i = 0; i < n; i++)
        ties += key_of(scores[i]) == self->threshold;
    self->ties[task] = ties;
}

/* Keeps those equal to the threshold but the chunk's first ties[task]. */
static void keep_later_ties(void *context, size_t task, size_t worker)
{
    (void)worker;
    const selection *self = context;
    chunk part = chunk_at(self, task);
    const s3r_mask *mask = &part.target->mask;
    size_t to_remove = self->ties[task];
    for (size_t row = part.row; row < part.row_end; row++) {
        const float *scores = part.target->scores + row * mask->cols;
        for (size_t col = 0; col < mask->cols; col++) {
            if (key_of(scores[col]) != self->threshold)
                continue;
            if (to_remove)
                to_remove--;
            else
                mask->bits[row * mask->stride + col / WORD_BITS] |= (uint64_t)1
                                                                    << col % WORD_BITS;
        }
    }
}

static void resolve_ties(selection *self, size_t chunks, size_t to_remove)
{
    s3r_pool_run(self->pool, chunks, count_ties, self);
    for (size_t i = 0; i < chunks; i++) {
        self->ties[i] = S3R_MIN(self->ties[i], to_remove);
        to_remove -= self->ties[i];
    }
    s3r_pool_run(self->pool, chunks, keep_later_ties, self);
}

/* Removes the `removed` smallest of all targets together. */
static void select_elements(selection *self, size_t removed)
{
    size_t elements = 0;
    for (size_t i = 0; i < self->count; i++)
        elements += self->targets[i].mask.rows * self->targets[i].mask.cols;
    assert(removed <= elements);
    if (removed == 0 || elements == 0) {
        for (size_t i = 0; i < self->count; i++)
            s3r_mask_fill(&self->targets[i].mask);
        return;
    }
    size_t chunks = all_chunks(self->targets, self->count), in_bin;
    size_t rank = removed - 1; /* of the last removed, among those that begin alike */
    s3r_pool_run(self->pool, chunks, count_top_digits, self);
    self->prefix = find_digit(self, &rank, &in_bin);
    for (self->shift = DIGIT_BITS - 1;; self->shift = 0) {
        s3r_pool_run(self->pool, chunks, count_next_digits, self);
        uint32_t digit = find_digit(self, &rank, &in_bin);
        self->prefix = self->prefix << (DIGIT_BITS - 1) | digit;
        if (self->shift == 0)
            break;
    }
    self->threshold = self->prefix;
    s3r_pool_run(self->pool, chunks, write_bits, self);
    if (rank + 1 < in_bin)
        resolve_ties(self, chunks, rank + 1);
}

/* ------------------------------------------------------------------- rows and columns */

/* The sums of one target, seen as a matrix of one row. */
typedef struct unit_sums {
    const s3r_mask_target *source;
    float *sums;
} unit_sums;

static void sum_rows(void *context, size_t task, size_t worker)
{
    (void)worker;
    const unit_sums *self = context;
    const s3r_mask *mask = &self->source->mask;
    size_t rows = chunk_rows(mask), end = S3R_MIN((task + 1) * rows, mask->rows);
    for (size_t row = task * rows; row < end; row++) {
        const float *scores = self->source->scores + row * mask->cols;
        double sum = 0;
        for (size_t col = 0; col < mask->cols; col++)
            sum += isnan(scores[col]) ? 0.0 : fabs((double)scores[col]);
        self->sums[row] = (float)(sum / (double)mask->cols);
    }
}

static void sum_columns(void *context, size_t task, size_t worker)
{
    (void)worker;
    const unit_sums *self = context;
    const s3r_mask *mask = &self->source->mask;
    size_t col = task * COLUMNS_CHUNK, cols = S3R_MIN(COLUMNS_CHUNK, mask->cols - col);
    double sums[COLUMNS_CHUNK] = {0};
    for (size_t row = 0; row < mask->rows; row++) {
        const float *scores = self->source->scores + row * mask->cols + col;
        for (size_t i = 0; i < cols; i++)
            sums[i] += isnan(scores[i]) ? 0.0 : fabs((double)scores[i]);
    }
    for (size_t i = 0; i < cols; i++)
        self->sums[col + i] = (float)(sums[i] / (double)mask->rows);
}

static size_t unit_count(const s3r_mask *mask, s3r_mask_structure structure)
{
    return structure == S3R_MASK_ROWS ? mask->rows : mask->cols;
}

static void expand_units(s3r_mask *mask, const s3r_mask *units,
                         s3r_mask_structure structure)
{
    size_t row_bytes = mask->stride * sizeof *mask->bits;
    if (structure == S3R_MASK_COLUMNS) {
        for (size_t row = 0; row < mask->rows; row++)
            memcpy(mask->bits + row * mask->stride, units->bits, row_bytes);
        return;
    }
    s3r_mask_fill(mask);
    for (size_t row = 0; row < mask->rows; row++)
        if (!(units->bits[row / WORD_BITS] >> row % WORD_BITS & 1))
            memset(mask->bits + row * mask->stride, 0, row_bytes);
}

/* Scratch in parts of 64 bytes. */
static size_t part_bytes(size_t count, size_t size)
{
    return S3R_CEIL_DIV(count * size, S3R_ALIGNMENT) * S3R_ALIGNMENT;
}

static void *take(unsigned char **scratch, size_t count, size_t size)
{
    void *part = *scratch;
    *scratch += part_bytes(count, size);
    return part;
}

/* Targets of one row each, whose scores are the means of `targets` by row or column. */
static s3r_mask_target *make_units(s3r_pool *pool, const s3r_mask_target *targets,
                                   size_t count, s3r_mask_structure structure,
                                   unsigned char **scratch)
{
    s3r_mask_target *units = take(scratch, count, sizeof *units);
    for (size_t i = 0; i < count; i++) {
        const s3r_mask *mask = &targets[i].mask;
        size_t n = unit_count(mask, structure);
        unit_sums job = {&targets[i], take(scratch, n, sizeof(float))};
        uint64_t *bits = take(scratch, s3r_mask_stride(n), sizeof(uint64_t));
        units[i] = (s3r_mask_target){
            .scores = job.sums,
            .mask = {1, n, s3r_mask_stride(n), bits},
            .removed = targets[i].removed,
        };
        if (structure == S3R_MASK_ROWS)
            s3r_pool_run(pool, target_chunks(mask), sum_rows, &job);
        else
            s3r_pool_run(pool, S3R_CEIL_DIV(n, COLUMNS_CHUNK), sum_columns, &job);
    }
    return units;
}

static void run_selection(s3r_pool *pool, s3r_mask_target *targets, size_t count,
                          s3r_mask_structure structure, bool is_global, size_t removed,
                          unsigned char *scratch)
{
    size_t tables = s3r_pool_threads(pool) * LANES;
    selection self = {.pool = pool};
    self.histogram = take(&scratch, tables * BINS, sizeof *self.histogram);
    memset(self.histogram, 0, tables * BINS * sizeof *self.histogram);
    self.ties = take(&scratch, all_chunks(targets, count), sizeof *self.ties);
    s3r_mask_target *units = targets;
    if (structure != S3R_MASK_ELEMENTS)
        units = make_units(pool, targets, count, structure, &scratch);
    if (is_global) {
        self.targets = units, self.count = count;
        select_elements(&self, removed);
    } else {
        for (size_t i = 0; i < count; i++) {
            self.targets = &units[i], self.count = 1;
            select_elements(&self, units[i].removed);
        }
    }
    if (structure != S3R_MASK_ELEMENTS)
        for (size_t i = 0; i < count; i++)
            expand_units(&targets[i].mask, &units[i].mask, structure);
}

void s3r_mask_select(s3r_pool *pool, s3r_mask_target *targets, size_t count,
                     s3r_mask_structure structure, void *scratch)
{
    run_selection(pool, targets, count, structure, false, 0, scratch);
}

void s3r_mask_select_global(s3r_pool *pool, s3r_mask_target *targets, size_t count,
                            s3r_mask_structure structure, size_t removed, void *scratch)
{
    run_selection(pool, targets, count, structure, true, removed, scratch);
}

size_t s3r_mask_select_scratch_bytes(const s3r_mask_target *targets, size_t count,
                                     s3r_mask_structure structure, size_t thread_count)
{
    size_t bytes = part_bytes(thread_count * LANES * BINS, sizeof(uint64_t)) +
                   part_bytes(all_chunks(targets, count), sizeof(size_t));
    if (structure == S3R_MASK_ELEMENTS)
        return bytes;
    bytes += part_bytes(count, sizeof(s3r_mask_target));
    for (size_t i = 0; i < count; i++) {
        size_t n = unit_count(&targets[i].mask, structure);
        bytes += part_bytes(n, sizeof(float)) +
                 part_bytes(s3r_mask_stride(n), sizeof(uint64_t));
    }
    return bytes;
}
