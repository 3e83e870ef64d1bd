/*
 * The decoder in plain C, in loops that compilers turn into vector code as far as the CPU
 * level of the file that includes this allows.  Nothing branches on what is decoded:
 * many of the guesses would be wrong.
 */
#ifndef S3R_ROUTE_MASK_DECODE_TMPL_H
#define S3R_ROUTE_MASK_DECODE_TMPL_H

#include "route/mask_decode.h"

/* One step of all states, where there are words enough; kept [S3R_CODER_LANES]. */
S3R_ALWAYS_INLINE uint32_t s3r_decode_step(uint32_t *state, const uint32_t *kept,
                                           const uint8_t **words)
{
    uint32_t has_it[S3R_CODER_LANES], is_low[S3R_CODER_LANES], bits = 0;
    const uint8_t *at = *words;
    for (size_t lane = 0; lane < S3R_CODER_LANES; lane++) {
        uint32_t x = state[lane], place = x & (S3R_CODER_SCALE - 1);
        bool is_kept = place < kept[lane];
        uint32_t size = is_kept ? kept[lane] : S3R_CODER_SCALE - kept[lane];
        x = size * (x >> S3R_CODER_SCALE_BITS) + place - (is_kept ? 0 : kept[lane]);
        has_it[lane] = (uint32_t)is_kept << lane;
        is_low[lane] = x < S3R_CODER_LOWEST;
        state[lane] = x;
    }
    for (size_t lane = 0; lane < S3R_CODER_LANES; lane++)
        bits |= has_it[lane];
    for (size_t lane = 0; lane < S3R_CODER_LANES; lane++) {
        uint16_t word;
        memcpy(&word, at, sizeof word);
        uint32_t refilled = state[lane] << S3R_CODER_WORD_BITS | word;
        state[lane] = is_low[lane] ? refilled : state[lane];
        at += sizeof word * is_low[lane];
    }
    *words = at;
    return bits;
}

/* Whole steps as long as there are words enough; returns the columns. */
S3R_ALWAYS_INLINE size_t s3r_decode_steps(s3r_mask_decoder *decoder,
                                          const s3r_class_lookup *lookup,
                                          const uint8_t *weights, size_t element_bytes,
                                          size_t cols, uint64_t *bits)
{
    /* Copies, so that the compiler knows that nothing else changes them. */
    const s3r_class_lookup own = *lookup;
    uint32_t state[S3R_CODER_LANES], kept[S3R_CODER_LANES];
    const uint8_t *words = decoder->words, *end = decoder->end;
    size_t col = 0;
    memcpy(state, decoder->state, sizeof state);
    for (; col + S3R_CODER_LANES <= cols && (size_t)(end - words) >= S3R_CODER_STEP_BYTES;
         col += S3R_CODER_LANES) {
        uint16_t class[S3R_CODER_LANES];
        for (size_t lane = 0; lane < S3R_CODER_LANES; lane++) {
            uint16_t top;
            memcpy(&top, weights + (col + lane + 1) * element_bytes - sizeof top,
                   sizeof top);
            int last = S3R_CODER_LAST,
                above = ((top & 0x7fff) >> own.shift) - (int)own.base;
            above = above > 0 ? above : 0;
            class[lane] = (uint16_t)(above < last ? above : last);
        }
        for (size_t lane = 0; lane < S3R_CODER_LANES; lane++)
            kept[lane] = own.kept[class[lane]];
        bits[col / 64] |= (uint64_t)s3r_decode_step(state, kept, &words) << col % 64;
    }
    memcpy(decoder->state, state, sizeof state);
    decoder->words = words;
    return col;
}

S3R_ALWAYS_INLINE void s3r_decode_row_plain(s3r_mask_decoder *decoder,
                                            const s3r_class_lookup *lookup,
                                            const uint8_t *weights, size_t cols,
                                            uint64_t *bits)
{
    size_t done = 0;
    memset(bits, 0, s3r_mask_stride(cols) * sizeof *bits);
    if (lookup->element_bytes == sizeof(uint16_t))
        done = s3r_decode_steps(decoder, lookup, weights, sizeof(uint16_t), cols, bits);
    else if (lookup->element_bytes == sizeof(uint32_t))
        done = s3r_decode_steps(decoder, lookup, weights, sizeof(uint32_t), cols, bits);
    s3r_decode_columns(decoder, lookup, weights, done, cols, bits);
}

#endif
