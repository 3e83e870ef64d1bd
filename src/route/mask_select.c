/*
 * Which connections stay: those of largest |score|.  (paper 3.2; spec 1.2)
 *
 * The bits of |score|, read as an integer (its key), order like the number.  The key of
 * the last removed element is searched in a range of keys: one pass counts what lies
 * below the range and how the rest spreads over 8192 bins, and the bin in which the
 * element lies is the next range, until a bin is one key.  A sample of the scores gives
 * the first range, so that usually a few percent of them are looked at closely in the
 * first pass and hardly any in the second.  Should the sample mislead, the search starts
 * over with all keys: the result is always exact.
 *
 * Of elements equal to the threshold the first ones go; the chunks' counts of them, in
 * order, say how many go in each chunk.  Histograms are sums of integers and chunks are
 * cut by shape, so any number of threads gives the same bits.
 */
#include "route/mask.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "route/mask_kernels.h"

#define WORD_BITS     64u
#define BINS          ((size_t)1 << 13)
#define KEY_BITS      31u
#define BIN_BITS      13u
#define CHUNK_SCORES  ((size_t)1 << 16)
#define COLLECTED     ((size_t)2048) /* scores at once */
#define COLUMNS_CHUNK ((size_t)64)
#define SAMPLE_LINE   ((size_t)16) /* scores: a cache line */
/* One line of so many is in the sample; a prime, to walk over all columns. */
#define SAMPLE_LINES ((size_t)131)
#define SAMPLE_MIN   ((size_t)1024) /* fewer are not worth it */

/* One search over some matrices with a common threshold. */
typedef struct selection {
    s3r_pool *pool;
    const s3r_mask_kernels *kernels;
    s3r_mask_target *targets;
    size_t count;        /* targets */
    uint64_t *histogram; /* [workers][BINS] */
    size_t *counts;      /* [chunks] of a pass */
    uint32_t low, width; /* the keys low .. low + width are searched, */
    unsigned shift;      /* in bins of 2^shift keys */
    uint32_t threshold;
} selection;

/* Rows [row, row_end) of a target: the unit of work. */
typedef struct chunk {
    s3r_mask_target *target;
    const float *scores;
    size_t row, row_end, elements;
} chunk;

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
    const s3r_mask *mask = &target->mask;
    size_t rows = chunk_rows(mask), row = index * rows;
    size_t row_end = S3R_MIN(row + rows, mask->rows);
    return (chunk){target, target->scores + row * mask->cols, row, row_end,
                   (row_end - row) * mask->cols};
}

/* -------------------------------------------------------------------------- searching */

static void sample_chunk(void *context, size_t task, size_t worker)
{
    const selection *self = context;
    chunk part = chunk_at(self, task);
    uint64_t *bins = self->histogram + worker * BINS;
    size_t lines = part.elements / SAMPLE_LINE, taken = 0;
    for (size_t line = task * 37 % SAMPLE_LINES; line < lines; line += SAMPLE_LINES) {
        for (size_t i = 0; i < SAMPLE_LINE; i++)
            bins[s3r_score_key(part.scores[line * SAMPLE_LINE + i]) >> self->shift]++;
        taken += SAMPLE_LINE;
    }
    self->counts[task] = taken;
}

static void count_chunk(void *context, size_t task, size_t worker)
{
    const selection *self = context;
    chunk part = chunk_at(self, task);
    uint64_t *bins = self->histogram + worker * BINS;
    uint32_t keys[COLLECTED + S3R_MASK_BLOCK];
    size_t below = 0;
    for (size_t at = 0; at < part.elements; at += COLLECTED) {
        size_t n = S3R_MIN(COLLECTED, part.elements - at);
        size_t found = self->kernels->collect(part.scores + at, n, self->low, self->width,
                                              keys, &below);
        for (size_t i = 0; i < found; i++)
            bins[(keys[i] - self->low) >> self->shift]++;
    }
    self->counts[task] = below;
}

/* Runs a counting pass; afterwards histogram[0 .. BINS - 1] are the sums of all workers.
 * Returns the sum of the chunks' counts. */
static size_t count_pass(selection *self, size_t chunks, s3r_task_fn run)
{
    size_t tables = s3r_pool_threads(self->pool), sum = 0;
    memset(self->histogram, 0, tables * BINS * sizeof *self->histogram);
    s3r_pool_run(self->pool, chunks, run, self);
    for (size_t table = 1; table < tables; table++)
        for (size_t bin = 0; bin < BINS; bin++)
            self->histogram[bin] += self->histogram[table * BINS + bin];
    for (size_t i = 0; i < chunks; i++)
        sum += self->counts[i];
    return sum;
}

/* The bin of the element with this rank, and the rank within the bin.  BINS when there
 * are not so many. */
static size_t find_bin(const selection *self, size_t *rank)
{
    size_t bin = 0;
    while (bin < BINS && *rank >= self->histogram[bin])
        *rank -= (size_t)self->histogram[bin++];
    return bin;
}

static void search_all_keys(selection *self)
{
    self->low = 0, self->width = S3R_KEY_BITS_MASK, self->shift = KEY_BITS - BIN_BITS;
}

/* The first range: where the rank is in a sample, and eight standard deviations (of
 * independent draws; a line of neighbours is less) to both sides. */
static void search_sampled_keys(selection *self, size_t chunks, size_t rank,
                                size_t elements)
{
    search_all_keys(self);
    size_t sampled = elements / SAMPLE_LINES;
    if (sampled < SAMPLE_MIN || !(sampled = count_pass(self, chunks, sample_chunk)))
        return;
    double part = (double)rank / (double)elements, middle = part * (double)sampled;
    double margin = 8 * sqrt(middle * (1 - part)) + 2 * SAMPLE_LINE;
    size_t first = middle > margin ? (size_t)(middle - margin) : 0;
    size_t last = (size_t)(middle + margin);
    size_t low = find_bin(self, &first), high = S3R_MIN(find_bin(self, &last), BINS - 1);
    unsigned shift = self->shift;
    self->low = (uint32_t)low << shift;
    self->width = (uint32_t)((high - low + 1) << shift) - 1;
    for (self->shift = 0; self->width >> self->shift >= BINS; self->shift++)
        ;
}

/* Sets threshold to the key of the element with this rank (from 0, by size); returns how
 * many equal ones come before it and how many there are. */
static size_t search(selection *self, size_t chunks, size_t rank, size_t elements,
                     size_t *equal)
{
    search_sampled_keys(self, chunks, rank, elements);
    for (;;) {
        size_t below = count_pass(self, chunks, count_chunk), left = rank - below;
        size_t bin = rank < below ? BINS : find_bin(self, &left);
        if (bin == BINS) {
            search_all_keys(self); /* the sample misled us */
            continue;
        }
        self->low += (uint32_t)bin << self->shift;
        if (self->shift == 0) {
            self->threshold = self->low;
            *equal = (size_t)self->histogram[bin];
            return left;
        }
        self->width = (1u << self->shift) - 1;
        self->shift = self->shift > BIN_BITS ? self->shift - BIN_BITS : 0;
    }
}

/* ---------------------------------------------------------------------------- writing */

/* Keeps what is above the threshold. */
static void write_bits(void *context, size_t task, size_t worker)
{
    (void)worker;
    const selection *self = context;
    chunk part = chunk_at(self, task);
    const s3r_mask *mask = &part.target->mask;
    size_t words = mask->cols / WORD_BITS, rest = mask->cols % WORD_BITS;
    for (size_t row = part.row; row < part.row_end; row++) {
        const float *scores = part.target->scores + row * mask->cols;
        uint64_t *bits = mask->bits + row * mask->stride;
        self->kernels->keep(scores, words, self->threshold, bits);
        if (rest) {
            float last[WORD_BITS] = {0}; /* 0 is never above the threshold */
            memcpy(last, scores + words * WORD_BITS, rest * sizeof *last);
            self->kernels->keep(last, 1, self->threshold, bits + words);
        }
    }
}

static void count_ties(void *context, size_t task, size_t worker)
{
    (void)worker;
    const selection *self = context;
    chunk part = chunk_at(self, task);
    size_t ties = 0;
    for (size_t i = 0; i < part.elements; i++)
        ties += s3r_score_key(part.scores[i]) == self->threshold;
    self->counts[task] = ties;
}

/* Keeps those equal to the threshold but the chunk's first counts[task]. */
static void keep_later_ties(void *context, size_t task, size_t worker)
{
    (void)worker;
    const selection *self = context;
    chunk part = chunk_at(self, task);
    const s3r_mask *mask = &part.target->mask;
    size_t to_remove = self->counts[task];
    for (size_t i = 0; i < part.elements; i++) {
        if (s3r_score_key(part.scores[i]) != self->threshold)
            continue;
        if (to_remove) {
            to_remove--;
            continue;
        }
        size_t row = part.row + i / mask->cols, col = i % mask->cols;
        uint64_t bit = (uint64_t)1 << col % WORD_BITS;
        mask->bits[row * mask->stride + col / WORD_BITS] |= bit;
    }
}

static void resolve_ties(selection *self, size_t chunks, size_t to_remove)
{
    s3r_pool_run(self->pool, chunks, count_ties, self);
    for (size_t i = 0; i < chunks; i++) {
        self->counts[i] = S3R_MIN(self->counts[i], to_remove);
        to_remove -= self->counts[i];
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
    if (removed == 0) {
        for (size_t i = 0; i < self->count; i++)
            s3r_mask_fill(&self->targets[i].mask);
        return;
    }
    size_t chunks = all_chunks(self->targets, self->count), equal;
    size_t to_remove = 1 + search(self, chunks, removed - 1, elements, &equal);
    s3r_pool_run(self->pool, chunks, write_bits, self);
    if (to_remove < equal)
        resolve_ties(self, chunks, to_remove);
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
    /* All levels give the same bits, so that nobody needs to choose one. */
    selection self = {.pool = pool, .kernels = s3r_mask_kernels_get(s3r_cpu_detect())};
    size_t bins = s3r_pool_threads(pool) * BINS, chunks = all_chunks(targets, count);
    self.histogram = take(&scratch, bins, sizeof *self.histogram);
    self.counts = take(&scratch, chunks, sizeof *self.counts);
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
    size_t bytes = part_bytes(thread_count * BINS, sizeof(uint64_t)) +
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
