/*
 * Cepstra of tasks of 64 frames, then two passes of differences.
 *
 * What a window goes through before its power spectrum - the mean taken off, the
 * pre-emphasis, the window function, the cosines and sines - maps 400 samples to 2 x 256
 * numbers linearly.  The matrix of that map is made once, in double precision.  (The bin
 * at half the sampling rate is in no mel triangle.)
 */
#include "tasks/mfcc.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "ops/gemm.h"

#define POINTS       512u
#define BINS         256u /* of the spectrum, without the one at half the rate */
#define MEL_BINS     23u
#define LOWEST_HZ    20.0
#define LIFTER       22.0
#define PRE_EMPHASIS 0.97
#define POVEY_POWER  0.85
/* Below it energies count as equal: the epsilon of a float, as torchaudio has it. */
#define LEAST_ENERGY 1.1920928955078125e-7
#define TASK_FRAMES  64u
#define PI           3.14159265358979323846

struct s3r_mfcc {
    const s3r_kernels *kernels;
    void *spectrum; /* panels of [window, 2 x BINS]: cosines, then sines */
    float triangle[MEL_BINS][BINS];
    size_t first[MEL_BINS], end[MEL_BINS];     /* bins where a triangle is not 0 */
    double cosine[S3R_MFCC_CEPSTRA][MEL_BINS]; /* with the lifter */
};

/* What x[i] counts for in sum(g[j] * y[j]), where y is x after pre-emphasis and without
 * its mean: the transposed steps in reverse order. */
static void fold_front(const double g[S3R_MFCC_WINDOW], float out[S3R_MFCC_WINDOW])
{
    double h[S3R_MFCC_WINDOW], mean = 0;
    for (size_t i = 0; i < S3R_MFCC_WINDOW; i++) {
        double next = i + 1 < S3R_MFCC_WINDOW ? g[i + 1] : 0;
        h[i] = g[i] - PRE_EMPHASIS * next;
    }
    h[0] -= PRE_EMPHASIS * g[0]; /* the first sample is its own predecessor */
    for (size_t i = 0; i < S3R_MFCC_WINDOW; i++)
        mean += h[i] / S3R_MFCC_WINDOW;
    for (size_t i = 0; i < S3R_MFCC_WINDOW; i++)
        out[i] = (float)(h[i] - mean);
}

/* matrix [2 x BINS, window] */
static void fill_spectrum(float *matrix)
{
    double window[S3R_MFCC_WINDOW], g[S3R_MFCC_WINDOW];
    for (size_t i = 0; i < S3R_MFCC_WINDOW; i++) {
        double hann = 0.5 - 0.5 * cos(2 * PI * (double)i / (S3R_MFCC_WINDOW - 1));
        window[i] = pow(hann, POVEY_POWER);
    }
    for (size_t row = 0; row < 2 * (size_t)BINS; row++) {
        for (size_t i = 0; i < S3R_MFCC_WINDOW; i++) {
            double angle = 2 * PI * (double)(row % BINS * i % POINTS) / POINTS;
            g[i] = window[i] * (row < BINS ? cos(angle) : sin(angle));
        }
        fold_front(g, matrix + row * S3R_MFCC_WINDOW);
    }
}

static double mel_of(double hz)
{
    return 1127.0 * log(1.0 + hz / 700.0);
}

static void fill_triangles(s3r_mfcc *mfcc)
{
    double low = mel_of(LOWEST_HZ), high = mel_of(S3R_MFCC_RATE_HZ / 2.0);
    double step = (high - low) / (MEL_BINS + 1);
    for (size_t m = 0; m < MEL_BINS; m++) {
        double left = low + (double)m * step;
        mfcc->first[m] = BINS;
        for (size_t i = 0; i < BINS; i++) {
            double mel = mel_of((double)i * S3R_MFCC_RATE_HZ / POINTS);
            double height = fmin((mel - left) / step, (left + 2 * step - mel) / step);
            if (!(height > 0))
                continue;
            mfcc->triangle[m][i] = (float)height;
            mfcc->first[m] = S3R_MIN(mfcc->first[m], i);
            mfcc->end[m] = i + 1;
        }
    }
}

static void fill_cosines(s3r_mfcc *mfcc)
{
    for (size_t c = 0; c < S3R_MFCC_CEPSTRA; c++) {
        double lift = 1.0 + 0.5 * LIFTER * sin(PI * (double)c / LIFTER);
        double norm = sqrt((c == 0 ? 1.0 : 2.0) / MEL_BINS);
        for (size_t m = 0; m < MEL_BINS; m++)
            mfcc->cosine[c][m] =
                lift * norm * cos(PI / MEL_BINS * ((double)m + 0.5) * (double)c);
    }
}

s3r_status s3r_mfcc_create(s3r_mfcc **out, const s3r_kernels *kernels, s3r_error *err)
{
    size_t n = 2 * (size_t)BINS;
    s3r_mfcc *mfcc = s3r_alloc(1, sizeof *mfcc);
    float *matrix = s3r_alloc_raw(n * S3R_MFCC_WINDOW, sizeof *matrix);
    if (mfcc)
        mfcc->spectrum = s3r_alloc_raw(s3r_packed_bytes(S3R_MFCC_WINDOW, n, false), 1);
    if (!mfcc || !matrix || !mfcc->spectrum) {
        s3r_mfcc_destroy(mfcc);
        s3r_free(matrix);
        return s3r_fail_memory(err, "cepstra", n * S3R_MFCC_WINDOW * sizeof *matrix);
    }
    fill_spectrum(matrix);
    s3r_pack_panels(kernels, S3R_MFCC_WINDOW, n, matrix, S3R_B_TRANSPOSED, S3R_DTYPE_F32,
                    S3R_MFCC_WINDOW, false, mfcc->spectrum);
    s3r_free(matrix);
    fill_triangles(mfcc);
    fill_cosines(mfcc);
    mfcc->kernels = kernels;
    *out = mfcc;
    return S3R_OK;
}

void s3r_mfcc_destroy(s3r_mfcc *mfcc)
{
    if (!mfcc)
        return;
    s3r_free(mfcc->spectrum);
    s3r_free(mfcc);
}

size_t s3r_mfcc_frames(size_t sample_count)
{
    if (sample_count < S3R_MFCC_WINDOW)
        return 0;
    return (sample_count - S3R_MFCC_WINDOW) / S3R_MFCC_HOP + 1;
}

typedef struct mfcc_work {
    const s3r_mfcc *mfcc;
    s3r_pool *pool;
    const float *samples;
    size_t frames;
    float *rows;
    size_t from; /* column that differences are taken of; they go behind its group */
} mfcc_work;

/* Spectrum [2 x BINS] to cepstra. */
static void finish_frame(const s3r_mfcc *mfcc, float *spectrum, float *row)
{
    double mel[MEL_BINS];
    for (size_t i = 0; i < BINS; i++)
        spectrum[i] = spectrum[i] * spectrum[i] + spectrum[BINS + i] * spectrum[BINS + i];
    for (size_t m = 0; m < MEL_BINS; m++) {
        double energy = 0;
        for (size_t i = mfcc->first[m]; i < mfcc->end[m]; i++)
            energy += (double)mfcc->triangle[m][i] * (double)spectrum[i];
        mel[m] = log(fmax(energy, LEAST_ENERGY));
    }
    for (size_t c = 0; c < S3R_MFCC_CEPSTRA; c++) {
        double sum = 0;
        for (size_t m = 0; m < MEL_BINS; m++)
            sum += mfcc->cosine[c][m] * mel[m];
        row[c] = (float)sum;
    }
}

static void cepstra_task(void *context, size_t task, size_t worker)
{
    const mfcc_work *work = context;
    size_t first = task * TASK_FRAMES;
    float *spectrum = s3r_pool_scratch(work->pool, worker);
    s3r_product product = {.m = S3R_MIN((size_t)TASK_FRAMES, work->frames - first),
                           .n = 2 * (size_t)BINS,
                           .k = S3R_MFCC_WINDOW,
                           .a = work->samples + first * S3R_MFCC_HOP,
                           .a_stride = S3R_MFCC_HOP,
                           .b = work->mfcc->spectrum,
                           .b_layout = S3R_B_PACKED,
                           .c = spectrum,
                           .c_stride = 2 * (size_t)BINS};
    _Static_assert(TASK_FRAMES * 2 * BINS * sizeof(float) <= S3R_POOL_SCRATCH_BYTES,
                   "the spectra of a task fit");
    s3r_product_run_serial(work->mfcc->kernels, &product, NULL);
    for (size_t i = 0; i < product.m; i++)
        finish_frame(work->mfcc, spectrum + i * product.c_stride,
                     work->rows + (first + i) * S3R_MFCC_DIM);
}

/* The slope over five frames, the first and the last frame repeated. */
static void difference_task(void *context, size_t task, size_t worker)
{
    const mfcc_work *work = context;
    size_t end = S3R_MIN((task + 1) * TASK_FRAMES, work->frames), last = work->frames - 1;
    (void)worker;
    for (size_t i = task * TASK_FRAMES; i < end; i++) {
        const float *x = work->rows + work->from;
        const float *before = x + (i > 0 ? i - 1 : 0) * S3R_MFCC_DIM;
        const float *before2 = x + (i > 1 ? i - 2 : 0) * S3R_MFCC_DIM;
        const float *after = x + S3R_MIN(i + 1, last) * S3R_MFCC_DIM;
        const float *after2 = x + S3R_MIN(i + 2, last) * S3R_MFCC_DIM;
        float *y = work->rows + i * S3R_MFCC_DIM + work->from + S3R_MFCC_CEPSTRA;
        for (size_t c = 0; c < S3R_MFCC_CEPSTRA; c++)
            y[c] = ((after[c] - before[c]) + 2 * (after2[c] - before2[c])) / 10;
    }
}

void s3r_mfcc_run(const s3r_mfcc *mfcc, s3r_pool *pool, const float *samples,
                  size_t count, float *rows)
{
    mfcc_work work = {mfcc, pool, samples, s3r_mfcc_frames(count), rows, 0};
    size_t tasks = S3R_CEIL_DIV(work.frames, TASK_FRAMES);
    if (work.frames == 0)
        return;
    s3r_pool_run(pool, tasks, cepstra_task, &work);
    s3r_pool_run(pool, tasks, difference_task, &work);
    work.from = S3R_MFCC_CEPSTRA;
    s3r_pool_run(pool, tasks, difference_task, &work);
}

size_t s3r_mfcc_halve(float *rows, size_t frames, size_t wanted)
{
    size_t kept = S3R_MIN(S3R_CEIL_DIV(frames, 2), wanted);
    for (size_t i = 1; i < kept; i++)
        memcpy(rows + i * S3R_MFCC_DIM, rows + 2 * i * S3R_MFCC_DIM,
               S3R_MFCC_DIM * sizeof *rows);
    return kept;
}
