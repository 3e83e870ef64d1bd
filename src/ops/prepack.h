/*
 * Weights of matrices that stay packed for all passes.
 *
 * A product packs its weight anew in each pass, straight from the memory map.  For audio
 * of a second that costs as much as a quarter of the pass, so a weight that is used often
 * is kept in the form that products read; the pages of the map, which nobody reads then,
 * are given back.  New memory costs what twenty passes save, so this begins after a few
 * uses, one weight after another, lest a single pass wait for all.  The bits of results
 * do not depend on it.
 */
#ifndef S3R_OPS_PREPACK_H
#define S3R_OPS_PREPACK_H

#include <stdatomic.h>

#include "base/file.h"
#include "ops/gemm.h"
#include "ops/tape.h"

/* Of one weight. Threads that use a model at once share it. */
typedef struct s3r_prepack {
    atomic_int state;
    bool is_bf16;     /* type of the panels, unless the weight is int8 */
    void *panels;     /* room, untouched before the second use */
    s3r_file_map map; /* where the weight's data may lie; not owned */
} s3r_prepack;

/* Of many, whose room is one reservation that costs memory only where it was used. */
typedef struct s3r_prepacks {
    s3r_prepack *items;
    void *panels;
} s3r_prepacks;

/* A weight that is to be kept, and the map that its data may lie in. */
typedef struct s3r_prepack_source {
    s3r_weight *weight; /* its prepack is set */
    s3r_file_map map;
} s3r_prepack_source;

typedef struct s3r_prepack_options {
    bool is_bf16;    /* products are in bf16 */
    bool is_at_once; /* a weight is packed when it is first used */
    size_t limit_bytes;
} s3r_prepack_options;

/*
 * Reserves room for weights that op_linear.h reads, none of which is trained.  Without
 * memory, and when the panels would take more than the limit, the weights stay as they
 * are and *out is empty: that costs time alone, so it is no error.
 */
void s3r_prepacks_open(s3r_prepacks *out, const s3r_prepack_source *sources, size_t count,
                       const s3r_prepack_options *options);
/* The weights must not be used any more.  Empty ones are allowed. */
void s3r_prepacks_close(s3r_prepacks *prepacks);

/* The panels of the product's B, which is the weight as stored, or NULL: not yet, or not
 * in the type of A.  Thread-safe. */
const void *s3r_prepack_get(s3r_prepack *prepack, s3r_pool *pool,
                            const s3r_kernels *kernels, const s3r_product *product);

#endif
