/*
 * The checks of an op.  Inputs are fixed pseudo-random numbers; the loss that is
 * differentiated is the sum of the outputs with random factors.
 */
#include "support_gradient.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "support_alloc_faults.h"

#define MAX_UTTERANCES 4
/* Elements an input whose gradient is checked. */
#define MAX_DIFFERENCES      300u
#define MAX_LONG_DIFFERENCES 20u
#define STEP                 1e-5
#define BF16_SNR_DB          40.0 /* 8 bits of mantissa: about 50 dB, less through sums */
#define BF16_GRADIENT_DB     34.0
#define FORWARD_TOLERANCE    2e-6 /* some ulp of the largest element */
#define GRADIENT_TOLERANCE   1e-5 /* fp32 sums over outputs */

/* One batch with its inputs; the gradients receive what a run gives. */
typedef struct batch {
    const test_op *op;
    size_t count, rows, out_rows;
    size_t max_differences;
    size_t offset[MAX_UTTERANCES + 1], out_offset[MAX_UTTERANCES + 1];
    uint64_t keys[MAX_UTTERANCES];
    float *value[TEST_OP_VALUES], *value_grad[TEST_OP_VALUES];
    float *weight[TEST_OP_WEIGHTS], *weight_grad[TEST_OP_WEIGHTS];
    float *out, *factor; /* [out_rows][out_cols] */
} batch;

typedef struct run_options {
    s3r_cpu_level level;
    size_t threads;
    bool is_bf16, is_frozen;
    bool is_without_gradient; /* nobody wants one */
    bool is_inference;        /* the tape does not record */
    size_t chunk_bytes;       /* of the arena; 0 = usual */
} run_options;

static size_t value_count(const test_op *op)
{
    size_t count = 0;
    while (count < TEST_OP_VALUES && op->value_cols[count])
        count++;
    return count;
}

static size_t weight_count(const test_op *op)
{
    size_t count = 0;
    while (count < TEST_OP_WEIGHTS && op->weight[count].rows)
        count++;
    return count;
}

static size_t weight_elements(const test_op *op, size_t index)
{
    return op->weight[index].rows * op->weight[index].cols;
}

static float *floats(size_t count)
{
    float *data = s3r_alloc(count, sizeof *data);
    assert_non_null(data);
    return data;
}

/* Numbers in (-1, 1) around the offset. */
static float *random_floats(size_t count, uint64_t stream, float offset)
{
    float *data = floats(count);
    s3r_random random;
    s3r_random_init(&random, 1, stream);
    for (size_t i = 0; i < count; i++)
        data[i] = offset + (float)(2 * s3r_random_uniform(&random) - 1);
    return data;
}

static void batch_init(batch *b, const test_op *op, const size_t *lengths, size_t max)
{
    *b = (batch){.op = op, .max_differences = MAX_DIFFERENCES};
    for (size_t u = 0; u < max && lengths[u]; u++) {
        size_t out = op->out_frames ? op->out_frames(op, lengths[u]) : lengths[u];
        b->offset[u + 1] = b->offset[u] + lengths[u];
        b->out_offset[u + 1] = b->out_offset[u] + out;
        b->keys[u] = 1000 + 7 * u;
        b->count = u + 1;
    }
    b->rows = b->offset[b->count];
    b->out_rows = b->out_offset[b->count];
    for (size_t i = 0; i < value_count(op); i++) {
        b->value[i] = random_floats(b->rows * op->value_cols[i], i, op->offset);
        b->value_grad[i] = floats(b->rows * op->value_cols[i]);
    }
    for (size_t i = 0; i < weight_count(op); i++) {
        b->weight[i] = random_floats(weight_elements(op, i), 100 + i, 0);
        b->weight_grad[i] = floats(weight_elements(op, i));
    }
    b->out = floats(b->out_rows * op->out_cols);
    b->factor = random_floats(b->out_rows * op->out_cols, 200, 0);
}

static void batch_release(batch *b)
{
    for (size_t i = 0; i < TEST_OP_VALUES; i++) {
        s3r_free(b->value[i]);
        s3r_free(b->value_grad[i]);
    }
    for (size_t i = 0; i < TEST_OP_WEIGHTS; i++) {
        s3r_free(b->weight[i]);
        s3r_free(b->weight_grad[i]);
    }
    s3r_free(b->out);
    s3r_free(b->factor);
}

static float *copy_rows(const float *data, size_t row, size_t row_end, size_t cols)
{
    float *copy = floats((row_end - row) * cols);
    memcpy(copy, data + row * cols, (row_end - row) * cols * sizeof *copy);
    return copy;
}

/* Utterance u of whole as a batch of one. */
static void batch_init_alone(batch *b, const batch *whole, size_t u)
{
    const test_op *op = whole->op;
    size_t row = whole->offset[u], row_end = whole->offset[u + 1];
    size_t out = whole->out_offset[u], out_end = whole->out_offset[u + 1];
    *b = (batch){.op = op, .count = 1, .rows = row_end - row, .out_rows = out_end - out};
    b->offset[1] = b->rows;
    b->out_offset[1] = b->out_rows;
    b->keys[0] = whole->keys[u];
    for (size_t i = 0; i < value_count(op); i++) {
        b->value[i] = copy_rows(whole->value[i], row, row_end, op->value_cols[i]);
        b->value_grad[i] = floats(b->rows * op->value_cols[i]);
    }
    for (size_t i = 0; i < weight_count(op); i++) {
        b->weight[i] = copy_rows(whole->weight[i], 0, weight_elements(op, i), 1);
        b->weight_grad[i] = floats(weight_elements(op, i));
    }
    b->out = floats(b->out_rows * op->out_cols);
    b->factor = copy_rows(whole->factor, out, out_end, op->out_cols);
}

/* ---- running the op ---- */

/* Between plain rows and the strided rows of a value. */
static void spread(float *to, size_t stride, const float *from, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++)
        memcpy(to + i * stride, from + i * cols, cols * sizeof *to);
}

static void gather(float *to, const float *from, size_t stride, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++)
        memcpy(to + i * cols, from + i * stride, cols * sizeof *to);
}

/* Puts the batch on the tape; false without memory. */
static bool make_input(batch *b, s3r_tape *tape, const run_options *options,
                       s3r_weight *weights, test_op_input *in)
{
    const test_op *op = b->op;
    in->tape = tape;
    in->keys = b->keys;
    in->frames = s3r_tape_ragged(tape, b->count, b->offset);
    for (size_t i = 0; i < value_count(op); i++) {
        in->value[i] = s3r_tape_value(tape, b->rows, op->value_cols[i]);
        if (!in->value[i])
            return false;
        spread(in->value[i]->data, in->value[i]->stride, b->value[i], b->rows,
               op->value_cols[i]);
        in->value[i]->needs_grad = !options->is_without_gradient;
    }
    for (size_t i = 0; i < weight_count(op); i++) {
        bool is_trainable = !options->is_frozen && !options->is_without_gradient;
        weights[i] = (s3r_weight){.data = b->weight[i],
                                  .dtype = S3R_DTYPE_F32,
                                  .rows = op->weight[i].rows,
                                  .cols = op->weight[i].cols,
                                  .grad = is_trainable ? b->weight_grad[i] : NULL};
        memset(b->weight_grad[i], 0, weight_elements(op, i) * sizeof(float));
        in->weight[i] = &weights[i];
    }
    return in->frames.offset != NULL;
}

/* Forward and backward; NULL gradients become zero. */
static s3r_status run_on_tape(batch *b, s3r_tape *tape, const run_options *options,
                              s3r_error *err)
{
    const test_op *op = b->op;
    s3r_weight weights[TEST_OP_WEIGHTS];
    test_op_input in = {0};
    s3r_value *y = NULL;
    if (make_input(b, tape, options, weights, &in))
        y = op->forward(op, &in);
    S3R_TRY(s3r_tape_status(tape, err));
    assert_non_null(y);
    assert_int_equal(y->rows, b->out_rows);
    assert_int_equal(y->cols, op->out_cols);
    gather(b->out, y->data, y->stride, y->rows, y->cols);
    if (options->is_without_gradient || options->is_inference) {
        assert_false(y->needs_grad);
        assert_null(tape->last);
        return S3R_OK;
    }
    float *dy = s3r_tape_grad(tape, y);
    if (dy)
        spread(dy, y->stride, b->factor, y->rows, y->cols);
    s3r_tape_backward(tape);
    S3R_TRY(s3r_tape_status(tape, err));
    for (size_t i = 0; i < value_count(op); i++) {
        memset(b->value_grad[i], 0, b->rows * op->value_cols[i] * sizeof(float));
        if (in.value[i]->grad)
            gather(b->value_grad[i], in.value[i]->grad, in.value[i]->stride, b->rows,
                   op->value_cols[i]);
    }
    return S3R_OK;
}

static s3r_status run_status(batch *b, const run_options *options, s3r_error *err)
{
    s3r_pool *pool;
    S3R_TRY(s3r_pool_create(&pool, options->threads, err));
    s3r_tape tape;
    s3r_tape_init(&tape, pool, s3r_kernels_get(options->level));
    if (options->chunk_bytes)
        tape.arena.chunk_bytes = options->chunk_bytes;
    tape.is_bf16 = options->is_bf16;
    tape.is_recording = !options->is_inference;
    tape.is_training = b->op->is_training;
    tape.dropout_seed = 99;
    s3r_status status = run_on_tape(b, &tape, options, err);
    s3r_tape_release(&tape);
    s3r_pool_destroy(pool);
    return status;
}

static void run(batch *b, const run_options *options)
{
    s3r_error err = {0};
    if (run_status(b, options, &err) != S3R_OK)
        fail_msg("%s: %s", b->op->name, err.message);
}

/* ---- the reference ---- */

static double *doubles(const float *data, size_t count) /* NULL: zeros */
{
    double *copy = s3r_alloc(count, sizeof *copy);
    assert_non_null(copy);
    for (size_t i = 0; data && i < count; i++)
        copy[i] = (double)data[i];
    return copy;
}

typedef struct reference {
    const batch *b;
    double *value[TEST_OP_VALUES], *weight[TEST_OP_WEIGHTS];
    double *out;
} reference;

static void reference_init(reference *r, const batch *b)
{
    *r = (reference){.b = b};
    for (size_t i = 0; i < value_count(b->op); i++)
        r->value[i] = doubles(b->value[i], b->rows * b->op->value_cols[i]);
    for (size_t i = 0; i < weight_count(b->op); i++)
        r->weight[i] = doubles(b->weight[i], weight_elements(b->op, i));
    r->out = doubles(NULL, b->out_rows * b->op->out_cols);
}

static void reference_release(reference *r)
{
    for (size_t i = 0; i < TEST_OP_VALUES; i++)
        s3r_free(r->value[i]);
    for (size_t i = 0; i < TEST_OP_WEIGHTS; i++)
        s3r_free(r->weight[i]);
    s3r_free(r->out);
}

/* Computes utterance u and returns its part of the loss. */
static double reference_loss(reference *r, size_t u)
{
    const batch *b = r->b;
    const test_op *op = b->op;
    test_op_reference in = {.frames = b->offset[u + 1] - b->offset[u], .key = b->keys[u]};
    for (size_t i = 0; i < value_count(op); i++)
        in.value[i] = r->value[i] + b->offset[u] * op->value_cols[i];
    for (size_t i = 0; i < weight_count(op); i++)
        in.weight[i] = r->weight[i];
    size_t first = b->out_offset[u] * op->out_cols;
    size_t end = b->out_offset[u + 1] * op->out_cols;
    op->reference(op, &in, r->out + first);
    double loss = 0;
    for (size_t i = first; i < end; i++)
        loss += r->out[i] * (double)b->factor[i];
    return loss;
}

static double loss_between(reference *r, size_t u, size_t u_end)
{
    double loss = 0;
    for (; u < u_end; u++)
        loss += reference_loss(r, u);
    return loss;
}

/* d loss / d *at, where *at matters to the utterances [u, u_end). */
static double difference(reference *r, double *at, size_t u, size_t u_end)
{
    double before = *at;
    *at = before + STEP;
    double above = loss_between(r, u, u_end);
    *at = before - STEP;
    double below = loss_between(r, u, u_end);
    *at = before;
    return (above - below) / (2 * STEP);
}

double test_gelu(double x)
{
    return 0.5 * x * erfc(-x / sqrt(2.0));
}

/* ---- the checks ---- */

static void check_close(const test_op *op, const char *what, size_t index,
                        const run_options *options, double error, double scale,
                        double tolerance)
{
    if (!(error <= tolerance * scale))
        fail_msg("%s: %s %zu at level %s: error %g of %g, tolerance %g", op->name, what,
                 index, s3r_cpu_level_name(options->level), error, scale, tolerance);
}

static void check_forward(batch *b, const run_options *options)
{
    double tolerance = b->op->forward_tolerance, error = 0, scale = 1e-3;
    reference r;
    reference_init(&r, b);
    loss_between(&r, 0, b->count);
    for (size_t i = 0; i < b->out_rows * b->op->out_cols; i++) {
        double distance = fabs(r.out[i] - (double)b->out[i]);
        error = isnan(distance) || isnan(error) ? NAN : fmax(error, distance);
        scale = fmax(scale, fabs(r.out[i]));
    }
    check_close(b->op, "output", 0, options, error, scale,
                tolerance > 0 ? tolerance : FORWARD_TOLERANCE);
    reference_release(&r);
}

/* Central differences at every step-th element of each input, for all CPU levels. */
typedef struct expected_gradients {
    double *value[TEST_OP_VALUES], *weight[TEST_OP_WEIGHTS];
} expected_gradients;

static size_t difference_step(const batch *b, size_t elements)
{
    return elements / b->max_differences + 1;
}

/* cols of a value, whose elements belong to one utterance; 0 for a weight. */
static double *differences(reference *r, double *data, size_t elements, size_t cols)
{
    const batch *b = r->b;
    size_t step = difference_step(b, elements), u = 0;
    double *expected = doubles(NULL, elements / step + 1);
    for (size_t i = 0; i < elements; i += step) {
        while (cols && b->offset[u + 1] * cols <= i)
            u++;
        expected[i / step] = difference(r, &data[i], u, cols ? u + 1 : b->count);
    }
    return expected;
}

static void expected_init(expected_gradients *expected, const batch *b)
{
    const test_op *op = b->op;
    reference r;
    reference_init(&r, b);
    *expected = (expected_gradients){0};
    for (size_t i = 0; i < value_count(op); i++)
        expected->value[i] =
            differences(&r, r.value[i], b->rows * op->value_cols[i], op->value_cols[i]);
    for (size_t i = 0; i < weight_count(op); i++)
        expected->weight[i] = differences(&r, r.weight[i], weight_elements(op, i), 0);
    reference_release(&r);
}

static void expected_release(expected_gradients *expected)
{
    for (size_t i = 0; i < TEST_OP_VALUES; i++)
        s3r_free(expected->value[i]);
    for (size_t i = 0; i < TEST_OP_WEIGHTS; i++)
        s3r_free(expected->weight[i]);
}

static void check_gradient(const batch *b, const char *what, size_t index,
                           const double *expected, const float *grad, size_t elements,
                           const run_options *options)
{
    const test_op *op = b->op;
    double tolerance = op->gradient_tolerance, error = 0, scale = 1e-2;
    size_t step = difference_step(b, elements);
    for (size_t i = 0; i < elements; i += step) {
        double distance = fabs(expected[i / step] - (double)grad[i]);
        error = isnan(distance) || isnan(error) ? NAN : fmax(error, distance);
        scale = fmax(scale, fabs(expected[i / step]));
    }
    check_close(op, what, index, options, error, scale,
                tolerance > 0 ? tolerance : GRADIENT_TOLERANCE);
}

static void check_gradients(const batch *b, const expected_gradients *expected,
                            const run_options *options)
{
    const test_op *op = b->op;
    for (size_t i = 0; i < value_count(op); i++)
        check_gradient(b, "gradient of value", i, expected->value[i], b->value_grad[i],
                       b->rows * op->value_cols[i], options);
    for (size_t i = 0; i < weight_count(op); i++)
        check_gradient(b, "gradient of weight", i, expected->weight[i], b->weight_grad[i],
                       weight_elements(op, i), options);
}

static void check_equal(const batch *b, const char *what, const float *x, const float *y,
                        size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(x + i, y + i, sizeof *x) != 0)
            fail_msg("%s: %s: element %zu is %.9g and %.9g", b->op->name, what, i,
                     (double)x[i], (double)y[i]);
}

/* Two runs of the same batch. */
static void check_same(const batch *a, const batch *b, const char *what,
                       bool with_weights)
{
    const test_op *op = a->op;
    check_equal(a, what, a->out, b->out, a->out_rows * op->out_cols);
    for (size_t i = 0; i < value_count(op); i++)
        check_equal(a, what, a->value_grad[i], b->value_grad[i],
                    a->rows * op->value_cols[i]);
    for (size_t i = 0; with_weights && i < weight_count(op); i++)
        check_equal(a, what, a->weight_grad[i], b->weight_grad[i],
                    weight_elements(op, i));
}

static void check_threads(const test_op *op, const size_t *lengths, size_t max,
                          run_options options)
{
    batch one, other;
    batch_init(&one, op, lengths, max);
    batch_init(&other, op, lengths, max);
    options.threads = 1;
    run(&one, &options);
    for (options.threads = 2; options.threads <= 3; options.threads++) {
        run(&other, &options);
        check_same(&one, &other, "threads", true);
    }
    batch_release(&one);
    batch_release(&other);
}

static void check_alone(const test_op *op, const size_t *lengths, size_t max,
                        const run_options *options)
{
    batch whole, alone;
    batch_init(&whole, op, lengths, max);
    run(&whole, options);
    for (size_t u = 0; u < whole.count; u++) {
        batch_init_alone(&alone, &whole, u);
        run(&alone, options);
        check_equal(&whole, "output alone", alone.out,
                    whole.out + whole.out_offset[u] * op->out_cols,
                    alone.out_rows * op->out_cols);
        for (size_t i = 0; i < value_count(op); i++)
            check_equal(&whole, "gradient alone", alone.value_grad[i],
                        whole.value_grad[i] + whole.offset[u] * op->value_cols[i],
                        alone.rows * op->value_cols[i]);
        batch_release(&alone);
    }
    batch_release(&whole);
}

/* Frozen weights get nothing and change nothing else; without gradients nothing is
 * recorded and the output is the same. */
static void check_frozen(batch *b, run_options options)
{
    batch frozen;
    batch_init(&frozen, b->op, b->op->lengths, 4);
    options.is_frozen = true;
    run(&frozen, &options);
    check_same(b, &frozen, "frozen weights", false);
    for (size_t i = 0; i < weight_count(b->op); i++)
        for (size_t j = 0; j < weight_elements(b->op, i); j++)
            assert_true(frozen.weight_grad[i][j] == 0.0f);
    options.is_without_gradient = true;
    run(&frozen, &options);
    check_equal(b, "without gradients", b->out, frozen.out,
                b->out_rows * b->op->out_cols);
    options = (run_options){
        .level = options.level, .threads = options.threads, .is_inference = true};
    run(&frozen, &options);
    check_equal(b, "not recording", b->out, frozen.out, b->out_rows * b->op->out_cols);
    batch_release(&frozen);
}

static void check_snr(const batch *exact, const char *what, size_t index, const float *x,
                      const float *y, size_t count, double wanted_db)
{
    double signal = 0, noise = 0;
    for (size_t i = 0; i < count; i++) {
        signal += (double)x[i] * (double)x[i];
        noise += pow((double)x[i] - (double)y[i], 2);
    }
    if (!(noise * pow(10, wanted_db / 10) <= signal))
        fail_msg("%s: bf16 %s %zu: SNR %.1f dB, wanted %.0f", exact->op->name, what,
                 index, 10 * log10(signal / noise), wanted_db);
}

static void check_bf16(const batch *exact, run_options options)
{
    const test_op *op = exact->op;
    batch b;
    batch_init(&b, op, op->lengths, 4);
    options.is_bf16 = true;
    run(&b, &options);
    check_snr(exact, "output", 0, exact->out, b.out, b.out_rows * op->out_cols,
              BF16_SNR_DB);
    for (size_t i = 0; i < value_count(op); i++)
        check_snr(exact, "gradient of value", i, exact->value_grad[i], b.value_grad[i],
                  b.rows * op->value_cols[i], BF16_GRADIENT_DB);
    for (size_t i = 0; i < weight_count(op); i++)
        check_snr(exact, "gradient of weight", i, exact->weight_grad[i], b.weight_grad[i],
                  weight_elements(op, i), BF16_GRADIENT_DB);
    batch_release(&b);
    check_threads(op, op->lengths, 4, options);
    check_alone(op, op->lengths, 4, &options);
}

typedef struct fault_context {
    batch *b;
    run_options options;
} fault_context;

static s3r_status attempt(void *context, s3r_error *err)
{
    fault_context *fault = context;
    return run_status(fault->b, &fault->options, err);
}

/* A tiny arena makes every allocation of the op one of the heap. */
static void check_faults(batch *b, run_options options)
{
    options.chunk_bytes = 64;
    options.threads = 1;
    fault_context fault = {b, options};
    test_survives_alloc_faults(attempt, &fault);
}

/* Long utterances are cut into pieces, in which small ones are not. */
static void check_long(batch *b, const expected_gradients *expected,
                       const run_options *options)
{
    run(b, options);
    check_forward(b, options);
    check_gradients(b, expected, options);
    check_threads(b->op, b->op->long_lengths, 3, *options);
    check_alone(b->op, b->op->long_lengths, 3, options);
}

static void check_level(batch *b, const expected_gradients *expected, s3r_cpu_level level)
{
    const test_op *op = b->op;
    run_options options = {.level = level, .threads = 2};
    run(b, &options);
    check_forward(b, &options);
    check_gradients(b, expected, &options);
    check_frozen(b, options);
    check_alone(op, op->lengths, 4, &options);
    check_threads(op, op->lengths, 4, options);
    if (op->has_products)
        check_bf16(b, options);
    if (level == s3r_cpu_detect())
        check_faults(b, options);
}

void test_op_check(const test_op *op)
{
    batch b;
    expected_gradients expected;
    batch_init(&b, op, op->lengths, 4);
    expected_init(&expected, &b);
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++)
        check_level(&b, &expected, (s3r_cpu_level)level);
    expected_release(&expected);
    batch_release(&b);
    if (!op->long_lengths[0])
        return;
    batch_init(&b, op, op->long_lengths, 3);
    b.max_differences = MAX_LONG_DIFFERENCES;
    expected_init(&expected, &b);
    for (int level = 0; level <= (int)s3r_cpu_detect(); level++)
        check_long(&b, &expected,
                   &(run_options){.level = (s3r_cpu_level)level, .threads = 2});
    expected_release(&expected);
    batch_release(&b);
}
