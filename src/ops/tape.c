/*
 * The tape's memory: values, nodes, gradients that are reused, scopes.
 */
#include "ops/tape.h"

#include <assert.h>
#include <string.h>

#define ARENA_CHUNK_BYTES ((size_t)16 << 20)
/* A training step that holds more takes chunks as large as what it holds: in many chunks,
 * many ends would lie idle. */
#define GROWING_FROM_BYTES ((size_t)64 << 20)
#define RANGE_ELEMENTS     16384u /* work of one row range, about 10 us */

/* Memory that nobody uses; the header lies at its beginning. */
typedef struct s3r_free_buffer {
    struct s3r_free_buffer *next;
    size_t elements;
} s3r_free_buffer;

void s3r_tape_init(s3r_tape *tape, s3r_pool *pool, const s3r_kernels *kernels)
{
    *tape = (s3r_tape){.pool = pool, .kernels = kernels};
    s3r_arena_init(&tape->arena, ARENA_CHUNK_BYTES);
}

void s3r_tape_release(s3r_tape *tape)
{
    s3r_arena_release(&tape->arena);
}

void s3r_tape_reset(s3r_tape *tape)
{
    s3r_arena_rewind(&tape->arena, (s3r_arena_mark){0});
    tape->is_out_of_memory = false;
    tape->last = NULL;
    tape->free_buffers = NULL;
    tape->staged_value = NULL;
    tape->staged_elements = 0;
    tape->staged_int8.value = NULL;
    tape->dropout_serial = 0;
}

s3r_status s3r_tape_status(const s3r_tape *tape, s3r_error *err)
{
    if (!tape->is_out_of_memory)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_RESOURCE,
                    "out of memory: the network holds %zu MiB and needs more",
                    tape->arena.peak_bytes >> 20);
}

void *s3r_tape_alloc(s3r_tape *tape, size_t count, size_t size)
{
    size_t used = tape->arena.below_bytes + tape->arena.used;
    if (tape->is_recording && used >= GROWING_FROM_BYTES)
        tape->arena.chunk_bytes = S3R_MAX(tape->arena.chunk_bytes, used);
    void *block = s3r_arena_alloc(&tape->arena, count, size);
    if (!block)
        tape->is_out_of_memory = true;
    return block;
}

/* ---- buffers that go from hand to hand ---- */

#define LINE_ELEMENTS (S3R_ALIGNMENT / sizeof(float))

/* Up to the next cache line, where another buffer may begin. */
static size_t whole_lines(size_t elements)
{
    return S3R_CEIL_DIV(elements, LINE_ELEMENTS) * LINE_ELEMENTS;
}

/* From the smallest free buffer that is large enough; the rest of it stays free. */
static float *take_free(s3r_tape *tape, size_t elements)
{
    s3r_free_buffer **best = NULL;
    for (s3r_free_buffer **link = &tape->free_buffers; *link; link = &(*link)->next)
        if ((*link)->elements >= elements &&
            (!best || (*link)->elements < (*best)->elements))
            best = link;
    if (!best)
        return NULL;
    s3r_free_buffer *taken = *best;
    size_t used = whole_lines(elements);
    *best = taken->next;
    if (taken->elements >= used + LINE_ELEMENTS) {
        s3r_free_buffer *rest =
            (s3r_free_buffer *)(void *)((float *)(void *)taken + used);
        *rest = (s3r_free_buffer){taken->next, taken->elements - used};
        *best = rest;
    }
    return (float *)(void *)taken;
}

float *s3r_tape_take(s3r_tape *tape, size_t elements)
{
    float *data = tape->is_recording ? take_free(tape, elements) : NULL;
    return data ? data : s3r_tape_alloc(tape, elements, sizeof *data);
}

/* Joins a buffer with the one behind it when they were one before: blocks of the arena
 * have a spare line between them. */
static void join_next(s3r_free_buffer *buffer)
{
    s3r_free_buffer *next = buffer->next;
    size_t lines = whole_lines(buffer->elements);
    if ((float *)(void *)buffer + lines != (float *)(void *)next)
        return;
    buffer->elements = lines + next->elements;
    buffer->next = next->next;
}

/* Free buffers are in the order of their addresses. */
void s3r_tape_give(s3r_tape *tape, float *data, size_t elements)
{
    if (!data || elements * sizeof *data < sizeof(s3r_free_buffer))
        return;
    s3r_free_buffer *buffer = (s3r_free_buffer *)(void *)data, *before = NULL;
    s3r_free_buffer **link = &tape->free_buffers;
    while (*link && (uintptr_t)*link < (uintptr_t)buffer) {
        before = *link;
        link = &before->next;
    }
    *buffer = (s3r_free_buffer){*link, elements};
    *link = buffer;
    join_next(buffer);
    if (before)
        join_next(before);
}

s3r_value *s3r_tape_wrap(s3r_tape *tape, float *data, size_t rows, size_t cols,
                         size_t stride)
{
    s3r_value *value = s3r_tape_alloc(tape, 1, sizeof *value);
    if (value)
        *value = (s3r_value){.data = data,
                             .rows = rows,
                             .cols = cols,
                             .stride = stride,
                             .is_borrowed = true};
    return value;
}

s3r_value *s3r_tape_value(s3r_tape *tape, size_t rows, size_t cols)
{
    size_t stride = s3r_padded_stride(cols, sizeof(float)), bytes;
    if (!s3r_size_mul(stride, sizeof(float), &bytes)) {
        tape->is_out_of_memory = true;
        return NULL;
    }
    s3r_value *value = s3r_tape_wrap(tape, NULL, rows, cols, stride);
    if (!value || !s3r_size_mul(rows, bytes, &bytes)) {
        tape->is_out_of_memory = true;
        return NULL;
    }
    value->is_borrowed = false;
    value->data = s3r_tape_take(tape, rows * stride);
    return value->data ? value : NULL;
}

void s3r_tape_need(s3r_value *value)
{
    if (value)
        value->is_needed = true;
}

static void drop_data(s3r_tape *tape, s3r_value *value)
{
    if (value->is_borrowed || !value->data)
        return;
    s3r_tape_give(tape, value->data, value->rows * value->stride);
    value->data = NULL;
}

static void drop_narrow(s3r_tape *tape, s3r_value *value)
{
    s3r_tape_give(tape, (float *)(void *)value->narrow,
                  value->rows * (value->narrow_stride / 2));
    value->narrow = NULL;
}

void s3r_tape_forget(s3r_tape *tape, s3r_value *value)
{
    if (!value || !tape->is_recording)
        return;
    if (!value->is_needed)
        drop_narrow(tape, value);
    if (!value->is_needed || (value->origin && value->origin->rebuild))
        drop_data(tape, value);
}

float *s3r_tape_data(s3r_tape *tape, s3r_value *value)
{
    if (!value->data && !tape->is_out_of_memory) {
        s3r_node *origin = value->origin;
        assert(value->is_needed && origin && origin->rebuild);
        value->data = s3r_tape_take(tape, value->rows * value->stride);
        if (value->data)
            origin->rebuild(tape, origin);
    }
    return tape->is_out_of_memory ? NULL : value->data;
}

s3r_ragged s3r_tape_ragged(s3r_tape *tape, size_t count, const size_t *offset)
{
    size_t *copy = s3r_tape_alloc(tape, count + 1, sizeof *copy);
    if (copy)
        memcpy(copy, offset, (count + 1) * sizeof *copy);
    return (s3r_ragged){count, copy};
}

size_t s3r_ragged_find(s3r_ragged ragged, size_t row)
{
    size_t low = 0, high = ragged.count - 1; /* the first that ends behind row */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ragged.offset[middle + 1] > row)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

bool s3r_tape_wants(const s3r_tape *tape, const s3r_value *x, const s3r_weight *w)
{
    return tape->is_recording && ((x && x->needs_grad) || (w && w->grad));
}

s3r_node *s3r_tape_push(s3r_tape *tape, s3r_value *output, size_t node_bytes,
                        void (*backward)(s3r_tape *, s3r_node *))
{
    if (!tape->is_recording || !output || !output->needs_grad)
        return NULL;
    s3r_node *node = s3r_tape_alloc(tape, 1, node_bytes);
    if (!node)
        return NULL;
    *node = (s3r_node){.backward = backward, .previous = tape->last, .output = output};
    output->origin = node;
    tape->last = node;
    return node;
}

float *s3r_tape_grad_open(s3r_tape *tape, s3r_value *value, bool *is_new)
{
    *is_new = false;
    if (!value || !value->needs_grad)
        return NULL;
    if (!value->grad) {
        value->grad = s3r_tape_take(tape, value->rows * value->stride);
        *is_new = true;
    }
    return value->grad;
}

float *s3r_tape_grad(s3r_tape *tape, s3r_value *value)
{
    bool is_new;
    float *grad = s3r_tape_grad_open(tape, value, &is_new);
    if (grad && is_new)
        memset(grad, 0, value->rows * value->stride * sizeof *grad);
    return grad;
}

typedef struct pass_run {
    const s3r_kernels *kernels;
    const s3r_value *from, *to;
} pass_run;

static void pass_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const pass_run *run = context;
    (void)worker;
    for (size_t i = row; i < row_end; i++)
        run->kernels->axpy(run->to->cols, 1.0f, run->from->grad + i * run->from->stride,
                           run->to->grad + i * run->to->stride);
}

void s3r_tape_grad_pass(s3r_tape *tape, s3r_value *from, s3r_value *to)
{
    assert(from->rows == to->rows && from->cols == to->cols && from != to);
    if (!to->needs_grad || !from->grad)
        return;
    if (!to->grad && to->stride == from->stride) {
        to->grad = from->grad;
        from->grad = NULL;
        return;
    }
    pass_run run = {tape->kernels, from, to};
    if (s3r_tape_grad(tape, to))
        s3r_tape_rows(tape, to->rows, to->cols, pass_rows, &run);
}

/* After its node ran, nobody reads the output again. */
static void drop_value(s3r_tape *tape, s3r_value *value)
{
    s3r_tape_give(tape, value->grad, value->rows * value->stride);
    value->grad = NULL;
    drop_data(tape, value);
    drop_narrow(tape, value);
}

void s3r_tape_backward(s3r_tape *tape)
{
    s3r_tape_unstage(tape);
    for (s3r_node *node = tape->last; node && !tape->is_out_of_memory;
         node = node->previous) {
        if (node->output->grad) /* else nothing that matters depends on it */
            node->backward(tape, node);
        drop_value(tape, node->output);
    }
    tape->last = NULL;
}

s3r_arena_mark s3r_tape_mark(const s3r_tape *tape)
{
    return s3r_arena_get_mark(&tape->arena);
}

s3r_value *s3r_tape_keep(s3r_tape *tape, s3r_arena_mark mark, s3r_value *value)
{
    if (tape->is_recording || !value)
        return value;
    s3r_value kept = *value;
    size_t bytes = kept.rows * kept.stride * sizeof(float);
    tape->staged_value = NULL;
    tape->staged_int8.value = NULL;
    kept.data = s3r_arena_keep(&tape->arena, mark, kept.data, bytes);
    if (!kept.data) {
        tape->is_out_of_memory = true;
        return NULL;
    }
    return s3r_tape_wrap(tape, kept.data, kept.rows, kept.cols, kept.stride);
}

/* ---- rows in parallel ---- */

static size_t rows_a_range(size_t row_cost)
{
    size_t rows = RANGE_ELEMENTS / S3R_MAX(row_cost, (size_t)1);
    return S3R_MAX(rows, (size_t)1);
}

size_t s3r_row_ranges(size_t rows, size_t row_cost)
{
    return S3R_CEIL_DIV(rows, rows_a_range(row_cost));
}

void s3r_row_range(size_t rows, size_t row_cost, size_t index, size_t *row,
                   size_t *row_end)
{
    size_t step = rows_a_range(row_cost);
    *row = index * step;
    *row_end = S3R_MIN(rows, *row + step);
}

typedef struct rows_run {
    s3r_rows_fn run;
    void *context;
    size_t rows, row_cost;
} rows_run;

static void run_rows_task(void *context, size_t task, size_t worker)
{
    const rows_run *run = context;
    size_t row, row_end;
    s3r_row_range(run->rows, run->row_cost, task, &row, &row_end);
    run->run(run->context, row, row_end, worker);
}

void s3r_tape_rows(s3r_tape *tape, size_t rows, size_t row_cost, s3r_rows_fn run,
                   void *context)
{
    rows_run all = {run, context, rows, row_cost};
    s3r_pool_run(tape->pool, s3r_row_ranges(rows, row_cost), run_rows_task, &all);
}

/* ---- bf16 copies ---- */

typedef struct stage_run {
    const s3r_kernels *kernels;
    const s3r_value *value;
    uint16_t *out;
    size_t stride;
} stage_run;

static void stage_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const stage_run *run = context;
    size_t cols = run->value->cols;
    (void)worker;
    for (size_t i = row; i < row_end; i++)
        run->kernels->f32_to_bf16(cols, run->value->data + i * run->value->stride,
                                  run->out + i * run->stride);
}

void s3r_tape_unstage(s3r_tape *tape)
{
    if (tape->staged_value && tape->staged_elements > 0)
        s3r_tape_give(tape, (float *)(void *)(uintptr_t)tape->staged_data,
                      tape->staged_elements);
    tape->staged_value = NULL;
    tape->staged_elements = 0;
    tape->staged_int8.value = NULL;
}

uint16_t *s3r_tape_stage_take(s3r_tape *tape, const s3r_value *value, size_t *stride)
{
    size_t elements;
    *stride = s3r_padded_stride(value->cols + value->cols % 2, 2);
    if (!s3r_size_mul(value->rows, *stride / 2, &elements)) {
        tape->is_out_of_memory = true;
        return NULL;
    }
    uint16_t *out = (uint16_t *)(void *)s3r_tape_take(tape, elements);
    for (size_t i = 0; out && *stride > value->cols && i < value->rows; i++)
        memset(out + i * *stride + value->cols, 0, (*stride - value->cols) * sizeof *out);
    return out;
}

float *s3r_tape_make_narrow(s3r_tape *tape, s3r_value *value)
{
    float *sums = value->data;
    value->data = NULL;
    value->narrow = s3r_tape_stage_take(tape, value, &value->narrow_stride);
    return sums;
}

void s3r_tape_stage_set(s3r_tape *tape, const s3r_value *value, const uint16_t *data,
                        size_t stride)
{
    s3r_tape_unstage(tape);
    tape->staged_value = value;
    tape->staged_data = data;
    tape->staged_stride = stride;
    tape->staged_elements = tape->is_recording ? value->rows * (stride / 2) : 0;
}

const uint16_t *s3r_tape_stage_bf16(s3r_tape *tape, const s3r_value *value,
                                    size_t *stride)
{
    if (value->narrow) {
        *stride = value->narrow_stride;
        return value->narrow;
    }
    if (tape->staged_value != value) {
        s3r_tape_unstage(tape);
        uint16_t *out = s3r_tape_stage_take(tape, value, stride);
        if (!out)
            return NULL;
        stage_run run = {tape->kernels, value, out, *stride};
        s3r_tape_rows(tape, value->rows, value->cols, stage_rows, &run);
        s3r_tape_stage_set(tape, value, out, *stride);
    }
    *stride = tape->staged_stride;
    return tape->staged_data;
}

/* ---- int8 copies ---- */

typedef struct quantize_run {
    const s3r_kernels *kernels;
    const s3r_value *value;
    uint8_t *out;
    size_t stride;
    float *scales;
} quantize_run;

static void quantize_rows(void *context, size_t row, size_t row_end, size_t worker)
{
    const quantize_run *run = context;
    size_t cols = run->value->cols;
    (void)worker;
    for (size_t i = row; i < row_end; i++) {
        uint8_t *out = run->out + i * run->stride;
        run->scales[i] = run->kernels->quantize_row(
            cols, run->value->data + i * run->value->stride, out);
        memset(out + cols, 0, run->stride - cols);
    }
}

bool s3r_tape_stage_int8(s3r_tape *tape, const s3r_value *value, const uint8_t **data,
                         size_t *stride, const float **scales)
{
    struct s3r_int8_rows *staged = &tape->staged_int8;
    assert(!tape->is_recording && value->data);
    if (staged->value != value) {
        staged->value = NULL;
        staged->stride = s3r_padded_stride(value->cols + 3, 1);
        uint8_t *out = s3r_tape_alloc(tape, value->rows, staged->stride);
        float *worth = s3r_tape_alloc(tape, value->rows, sizeof *worth);
        if (!out || !worth)
            return false;
        quantize_run run = {tape->kernels, value, out, staged->stride, worth};
        s3r_tape_rows(tape, value->rows, value->cols, quantize_rows, &run);
        staged->data = out;
        staged->scales = worth;
        staged->value = value;
    }
    *data = staged->data;
    *stride = staged->stride;
    *scales = staged->scales;
    return true;
}
