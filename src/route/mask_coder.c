/*
 * rANS with 32 states: fitting tables, encoding, and the portable decoder.
 *
 * A state x holds what is still to be said.  To say a symbol that has `size` of the
 * SCALE places from `first` on,
 *
 *   x = x / size * SCALE + first + x % size
 *
 * and back: place = x % SCALE tells the symbol, x = size * (x / SCALE) + place - first.
 * States stay within [2^16, 2^32): the encoder writes out the lower 16 bits before a
 * state would leave, the decoder takes a word in when a state has fallen below.  Kept
 * connections have the first places, removed ones the rest.
 */
#include "route/mask_coder.h"

#include "route/mask_decode_tmpl.h"

#define WORD_BITS     64u
#define TABLE_STEPS   256u
#define PLACES_A_STEP (S3R_CODER_SCALE / TABLE_STEPS)

/* ----------------------------------------------------------------------------- tables
 */

static void lookup_init(s3r_class_lookup *lookup, s3r_dtype dtype)
{
    /* What is left of the exponent and two bits of mantissa are the lowest bits. */
    lookup->element_bytes = s3r_dtype_size(dtype);
    switch (dtype) {
    case S3R_DTYPE_F16:
        lookup->shift = 8;
        break;
    case S3R_DTYPE_F64:
        lookup->shift = 2;
        break;
    default:
        lookup->shift = 5;
    }
}

static void lookup_of(s3r_class_lookup *lookup, const s3r_mask_table *table,
                      s3r_dtype dtype)
{
    lookup_init(lookup, dtype);
    lookup->base = (unsigned)table->base[0] | (unsigned)table->base[1] << 8;
    for (size_t c = 0; c < S3R_CODER_CLASSES; c++)
        lookup->kept[c] = (uint16_t)(table->kept[c] * PLACES_A_STEP + PLACES_A_STEP / 2);
}

static bool is_kept(const s3r_mask *mask, size_t row, size_t col)
{
    return mask->bits[row * mask->stride + col / WORD_BITS] >> col % WORD_BITS & 1;
}

static const uint8_t *row_of(const s3r_mask *mask, const s3r_mask_weights *weights,
                             size_t row)
{
    return (const uint8_t *)weights->data +
           row * mask->cols * s3r_dtype_size(weights->dtype);
}

/* The classes end with the largest weight. */
static unsigned base_of(const s3r_class_lookup *lookup, const s3r_mask *mask,
                        const s3r_mask_weights *weights)
{
    unsigned most = 0;
    for (size_t i = 0; i < mask->rows * mask->cols; i++)
        most = S3R_MAX(most, s3r_weight_scale(lookup, weights->data, i));
    return most > S3R_CODER_LAST ? most - S3R_CODER_LAST : 0;
}

void s3r_mask_table_fit(s3r_mask_table *table, const s3r_mask *mask,
                        const s3r_mask_weights *weights)
{
    s3r_class_lookup lookup;
    size_t all[S3R_CODER_CLASSES] = {0}, kept[S3R_CODER_CLASSES] = {0};
    lookup_init(&lookup, weights->dtype);
    lookup.base = base_of(&lookup, mask, weights);
    for (size_t row = 0; row < mask->rows; row++) {
        const uint8_t *data = row_of(mask, weights, row);
        for (size_t col = 0; col < mask->cols; col++) {
            unsigned class = s3r_weight_class(&lookup, data, col);
            all[class]++;
            kept[class] += is_kept(mask, row, col);
        }
    }
    table->base[0] = (uint8_t)lookup.base;
    table->base[1] = (uint8_t)(lookup.base >> 8);
    for (size_t c = 0; c < S3R_CODER_CLASSES; c++) {
        size_t step = all[c] ? kept[c] * TABLE_STEPS / all[c] : TABLE_STEPS / 2;
        table->kept[c] = (uint8_t)S3R_MIN(step, TABLE_STEPS - 1);
    }
}

/* --------------------------------------------------------------------------- encoding
 */

void s3r_mask_encoder_init(s3r_mask_encoder *encoder, uint8_t *end)
{
    encoder->words = end;
    for (size_t lane = 0; lane < S3R_CODER_LANES; lane++)
        encoder->state[lane] = S3R_CODER_LOWEST;
}

static void encode_bit(s3r_mask_encoder *encoder, size_t lane, uint32_t first,
                       uint32_t size)
{
    uint32_t x = encoder->state[lane];
    if (x >= size << (2 * S3R_CODER_WORD_BITS - S3R_CODER_SCALE_BITS)) {
        uint16_t word = (uint16_t)x;
        encoder->words -= sizeof word;
        memcpy(encoder->words, &word, sizeof word);
        x >>= S3R_CODER_WORD_BITS;
    }
    encoder->state[lane] = (x / size << S3R_CODER_SCALE_BITS) + first + x % size;
}

void s3r_mask_encode(s3r_mask_encoder *encoder, const s3r_mask_table *table,
                     const s3r_mask *mask, const s3r_mask_weights *weights)
{
    s3r_class_lookup lookup;
    lookup_of(&lookup, table, weights->dtype);
    for (size_t row = mask->rows; row-- > 0;) {
        const uint8_t *data = row_of(mask, weights, row);
        for (size_t col = mask->cols; col-- > 0;) {
            uint32_t kept = lookup.kept[s3r_weight_class(&lookup, data, col)];
            if (is_kept(mask, row, col))
                encode_bit(encoder, col % S3R_CODER_LANES, 0, kept);
            else
                encode_bit(encoder, col % S3R_CODER_LANES, kept, S3R_CODER_SCALE - kept);
        }
    }
}

/* A bit costs at most 12 of a word's 16 bits. */
size_t s3r_mask_encoded_bytes(const s3r_mask *mask)
{
    return (mask->rows * mask->cols + S3R_CODER_LANES) * S3R_CODER_WORD_BYTES;
}

/* --------------------------------------------------------------------------- decoding
 */

static inline uint32_t next_word(s3r_mask_decoder *decoder)
{
    uint16_t word;
    if ((size_t)(decoder->end - decoder->words) < sizeof word) {
        decoder->is_short = true;
        return 0;
    }
    memcpy(&word, decoder->words, sizeof word);
    decoder->words += sizeof word;
    return word;
}

static inline uint64_t decode_bit(s3r_mask_decoder *decoder, size_t lane, uint32_t kept)
{
    uint32_t x = decoder->state[lane], place = x & (S3R_CODER_SCALE - 1);
    bool has_it = place < kept;
    uint32_t size = has_it ? kept : S3R_CODER_SCALE - kept;
    x = size * (x >> S3R_CODER_SCALE_BITS) + place - (has_it ? 0 : kept);
    if (x < S3R_CODER_LOWEST)
        x = x << S3R_CODER_WORD_BITS | next_word(decoder);
    decoder->state[lane] = x;
    return has_it;
}

void s3r_decode_columns(s3r_mask_decoder *decoder, const s3r_class_lookup *lookup,
                        const uint8_t *weights, size_t first, size_t cols, uint64_t *bits)
{
    for (size_t col = first; col < cols; col++) {
        uint32_t kept = lookup->kept[s3r_weight_class(lookup, weights, col)];
        bits[col / WORD_BITS] |= decode_bit(decoder, col % S3R_CODER_LANES, kept)
                                 << col % WORD_BITS;
    }
}

static void decode_row_portable(s3r_mask_decoder *decoder, const s3r_class_lookup *lookup,
                                const uint8_t *weights, size_t cols, uint64_t *bits)
{
    s3r_decode_row_plain(decoder, lookup, weights, cols, bits);
}

static s3r_decode_row_fn decode_row_at(s3r_cpu_level level)
{
#if defined(__x86_64__)
    if (level >= S3R_CPU_AVX512)
        return s3r_decode_row_avx512;
    if (level >= S3R_CPU_AVX2)
        return s3r_decode_row_avx2;
#else
    (void)level;
#endif
    return decode_row_portable;
}

void s3r_mask_decode(s3r_mask_decoder *decoder, const s3r_mask_table *table,
                     s3r_mask *mask, const s3r_mask_weights *weights, s3r_cpu_level level)
{
    s3r_class_lookup lookup;
    lookup_of(&lookup, table, weights->dtype);
    s3r_decode_row_fn decode_row = decode_row_at(level);
    for (size_t row = 0; row < mask->rows; row++)
        decode_row(decoder, &lookup, row_of(mask, weights, row), mask->cols,
                   mask->bits + row * mask->stride);
}

bool s3r_mask_decoder_is_done(const s3r_mask_decoder *decoder)
{
    bool is_done = decoder->words == decoder->end && !decoder->is_short;
    for (size_t lane = 0; lane < S3R_CODER_LANES; lane++)
        is_done = is_done && decoder->state[lane] == S3R_CODER_LOWEST;
    return is_done;
}
