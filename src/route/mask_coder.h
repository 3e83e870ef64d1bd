/*
 * Entropy coding of masks: the bits of a matrix under the magnitude of its weights.
 *
 * Which connections go depends on how large their weights are, and whoever applies a mask
 * has the weights.  So |weight| falls into one of 32 classes, four an octave, each class
 * has a probability that a connection is kept, and the bits are coded with it.
 *
 * The coder is rANS (Duda 2013) with fixed tables and 32 states that take turns: column c
 * belongs to state c % 32, and the states share one row of 16-bit words.  A step of 32
 * columns therefore has no dependence within it and is a handful of vector instructions.
 * Only integers are computed, so that every machine gets the same bits.
 */
#ifndef S3R_ROUTE_MASK_CODER_H
#define S3R_ROUTE_MASK_CODER_H

#include "base/cpu_level.h"
#include "base/dtype.h"
#include "route/mask.h"

#define S3R_CODER_LANES       32u
#define S3R_CODER_CLASSES     32u
#define S3R_CODER_SCALE_BITS  12u /* probabilities are multiples of 2^-12 */
#define S3R_CODER_LOWEST      ((uint32_t)1 << 16) /* of a state between steps */
#define S3R_CODER_WORD_BYTES  sizeof(uint16_t)
#define S3R_CODER_STATE_BYTES (S3R_CODER_LANES * sizeof(uint32_t))

/* What a matrix's bits are coded with, as it is stored.  Class c has magnitudes whose
 * exponent and two bits of mantissa are base + c; the first and the last class also have
 * what lies beyond.  kept: the probability of its connections is (kept + 1/2) / 256. */
typedef struct s3r_mask_table {
    uint8_t base[2]; /* little-endian */
    uint8_t kept[S3R_CODER_CLASSES];
} s3r_mask_table;

/* The weights of a matrix in their stored type: F32, F16, BF16 or F64, any alignment. */
typedef struct s3r_mask_weights {
    const void *data;
    s3r_dtype dtype;
} s3r_mask_weights;

/* The table that fits this mask best. */
void s3r_mask_table_fit(s3r_mask_table *table, const s3r_mask *mask,
                        const s3r_mask_weights *weights);

/* The states and, from `words` to `end`, what was written. Words are written from the
 * last to the first, because rANS gives back in reverse order. */
typedef struct s3r_mask_encoder {
    uint32_t state[S3R_CODER_LANES];
    uint8_t *words;
} s3r_mask_encoder;

void s3r_mask_encoder_init(s3r_mask_encoder *encoder, uint8_t *end);
/* A matrix in front of those that were encoded before; writes at most
 * s3r_mask_encoded_bytes before encoder->words. */
void s3r_mask_encode(s3r_mask_encoder *encoder, const s3r_mask_table *table,
                     const s3r_mask *mask, const s3r_mask_weights *weights);
size_t s3r_mask_encoded_bytes(const s3r_mask *mask);

typedef struct s3r_mask_decoder {
    uint32_t state[S3R_CODER_LANES];
    const uint8_t *words, *end;
    bool is_short; /* more words were needed than there are; zeros stood in for them */
} s3r_mask_decoder;

/* The next matrix; writes all bits of the mask.  Whatever the words are, it stays within
 * them and ends. */
void s3r_mask_decode(s3r_mask_decoder *decoder, const s3r_mask_table *table,
                     s3r_mask *mask, const s3r_mask_weights *weights,
                     s3r_cpu_level level);
/* After the last matrix: whether all words were used and every state is back where the
 * encoder began. */
bool s3r_mask_decoder_is_done(const s3r_mask_decoder *decoder);

#endif
