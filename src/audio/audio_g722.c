/*
 * G.722 (ITU-T Recommendation G.722, 11/88 and 09/2012), decoder for 64 kbit/s.
 *
 * The spectrum is split at 4 kHz.  Each band is ADPCM at 8 kHz: 6 bits for the low one, 2
 * for the high one.  A predictor with two poles and six zeros, adapted by signs only,
 * gives an estimate; the code, scaled by an adaptive step, gives the difference to it.  A
 * 24-tap quadrature mirror filter joins the bands.  All is integer arithmetic that the
 * Recommendation fixes bit for bit: right shifts of negative numbers round down.
 */
#include "audio/audio_g722.h"

#include <string.h>

/* Inverse quantisers: the output for a step of 1, times 2^15. */
static const int16_t low_levels_6bit[64] = {
    -136,   -136,   -136,  -136,  -24808, -21904, -19008, -16704, -14984, -13512, -12280,
    -11192, -10232, -9360, -8576, -7856,  -7192,  -6576,  -6000,  -5456,  -4944,  -4464,
    -4008,  -3576,  -3168, -2776, -2400,  -2032,  -1688,  -1360,  -1040,  -728,   24808,
    21904,  19008,  16704, 14984, 13512,  12280,  11192,  10232,  9360,   8576,   7856,
    7192,   6576,   6000,  5456,  4944,   4464,   4008,   3576,   3168,   2776,   2400,
    2032,   1688,   1360,  1040,  728,    432,    136,    -432,   -136};
static const int16_t low_levels_4bit[16] = {0,     -20456, -12896, -8968, -6288, -4240,
                                            -2584, -1200,  20456,  12896, 8968,  6288,
                                            4240,  2584,   1200,   0};
static const int16_t high_levels[4] = {-7408, -1616, 7408, 1616};

/* How much a code moves the logarithm of the step. */
static const int16_t low_log_change[16] = {-60,  3042, 1198, 538, 334, 172, 58,  -30,
                                           3042, 1198, 538,  334, 172, 58,  -30, -60};
static const int16_t high_log_change[4] = {798, -214, 798, -214};

/* 2^11 * 2^(i/32), as rounded in the Recommendation. */
static const int16_t step_mantissa[32] = {2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383,
                                          2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
                                          2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371,
                                          3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008};

static const int16_t mirror_filter[12] = {3,    -11,  12,  32,   -210, 951,
                                          3876, -805, 362, -156, 53,   -11};

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

static int saturate(int value)
{
    return clamp(value, INT16_MIN, INT16_MAX);
}

static int multiply(int a, int b)
{
    return (a * b) >> 15;
}

static bool same_sign(int a, int b)
{
    return (a < 0) == (b < 0);
}

void s3r_g722_init(s3r_g722 *decoder)
{
    *decoder = (s3r_g722){.low.step = 32, .high.step = 8};
}

/* The two poles; the limits keep the recursive filter stable. */
static void adapt_poles(s3r_g722_band *band, int partial)
{
    bool is_like_first = same_sign(partial, band->partial[0]);
    bool is_like_second = same_sign(partial, band->partial[1]);
    int slope = saturate(band->pole[0] * 4);
    int second = (is_like_first ? saturate(-slope) : slope) >> 7;
    second += is_like_second ? 128 : -128;
    second += multiply(band->pole[1], 32512);
    second = clamp(second, -12288, 12288);
    int first = (is_like_first ? 192 : -192) + multiply(band->pole[0], 32640);
    int bound = 15360 - second;
    band->pole[0] = clamp(saturate(first), -bound, bound);
    band->pole[1] = second;
}

static void adapt_zeros(s3r_g722_band *band, int difference)
{
    int change = difference == 0 ? 0 : 128;
    for (size_t i = 0; i < 6; i++) {
        int signed_change =
            same_sign(difference, band->differences[i]) ? change : -change;
        band->zero[i] = saturate(signed_change + multiply(band->zero[i], 32640));
    }
}

/* Takes in the quantised difference of this sample and predicts the next one. */
static void predict(s3r_g722_band *band, int difference)
{
    int value = saturate(band->estimate + difference);
    int partial = saturate(band->zero_estimate + difference);
    adapt_poles(band, partial);
    adapt_zeros(band, difference);
    memmove(band->differences + 1, band->differences, 5 * sizeof(int));
    band->differences[0] = difference;
    band->partial[1] = band->partial[0];
    band->partial[0] = partial;
    band->recent[1] = band->recent[0];
    band->recent[0] = value;
    int poles = 0, zeros = 0;
    for (size_t i = 0; i < 2; i++)
        poles += multiply(band->pole[i], saturate(band->recent[i] * 2));
    for (size_t i = 0; i < 6; i++)
        zeros += multiply(band->zero[i], saturate(band->differences[i] * 2));
    band->zero_estimate = saturate(zeros);
    band->estimate = saturate(saturate(poles) + band->zero_estimate);
}

/* shift: 8 for the low band, 10 for the high one. */
static void adapt_step(s3r_g722_band *band, int log_change, int log_limit, int shift)
{
    band->log_step = clamp(((band->log_step * 127) >> 7) + log_change, 0, log_limit);
    int mantissa = step_mantissa[(band->log_step >> 6) & 31];
    int down = shift - (band->log_step >> 11);
    band->step = (down < 0 ? mantissa << -down : mantissa >> down) * 4;
}

/* The low band's predictor sees only the upper 4 of the 6 bits, so that streams which
 * give up the lower bits for data decode alike. */
static int decode_low(s3r_g722_band *band, unsigned code)
{
    int value = band->estimate + multiply(band->step, low_levels_6bit[code]);
    int difference = multiply(band->step, low_levels_4bit[code >> 2]);
    adapt_step(band, low_log_change[code >> 2], 18432, 8);
    predict(band, difference);
    return clamp(value, -16384, 16383);
}

static int decode_high(s3r_g722_band *band, unsigned code)
{
    int difference = multiply(band->step, high_levels[code]);
    int value = band->estimate + difference;
    adapt_step(band, high_log_change[code], 22528, 10);
    predict(band, difference);
    return clamp(value, -16384, 16383);
}

void s3r_g722_decode(s3r_g722 *decoder, int16_t *samples, const unsigned char *bytes,
                     size_t byte_count)
{
    int *history = decoder->history;
    for (size_t i = 0; i < byte_count; i++) {
        int low = decode_low(&decoder->low, bytes[i] & 63u);
        int high = decode_high(&decoder->high, bytes[i] >> 6);
        memmove(history, history + 2, 22 * sizeof(int));
        history[22] = low + high;
        history[23] = low - high;
        int even = 0, odd = 0;
        for (size_t t = 0; t < 12; t++) {
            even += history[2 * t + 1] * mirror_filter[11 - t];
            odd += history[2 * t] * mirror_filter[t];
        }
        samples[2 * i] = (int16_t)saturate(even >> 11);
        samples[2 * i + 1] = (int16_t)saturate(odd >> 11);
    }
}
