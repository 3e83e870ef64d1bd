/*
 * Viterbi over blanks 0 .. L and targets 0 .. L - 1: blank i lies before target i.
 *
 *   target[i] = e(target i) + max(target[i], blank[i], target[i - 1] unless equal labels)
 *   blank[i]  = e(blank) + max(blank[i], target[i - 1])
 *
 * where the right sides are those of the frame before.  Rows of targets begin with a
 * state that cannot be reached, so that i - 1 needs no test.
 */
#include "decode/forced_align.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

/* How a state was reached. */
enum { FROM_SELF = 0, FROM_BLANK = 1, FROM_TARGET = 2 };
#define BLANK_SHIFT 4 /* of the blank's choice in a byte of choices */

/* The state after a frame, for targets [first, first + count). */
typedef struct viterbi_row {
    double *blank;  /* [count + 1]; of the last target's successor too */
    double *target; /* [count + 1]; target[0] is never reached */
} viterbi_row;

typedef struct aligner {
    const s3r_align_input *input;
    size_t block;     /* frames */
    double *skip;     /* [targets] 0, or -infinity where the one before is equal */
    double *emission; /* [targets] of a frame */
    viterbi_row now, next;
    double *saved; /* [blocks, 2 * (targets + 1)] rows at the start of each block */
    unsigned char *choices; /* [block, block + 2] */
    size_t width;           /* block + 2, or fewer targets */
} aligner;

size_t s3r_align_least_frames(const uint32_t *targets, size_t target_count)
{
    size_t frames = target_count;
    for (size_t i = 1; i < target_count; i++)
        frames += targets[i] == targets[i - 1];
    return frames;
}

static size_t choose_block(size_t frames, size_t target_count)
{
    double block = cbrt(8.0 * (double)frames * (double)(target_count + 1));
    return S3R_MIN(S3R_MAX((size_t)block, (size_t)16), S3R_MAX(frames, (size_t)1));
}

static size_t row_count(size_t frames, size_t block)
{
    return (frames + block - 1) / block;
}

size_t s3r_align_bytes(size_t frames, size_t target_count)
{
    size_t block = choose_block(frames, target_count), rows = row_count(frames, block);
    size_t width = S3R_MIN(block + 2, target_count + 1), saved, choices, total;
    if (!s3r_size_mul(rows + 4, 2 * (target_count + 1) * sizeof(double), &saved) ||
        !s3r_size_mul(block, width, &choices) || !s3r_size_add(saved, choices, &total))
        return SIZE_MAX;
    return total;
}

static bool make_row(viterbi_row *row, size_t target_count)
{
    row->blank = s3r_alloc(target_count + 1, sizeof *row->blank);
    row->target = s3r_alloc(target_count + 1, sizeof *row->target);
    return row->blank && row->target;
}

static void clear_row(const viterbi_row *row, size_t target_count)
{
    for (size_t i = 0; i <= target_count; i++)
        row->blank[i] = row->target[i] = -INFINITY;
}

static s3r_status make_aligner(aligner *a, size_t block_frames, s3r_error *err)
{
    size_t count = a->input->target_count, frames = a->input->frames;
    a->block = block_frames > 0 ? block_frames : choose_block(frames, count);
    a->width = S3R_MIN(a->block + 2, count + 1);
    a->skip = s3r_alloc(count, sizeof *a->skip);
    a->emission = s3r_alloc(count, sizeof *a->emission);
    a->saved =
        s3r_alloc_raw(row_count(frames, a->block), 2 * (count + 1) * sizeof *a->saved);
    a->choices = s3r_alloc_raw(a->block, a->width);
    bool has_rows = make_row(&a->now, count) && make_row(&a->next, count);
    if (!a->skip || !a->emission || !a->saved || !a->choices || !has_rows)
        return s3r_fail_memory(err, "an alignment", s3r_align_bytes(frames, count));
    for (size_t i = 0; i < count; i++) {
        bool is_equal = i > 0 && a->input->targets[i] == a->input->targets[i - 1];
        a->skip[i] = is_equal ? -INFINITY : 0;
    }
    return S3R_OK;
}

static void release_aligner(aligner *a)
{
    s3r_free(a->skip);
    s3r_free(a->emission);
    s3r_free(a->saved);
    s3r_free(a->choices);
    s3r_free(a->now.blank);
    s3r_free(a->now.target);
    s3r_free(a->next.blank);
    s3r_free(a->next.target);
}

static void swap_rows(aligner *a)
{
    viterbi_row row = a->now;
    a->now = a->next;
    a->next = row;
}

/* ---- a frame ---- */

/* Emissions of targets [first, end) in a frame, and the blank's. */
static double take_emissions(const aligner *a, size_t frame, size_t first, size_t end)
{
    const float *row = a->input->log_probs + frame * a->input->cols;
    const uint32_t *targets = a->input->targets;
    for (size_t i = first; i < end; i++)
        a->emission[i] = (double)row[targets[i]];
    return (double)row[a->input->blank];
}

static inline double larger(double a, double b)
{
    return a > b ? a : b;
}

/* From the frame before to this one, for targets [0, count) of these arrays. */
static void step(double *restrict next_blank, double *restrict next_target,
                 const double *restrict blank, const double *restrict target,
                 const double *restrict emission, const double *restrict skip,
                 double blank_emission, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        next_target[i + 1] =
            emission[i] + larger(larger(target[i + 1], blank[i]), target[i] + skip[i]);
        next_blank[i] = blank_emission + larger(blank[i], target[i]);
    }
    next_blank[count] = blank_emission + larger(blank[count], target[count]);
}

static void start(const aligner *a)
{
    clear_row(&a->now, a->input->target_count);
    clear_row(&a->next, a->input->target_count);
    a->now.blank[0] = take_emissions(a, 0, 0, S3R_MIN(a->input->target_count, (size_t)1));
    if (a->input->target_count > 0)
        a->now.target[1] = a->emission[0];
}

/* ---- first pass ---- */

static void save_row(const aligner *a, size_t block)
{
    size_t count = a->input->target_count + 1;
    memcpy(a->saved + 2 * count * block, a->now.blank, count * sizeof(double));
    memcpy(a->saved + (2 * block + 1) * count, a->now.target, count * sizeof(double));
}

/*
 * Block b begins with the row after frame b * block.  Only targets are computed that can
 * be reached at the frame, and from which the end can be.
 */
static s3r_status run_forward(aligner *a, s3r_error *err)
{
    const s3r_align_input *input = a->input;
    size_t count = input->target_count;
    start(a);
    for (size_t t = 0; t < input->frames; t++) {
        if (t > 0) {
            size_t left = input->frames - t;
            size_t first = count > left ? count - left : 0, end = S3R_MIN(count, t + 1);
            first = S3R_MIN(first, end);
            double blank = take_emissions(a, t, first, end);
            step(a->next.blank + first, a->next.target + first, a->now.blank + first,
                 a->now.target + first, a->emission + first, a->skip + first, blank,
                 end - first);
            swap_rows(a);
        }
        if (t % a->block == 0) {
            save_row(a, t / a->block);
            if (input->goes_on && !input->goes_on(input->goes_on_context))
                return s3r_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
        }
    }
    return S3R_OK;
}

/* ---- second pass ---- */

/* As step, and notes the choice of each state. */
static void step_noting(const aligner *a, unsigned char *choices, double blank_emission,
                        size_t first, size_t end)
{
    for (size_t i = first; i <= end; i++) {
        double blank = a->now.blank[i], before = a->now.target[i];
        unsigned choice = (before > blank ? FROM_TARGET : FROM_SELF) << BLANK_SHIFT;
        a->next.blank[i] = blank_emission + larger(blank, before);
        if (i < end) {
            double self = a->now.target[i + 1], skipping = before + a->skip[i];
            double most = larger(larger(self, blank), skipping);
            choice |= most == self ? FROM_SELF : most == blank ? FROM_BLANK : FROM_TARGET;
            a->next.target[i + 1] = a->emission[i] + most;
        }
        choices[i - first] = (unsigned char)choice;
    }
}

/* Where the path is in a frame: in target i or in the blank before it. */
typedef struct path_place {
    size_t target;
    bool is_blank;
} path_place;

/* Walks from the place at the end of frame `last` back to that at frame `begin`, whose
 * row is saved. */
static void trace_block(aligner *a, size_t begin, size_t last, path_place *place,
                        s3r_align_span *spans)
{
    size_t count = a->input->target_count, frames = last - begin;
    size_t end = S3R_MIN(place->target + 1, count);
    size_t first = end > frames + 1 ? end - frames - 1 : 0;
    const double *row = a->saved + 2 * (count + 1) * (begin / a->block);
    memcpy(a->now.blank + first, row + first, (end - first + 1) * sizeof(double));
    memcpy(a->now.target + first, row + count + 1 + first,
           (end - first + 1) * sizeof(double));
    a->now.target[first] = a->next.target[first] = -INFINITY;
    for (size_t t = begin + 1; t <= last; t++) {
        double blank = take_emissions(a, t, first, end);
        step_noting(a, a->choices + (t - begin - 1) * a->width, blank, first, end);
        swap_rows(a);
    }
    for (size_t t = last; t > begin; t--) {
        unsigned choice = a->choices[(t - begin - 1) * a->width + place->target - first];
        if (place->is_blank) {
            if (choice >> BLANK_SHIFT == FROM_TARGET)
                *place = (path_place){place->target - 1, false};
        } else if ((choice & 3) == FROM_BLANK) {
            place->is_blank = true;
        } else if ((choice & 3) == FROM_TARGET) {
            place->target--;
        }
        if (place->is_blank)
            continue;
        s3r_align_span *span = &spans[place->target];
        span->start_frame = t - 1;
        span->end_frame = S3R_MAX(span->end_frame, t);
    }
}

static void run_backward(aligner *a, s3r_align_span *spans, double *score)
{
    size_t count = a->input->target_count, last = a->input->frames - 1;
    double in_blank = a->now.blank[count], in_target = a->now.target[count];
    bool is_blank = count == 0 || in_blank >= in_target;
    path_place place = {is_blank ? count : count - 1, is_blank};
    *score = is_blank ? in_blank : in_target;
    memset(spans, 0, count * sizeof *spans);
    if (!is_blank)
        spans[count - 1] = (s3r_align_span){last, last + 1};
    while (last > 0) {
        size_t begin = (last - 1) / a->block * a->block;
        trace_block(a, begin, last, &place, spans);
        last = begin;
    }
}

s3r_status s3r_forced_align(const s3r_align_input *input, size_t block_frames,
                            s3r_align_span *spans, double *score, s3r_error *err)
{
    aligner a = {.input = input};
    *score = 0;
    if (input->frames == 0)
        return S3R_OK;
    s3r_status status = make_aligner(&a, block_frames, err);
    if (status == S3R_OK)
        status = run_forward(&a, err);
    if (status == S3R_OK)
        run_backward(&a, spans, score);
    release_aligner(&a);
    return status;
}
