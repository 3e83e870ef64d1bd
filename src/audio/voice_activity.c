/*
 * Level by step, candidate segments, then a look at the pitch within each.
 */
#include "audio/voice_activity.h"

#include <math.h>

#include "base/memory.h"

#define STEPS_A_SECOND 50u
#define LOUDER_DB      9.0
#define LEAST_DB       (-60.0)
#define FLOOR_SHARE    0.1
#define MAX_GAP_STEPS  15u /* 0.3 s */
#define MIN_STEPS      3u  /* 0.06 s */
#define PADDING_STEPS  10u /* 0.2 s */
#define MIN_PITCH_HZ   60u
#define MAX_PITCH_HZ   400u
#define VOICED         0.6  /* correlation at the period */
#define MIN_VOICED     0.05 /* share of the loud steps of a segment */
#define MIN_GLIDING    0.15 /* share of voiced steps of another pitch than before, */
#define MAX_GLIDE      0.15 /* by at most that part of it */
#define HISTOGRAM_BINS 240u /* of half a decibel, from -120 on */

typedef struct activity_finder {
    const float *samples;
    size_t sample_count;
    size_t step;   /* samples */
    float *levels; /* [steps] dB */
    size_t steps;
    uint32_t rate_hz;
    double threshold_db;
} activity_finder;

/* ---- level ---- */

static void find_levels(activity_finder *finder)
{
    for (size_t i = 0; i < finder->steps; i++) {
        const float *x = finder->samples + i * finder->step;
        double sum = 0, squares = 0;
        for (size_t k = 0; k < finder->step; k++) {
            sum += (double)x[k];
            squares += (double)x[k] * (double)x[k];
        }
        double mean = sum / (double)finder->step;
        double power = squares / (double)finder->step - mean * mean;
        finder->levels[i] = (float)(10 * log10(fmax(power, 1e-12)));
    }
}

/* The level that FLOOR_SHARE of the steps stays below. */
static double find_floor(const activity_finder *finder)
{
    size_t histogram[HISTOGRAM_BINS] = {0}, below = 0, bin = 0;
    for (size_t i = 0; i < finder->steps; i++) {
        double place = fmax(2 * ((double)finder->levels[i] + 120), 0);
        histogram[S3R_MIN((size_t)place, (size_t)HISTOGRAM_BINS - 1)]++;
    }
    for (; bin + 1 < HISTOGRAM_BINS; bin++) {
        below += histogram[bin];
        if ((double)below >= FLOOR_SHARE * (double)finder->steps)
            break;
    }
    return (double)bin / 2 - 120;
}

static bool is_loud(const activity_finder *finder, size_t step)
{
    return (double)finder->levels[step] > finder->threshold_db;
}

/* ---- pitch ---- */

/* The period around a step in samples; 0 without a voice. */
static size_t find_period(const activity_finder *finder, size_t step)
{
    size_t shortest = finder->rate_hz / MAX_PITCH_HZ;
    size_t longest = finder->rate_hz / MIN_PITCH_HZ, window = 2 * longest;
    size_t middle = step * finder->step + finder->step / 2;
    size_t half = (window + longest) / 2;
    if (middle < half || middle - half + window + longest > finder->sample_count)
        return 0;
    const float *x = finder->samples + middle - half;
    double best = VOICED;
    size_t period = 0;
    float energy = 1e-9f;
    for (size_t k = 0; k < window; k++)
        energy += x[k] * x[k];
    for (size_t lag = shortest; lag <= longest; lag++) {
        float product = 0, shifted = 1e-9f;
        for (size_t k = 0; k < window; k++) {
            product += x[k] * x[k + lag];
            shifted += x[k + lag] * x[k + lag];
        }
        double correlation = (double)product / sqrt((double)energy * (double)shifted);
        if (correlation > best * 1.001) { /* of multiples of a period the first */
            best = correlation;
            period = lag;
        }
    }
    return period;
}

static bool is_glide(size_t before, size_t now)
{
    size_t change = before > now ? before - now : now - before;
    return change > 0 && (double)change <= MAX_GLIDE * (double)before;
}

/* Whether steps [first, end) have a voice that moves. */
static bool is_speech(const activity_finder *finder, size_t first, size_t end)
{
    size_t voiced = 0, pairs = 0, gliding = 0, loud = 0, before = 0;
    for (size_t i = first; i < end; i++) {
        size_t period = is_loud(finder, i) ? find_period(finder, i) : 0;
        loud += is_loud(finder, i);
        voiced += period > 0;
        if (period > 0 && before > 0) {
            pairs++;
            gliding += is_glide(before, period);
        }
        before = period;
    }
    return (double)voiced >= MIN_VOICED * (double)loud &&
           (double)gliding >= MIN_GLIDING * (double)S3R_MAX(pairs, (size_t)1);
}

/* ---- segments ---- */

/* The next run of loud steps from `from` on, over short gaps; false at the end. */
static bool next_run(const activity_finder *finder, size_t from, size_t *first,
                     size_t *end)
{
    while (from < finder->steps && !is_loud(finder, from))
        from++;
    *first = *end = from;
    for (size_t i = from; i < finder->steps && i <= *end + MAX_GAP_STEPS; i++)
        if (is_loud(finder, i))
            *end = i + 1;
    return from < finder->steps;
}

static void add_segment(s3r_voice_activity *out, const activity_finder *finder,
                        size_t first, size_t end)
{
    first = first > PADDING_STEPS ? first - PADDING_STEPS : 0;
    end = S3R_MIN(end + PADDING_STEPS, finder->steps);
    size_t start_sample = first * finder->step;
    /* What remains behind the last step belongs to it. */
    size_t end_sample = end == finder->steps ? finder->sample_count : end * finder->step;
    if (out->count > 0 && start_sample <= out->items[out->count - 1].end)
        out->items[out->count - 1].end = end_sample;
    else
        out->items[out->count++] = (s3r_voice_segment){start_sample, end_sample};
}

s3r_status s3r_voice_activity_find(s3r_voice_activity *out, const float *samples,
                                   size_t count, uint32_t rate_hz, s3r_error *err)
{
    activity_finder finder = {.samples = samples,
                              .sample_count = count,
                              .rate_hz = rate_hz,
                              .step = rate_hz / STEPS_A_SECOND};
    *out = (s3r_voice_activity){0};
    finder.steps = count / finder.step;
    finder.levels = s3r_alloc_raw(finder.steps, sizeof *finder.levels);
    out->items = s3r_alloc_raw(finder.steps / MIN_STEPS + 1, sizeof *out->items);
    if (!finder.levels || !out->items) {
        s3r_free(finder.levels);
        return s3r_fail_memory(err, "voice activity", finder.steps * sizeof(float));
    }
    find_levels(&finder);
    finder.threshold_db = fmax(find_floor(&finder) + LOUDER_DB, LEAST_DB);
    for (size_t at = 0, first, end; next_run(&finder, at, &first, &end); at = end)
        if (end - first >= MIN_STEPS && is_speech(&finder, first, end))
            add_segment(out, &finder, first, end);
    s3r_free(finder.levels);
    return S3R_OK;
}

void s3r_voice_activity_release(s3r_voice_activity *activity)
{
    s3r_free(activity->items);
    *activity = (s3r_voice_activity){0};
}
