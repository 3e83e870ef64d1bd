/*
 * Two passes in double, front to back, so that the result does not depend on the machine
 * or on threads.  Both sums run over differences to the first sample: a constant signal
 * then has exactly its own mean.
 */
#include "audio/audio_normalize.h"

#include <math.h>

void s3r_audio_normalize(float *output, const float *input, size_t count, double eps)
{
    if (count == 0)
        return;
    double first = (double)input[0], sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)input[i] - first;
    double mean = first + sum / (double)count;
    for (size_t i = 0; i < count; i++) {
        double difference = (double)input[i] - mean;
        squares += difference * difference;
    }
    double scale = 1.0 / sqrt(squares / (double)count + eps);
    for (size_t i = 0; i < count; i++)
        output[i] = (float)(((double)input[i] - mean) * scale);
}
