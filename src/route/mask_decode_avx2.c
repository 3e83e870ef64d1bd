/*
 * Decoding masks with AVX2: the plain loops, made for it by the compiler.
 */
#if defined(__x86_64__)
#include "route/mask_decode_tmpl.h"

void s3r_decode_row_avx2(s3r_mask_decoder *decoder, const s3r_class_lookup *lookup,
                         const uint8_t *weights, size_t cols, uint64_t *bits)
{
    s3r_decode_row_plain(decoder, lookup, weights, cols, bits);
}
#else
typedef int s3r_no_mask_decode_avx2;
#endif
