/*
 * Products, blocked for a core's second-level cache.
 *
 * A task owns some panels of B and a range of rows. It packs two panels (64 columns) of
 * at most 1024 steps of k into its scratch, runs every row tile against them, and while
 * it does so asks for the weights of the next block, so that main memory works during the
 * arithmetic; of panels that are packed already the tiles ask for themselves.  Longer k
 * continue the chains through C.
 */
#include "ops/gemm.h"

#include <assert.h>
#include <string.h>

#define BLOCK_K      1024u
#define BLOCK_K_INT8 ((size_t)S3R_INT8_PACKED_DEPTH)
#define GROUP_PANELS 2u    /* panels that a task packs and uses together */
#define TASK_ROWS    1024u /* more rows are cut: A of a task should stay in cache */
/* Packed panels cost nothing to share, so that wider groups spare reading A again. */
#define PACKED_GROUP_BYTES ((size_t)512 << 10)
#define PACKED_GROUP_MAX   8u
#define PACKED_TASK_ROWS   56u /* a few tiles: who is late is waited for less */
/* Where in a worker's scratch the rows of a tile are gathered; panels lie before. */
#define GATHER_OFFSET  ((size_t)768 << 10)
#define TASKS_A_THREAD 4u /* at least, so that threads end together */
/* Prepacked weights cost nothing to use again, so that they are cut finer. */
#define PREPACKED_FINER 4u
#define CACHE_LINE      64u

typedef struct task_range {
    size_t row, row_end;
    size_t panel, panel_end;
} task_range;

static size_t panel_count(size_t n)
{
    return S3R_CEIL_DIV(n, S3R_PANEL);
}

static size_t segment_of(const s3r_product *product)
{
    return product->a_segment ? product->a_segment : product->k;
}

static bool is_int8(const s3r_product *product)
{
    return product->a_scales;
}

/* Steps of k a block: whole or even parts of a segment, so that a block of A is one row.
 */
static size_t block_of(const s3r_product *product)
{
    size_t segment = segment_of(product);
    size_t parts = S3R_CEIL_DIV(segment, is_int8(product) ? BLOCK_K_INT8 : BLOCK_K);
    return S3R_CEIL_DIV(S3R_CEIL_DIV(segment, parts), 16u) * 16u;
}

static size_t element_bytes(const s3r_product *product)
{
    if (is_int8(product))
        return 1;
    return product->is_bf16 ? 2 : 4;
}

/* Panels of a group: of what fits in the second-level cache. */
static size_t group_of(const s3r_product *product)
{
    if (product->b_layout != S3R_B_PACKED || product->k == 0)
        return GROUP_PANELS;
    size_t bytes = block_of(product) * S3R_PANEL * element_bytes(product);
    size_t fitting = PACKED_GROUP_BYTES / bytes;
    return S3R_MAX(S3R_MIN(fitting, (size_t)PACKED_GROUP_MAX), (size_t)GROUP_PANELS);
}

/* Rounds up: a bf16 panel holds pairs. */
static size_t packed_rows(size_t k, bool is_bf16)
{
    return is_bf16 ? (k + 1) / 2 * 2 : k;
}

size_t s3r_packed_bytes(size_t k, size_t n, bool is_bf16)
{
    return panel_count(n) * S3R_PANEL * packed_rows(k, is_bf16) * (is_bf16 ? 2 : 4);
}

size_t s3r_padded_stride(size_t columns, size_t bytes)
{
    size_t per_line = CACHE_LINE / bytes;
    size_t stride = S3R_CEIL_DIV(columns, per_line) * per_line;
    return stride * bytes % 4096 == 0 ? stride + per_line : stride;
}

static bool is_packed(const s3r_product *product)
{
    return product->b_layout == S3R_B_PACKED || product->b_layout == S3R_B_PREPACKED;
}

/* Bytes of a panel of k rows. */
static size_t panel_bytes_of(const s3r_product *product, size_t k)
{
    if (is_int8(product))
        return s3r_int8_panel_bytes(k);
    return packed_rows(k, product->is_bf16) * S3R_PANEL * element_bytes(product);
}

static void pack_one(const s3r_kernels *kernels, size_t k, size_t cols, const void *b,
                     s3r_b_layout layout, s3r_dtype dtype, size_t stride,
                     const s3r_kept_bits *kept, bool is_bf16, void *panel)
{
    s3r_pack_fn pack;
    if (dtype == S3R_DTYPE_I8)
        pack = kernels->pack_transposed_int8;
    else if (layout == S3R_B_TRANSPOSED)
        pack = is_bf16 ? kernels->pack_transposed_bf16 : kernels->pack_transposed_f32;
    else
        pack = is_bf16 ? kernels->pack_plain_bf16 : kernels->pack_plain_f32;
    pack(k, cols, b, dtype, stride, kept, panel);
}

/* Address of stored B for panel `panel` from step `first` of k on. */
static const unsigned char *stored_at(const s3r_product *product, size_t panel,
                                      size_t first)
{
    const unsigned char *b = product->b;
    size_t column = panel * S3R_PANEL;
    size_t offset = product->b_layout == S3R_B_TRANSPOSED
                        ? column * product->b_stride + first
                        : first * product->b_stride + column;
    return b + offset * s3r_dtype_size(product->b_dtype);
}

/* The bits of the elements from there on. */
static s3r_kept_bits kept_at(const s3r_product *product, size_t panel, size_t first)
{
    size_t column = panel * S3R_PANEL;
    bool is_transposed = product->b_layout == S3R_B_TRANSPOSED;
    size_t row = is_transposed ? column : first;
    return (s3r_kept_bits){.words = product->b_kept + row * product->b_kept_stride,
                           .stride = product->b_kept_stride,
                           .first = is_transposed ? first : column};
}

/* Columns of B from step `first` of k on, into panels of `steps` rows one after another.
 */
static void pack_block(const s3r_kernels *kernels, const s3r_product *product,
                       size_t panel, size_t panels, size_t first, size_t steps,
                       unsigned char *packed)
{
    size_t bytes = panel_bytes_of(product, steps);
    for (size_t p = 0; p < panels; p++) {
        size_t column = (panel + p) * S3R_PANEL;
        s3r_kept_bits kept = {0};
        if (product->b_kept)
            kept = kept_at(product, panel + p, first);
        pack_one(kernels, steps, S3R_MIN(product->n - column, (size_t)S3R_PANEL),
                 stored_at(product, panel + p, first), product->b_layout,
                 product->b_dtype, product->b_stride, kept.words ? &kept : NULL,
                 product->is_bf16, packed + p * bytes);
    }
}

void s3r_pack_panels(const s3r_kernels *kernels, size_t k, size_t n, const void *b,
                     s3r_b_layout layout, s3r_dtype dtype, size_t b_stride, bool is_bf16,
                     void *packed)
{
    const s3r_product stored = {.n = n,
                                .k = k,
                                .is_bf16 = is_bf16,
                                .b = b,
                                .b_layout = layout,
                                .b_dtype = dtype,
                                .b_stride = b_stride};
    pack_block(kernels, &stored, 0, panel_count(n), 0, k, packed);
}

size_t s3r_product_packed_bytes(const s3r_product *product)
{
    if (is_int8(product) && product->k > S3R_INT8_PACKED_DEPTH)
        return 0;
    return panel_count(product->n) * panel_bytes_of(product, product->k);
}

typedef struct pack_run {
    const s3r_kernels *kernels;
    const s3r_product *product;
    unsigned char *panels;
} pack_run;

static void pack_task(void *context, size_t panel, size_t worker)
{
    const pack_run *run = context;
    (void)worker;
    pack_block(run->kernels, run->product, panel, 1, 0, run->product->k,
               run->panels + panel * panel_bytes_of(run->product, run->product->k));
}

void s3r_product_pack(s3r_pool *pool, const s3r_kernels *kernels,
                      const s3r_product *product, void *panels)
{
    pack_run run = {kernels, product, panels};
    assert(!is_packed(product));
    s3r_pool_run(pool, panel_count(product->n), pack_task, &run);
}

typedef struct block_range {
    size_t panel, panels; /* of this group */
    size_t first, steps;  /* of k */
    const unsigned char *packed;
    size_t panel_bytes; /* between packed panels */
} block_range;

/* Where A of the block begins for a row, in elements. */
static size_t a_offset(const s3r_product *product, const block_range *block, size_t row)
{
    size_t segment = segment_of(product);
    return row * product->a_stride + block->first / segment * product->a_segment_stride +
           block->first % segment;
}

/* Rows of memory that will be wanted soon, asked for little by little. */
typedef struct prefetch_plan {
    const unsigned char *base; /* of the current row */
    size_t line;               /* in it */
    size_t row_bytes;
    size_t lines_a_row;
    size_t total, issued;
} prefetch_plan;

static prefetch_plan plan_prefetch(const s3r_product *product, size_t panel,
                                   size_t panels, size_t first, size_t steps)
{
    prefetch_plan plan = {0};
    if (panels == 0 || is_packed(product))
        return plan;
    size_t bytes = s3r_dtype_size(product->b_dtype);
    size_t columns = S3R_MIN(panels * S3R_PANEL, product->n - panel * S3R_PANEL);
    bool is_transposed = product->b_layout == S3R_B_TRANSPOSED;
    plan.base = stored_at(product, panel, first);
    plan.row_bytes = product->b_stride * bytes;
    plan.lines_a_row =
        S3R_CEIL_DIV((is_transposed ? steps : columns) * bytes, CACHE_LINE);
    plan.total = (is_transposed ? columns : steps) * plan.lines_a_row;
    return plan;
}

static void prefetch_until(prefetch_plan *plan, size_t target)
{
    for (; plan->issued < target; plan->issued++) {
        __builtin_prefetch(plan->base + plan->line * CACHE_LINE, 0, 2);
        if (++plan->line == plan->lines_a_row) {
            plan->line = 0;
            plan->base += plan->row_bytes;
        }
    }
}

static void drop_row(const s3r_kernels *kernels, const s3r_dropout_mask *dropout,
                     size_t row, size_t column, size_t cols, float *y)
{
    kernels->dropout(cols, dropout->keys[row], column, dropout->threshold, dropout->scale,
                     y, y);
}

/* Where the sums of a tile's rows are, from the first column of the block on. */
typedef struct tile_sums {
    float *c;
    size_t stride;
} tile_sums;

/* What a tile's sums begin with, but for C itself: the addend, or else the bias. */
static const float *start_of(const s3r_product *product, size_t row, size_t column,
                             size_t *stride)
{
    *stride = product->addend ? product->addend_stride : 0;
    if (product->addend)
        return product->addend + row * product->addend_stride + column;
    return product->bias ? product->bias + column : NULL;
}

/* Dropout is drawn of values in fp32. */
static void finish_narrow_dropped(const s3r_kernels *kernels, const s3r_product *product,
                                  const tile_sums *sums, size_t row, size_t row_end,
                                  size_t column, size_t cols)
{
    float y[S3R_TILE_ROWS_MAX * PACKED_GROUP_MAX * S3R_PANEL];
    assert((row_end - row) * cols <= S3R_ARRAY_LEN(y));
    kernels->gelu_rows(row_end - row, cols, sums->c, sums->stride, NULL, y, cols);
    for (size_t i = row; i < row_end; i++) {
        float *line = y + (i - row) * cols;
        drop_row(kernels, &product->dropout, i, column, cols, line);
        kernels->f32_to_bf16(cols, line,
                             product->narrow + i * product->narrow_stride + column);
    }
}

static void finish_gelu(const s3r_kernels *kernels, const s3r_product *product,
                        const tile_sums *sums, size_t row, size_t row_end, size_t column,
                        size_t cols)
{
    float *z = product->pre_activation;
    kernels->gelu_rows(row_end - row, cols, sums->c, sums->stride,
                       z ? z + row * product->c_stride + column : NULL, sums->c,
                       sums->stride);
}

/* What follows the last step of k, while the tile is in the first-level cache. */
static void finish_rows(const s3r_kernels *kernels, const s3r_product *product,
                        const tile_sums *sums, size_t row, size_t row_end, size_t column,
                        size_t cols)
{
    if (product->bias && product->addend)
        kernels->add_matrix(row_end - row, cols, product->bias + column, 0, sums->c,
                            sums->stride);
    if (product->narrow && product->dropout.keys) {
        finish_narrow_dropped(kernels, product, sums, row, row_end, column, cols);
        return;
    }
    if (product->narrow) {
        kernels->gelu_rows_bf16(row_end - row, cols, sums->c, sums->stride,
                                product->narrow + row * product->narrow_stride + column,
                                product->narrow_stride);
        return;
    }
    if (product->gelu)
        finish_gelu(kernels, product, sums, row, row_end, column, cols);
    for (size_t i = row; product->dropout.keys && i < row_end; i++)
        drop_row(kernels, &product->dropout, i, column, cols,
                 sums->c + (i - row) * sums->stride);
    if (product->residual)
        kernels->add_matrix(row_end - row, cols,
                            product->residual + row * product->residual_stride + column,
                            product->residual_stride, sums->c, sums->stride);
}

/* Rows of A for one tile: where they are, or gathered. */
typedef struct tile_rows {
    const void *data;
    size_t stride; /* elements */
    size_t row, row_end;
} tile_rows;

/*
 * A tile reads its rows once a panel. Where many panels follow and rows are short and far
 * apart (convolutions), copying them first spares waiting for each row's first lines.
 */
static tile_rows prepare_tile(const s3r_product *product, const block_range *block,
                              size_t row, size_t row_end, unsigned char *scratch)
{
    size_t bytes = element_bytes(product), offset = a_offset(product, block, row);
    const unsigned char *a = (const unsigned char *)product->a + offset * bytes;
    tile_rows rows = {a, product->a_stride, row, row_end};
    /* Rows in int8 were made for this product, one after another. */
    bool is_gathered = product->b_layout == S3R_B_PACKED &&
                       block->panels > GROUP_PANELS &&
                       product->a_stride >= 2 * block->steps;
    if (!scratch || !is_gathered || is_int8(product))
        return rows;
    size_t count = product->is_bf16 ? S3R_CEIL_DIV(block->steps, 2u) * 2u : block->steps;
    unsigned char *gathered = scratch + GATHER_OFFSET;
    rows.stride = s3r_padded_stride(BLOCK_K, bytes);
    rows.data = gathered;
    for (size_t i = 0; i < row_end - row; i++)
        memcpy(gathered + i * rows.stride * bytes, a + i * product->a_stride * bytes,
               count * bytes);
    return rows;
}

static void run_tile(const s3r_kernels *kernels, const s3r_product *product,
                     const block_range *block, size_t index, const tile_rows *rows,
                     const tile_sums *sums)
{
    size_t column = (block->panel + index) * S3R_PANEL;
    size_t cols = S3R_MIN(product->n - column, (size_t)S3R_PANEL);
    const void *panel = block->packed + index * block->panel_bytes;
    float *c = sums->c + index * S3R_PANEL;
    size_t count = rows->row_end - rows->row, from_stride = sums->stride;
    const float *from = c;
    if (block->first == 0 && !product->accumulate)
        from = start_of(product, rows->row, column, &from_stride);
    if (is_int8(product))
        kernels->tile_int8(&(s3r_tile_int8){.rows = count,
                                            .cols = cols,
                                            .k = block->steps,
                                            .a = rows->data,
                                            .a_stride = rows->stride,
                                            .a_scales = product->a_scales + rows->row,
                                            .panel = panel,
                                            .b_scales = product->b_scales + column,
                                            .c = c,
                                            .c_stride = sums->stride,
                                            .from = from,
                                            .from_stride = from_stride});
    else if (product->is_bf16)
        kernels->tile_bf16(count, cols, block->steps, rows->data, rows->stride, panel, c,
                           sums->stride, from, from_stride);
    else
        kernels->tile_f32(count, cols, block->steps, rows->data, rows->stride, panel, c,
                          sums->stride, from, from_stride);
}

/* Asks for a row of what is added to sums, so that the tile need not wait for it. */
static void ask_for_row(const float *x, size_t cols)
{
    for (size_t j = 0; j < cols; j += CACHE_LINE / sizeof *x)
        __builtin_prefetch(x + j, 0, 3);
}

/* The same for rows [row, row_end), of the tile after this one. */
static void ask_for_addends(const s3r_product *product, const block_range *block,
                            size_t row, size_t row_end, size_t column, size_t cols)
{
    bool is_last = block->first + block->steps == product->k;
    for (size_t i = row; i < row_end; i++) {
        if (product->addend && block->first == 0)
            ask_for_row(product->addend + i * product->addend_stride + column, cols);
        if (product->residual && is_last)
            ask_for_row(product->residual + i * product->residual_stride + column, cols);
    }
}

static void run_block(const s3r_kernels *kernels, const s3r_product *product,
                      const block_range *block, const task_range *range,
                      prefetch_plan *next, void *scratch)
{
    size_t rows = range->row_end - range->row;
    size_t tiles = S3R_CEIL_DIV(rows, kernels->tile_rows);
    bool is_last = block->first + block->steps == product->k;
    size_t column = block->panel * S3R_PANEL;
    size_t cols = S3R_MIN(block->panels * S3R_PANEL, product->n - column);
    /* Sums that nobody reads do not leave the first-level cache. */
    float spare[S3R_TILE_ROWS_MAX * PACKED_GROUP_MAX * S3R_PANEL];
    bool is_spare = product->only_narrow && is_last && block->first == 0;
    for (size_t t = 0; t < tiles; t++) {
        size_t row = range->row + rows * t / tiles;
        size_t row_end = range->row + rows * (t + 1) / tiles;
        tile_sums sums = {spare, PACKED_GROUP_MAX * S3R_PANEL};
        if (!is_spare)
            sums = (tile_sums){product->c + row * product->c_stride + column,
                               product->c_stride};
        tile_rows tile = prepare_tile(product, block, row, row_end, scratch);
        ask_for_addends(product, block, row_end,
                        range->row + rows * S3R_MIN(t + 2, tiles) / tiles, column, cols);
        for (size_t p = 0; p < block->panels; p++) {
            size_t done = t * block->panels + p + 1;
            prefetch_until(next, next->total * done / (tiles * block->panels));
            run_tile(kernels, product, block, p, &tile, &sums);
        }
        if (is_last)
            finish_rows(kernels, product, &sums, row, row_end, column, cols);
    }
}

/* The block after (panel, first) in the order of a task; panels is 0 at the end. */
static block_range next_block(const s3r_product *product, const task_range *range,
                              size_t panel, size_t first)
{
    size_t segment = segment_of(product);
    if (first >= product->k) {
        panel += group_of(product);
        first = 0;
    }
    if (panel >= range->panel_end)
        return (block_range){0};
    size_t left = segment - first % segment;
    return (block_range){.panel = panel,
                         .panels = S3R_MIN(range->panel_end - panel, group_of(product)),
                         .first = first,
                         .steps = S3R_MIN(left, block_of(product))};
}

static void provide_panels(const s3r_kernels *kernels, const s3r_product *product,
                           block_range *block, unsigned char *scratch)
{
    if (is_packed(product)) {
        size_t rows = product->b_stride ? product->b_stride : product->k;
        block->panel_bytes = panel_bytes_of(product, rows);
        block->packed = (const unsigned char *)product->b +
                        block->panel * block->panel_bytes +
                        block->first * S3R_PANEL * element_bytes(product);
        return;
    }
    block->panel_bytes = panel_bytes_of(product, block->steps);
    block->packed = scratch;
    pack_block(kernels, product, block->panel, block->panels, block->first, block->steps,
               scratch);
}

/* k = 0: the product is zero. */
static void run_empty(const s3r_kernels *kernels, const s3r_product *product,
                      const task_range *range)
{
    size_t column = range->panel * S3R_PANEL;
    size_t end = S3R_MIN(range->panel_end * S3R_PANEL, product->n);
    for (size_t i = range->row; i < range->row_end && !product->accumulate; i++) {
        size_t stride;
        const float *from = start_of(product, i, column, &stride);
        for (size_t j = column; j < end; j++)
            product->c[i * product->c_stride + j] = from ? from[j - column] : 0.0f;
    }
    const tile_sums sums = {product->c + range->row * product->c_stride + column,
                            product->c_stride};
    finish_rows(kernels, product, &sums, range->row, range->row_end, column,
                end - column);
}

/* After its last block a task asks for the first one of the task after it, which this
 * worker probably takes next. */
static prefetch_plan plan_next(const s3r_product *product, const task_range *range,
                               const block_range *next)
{
    if (next->panels > 0)
        return plan_prefetch(product, next->panel, next->panels, next->first,
                             next->steps);
    size_t panels = panel_count(product->n);
    if (range->panel_end >= panels)
        return (prefetch_plan){0};
    return plan_prefetch(product, range->panel_end,
                         S3R_MIN(panels - range->panel_end, (size_t)GROUP_PANELS), 0,
                         S3R_MIN(segment_of(product), block_of(product)));
}

static void run_range(const s3r_kernels *kernels, const s3r_product *product,
                      const task_range *range, void *scratch)
{
    if (product->k == 0) {
        run_empty(kernels, product, range);
        return;
    }
    block_range block = next_block(product, range, range->panel, 0);
    while (block.panels > 0) {
        provide_panels(kernels, product, &block, scratch);
        block_range next =
            next_block(product, range, block.panel, block.first + block.steps);
        prefetch_plan plan = plan_next(product, range, &next);
        run_block(kernels, product, &block, range, &plan, scratch);
        block = next;
    }
}

/* How a product is cut; any cut gives the same bits. */
typedef struct task_grid {
    size_t row_parts, panel_parts;
} task_grid;

static task_grid cut_product(const s3r_product *product, size_t wanted)
{
    size_t groups = S3R_CEIL_DIV(panel_count(product->n), group_of(product));
    size_t rows = product->b_layout == S3R_B_PACKED ? PACKED_TASK_ROWS : TASK_ROWS;
    task_grid grid = {.row_parts = S3R_CEIL_DIV(product->m, rows), .panel_parts = groups};
    if (product->b_layout == S3R_B_PREPACKED && wanted > 1)
        wanted *= PREPACKED_FINER;
    /* Narrow results (a head, one group of a convolution) are cut by rows too. */
    if (groups * grid.row_parts < wanted)
        grid.row_parts = S3R_MAX(grid.row_parts, S3R_MIN(S3R_CEIL_DIV(wanted, groups),
                                                         S3R_CEIL_DIV(product->m, 64u)));
    return grid;
}

static task_range range_of(const s3r_product *product, task_grid grid, size_t task)
{
    size_t group = group_of(product), r = task / grid.panel_parts;
    size_t panel = task % grid.panel_parts * group;
    if (product->b_layout == S3R_B_PREPACKED) { /* all rows while the panels are near */
        r = task % grid.row_parts;
        panel = task / grid.row_parts * group;
    }
    return (task_range){.row = product->m * r / grid.row_parts,
                        .row_end = product->m * (r + 1) / grid.row_parts,
                        .panel = panel,
                        .panel_end = S3R_MIN(panel + group, panel_count(product->n))};
}

typedef struct products_run {
    s3r_pool *pool;
    const s3r_kernels *kernels;
    const s3r_product *products;
    size_t count;
    size_t wanted; /* tasks a product */
} products_run;

static size_t task_count_of(const s3r_product *product, size_t wanted)
{
    if (product->m == 0 || product->n == 0)
        return 0;
    task_grid grid = cut_product(product, wanted);
    return grid.row_parts * grid.panel_parts;
}

static void run_task(void *context, size_t task, size_t worker)
{
    const products_run *run = context;
    for (size_t i = 0; i < run->count; i++) {
        const s3r_product *product = &run->products[i];
        size_t tasks = task_count_of(product, run->wanted);
        if (task < tasks) {
            task_range range = range_of(product, cut_product(product, run->wanted), task);
            run_range(run->kernels, product, &range, s3r_pool_scratch(run->pool, worker));
            return;
        }
        task -= tasks;
    }
}

void s3r_products_run(s3r_pool *pool, const s3r_kernels *kernels,
                      const s3r_product *products, size_t count)
{
    size_t threads = s3r_pool_threads(pool), total = 0;
    products_run run = {pool, kernels, products, count, 1};
    if (threads > 1)
        run.wanted = S3R_CEIL_DIV(TASKS_A_THREAD * threads, count ? count : 1);
    for (size_t i = 0; i < count; i++) {
        size_t segment = segment_of(&products[i]);
        assert(segment == 0 || products[i].k % segment == 0);
        assert(!products[i].narrow || (products[i].gelu && products[i].k > 0));
        assert(!products[i].narrow ||
               (!products[i].pre_activation && !products[i].residual));
        assert(!products[i].only_narrow ||
               (products[i].narrow && !products[i].accumulate));
        assert(!is_int8(&products[i]) ||
               (products[i].b_dtype == S3R_DTYPE_I8 && !products[i].is_bf16 &&
                (products[i].b_layout == S3R_B_TRANSPOSED ||
                 (is_packed(&products[i]) && products[i].b_stride == 0 &&
                  products[i].k <= S3R_INT8_PACKED_DEPTH))));
        assert(!products[i].accumulate || (!products[i].addend && !products[i].bias));
        assert(!products[i].b_kept || !is_packed(&products[i]));
        assert(products[i].b_layout != S3R_B_PREPACKED || products[i].b_stride == 0);
        assert(!products[i].is_bf16 || segment == products[i].k || segment % 2 == 0);
        (void)segment;
        total += task_count_of(&products[i], run.wanted);
    }
    s3r_pool_run(pool, total, run_task, &run);
}

void s3r_product_run_serial(const s3r_kernels *kernels, const s3r_product *product,
                            void *scratch)
{
    size_t panels = panel_count(product->n);
    task_range range = {0, product->m, 0, panels};
    if (product->m > 0 && product->n > 0)
        run_range(kernels, product, &range, scratch);
}
