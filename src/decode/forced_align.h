/*
 * Forced alignment: the likeliest CTC path of a given text (Viterbi).
 *
 * A path has a label or the blank in each frame; repeats merged and blanks removed it
 * spells the targets.  Sums are in double, of two equal paths the one that stays longer
 * in its state wins, and the result is exact whatever the length.
 *
 * Memory does not grow with frames * targets: the first pass keeps its state every K
 * frames; the second goes back block by block, and since a path moves by at most one
 * target a frame, it repeats K frames for K + 2 targets only.  With K = (8 T L)^(1/3)
 * that is about 5 (T L)^(2/3) + K^2 bytes: an hour (T = 180,000 frames) of L = 50,000
 * letters takes 56 MB.  Time is T * L.
 */
#ifndef S3R_DECODE_FORCED_ALIGN_H
#define S3R_DECODE_FORCED_ALIGN_H

#include "base/error.h"

typedef struct s3r_align_input {
    const float *log_probs; /* [frames, cols] natural logarithm */
    size_t frames, cols;
    const uint32_t *targets; /* [target_count] columns, none of them the blank's */
    size_t target_count;
    uint32_t blank;                 /* its column */
    bool (*goes_on)(void *context); /* asked every K frames or so; NULL = always */
    void *goes_on_context;
} s3r_align_input;

/* The frames [start, end) of a target. */
typedef struct s3r_align_span {
    size_t start_frame, end_frame;
} s3r_align_span;

/* Frames that any path needs: a frame a target, and a blank between two equal ones. */
size_t s3r_align_least_frames(const uint32_t *targets, size_t target_count);

/* Bytes that s3r_forced_align takes beyond its input and output; SIZE_MAX when that is
 * not a number. */
size_t s3r_align_bytes(size_t frames, size_t target_count);

/*
 * Aligns.
 *
 *   block_frames  K; 0 = as above
 *   spans         [target_count] receives the frames of each target; what lies between
 *                 spans is blank
 *   score         receives the sum of the path's log-probabilities
 *
 * There are at least s3r_align_least_frames frames, and log_probs has no NaN.
 * S3R_ERR_INTERRUPTED, S3R_ERR_RESOURCE.  Thread-safe.
 */
s3r_status s3r_forced_align(const s3r_align_input *input, size_t block_frames,
                            s3r_align_span *spans, double *score, s3r_error *err);

#endif
