/*
 * Sums over words; nothing is kept of a word.
 */
#include "tasks/calibration.h"

#include <math.h>

#include "base/compiler.h"

#define LEAST_CONFIDENCE 1e-6 /* a wrong word of confidence 1 costs 14 nats, not all */

float s3r_tempered_probability(const float *log_probs, size_t count, float best,
                               double temperature)
{
    double sum = 0;
    if (temperature == 1)
        return expf(best);
    for (size_t i = 0; i < count; i++)
        sum += exp(((double)log_probs[i] - (double)best) / temperature);
    return (float)(1 / sum);
}

double s3r_confidence_temperature(const s3r_confidence_tally *tally, size_t index)
{
    return index == S3R_TEMPERATURE_GIVEN
               ? tally->given
               : exp2(((double)index - (double)S3R_TEMPERATURE_ONE) / 8);
}

void s3r_confidence_add(s3r_confidence_tally *tally,
                        const float confidence[S3R_TEMPERATURE_COUNT], bool is_right)
{
    tally->words++;
    tally->right += is_right;
    for (size_t i = 0; i < S3R_TEMPERATURE_COUNT; i++) {
        double c = fmin(fmax((double)confidence[i], 0), 1);
        double clipped = fmin(fmax(c, LEAST_CONFIDENCE), 1 - LEAST_CONFIDENCE);
        size_t place = (size_t)(c * S3R_CALIBRATION_BINS);
        s3r_confidence_bin *bin =
            &tally->bins[i][S3R_MIN(place, (size_t)S3R_CALIBRATION_BINS - 1)];
        bin->words++;
        bin->right += is_right;
        bin->confidence += c;
        tally->loss[i] -= log(is_right ? clipped : 1 - clipped);
    }
}

size_t s3r_confidence_fit(const s3r_confidence_tally *tally)
{
    size_t best = S3R_TEMPERATURE_ONE;
    for (size_t step = 1; step < S3R_TEMPERATURE_GRID; step++) {
        size_t up = S3R_TEMPERATURE_ONE + step;
        if (up < S3R_TEMPERATURE_GRID && tally->loss[up] < tally->loss[best])
            best = up;
        if (step <= S3R_TEMPERATURE_ONE &&
            tally->loss[S3R_TEMPERATURE_ONE - step] < tally->loss[best])
            best = S3R_TEMPERATURE_ONE - step;
    }
    return best;
}

double s3r_confidence_error(const s3r_confidence_tally *tally, size_t index)
{
    double sum = 0;
    for (size_t i = 0; i < S3R_CALIBRATION_BINS; i++)
        sum +=
            fabs((double)tally->bins[index][i].right - tally->bins[index][i].confidence);
    return tally->words > 0 ? sum / (double)tally->words : 0;
}

double s3r_confidence_mean(const s3r_confidence_tally *tally, size_t index)
{
    double sum = 0;
    for (size_t i = 0; i < S3R_CALIBRATION_BINS; i++)
        sum += tally->bins[index][i].confidence;
    return tally->words > 0 ? sum / (double)tally->words : 0;
}

double s3r_confidence_entropy(const s3r_confidence_tally *tally, size_t index)
{
    if (tally->right == 0 || tally->right == tally->words)
        return 0;
    double share = (double)tally->right / (double)tally->words;
    double most = -(share * log(share) + (1 - share) * log(1 - share));
    return 1 - tally->loss[index] / (double)tally->words / most;
}
