/*
 * Which frames and channels a training step masks. (spec 2.6)
 *
 * Drawn for each utterance alone, from (seed, epoch, utterance): the draw depends neither
 * on the other utterances of the batch nor on the order of things, and a resumed run
 * draws what the uninterrupted one would have.  So the original's trimming of all rows
 * of a batch to the smallest number of masked frames, which is an effect of padding, is
 * not there.
 */
#ifndef S3R_TRAIN_AUGMENT_H
#define S3R_TRAIN_AUGMENT_H

#include "base/random.h"

/* Spans of `length` over a line of `size` places. */
typedef struct s3r_span_plan {
    double prob; /* expected part of places that start inside a span, before overlaps */
    size_t length;
    size_t min_spans;
} s3r_span_plan;

/* Spans that s3r_draw_spans makes at most. */
size_t s3r_span_limit(const s3r_span_plan *plan, size_t size);

/*
 * Draws the number of spans, max(min_spans, trunc(prob * size / length + U)), and as many
 * distinct starts; spans may overlap and are cut at the end.  Places come out once each,
 * ascending.
 *
 *   places   [size] receives the masked places
 *   scratch  [size]
 *
 * Returns how many.  0 when prob is 0 or the line is too short for one span.
 */
size_t s3r_draw_spans(size_t *places, size_t *scratch, const s3r_span_plan *plan,
                      size_t size, s3r_random *random);

#endif
