/*
 * ITU-T G.722 decoder at 64 kbit/s (mode 1): one byte gives two samples at 16 kHz.
 */
#ifndef S3R_AUDIO_AUDIO_G722_H
#define S3R_AUDIO_AUDIO_G722_H

#include "base/compiler.h"

#define S3R_G722_RATE_HZ 16000u

/* State of one sub-band's adaptive predictor and step size, in the integer formats of the
 * Recommendation. */
typedef struct s3r_g722_band {
    int estimate;       /* SL, SH: predicted next value */
    int zero_estimate;  /* SZ: the part of it from the six zeros */
    int log_step;       /* NB: logarithm of the step */
    int step;           /* DET */
    int recent[2];      /* reconstructed values, newest first */
    int partial[2];     /* zero_estimate + difference, newest first */
    int pole[2];        /* A1, A2 */
    int differences[6]; /* quantised differences, newest first */
    int zero[6];        /* B1 .. B6 */
} s3r_g722_band;

typedef struct s3r_g722 {
    s3r_g722_band low, high;
    int history[24]; /* sums and differences of the bands, for the synthesis filter */
} s3r_g722;

void s3r_g722_init(s3r_g722 *decoder);
/* samples [2 * byte_count] 16-bit full scale. */
void s3r_g722_decode(s3r_g722 *decoder, int16_t *samples, const unsigned char *bytes,
                     size_t byte_count);

#endif
