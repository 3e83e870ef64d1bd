/*
 * Matrix products C = A B on stored weights, with bias and GELU fused.
 *
 * B is packed panel by panel into a worker's own cache, straight from the memory map and
 * whatever its stored type, or read as it was packed before.  A is read in place by
 * broadcasts.  Each element of C is one chain of fused multiply-adds over k, which begins
 * with C itself, the addend or the bias: the bits depend neither on the number of rows,
 * nor on the threads, nor on the blocking.
 *
 * Convolution in channel-last layout is the same product with overlapping rows of A.
 */
#ifndef S3R_OPS_GEMM_H
#define S3R_OPS_GEMM_H

#include "base/thread_pool.h"
#include "ops/kernels.h"

typedef enum s3r_b_layout {
    S3R_B_TRANSPOSED, /* stored [n, k]: a weight, output channel first */
    S3R_B_PLAIN,      /* stored [k, n] */
    S3R_B_PACKED,     /* panels made by s3r_pack_panels for the same k and type */
    S3R_B_PREPACKED   /* panels made by s3r_product_pack, too large for a cache */
} s3r_b_layout;

typedef struct s3r_product {
    size_t m, n, k;
    /* A: element (i, s * a_segment + r) is a[i * a_stride + s * a_segment_stride + r]. A
     * plain matrix has a_segment 0, meaning one segment of k. In bf16 segments must be
     * even, and when k is odd, element k of each row must be readable and finite. Rows
     * may overlap. Strides that are a multiple of 4 KiB are correct but slow (cache
     * conflicts). */
    const void *a;
    bool is_bf16; /* A and the packed B are bf16; else fp32 */
    size_t a_stride;
    size_t a_segment, a_segment_stride;
    const void *b;
    s3r_b_layout b_layout;
    s3r_dtype b_dtype; /* of the stored B: F32, F16, BF16 */
    size_t b_stride;   /* elements between rows of the stored B; packed: rows of a panel
                          in memory when it is a part of a longer one, 0 = k */
    /* Elements of the stored B that count; the others are 0: bit (i, j) of B as stored is
     * bit j % 64 of word b_kept[i * b_kept_stride + j / 64]. NULL = all. Not for a packed
     * B. */
    const uint64_t *b_kept;
    size_t b_kept_stride; /* words */
    /* A in int8, plus 128 (s3r_kernels.quantize_row), and B stored as int8: then what one
     * step is worth, a row of A and a column of B; else NULL. B is S3R_B_TRANSPOSED, or
     * panels of s3r_kernels.pack_transposed_int8 for a k of at most
     * S3R_INT8_PACKED_DEPTH; 3 bytes behind each row of A are readable. */
    const float *a_scales; /* [m] */
    const float *b_scales; /* [n] */
    float *c;
    size_t c_stride;
    bool accumulate;     /* C += A B; without addend and bias */
    const float *addend; /* [m, n], added before the bias; NULL = none */
    size_t addend_stride;
    const float *bias;     /* [n], added to the product; NULL = none */
    bool gelu;             /* C = gelu(A B + bias) */
    float *pre_activation; /* with gelu: receives what gelu is taken of, stride of c; or
                              NULL */
    /* With gelu and without pre_activation: receives the result, in bf16, and C keeps
     * what gelu is taken of; or, when only the result counts, whatever sums needed (not
     * with accumulate). */
    uint16_t *narrow;
    size_t narrow_stride;
    bool only_narrow;
    s3r_dropout_mask dropout; /* of the rows of C, or of the result */
    const float *residual;    /* [m, n], added last; NULL = none */
    size_t residual_stride;
} s3r_product;

/* Runs all products as one parallel region.  C must not overlap A or B. */
void s3r_products_run(s3r_pool *pool, const s3r_kernels *kernels,
                      const s3r_product *products, size_t count);

/* One product in the calling thread; scratch has S3R_POOL_SCRATCH_BYTES, and may be NULL
 * when B is packed. */
void s3r_product_run_serial(const s3r_kernels *kernels, const s3r_product *product,
                            void *scratch);

/* Bytes of the packed form of a [k, n] B, a multiple of 64. */
size_t s3r_packed_bytes(size_t k, size_t n, bool is_bf16);
/* Packs a stored B for S3R_B_PACKED; packed is 64-byte aligned. */
void s3r_pack_panels(const s3r_kernels *kernels, size_t k, size_t n, const void *b,
                     s3r_b_layout layout, s3r_dtype dtype, size_t b_stride, bool is_bf16,
                     void *packed);

/* Bytes of a stored B when all of it is packed, a multiple of 64; int8 too, for a k of at
 * most S3R_INT8_PACKED_DEPTH (else 0). */
size_t s3r_product_packed_bytes(const s3r_product *product);
/* Packs a stored B, with what counts of it, for S3R_B_PREPACKED; as one parallel region.
 * Of A only its type is read.  panels is 64-byte aligned. */
void s3r_product_pack(s3r_pool *pool, const s3r_kernels *kernels,
                      const s3r_product *product, void *panels);

/*
 * A row stride of at least `columns` that suits A: 64-byte aligned and not a multiple of
 * 4 KiB for elements of element_bytes.
 */
size_t s3r_padded_stride(size_t columns, size_t element_bytes);

#endif
