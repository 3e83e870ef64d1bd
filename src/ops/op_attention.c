/*
 * Attention by blocks of queries.
 *
 * A task takes up to 112 queries of one head, computes their logits against all keys, the
 * exact softmax, and the weighted sum of values: no T x T matrix exists. Keys and values
 * of each head are packed once into panels.
 *
 * Backward recomputes the probabilities of a block from the saved log-sum-exp:
 *   dP = dO V^T,  dS = P (dP - rowsum(P dP)),  dQ = dS K,  dK += dS^T Q,  dV += P^T dO
 * One task owns a head of an utterance, so that sums have one order.
 */
#include "ops/op_attention.h"

#include <math.h>
#include <string.h>

#include "base/random.h"

#define QUERY_BLOCK    112u /* eight tiles; shorter utterances go through whole */
#define BACKWARD_BLOCK 56u  /* backward keeps three arrays of [queries, frames] */

typedef struct attention_node {
    s3r_node node;
    s3r_value *q, *k, *v;
    s3r_ragged frames;
    s3r_attention_options options;
    size_t width; /* columns of a head */
    float scale;
    bool has_dropout;
    uint64_t dropout_key; /* of this op in this step */
    float *log_sums;      /* [frames, heads] when recording */
} attention_node;

/* Sizes of the packed forms of one head and where the heads of an utterance begin. */
typedef struct head_panels {
    unsigned char *keys;             /* [width] x T panels */
    unsigned char *values;           /* [T] x width panels */
    const size_t *key_at, *value_at; /* [utterances + 1] bytes; heads side by side */
} head_panels;

typedef struct attention_run {
    const s3r_kernels *kernels;
    const attention_node *attention;
    s3r_value *y;
    bool is_bf16;
    head_panels panels;
    const size_t *block_at; /* [utterances + 1] first task of each utterance */
    unsigned char *scratch; /* one a worker */
    size_t scratch_bytes;
    size_t logits_stride;
    size_t long_rows;       /* queries of a block of an utterance that is not whole */
    size_t block_rows;      /* of the largest block */
    float **position_parts; /* backward: [utterances * heads] partial gradients */
} attention_run;

static size_t frames_of(const attention_node *attention, size_t u)
{
    return attention->frames.offset[u + 1] - attention->frames.offset[u];
}

/* Queries of a block, but for the last one. */
static size_t block_rows_of(const attention_run *run, size_t frames)
{
    return frames > QUERY_BLOCK ? run->long_rows : S3R_MAX(frames, (size_t)1);
}

/* Packs `rows` x `cols` of a value, from (row, col) on, as B of a product. */
static void pack_slice(const s3r_kernels *kernels, const s3r_value *value, size_t row,
                       size_t rows, size_t col, size_t cols, bool is_transposed,
                       bool is_bf16, void *packed)
{
    const float *from = value->data + row * value->stride + col;
    if (is_transposed) /* rows become columns of B */
        s3r_pack_panels(kernels, cols, rows, from, S3R_B_TRANSPOSED, S3R_DTYPE_F32,
                        value->stride, is_bf16, packed);
    else
        s3r_pack_panels(kernels, rows, cols, from, S3R_B_PLAIN, S3R_DTYPE_F32,
                        value->stride, is_bf16, packed);
}

static void pack_head(void *context, size_t task, size_t worker)
{
    const attention_run *run = context;
    const attention_node *at = run->attention;
    size_t heads = at->options.heads, u = task / heads, h = task % heads;
    size_t row = at->frames.offset[u], frames = frames_of(at, u);
    size_t key_bytes = s3r_packed_bytes(at->width, frames, run->is_bf16);
    size_t value_bytes = s3r_packed_bytes(frames, at->width, run->is_bf16);
    (void)worker;
    pack_slice(run->kernels, at->k, row, frames, h * at->width, at->width, true,
               run->is_bf16, run->panels.keys + run->panels.key_at[u] + h * key_bytes);
    pack_slice(run->kernels, at->v, row, frames, h * at->width, at->width, false,
               run->is_bf16,
               run->panels.values + run->panels.value_at[u] + h * value_bytes);
}

/* C = A B with a packed B; A has `rows` rows of k elements in the run's element type. */
static void run_packed(const attention_run *run, size_t rows, size_t n, size_t k,
                       const void *a, size_t a_stride, const void *packed, float *c,
                       size_t c_stride, bool accumulate)
{
    const s3r_product product = {.m = rows,
                                 .n = n,
                                 .k = k,
                                 .a = a,
                                 .is_bf16 = run->is_bf16,
                                 .a_stride = a_stride,
                                 .b = packed,
                                 .b_layout = S3R_B_PACKED,
                                 .c = c,
                                 .c_stride = c_stride,
                                 .accumulate = accumulate};
    s3r_product_run_serial(run->kernels, &product, NULL);
}

/* Rows of a value slice, scaled, in the run's element type; odd ends are zeroed. */
static void copy_rows(const attention_run *run, const s3r_value *value, size_t row,
                      size_t rows, size_t col, float scale, float *line, void *out,
                      size_t out_stride)
{
    size_t width = run->attention->width;
    for (size_t i = 0; i < rows; i++) {
        const float *from = value->data + (row + i) * value->stride + col;
        if (!run->is_bf16) {
            run->kernels->scale(width, scale, from, (float *)out + i * out_stride);
            continue;
        }
        uint16_t *narrow = (uint16_t *)out + i * out_stride;
        if (scale != 1.0f) {
            run->kernels->scale(width, scale, from, line);
            from = line;
        }
        run->kernels->f32_to_bf16(width, from, narrow);
        memset(narrow + width, 0, (out_stride - width) * sizeof *narrow);
    }
}

/* gate[i, h] * position[h, j - i + center] added to the logits of query i. */
static void add_position(const attention_run *run, size_t u, size_t h, size_t query,
                         float *logits)
{
    const s3r_attention_options *options = &run->attention->options;
    if (!options->position)
        return;
    const s3r_value *position = options->position, *gate = options->gate;
    size_t row = run->attention->frames.offset[u] + query;
    size_t center = position->cols / 2;
    run->kernels->axpy(frames_of(run->attention, u), gate->data[row * gate->stride + h],
                       position->data + h * position->stride + center - query, logits);
}

typedef struct query_block {
    size_t u, h, first, rows; /* queries first .. first + rows of utterance u */
    size_t frames, row;       /* of u; row of the first query in the batch */
    float *queries;           /* [rows, width] scaled, in the element type */
    size_t query_stride;
    float *logits;    /* [rows, frames] */
    uint16_t *narrow; /* exponentials or slopes in bf16, a zero behind an odd end */
    float *line;      /* one fp32 row */
} query_block;

static uint16_t *narrow_row(const attention_run *run, const query_block *block, size_t i)
{
    uint16_t *narrow = block->narrow + i * run->logits_stride;
    narrow[block->frames] = 0;
    return narrow;
}

/* y[rows, width] (+)= x [rows, frames] B; in bf16 x is what `narrow` holds. */
static void run_by_frames(const attention_run *run, const query_block *block,
                          const float *x, const void *packed, float *y, size_t y_stride,
                          bool accumulate)
{
    run_packed(run, block->rows, run->attention->width, block->frames,
               run->is_bf16 ? (const void *)block->narrow : x, run->logits_stride, packed,
               y, y_stride, accumulate);
}

static void compute_logits(const attention_run *run, const query_block *block,
                           const void *keys)
{
    const attention_node *at = run->attention;
    copy_rows(run, at->q, block->row, block->rows, block->h * at->width, at->scale,
              block->line, block->queries, block->query_stride);
    run_packed(run, block->rows, block->frames, at->width, block->queries,
               block->query_stride, keys, block->logits, run->logits_stride, false);
    for (size_t i = 0; i < block->rows; i++)
        add_position(run, block->u, block->h, block->first + i,
                     block->logits + i * run->logits_stride);
}

/* The dropout of the probabilities of one query; the threshold is 0 without. */
typedef struct row_dropout {
    uint64_t key;
    uint32_t threshold;
    float scale;
} row_dropout;

static row_dropout dropout_of(const attention_run *run, const query_block *block,
                              size_t i)
{
    const attention_node *at = run->attention;
    if (!at->has_dropout)
        return (row_dropout){.scale = 1.0f};
    uint64_t query = (uint64_t)(block->first + i) * at->options.heads + block->h;
    double p = (double)at->options.dropout;
    return (row_dropout){
        .key =
            s3r_random_at(at->dropout_key, at->options.utterance_keys[block->u], query),
        .threshold = (uint32_t)(p * 4294967296.0),
        .scale = (float)(1.0 / (1.0 - p))};
}

static query_block locate_block(const attention_run *run, size_t task, size_t worker)
{
    const attention_node *at = run->attention;
    size_t u = 0;
    while (run->block_at[u + 1] <= task)
        u++;
    size_t frames = frames_of(at, u), rows = block_rows_of(run, frames);
    size_t blocks = S3R_CEIL_DIV(frames, block_rows_of(run, frames)),
           inside = task - run->block_at[u];
    size_t first = inside % blocks * rows;
    unsigned char *scratch = run->scratch + worker * run->scratch_bytes;
    query_block block = {.u = u,
                         .h = inside / blocks,
                         .first = first,
                         .rows = S3R_MIN(frames - first, rows),
                         .frames = frames,
                         .row = at->frames.offset[u] + first};
    block.query_stride = s3r_padded_stride(at->width, 2);
    block.line = (float *)(void *)scratch;
    block.queries = block.line + block.query_stride;
    block.logits = block.queries + run->block_rows * block.query_stride;
    block.narrow =
        (uint16_t *)(void *)(block.logits + run->block_rows * run->logits_stride);
    return block;
}

/* What locate_block lays out at the beginning of a worker's scratch. */
static size_t block_bytes(const attention_run *run)
{
    size_t queries = (1 + run->block_rows) * s3r_padded_stride(run->attention->width, 2);
    size_t logits = run->block_rows * run->logits_stride;
    size_t bytes = (queries + logits) * sizeof(float) +
                   (run->is_bf16 ? logits * sizeof(uint16_t) : 0);
    return S3R_CEIL_DIV(bytes, S3R_ALIGNMENT) * S3R_ALIGNMENT;
}

/* Exponentials of the logits of query i, dropped, as the next product reads them; returns
 * one divided by their sum. */
static float take_exponentials(const attention_run *run, const query_block *block,
                               size_t i)
{
    const attention_node *at = run->attention;
    const s3r_kernels *kernels = run->kernels;
    size_t count = block->frames;
    float *logits = block->logits + i * run->logits_stride;
    float highest = kernels->max(count, logits);
    if (run->is_bf16 && !at->log_sums && !at->has_dropout)
        return (float)(1.0 / kernels->exp_sum_bf16(count, highest, logits,
                                                   narrow_row(run, block, i)));
    double sum = kernels->exp_sum(count, highest, logits, logits);
    if (at->log_sums)
        at->log_sums[(block->row + i) * at->options.heads + block->h] =
            highest + (float)log(sum);
    row_dropout dropout = dropout_of(run, block, i);
    if (dropout.threshold > 0)
        kernels->dropout(count, dropout.key, 0, dropout.threshold, dropout.scale, logits,
                         logits);
    if (run->is_bf16)
        kernels->f32_to_bf16(count, logits, narrow_row(run, block, i));
    return (float)(1.0 / sum);
}

static void forward_task(void *context, size_t task, size_t worker)
{
    const attention_run *run = context;
    const attention_node *at = run->attention;
    query_block block = locate_block(run, task, worker);
    size_t key_bytes = s3r_packed_bytes(at->width, block.frames, run->is_bf16);
    size_t value_bytes = s3r_packed_bytes(block.frames, at->width, run->is_bf16);
    compute_logits(run, &block,
                   run->panels.keys + run->panels.key_at[block.u] + block.h * key_bytes);
    float inverse[QUERY_BLOCK];
    for (size_t i = 0; i < block.rows; i++)
        inverse[i] = take_exponentials(run, &block, i);
    float *out = run->y->data + block.row * run->y->stride + block.h * at->width;
    run_by_frames(run, &block, block.logits,
                  run->panels.values + run->panels.value_at[block.u] +
                      block.h * value_bytes,
                  out, run->y->stride, false);
    for (size_t i = 0; i < block.rows; i++)
        run->kernels->scale(at->width, inverse[i], out + i * run->y->stride,
                            out + i * run->y->stride);
}

/* Tables of where the panels and tasks of each utterance are; false without memory. */
static bool plan_run(s3r_tape *tape, attention_run *run, size_t *longest)
{
    const attention_node *at = run->attention;
    size_t count = at->frames.count, heads = at->options.heads;
    size_t *key_at = s3r_tape_alloc(tape, count + 1, sizeof *key_at);
    size_t *value_at = s3r_tape_alloc(tape, count + 1, sizeof *value_at);
    size_t *block_at = s3r_tape_alloc(tape, count + 1, sizeof *block_at);
    if (!key_at || !value_at || !block_at)
        return false;
    key_at[0] = value_at[0] = block_at[0] = 0;
    *longest = 0;
    for (size_t u = 0; u < count; u++) {
        size_t frames = frames_of(at, u);
        *longest = S3R_MAX(*longest, frames);
        key_at[u + 1] =
            key_at[u] + heads * s3r_packed_bytes(at->width, frames, run->is_bf16);
        value_at[u + 1] =
            value_at[u] + heads * s3r_packed_bytes(frames, at->width, run->is_bf16);
        block_at[u + 1] =
            block_at[u] + heads * S3R_CEIL_DIV(frames, block_rows_of(run, frames));
        run->block_rows = S3R_MAX(run->block_rows, block_rows_of(run, frames));
    }
    run->panels.key_at = key_at;
    run->panels.value_at = value_at;
    run->block_at = block_at;
    run->logits_stride = s3r_padded_stride(*longest + 1, sizeof(float));
    return true;
}

static void run_forward(s3r_tape *tape, attention_run *run)
{
    const attention_node *at = run->attention;
    size_t count = at->frames.count, longest;
    if (!plan_run(tape, run, &longest))
        return;
    run->scratch_bytes = block_bytes(run);
    run->panels.keys = s3r_tape_alloc(tape, run->panels.key_at[count], 1);
    run->panels.values = s3r_tape_alloc(tape, run->panels.value_at[count], 1);
    run->scratch = s3r_tape_alloc(tape, s3r_pool_threads(tape->pool), run->scratch_bytes);
    if (tape->is_out_of_memory)
        return;
    s3r_pool_run(tape->pool, count * at->options.heads, pack_head, run);
    s3r_pool_run(tape->pool, run->block_at[count], forward_task, run);
}

static void attention_backward(s3r_tape *tape, s3r_node *node);

s3r_value *s3r_op_attention(s3r_tape *tape, s3r_value *q, s3r_value *k, s3r_value *v,
                            s3r_ragged frames, const s3r_attention_options *options)
{
    if (!q || !k || !v || !frames.offset)
        return NULL;
    if (options->position && (!options->gate || options->gate->rows != q->rows))
        return NULL;
    s3r_value *y = s3r_tape_value(tape, q->rows, q->cols);
    if (!y)
        return NULL;
    attention_node at = {.q = q, .k = k, .v = v, .frames = frames, .options = *options};
    at.width = q->cols / options->heads;
    at.scale = (float)(1.0 / sqrt((double)at.width));
    at.has_dropout = tape->is_training && options->dropout > 0.0f;
    if (at.has_dropout)
        at.dropout_key = s3r_random_at(tape->dropout_seed, tape->dropout_serial++, 0);
    y->needs_grad = s3r_tape_wants(tape, q, NULL) || s3r_tape_wants(tape, k, NULL) ||
                    s3r_tape_wants(tape, v, NULL) ||
                    s3r_tape_wants(tape, options->position, NULL) ||
                    s3r_tape_wants(tape, options->gate, NULL);
    if (y->needs_grad)
        at.log_sums = s3r_tape_alloc(tape, q->rows * options->heads, sizeof(float));
    attention_run run = {.kernels = tape->kernels,
                         .attention = &at,
                         .y = y,
                         .is_bf16 = tape->is_bf16,
                         .long_rows = QUERY_BLOCK};
    s3r_arena_mark mark = s3r_tape_mark(tape);
    if (!tape->is_out_of_memory)
        run_forward(tape, &run);
    if (tape->is_out_of_memory)
        return NULL;
    s3r_arena_rewind(&tape->arena, mark);
    s3r_node *node = s3r_tape_push(tape, y, sizeof at, attention_backward);
    if (node) {
        at.node = *node;
        *(attention_node *)node = at;
        s3r_tape_need(q);
        s3r_tape_need(k);
        s3r_tape_need(v);
        s3r_tape_need(options->gate);
        s3r_tape_need(options->position);
    }
    return y;
}

/* ---- backward ---- */

/* Memory of one worker while it owns a head. */
typedef struct head_memory {
    unsigned char *keys_transposed, *values_transposed, *keys_plain; /* packed */
    unsigned char *block_packed; /* one [rows, width] block as B */
    float *probabilities;        /* [frames] of one query */
    float *slopes;               /* [rows, frames]: dP, then dS */
    float *turned;               /* [frames, rows] */
} head_memory;

static size_t turned_stride(const attention_run *run)
{
    return s3r_padded_stride(run->block_rows + 1, 2);
}

/* Sizes for the longest utterance; with base NULL only the total is computed. */
static size_t lay_out(const attention_run *run, unsigned char *base, head_memory *memory)
{
    size_t width = run->attention->width, longest = run->logits_stride;
    size_t by_frames = s3r_packed_bytes(width, longest, run->is_bf16);
    size_t by_width = s3r_packed_bytes(longest, width, run->is_bf16);
    size_t block = s3r_packed_bytes(run->block_rows, width, run->is_bf16);
    size_t line = longest * sizeof(float), logits = run->block_rows * line;
    size_t turned = (longest + 1) * turned_stride(run) * sizeof(float);
    const size_t sizes[] = {by_frames, by_frames, by_width, block, line, logits, turned};
    unsigned char *at[7];
    size_t used = block_bytes(run);
    for (size_t i = 0; i < S3R_ARRAY_LEN(sizes); i++) {
        at[i] = base ? base + used : NULL;
        used += S3R_CEIL_DIV(sizes[i], S3R_ALIGNMENT) * S3R_ALIGNMENT;
    }
    if (base)
        *memory = (head_memory){at[0],
                                at[1],
                                at[2],
                                at[3],
                                (float *)(void *)at[4],
                                (float *)(void *)at[5],
                                (float *)(void *)at[6]};
    return used;
}

/* x [rows, frames] turned to [frames, rows] in the element type. */
static void turn_block(const attention_run *run, const float *x, size_t rows,
                       size_t frames, float *turned)
{
    if (run->is_bf16)
        run->kernels->transpose_bf16(rows, frames, x, run->logits_stride,
                                     (uint16_t *)(void *)turned, turned_stride(run));
    else
        run->kernels->transpose_f32(rows, frames, x, run->logits_stride, turned,
                                    turned_stride(run));
}

/* Gradients of the position table and the gate from dS of one query. */
static void position_grad(const attention_run *run, const query_block *block, size_t i,
                          const float *slope)
{
    const s3r_attention_options *options = &run->attention->options;
    if (!options->position)
        return;
    const s3r_value *position = options->position;
    const s3r_value *gate = options->gate;
    size_t query = block->first + i, start = position->cols / 2 - query;
    size_t gate_at = (block->row + i) * gate->stride + block->h;
    if (gate->grad)
        gate->grad[gate_at] += (float)run->kernels->dot(
            block->frames, slope, position->data + block->h * position->stride + start);
    if (run->position_parts)
        run->kernels->axpy(block->frames, gate->data[gate_at], slope,
                           run->position_parts[block->u * options->heads + block->h] +
                               start);
}

/* dS = P (dP - sum(P dP)) for each row, times the factor of q in the logits, in `slopes`;
 * the dropped P replace the logits. */
static void probability_grads(const attention_run *run, const query_block *block,
                              const head_memory *memory)
{
    const attention_node *at = run->attention;
    const s3r_kernels *kernels = run->kernels;
    float *p = memory->probabilities;
    bool has_position = at->options.position;
    for (size_t i = 0; i < block->rows; i++) {
        float *slope = memory->slopes + i * run->logits_stride;
        float *logits = block->logits + i * run->logits_stride;
        float log_sum = at->log_sums[(block->row + i) * at->options.heads + block->h];
        row_dropout dropout = dropout_of(run, block, i);
        (void)kernels->exp_sum(block->frames, log_sum, logits, p);
        double mean = kernels->softmax_drop(block->frames, dropout.key, dropout.threshold,
                                            dropout.scale, p, slope, logits);
        kernels->softmax_grad(block->frames, (float)mean, has_position ? 1.0f : at->scale,
                              p, slope);
        position_grad(run, block, i, slope);
        if (has_position)
            kernels->scale(block->frames, at->scale, slope, slope);
    }
}

/* grad[frames, width] += turned(x) B for a block of queries. */
static void add_turned(const attention_run *run, const query_block *block,
                       const head_memory *memory, const float *x, s3r_value *target)
{
    if (!target->grad)
        return;
    const attention_node *at = run->attention;
    turn_block(run, x, block->rows, block->frames, memory->turned);
    run_packed(run, block->frames, at->width, block->rows, memory->turned,
               turned_stride(run), memory->block_packed,
               target->grad + at->frames.offset[block->u] * target->stride +
                   block->h * at->width,
               target->stride, true);
}

static void backward_block(const attention_run *run, query_block *block,
                           const head_memory *memory)
{
    const attention_node *at = run->attention;
    size_t col = block->h * at->width;
    s3r_value dy = *run->y;
    dy.data = run->y->grad;
    compute_logits(run, block, memory->keys_transposed);
    copy_rows(run, &dy, block->row, block->rows, col, 1.0f, block->line, block->queries,
              block->query_stride);
    run_packed(run, block->rows, block->frames, at->width, block->queries,
               block->query_stride, memory->values_transposed, memory->slopes,
               run->logits_stride, false);
    probability_grads(run, block, memory);
    pack_slice(run->kernels, &dy, block->row, block->rows, col, at->width, false,
               run->is_bf16, memory->block_packed);
    add_turned(run, block, memory, block->logits, at->v);
    pack_slice(run->kernels, at->q, block->row, block->rows, col, at->width, false,
               run->is_bf16, memory->block_packed);
    add_turned(run, block, memory, memory->slopes, at->k);
    if (!at->q->grad)
        return;
    for (size_t i = 0; run->is_bf16 && i < block->rows; i++)
        run->kernels->f32_to_bf16(block->frames, memory->slopes + i * run->logits_stride,
                                  narrow_row(run, block, i));
    run_by_frames(run, block, memory->slopes, memory->keys_plain,
                  at->q->grad + block->row * at->q->stride + col, at->q->stride, true);
}

static void backward_task(void *context, size_t task, size_t worker)
{
    const attention_run *run = context;
    const attention_node *at = run->attention;
    size_t heads = at->options.heads, u = task / heads, h = task % heads;
    size_t frames = frames_of(at, u), row = at->frames.offset[u], col = h * at->width;
    head_memory memory;
    if (frames == 0)
        return;
    lay_out(run, run->scratch + worker * run->scratch_bytes, &memory);
    pack_slice(run->kernels, at->k, row, frames, col, at->width, true, run->is_bf16,
               memory.keys_transposed);
    pack_slice(run->kernels, at->v, row, frames, col, at->width, true, run->is_bf16,
               memory.values_transposed);
    pack_slice(run->kernels, at->k, row, frames, col, at->width, false, run->is_bf16,
               memory.keys_plain);
    size_t blocks = S3R_CEIL_DIV(frames, block_rows_of(run, frames));
    for (size_t b = 0; b < blocks; b++) {
        query_block block = locate_block(run, run->block_at[u] + h * blocks + b, worker);
        backward_block(run, &block, &memory);
    }
}

/* Zeroed partial gradients of the position table, one row a task; false without memory.
 */
static bool make_position_parts(s3r_tape *tape, attention_run *run)
{
    const s3r_attention_options *options = &run->attention->options;
    if (!options->position || !s3r_tape_grad(tape, options->position))
        return true;
    size_t parts = run->attention->frames.count * options->heads;
    size_t cols = options->position->cols;
    run->position_parts = s3r_tape_alloc(tape, parts, sizeof(float *));
    float *data = s3r_tape_alloc(tape, parts, cols * sizeof(float));
    if (!run->position_parts || !data)
        return false;
    memset(data, 0, parts * cols * sizeof(float));
    for (size_t i = 0; i < parts; i++)
        run->position_parts[i] = data + i * cols;
    return true;
}

static void add_position_parts(const attention_run *run)
{
    const s3r_attention_options *options = &run->attention->options;
    if (!run->position_parts)
        return;
    s3r_value *position = options->position;
    for (size_t u = 0; u < run->attention->frames.count; u++)
        for (size_t h = 0; h < options->heads; h++)
            run->kernels->axpy(position->cols, 1.0f,
                               run->position_parts[u * options->heads + h],
                               position->grad + h * position->stride);
}

static void attention_backward(s3r_tape *tape, s3r_node *node)
{
    const attention_node *at = (const attention_node *)node;
    attention_run run = {.kernels = tape->kernels,
                         .attention = at,
                         .y = node->output,
                         .is_bf16 = tape->is_bf16,
                         .long_rows = BACKWARD_BLOCK};
    s3r_value *const read[] = {at->q, at->k, at->v, at->options.gate,
                               at->options.position};
    for (size_t i = 0; i < S3R_ARRAY_LEN(read); i++) {
        (void)s3r_tape_grad(tape, read[i]);
        if (read[i] && !s3r_tape_data(tape, read[i]))
            return;
    }
    s3r_arena_mark mark = s3r_tape_mark(tape);
    size_t longest;
    if (plan_run(tape, &run, &longest) && make_position_parts(tape, &run)) {
        run.scratch_bytes = lay_out(&run, NULL, NULL);
        run.scratch =
            s3r_tape_alloc(tape, s3r_pool_threads(tape->pool), run.scratch_bytes);
        if (run.scratch && !tape->is_out_of_memory) {
            s3r_pool_run(tape->pool, at->frames.count * at->options.heads, backward_task,
                         &run);
            add_position_parts(&run);
        }
    }
    s3r_arena_rewind(&tape->arena, mark);
}
