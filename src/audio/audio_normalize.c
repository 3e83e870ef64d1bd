/*
 * Two passes in double, front to back, so that the result does not depend on the machine
 * or on threads.  Both sums run over differences to the first sample: a constant signal
 * then has exactly its own mean.
 */
#include "audio/audio_normalize.h"

#include <math.h>

s3r_audio_scaling s3r_audio_measure(const float *input, size_t count, double eps)
{
    if (count == 0)
        return (s3r_audio_scaling){0.0, 1.0};
    double first = (double)input[0], sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)input[i] - first;
    double mean = first + sum / (double)count;
    for (size_t i = 0; i < count; i++) {
        double difference = (double)input[i] - mean;
        squares += difference * difference;
    }
    return (s3r_audio_scaling){mean, 1.0 / sqrt(squares / (double)count + eps)};
}

void s3r_audio_scale(float *output, const float *input, size_t count,
                     s3r_audio_scaling scaling)
{
    for (size_t i = 0; i < count; i++)
        output[i] = (float)(((double)input[i] - scaling.mean) * scaling.scale);
}

void s3r_audio_normalize(float *output, const float *input, size_t count, double eps)
{
    s3r_audio_scale(output, input, count, s3r_audio_measure(input, count, eps));
}
