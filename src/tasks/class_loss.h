/*
 * Softmax and cross-entropy: one class a row.
 */
#ifndef S3R_TASKS_CLASS_LOSS_H
#define S3R_TASKS_CLASS_LOSS_H

#include "ops/tape.h"

/*
 *   logits   [rows, classes]; when it wants a gradient, d(sum of losses)/d(logits) is
 *            added to it
 *   targets  [rows] the right classes
 *   weights  [classes] what a loss of that class counts; NULL = 1
 *   losses   [rows] receives weight x negative log-likelihood, natural log; NaN when a
 *            logit is not finite (that row's gradient is zero)
 *   right    [rows] receives whether the right class is the likeliest (of equals the
 *            first); NULL = not wanted
 *
 * In double; rows do not see each other.
 */
void s3r_class_loss(s3r_tape *tape, s3r_value *logits, const size_t *targets,
                    const double *weights, double *losses, bool *right);

/* Turns logits [count] into probabilities that add up to 1; false when one is not finite.
 */
bool s3r_softmax(double *values, size_t count);

#endif
