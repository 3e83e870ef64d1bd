/*
 * The tape: operations on ragged batches that record themselves for the backward pass.
 *
 * A value is a matrix [rows, cols] of fp32 whose rows are frames of all utterances one
 * after another (no padding); a ragged table says where each utterance begins.  An op
 * takes values and weights, returns a new value and, when somebody below needs a
 * gradient, pushes a node with its backward function.  s3r_tape_backward walks the nodes
 * in reverse.
 *
 * A training step keeps what its backward pass cannot make again and no more.  An op says
 * what it will read (s3r_tape_need); the network says what no later op of the forward
 * pass reads (s3r_tape_forget), whose memory then serves other values; and the backward
 * pass asks for data (s3r_tape_data), which the op that made it makes again if it can.
 *
 * Everything lives in the tape's arena.  When memory runs out an op returns NULL and the
 * tape remembers it; ops given a NULL value return NULL, so that a network is written
 * without a check a line and the caller asks s3r_tape_status once at the end.
 *
 * A tape belongs to one thread; its pool does the parallel work.
 */
#ifndef S3R_OPS_TAPE_H
#define S3R_OPS_TAPE_H

#include "base/memory.h"
#include "base/thread_pool.h"
#include "ops/gemm.h"
#include "ops/kernels.h"

/* Where utterance u begins and ends: rows offset[u] .. offset[u + 1]. */
typedef struct s3r_ragged {
    size_t count;
    const size_t *offset; /* [count + 1], offset[0] = 0, not decreasing */
} s3r_ragged;

typedef struct s3r_node s3r_node;

typedef struct s3r_value {
    float *data; /* [rows, cols], row i at data + i * stride; NULL while forgotten */
    float *grad; /* same layout; NULL until the backward pass reaches it */
    size_t rows, cols, stride;
    /* In bf16 for products, in place of data that nobody else reads: rows of its own
     * stride, zero beyond cols. NULL = none. */
    uint16_t *narrow;
    size_t narrow_stride;
    bool needs_grad;
    bool is_needed;   /* the backward pass reads data, through s3r_tape_data */
    bool is_borrowed; /* data is the caller's */
    s3r_node *origin; /* the recorded op that made it, or NULL */
} s3r_value;

/*
 * A parameter in the layout of its op: [rows, cols] row-major, rows = output channels (a
 * vector has rows 1).  Frozen weights stay in their stored type in the memory map, also
 * those of which only the gradient is asked for; trained ones are fp32.
 */
typedef struct s3r_weight {
    const void *data;
    s3r_dtype dtype; /* F32, F16, BF16 or I8; vectors and trainable weights F32 */
    size_t rows, cols;
    /* I8 data or panels: [rows] what one step is worth. Such data serves s3r_op_linear
     * alone, such panels s3r_op_conv (conv_int8.h), both where no gradient is asked for.
     */
    const float *scales;
    /* of convolutions: panels of the whole weight, or NULL */
    const void *packed_f32, *packed_bf16, *packed_int8;
    struct s3r_prepack *prepack; /* of matrices (prepack.h); NULL = packed in each pass */
    /* The connections that are kept: bit (row, col) is bit col % 64 of word
     * kept[row * kept_stride + col / 64]; the others count as 0 in every product. NULL =
     * all.  A masked weight has data and no panels. */
    const uint64_t *kept;
    size_t kept_stride; /* words */
    /* Accumulates the gradient of the effective (masked) weight, of removed elements
     * too; NULL = nobody asks. */
    float *grad;
} s3r_weight;

/* The weight for an op, NULL when the model does not have it.  Ops write to a weight's
 * gradient alone, so that a model without gradients is shared read-only. */
static inline s3r_weight *s3r_weight_present(const s3r_weight *weight)
{
    bool has =
        weight->data || weight->packed_f32 || weight->packed_bf16 || weight->packed_int8;
    return has ? (s3r_weight *)(uintptr_t)weight : NULL;
}

typedef struct s3r_tape s3r_tape;

/* First member of every recorded op. */
struct s3r_node {
    void (*backward)(s3r_tape *tape, s3r_node *node);
    /* Writes output->data again, whose memory is there, from data that the op needed;
     * NULL when it cannot, and a needed output then keeps its memory. */
    void (*rebuild)(s3r_tape *tape, s3r_node *node);
    s3r_node *previous;
    s3r_value *output;
};

struct s3r_tape {
    s3r_arena arena;
    s3r_pool *pool;
    const s3r_kernels *kernels;
    bool is_bf16;          /* products in bf16, sums in fp32 */
    bool is_recording;     /* false: no node is kept and s3r_tape_keep reclaims memory */
    bool is_training;      /* dropout is on */
    uint64_t dropout_seed; /* fixes every dropout of this step */
    uint64_t dropout_serial; /* counts dropout ops, so that each draws its own */
    bool is_out_of_memory;
    s3r_node *last;
    struct s3r_free_buffer *free_buffers;
    const s3r_value *staged_value; /* memo of s3r_tape_stage_bf16 */
    const uint16_t *staged_data;
    size_t staged_stride, staged_elements; /* elements: to be given back, or 0 */
    struct s3r_int8_rows {                 /* memo of s3r_tape_stage_int8 */
        const s3r_value *value;
        const uint8_t *data;
        const float *scales;
        size_t stride;
    } staged_int8;
};

void s3r_tape_init(s3r_tape *tape, s3r_pool *pool, const s3r_kernels *kernels);
void s3r_tape_release(s3r_tape *tape);
/* Forgets all values and nodes; the memory stays for the next step. */
void s3r_tape_reset(s3r_tape *tape);
/* S3R_ERR_RESOURCE when an op ran out of memory since the last reset. */
s3r_status s3r_tape_status(const s3r_tape *tape, s3r_error *err);

/* Arena memory, not cleared; NULL (and remembered) when there is none. */
void *s3r_tape_alloc(s3r_tape *tape, size_t count, size_t size);
/* A new value [rows, cols], not cleared; its stride suits matrix products. */
s3r_value *s3r_tape_value(s3r_tape *tape, size_t rows, size_t cols);
/* A value around the caller's data, which must outlive the tape's step. */
s3r_value *s3r_tape_wrap(s3r_tape *tape, float *data, size_t rows, size_t cols,
                         size_t stride);
/* Offsets copied into the arena; ragged.offset is NULL without memory. */
s3r_ragged s3r_tape_ragged(s3r_tape *tape, size_t count, const size_t *offset);
/* The utterance that row is in; row < offset[count]. */
size_t s3r_ragged_find(s3r_ragged ragged, size_t row);

/*
 * Ends an op: pushes a node of node_bytes (starting with s3r_node) when
 * output->needs_grad was set by the op and the tape records.  Returns the node, not
 * cleared beyond its head, for the op to fill; NULL when nothing is recorded.
 */
s3r_node *s3r_tape_push(s3r_tape *tape, s3r_value *output, size_t node_bytes,
                        void (*backward)(s3r_tape *, s3r_node *));

/* True when an op on these must record: the tape records and x or w wants a gradient. */
bool s3r_tape_wants(const s3r_tape *tape, const s3r_value *x, const s3r_weight *w);

/* The gradient of value for accumulation (cleared on first use); NULL when value does not
 * need one or memory ran out. */
float *s3r_tape_grad(s3r_tape *tape, s3r_value *value);
/* The same for an op that writes every element: *is_new when nothing is there yet, and
 * the op then stores instead of adding. */
float *s3r_tape_grad_open(s3r_tape *tape, s3r_value *value, bool *is_new);
/* to->grad += from->grad for values of one shape; from->grad may be NULL afterwards,
 * because its memory has become to->grad. */
void s3r_tape_grad_pass(s3r_tape *tape, s3r_value *from, s3r_value *to);

/*
 * Memory for s3r_tape_give, from what was given or forgotten, else from the arena; not
 * cleared.  Only while recording; not between a mark and its rewind.
 */
float *s3r_tape_take(s3r_tape *tape, size_t elements);
void s3r_tape_give(s3r_tape *tape, float *data, size_t elements); /* NULL is allowed */

/* Says that the backward pass or a rebuild will read value->data; NULL is allowed. */
void s3r_tape_need(s3r_value *value);
/* Says that no op of the forward pass reads value->data any more; without recording, and
 * for NULL, nothing happens. */
void s3r_tape_forget(s3r_tape *tape, s3r_value *value);
/* value->data in the backward pass, made again if it was forgotten; NULL without memory.
 * Not between a mark and its rewind. */
float *s3r_tape_data(s3r_tape *tape, s3r_value *value);

/* Runs the recorded ops backwards.  The caller has put the gradient of the result with
 * s3r_tape_grad before.  Data and gradients of values are reused as soon as they are
 * consumed; only weights' gradients and leaf values remain. */
void s3r_tape_backward(s3r_tape *tape);

/*
 * Scopes: without recording, everything made since the mark is dropped but `value`, which
 * moves down to the mark; with recording nothing happens.  Returns the value.
 */
s3r_arena_mark s3r_tape_mark(const s3r_tape *tape);
s3r_value *s3r_tape_keep(s3r_tape *tape, s3r_arena_mark mark, s3r_value *value);

/* value as bf16 with a padded, even stride (zero beyond cols); remembered for the last
 * value asked for. NULL without memory. */
const uint16_t *s3r_tape_stage_bf16(s3r_tape *tape, const s3r_value *value,
                                    size_t *stride);
/* For ops that make such a copy themselves: its memory, with zeros beyond cols, and the
 * remembering of it in place of the former one. */
uint16_t *s3r_tape_stage_take(s3r_tape *tape, const s3r_value *value, size_t *stride);
void s3r_tape_stage_set(s3r_tape *tape, const s3r_value *value, const uint16_t *data,
                        size_t stride);
/* Makes room for a new value in bf16 alone; returns what was to be its data, for sums. */
float *s3r_tape_make_narrow(s3r_tape *tape, s3r_value *value);
/* value in int8 plus 128, row by row (s3r_kernels.quantize_row), with a padded stride and
 * what one step of each row is worth, [rows]; remembered in the same way. Without
 * recording only. False without memory. */
bool s3r_tape_stage_int8(s3r_tape *tape, const s3r_value *value, const uint8_t **data,
                         size_t *stride, const float **scales);
/* Forgets the remembered copies; after a rewind, and before the value's memory goes. */
void s3r_tape_unstage(s3r_tape *tape);

/* Runs fn over row ranges in parallel: about `row_cost` elements of work a row.  The cut
 * depends on rows and row_cost only. */
typedef void (*s3r_rows_fn)(void *context, size_t row, size_t row_end, size_t worker);
void s3r_tape_rows(s3r_tape *tape, size_t rows, size_t row_cost, s3r_rows_fn run,
                   void *context);
/* The number of ranges that s3r_tape_rows makes and the range `index`, for ops that keep
 * one partial sum a range and add them in order. */
size_t s3r_row_ranges(size_t rows, size_t row_cost);
void s3r_row_range(size_t rows, size_t row_cost, size_t index, size_t *row,
                   size_t *row_end);

#endif
