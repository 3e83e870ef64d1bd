/*
 * Forward-backward over blank, l1, blank, l2, ..., blank (Graves et al. 2006), one
 * utterance a task.
 *
 * A likelihood is a product over all frames and leaves the range of a double after some
 * hundred frames.  Instead of logarithms, whose sums need an exponential and a logarithm
 * a cell, a number is kept as fraction * 2^power: the fraction a double in [1, 2], the
 * power a whole double of its own, so that nothing ever underflows.  Sums and products of
 * such numbers are plain arithmetic on arrays, which a compiler makes vector code of.
 * Zero is 2^ZERO_POWER.
 *
 * States lie as all blanks, then all labels, with a zero before and after the labels:
 * neighbours in time are then neighbours in memory and no case is special.
 *
 * The gradient of -log P with respect to a logit is softmax - posterior.
 */
#include "tasks/ctc_loss.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Far from overflow when zeros are multiplied over all frames. */
#define ZERO_POWER (-1e250)
/* No label counts as less likely than 2^this: whole powers stay exact (2^53) over nine
 * million frames, whatever the logits. */
#define LEAST_POWER (-1e9)
#define NO_SLOT     UINT32_MAX
#define LOG2_E      1.4426950408889634074
#define LN_2        0.6931471805599453094
#define SUM_COLUMNS 256u

/* An array of numbers fraction * 2^power. */
typedef struct wide {
    double *fraction, *power;
} wide;

typedef struct ctc_run {
    const s3r_kernels *kernels;
    const s3r_value *logits;
    float *grad; /* NULL = not wanted */
    s3r_ragged frames;
    const s3r_ctc_targets *targets;
    double scale;
    double *losses;
    size_t *blanks; /* [utterances] */
    char *scratch;  /* one part a worker */
    size_t scratch_bytes;
} ctc_run;

/* One utterance and the memory of its worker. */
typedef struct ctc_pass {
    const ctc_run *run;
    size_t frame, frames; /* first, count */
    const uint32_t *labels;
    size_t length;        /* of the target */
    size_t states;        /* of a row, see rows_offset_labels */
    size_t slot_count;    /* different labels of the target and the blank */
    uint32_t *slots;      /* [length] of the target's labels; slot 0 is the blank */
    uint32_t *slot_label; /* [slots] */
    uint32_t *label_slot; /* [labels] NO_SLOT where the target lacks it */
    double *skip;         /* [length + 1] 0 where the blank before a label may be left
                             out, else ZERO_POWER */
    double *total;        /* [frames] sum of exp(logit - largest) */
    float *largest;       /* [frames] */
    double *posterior;    /* [slots] of a frame */
    double *occupied;     /* [states] of a frame */
    wide emission;        /* [frames, slots] */
    wide current;         /* [length + 1] emissions of a frame in the target's order */
    wide alpha;           /* [frames + 1, states] */
    wide beta, next;      /* [states] */
} ctc_pass;

size_t s3r_ctc_frames_needed(const uint32_t *labels, size_t count)
{
    size_t needed = count;
    for (size_t i = 1; i < count; i++)
        needed += labels[i] == labels[i - 1];
    return needed;
}

/* ---- numbers ---- */

/* 2^power of a whole power <= 1023; below 2^-1000 is as good as 0 here. */
S3R_ALWAYS_INLINE double two_to(double power)
{
    double clamped = power > -1000.0 ? power : -1000.0;
    double shifted = clamped + (4503599627370496.0 + 1023.0); /* in its lowest bits */
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits <<= 52;
    memcpy(&shifted, &bits, sizeof bits);
    return shifted;
}

/* The whole power of a normal number >= 1. */
S3R_ALWAYS_INLINE double power_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits >> 52) | 0x4330000000000000u;
    memcpy(&x, &bits, sizeof x);
    return x - (4503599627370496.0 + 1023.0);
}

S3R_ALWAYS_INLINE double fraction_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits & 0x000fffffffffffffu) | 0x3ff0000000000000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

S3R_ALWAYS_INLINE double larger(double a, double b)
{
    return a > b ? a : b;
}

/* out[i] = a[i] + b[i]; not normalised: the fractions are at most the sums of both. */
S3R_ALWAYS_INLINE void add_two(double *fraction, double *power, double af, double ap,
                               double bf, double bp)
{
    double top = larger(ap, bp);
    *fraction = af * two_to(ap - top) + bf * two_to(bp - top);
    *power = top;
}

S3R_ALWAYS_INLINE void add_three(double *fraction, double *power, double af, double ap,
                                 double bf, double bp, double cf, double cp)
{
    double top = larger(larger(ap, bp), cp);
    *fraction = af * two_to(ap - top) + bf * two_to(bp - top) + cf * two_to(cp - top);
    *power = top;
}

/* Stores fraction * 2^power * (ef * 2^ep), normalised. */
S3R_ALWAYS_INLINE void store_product(double *fraction, double *power, double f, double p,
                                     double ef, double ep)
{
    double product = f * ef;
    *fraction = fraction_of(product);
    *power = p + ep + power_of(product);
}

static void set_zero(wide x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        x.fraction[i] = 1.0;
        x.power[i] = ZERO_POWER;
    }
}

static wide wide_at(wide x, size_t offset)
{
    return (wide){x.fraction + offset, x.power + offset};
}

/* Where the labels of a row of states begin: behind length + 1 blanks and a zero. */
static size_t labels_at(size_t length)
{
    return length + 2;
}

/* ---- memory ---- */

/* Hands out parts of a worker's scratch; base NULL only measures. */
typedef struct scratch_cut {
    char *base;
    size_t used;
    bool is_too_large;
} scratch_cut;

static void *cut(scratch_cut *scratch, size_t count, size_t size)
{
    size_t bytes = 0, end = 0;
    if (!s3r_size_mul(count, size, &bytes) ||
        !s3r_size_add(bytes, S3R_ALIGNMENT - 1, &bytes) ||
        !s3r_size_add(scratch->used, bytes / S3R_ALIGNMENT * S3R_ALIGNMENT, &end)) {
        scratch->is_too_large = true;
        return NULL;
    }
    void *part = scratch->base ? scratch->base + scratch->used : NULL;
    scratch->used = end;
    return part;
}

static wide cut_wide(scratch_cut *scratch, size_t rows, size_t cols)
{
    size_t count = 0;
    if (!s3r_size_mul(rows, cols, &count))
        scratch->is_too_large = true;
    double *fraction = cut(scratch, count, sizeof(double));
    return (wide){fraction, cut(scratch, count, sizeof(double))};
}

/* Lays out the memory of utterance u. */
static void lay_out(ctc_pass *pass, const ctc_run *run, size_t u, scratch_cut *scratch)
{
    const s3r_ragged *lengths = &run->targets->lengths;
    size_t classes = run->logits->cols;
    *pass = (ctc_pass){.run = run,
                       .frame = run->frames.offset[u],
                       .frames = run->frames.offset[u + 1] - run->frames.offset[u],
                       .labels = run->targets->labels + lengths->offset[u],
                       .length = lengths->offset[u + 1] - lengths->offset[u]};
    size_t most_slots = S3R_MIN(pass->length + 1, classes);
    pass->states = 2 * pass->length + 3;
    pass->slots = cut(scratch, pass->length, sizeof *pass->slots);
    pass->slot_label = cut(scratch, most_slots, sizeof *pass->slot_label);
    pass->label_slot = cut(scratch, classes, sizeof *pass->label_slot);
    pass->skip = cut(scratch, pass->length + 1, sizeof *pass->skip);
    pass->total = cut(scratch, pass->frames, sizeof *pass->total);
    pass->largest = cut(scratch, pass->frames, sizeof *pass->largest);
    pass->posterior = cut(scratch, most_slots, sizeof *pass->posterior);
    pass->occupied = cut(scratch, pass->states, sizeof *pass->occupied);
    pass->emission = cut_wide(scratch, pass->frames, most_slots);
    pass->current = cut_wide(scratch, pass->length + 1, 1);
    pass->alpha = cut_wide(scratch, pass->frames + 1, pass->states);
    pass->beta = cut_wide(scratch, pass->states, 1);
    pass->next = cut_wide(scratch, pass->states, 1);
}

/* ---- softmax ---- */

static const float *logits_row(const ctc_pass *pass, size_t t)
{
    const s3r_value *logits = pass->run->logits;
    return logits->data + (pass->frame + t) * logits->stride;
}

static bool is_finite_row(const float *x, size_t count)
{
    uint32_t worst = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7f800000u;
        worst = bits > worst ? bits : worst;
    }
    return worst < 0x7f800000u;
}

/* Sums and maxima of all frames; false when a logit is not finite.  Counts the frames
 * where no label is likelier than the blank. */
static bool measure_frames(ctc_pass *pass, size_t *blanks)
{
    const ctc_run *run = pass->run;
    size_t classes = run->logits->cols;
    uint32_t blank_id = run->targets->blank_id;
    float y[SUM_COLUMNS];
    for (size_t t = 0; t < pass->frames; t++) {
        const float *x = logits_row(pass, t);
        if (!is_finite_row(x, classes))
            return false;
        float largest = run->kernels->max(classes, x);
        double total = 0;
        for (size_t j = 0; j < classes; j += SUM_COLUMNS)
            total += run->kernels->exp_sum(S3R_MIN(classes - j, (size_t)SUM_COLUMNS),
                                           largest, x + j, y);
        pass->largest[t] = largest;
        pass->total[t] = total;
        *blanks += x[blank_id] >= largest;
    }
    return true;
}

/* Gives each different label of the target a slot, the blank slot 0. */
static void assign_slots(ctc_pass *pass)
{
    uint32_t blank_id = pass->run->targets->blank_id;
    size_t classes = pass->run->logits->cols;
    for (size_t i = 0; i < classes; i++)
        pass->label_slot[i] = NO_SLOT;
    pass->slot_count = 1;
    pass->slot_label[0] = blank_id;
    pass->label_slot[blank_id] = 0;
    for (size_t i = 0; i < pass->length; i++) {
        uint32_t label = pass->labels[i];
        assert(label < classes && label != blank_id);
        if (pass->label_slot[label] == NO_SLOT) {
            pass->slot_label[pass->slot_count] = label;
            pass->label_slot[label] = (uint32_t)pass->slot_count++;
        }
        pass->slots[i] = pass->label_slot[label];
        pass->skip[i] = i > 0 && label != pass->labels[i - 1] ? 0.0 : ZERO_POWER;
    }
    pass->skip[pass->length] = ZERO_POWER;
}

/* The softmax of the target's labels; straight from the logits, for that of the fp32
 * exponentials is 0 for unlikely labels. */
static void fill_emissions(ctc_pass *pass)
{
    for (size_t t = 0; t < pass->frames; t++) {
        const float *x = logits_row(pass, t);
        wide row = wide_at(pass->emission, t * pass->slot_count);
        double log_total = log2(pass->total[t]);
        for (size_t k = 0; k < pass->slot_count; k++) {
            double distance = (double)x[pass->slot_label[k]] - (double)pass->largest[t];
            double power = larger(distance * LOG2_E - log_total, LEAST_POWER);
            row.power[k] = floor(power);
            row.fraction[k] = exp2(power - row.power[k]);
        }
    }
}

/* Emissions of frame t in the order of the target; the blank's comes last. */
static void gather_emissions(ctc_pass *pass, size_t t)
{
    wide row = wide_at(pass->emission, t * pass->slot_count);
    for (size_t i = 0; i < pass->length; i++) {
        pass->current.fraction[i] = row.fraction[pass->slots[i]];
        pass->current.power[i] = row.power[pass->slots[i]];
    }
    pass->current.fraction[pass->length] = row.fraction[0];
    pass->current.power[pass->length] = row.power[0];
}

/* ---- forward ---- */

/* new = what reaches each state from old in one frame, times the frame's emission. */
static void step_forward(size_t length, const double *restrict skip, wide emission,
                         const double *restrict of, const double *restrict op,
                         double *restrict nf, double *restrict np)
{
    const double *restrict ef = emission.fraction, *restrict ep = emission.power;
    size_t at = labels_at(length);
    double blank_f = ef[length], blank_p = ep[length];
    for (size_t i = 0; i <= length; i++) {
        double f, p;
        add_two(&f, &p, of[i], op[i], of[at + i - 1], op[at + i - 1]);
        store_product(&nf[i], &np[i], f, p, blank_f, blank_p);
    }
    for (size_t i = 0; i < length; i++) {
        double f, p;
        add_three(&f, &p, of[at + i], op[at + i], of[i], op[i], of[at + i - 1],
                  op[at + i - 1] + skip[i]);
        store_product(&nf[at + i], &np[at + i], f, p, ef[i], ep[i]);
    }
    nf[at - 1] = nf[at + length] = 1.0;
    np[at - 1] = np[at + length] = ZERO_POWER;
}

/* Row t + 1 of alpha is frame t; row 0 is the start, before the first blank. */
static void run_forward(ctc_pass *pass, double *fraction, double *power)
{
    set_zero(pass->alpha, pass->states);
    pass->alpha.power[0] = 0;
    for (size_t t = 0; t < pass->frames; t++) {
        wide old = wide_at(pass->alpha, t * pass->states);
        wide new = wide_at(pass->alpha, (t + 1) * pass->states);
        gather_emissions(pass, t);
        step_forward(pass->length, pass->skip, pass->current, old.fraction, old.power,
                     new.fraction, new.power);
    }
    wide last = wide_at(pass->alpha, pass->frames * pass->states);
    size_t blank = pass->length, label = labels_at(pass->length) + pass->length - 1;
    add_two(fraction, power, last.fraction[blank], last.power[blank],
            last.fraction[label], last.power[label]);
}

/* ---- backward ---- */

/* beta = what leads from each state to the end through next, which holds beta times
 * emission of the frame after. */
static void step_backward(size_t length, const double *restrict skip,
                          const double *restrict xf, const double *restrict xp,
                          double *restrict bf, double *restrict bp)
{
    size_t at = labels_at(length);
    for (size_t i = 0; i <= length; i++)
        add_two(&bf[i], &bp[i], xf[i], xp[i], xf[at + i], xp[at + i]);
    for (size_t i = 0; i < length; i++)
        add_three(&bf[at + i], &bp[at + i], xf[at + i], xp[at + i], xf[i + 1], xp[i + 1],
                  xf[at + i + 1], xp[at + i + 1] + skip[i + 1]);
}

/* next = beta * emission; the zeros around the labels stay. */
static void multiply_emission(size_t length, wide emission, const double *restrict bf,
                              const double *restrict bp, double *restrict xf,
                              double *restrict xp)
{
    const double *restrict ef = emission.fraction, *restrict ep = emission.power;
    size_t at = labels_at(length);
    double blank_f = ef[length], blank_p = ep[length];
    for (size_t i = 0; i <= length; i++)
        store_product(&xf[i], &xp[i], bf[i], bp[i], blank_f, blank_p);
    for (size_t i = 0; i < length; i++)
        store_product(&xf[at + i], &xp[at + i], bf[at + i], bp[at + i], ef[i], ep[i]);
}

/* out = a * b / 2^power * inverse, a probability. */
static void posterior_states(size_t count, wide a, wide b, double power, double inverse,
                             double *restrict out)
{
    const double *restrict af = a.fraction, *restrict ap = a.power;
    const double *restrict bf = b.fraction, *restrict bp = b.power;
    for (size_t i = 0; i < count; i++)
        out[i] = af[i] * bf[i] * inverse * two_to(ap[i] + bp[i] - power);
}

/* grad += scale * (softmax - posterior) for one frame. */
static void add_gradient(ctc_pass *pass, size_t t)
{
    const ctc_run *run = pass->run;
    size_t classes = run->logits->cols;
    const float *x = logits_row(pass, t);
    float *grad = run->grad + (pass->frame + t) * run->logits->stride;
    double share = run->scale / pass->total[t];
    float y[SUM_COLUMNS];
    for (size_t first = 0; first < classes; first += SUM_COLUMNS) {
        size_t count = S3R_MIN(classes - first, (size_t)SUM_COLUMNS);
        (void)run->kernels->exp_sum(count, pass->largest[t], x + first, y);
        for (size_t j = 0; j < count; j++) {
            uint32_t slot = pass->label_slot[first + j];
            double g = (double)y[j] * share;
            if (slot != NO_SLOT)
                g -= run->scale * pass->posterior[slot];
            grad[first + j] += (float)g;
        }
    }
}

static void run_backward(ctc_pass *pass, double fraction, double power)
{
    size_t length = pass->length, at = labels_at(length);
    set_zero(pass->next, pass->states);
    set_zero(pass->beta, pass->states);
    pass->next.power[length] = 0; /* the end, behind the last blank */
    for (size_t t = pass->frames; t-- > 0;) {
        step_backward(length, pass->skip, pass->next.fraction, pass->next.power,
                      pass->beta.fraction, pass->beta.power);
        posterior_states(pass->states, wide_at(pass->alpha, (t + 1) * pass->states),
                         pass->beta, power, 1.0 / fraction, pass->occupied);
        memset(pass->posterior, 0, pass->slot_count * sizeof *pass->posterior);
        for (size_t i = 0; i <= length; i++)
            pass->posterior[0] += pass->occupied[i];
        for (size_t i = 0; i < length; i++)
            pass->posterior[pass->slots[i]] += pass->occupied[at + i];
        add_gradient(pass, t);
        gather_emissions(pass, t);
        multiply_emission(length, pass->current, pass->beta.fraction, pass->beta.power,
                          pass->next.fraction, pass->next.power);
    }
}

/* ---- utterances ---- */

static void run_utterance(void *context, size_t u, size_t worker)
{
    const ctc_run *run = context;
    scratch_cut scratch = {.base = run->scratch + worker * run->scratch_bytes};
    ctc_pass pass;
    lay_out(&pass, run, u, &scratch);
    run->blanks[u] = 0;
    if (!measure_frames(&pass, &run->blanks[u])) {
        run->losses[u] = (double)NAN;
        return;
    }
    if (s3r_ctc_frames_needed(pass.labels, pass.length) > pass.frames) {
        run->losses[u] = (double)INFINITY;
        return;
    }
    double fraction = 0, power = 0;
    assign_slots(&pass);
    fill_emissions(&pass);
    run_forward(&pass, &fraction, &power);
    run->losses[u] = -LN_2 * (power + log2(fraction));
    if (run->grad)
        run_backward(&pass, fraction, power);
}

/* Bytes of the largest utterance, 0 when they do not fit in size_t. */
static size_t measure_scratch(const ctc_run *run)
{
    size_t most = S3R_ALIGNMENT;
    for (size_t u = 0; u < run->frames.count; u++) {
        scratch_cut scratch = {0};
        ctc_pass pass;
        lay_out(&pass, run, u, &scratch);
        if (scratch.is_too_large)
            return 0;
        most = S3R_MAX(most, scratch.used);
    }
    return most;
}

void s3r_ctc_loss(s3r_tape *tape, s3r_value *logits, s3r_ragged frames,
                  const s3r_ctc_targets *targets, double scale, double *losses,
                  size_t *blank_frames)
{
    if (!logits)
        return;
    assert(targets->lengths.count == frames.count && targets->blank_id < logits->cols);
    ctc_run run = {.kernels = tape->kernels,
                   .logits = logits,
                   .frames = frames,
                   .targets = targets,
                   .scale = scale,
                   .losses = losses};
    if (tape->is_recording && logits->needs_grad) {
        run.grad = s3r_tape_grad(tape, logits);
        if (!run.grad)
            return;
    }
    s3r_arena_mark mark = s3r_tape_mark(tape);
    run.scratch_bytes = measure_scratch(&run);
    run.blanks = s3r_tape_alloc(tape, frames.count, sizeof *run.blanks);
    run.scratch = s3r_tape_alloc(tape, s3r_pool_threads(tape->pool),
                                 run.scratch_bytes ? run.scratch_bytes : SIZE_MAX);
    if (run.blanks && run.scratch) {
        s3r_pool_run(tape->pool, frames.count, run_utterance, &run);
        for (size_t u = 0; blank_frames && u < frames.count; u++)
            blank_frames[u] = run.blanks[u];
    }
    s3r_arena_rewind(&tape->arena, mark);
}
