/*
 * The gradient of -log softmax(x)[c] is softmax(x) - 1 at c.
 */
#include "tasks/class_loss.h"

#include <assert.h>
#include <math.h>

bool s3r_softmax(double *values, size_t count)
{
    double most = -INFINITY, sum = 0;
    for (size_t j = 0; j < count; j++) {
        if (!isfinite(values[j]))
            return false;
        most = fmax(most, values[j]);
    }
    for (size_t j = 0; j < count; j++) {
        values[j] = exp(values[j] - most);
        sum += values[j];
    }
    for (size_t j = 0; j < count; j++)
        values[j] /= sum;
    return true;
}

/* -log softmax(x)[target]; finite also where that probability is 0 in double. */
static double loss_of(const float *x, size_t classes, size_t target)
{
    double most = -INFINITY, sum = 0;
    for (size_t j = 0; j < classes; j++)
        most = fmax(most, (double)x[j]);
    for (size_t j = 0; j < classes; j++)
        sum += exp((double)x[j] - most);
    return most + log(sum) - (double)x[target];
}

void s3r_class_loss(s3r_tape *tape, s3r_value *logits, const size_t *targets,
                    const double *weights, double *losses, bool *right)
{
    if (!logits)
        return;
    size_t classes = logits->cols;
    bool wants_grad = tape->is_recording && logits->needs_grad;
    float *grad = wants_grad ? s3r_tape_grad(tape, logits) : NULL;
    double *p = s3r_tape_alloc(tape, classes, sizeof *p);
    if (!p || (wants_grad && !grad))
        return;
    for (size_t i = 0; i < logits->rows; i++) {
        const float *x = logits->data + i * logits->stride;
        size_t target = targets[i], best = 0;
        double weight = weights ? weights[target] : 1.0;
        assert(target < classes);
        for (size_t j = 0; j < classes; j++) {
            p[j] = (double)x[j];
            best = x[j] > x[best] ? j : best;
        }
        bool is_finite = s3r_softmax(p, classes);
        losses[i] = is_finite ? weight * loss_of(x, classes, target) : (double)NAN;
        if (right)
            right[i] = is_finite && best == target;
        for (size_t j = 0; grad && is_finite && j < classes; j++)
            grad[i * logits->stride + j] += (float)(weight * (p[j] - (j == target)));
    }
}
