/*
 * Weights of matrices that stay packed for all passes.
 *
 * A product packs its weight anew in each pass, straight from the memory map.  For audio
 * of a second that costs as much as a quarter of the pass, so a weight that is used often
 * is kept in the form that products read, and its pages of the map are given back, to be
 * read again by who still needs them.  New memory costs what twenty passes save, so this
 * begins after a few uses, one weight after another, lest a single pass wait for all.
 * The bits of results do not depend on it.
 */
#ifndef S3R_OPS_PREPACK_H
#define S3R_OPS_PREPACK_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/file.h"
#include "base/memory.h"
#include "ops/gemm.h"
#include "ops/tape.h"

typedef struct s3r_prepacks s3r_prepacks;

/* Of one weight. Threads that use a model at once share it. */
typedef struct s3r_prepack {
    atomic_int state; /* uses until it is packed, or beyond (prepack.c) */
    s3r_prepacks *all;
    void *panels;     /* when it is packed */
    s3r_file_map map; /* where the weight's data may lie; not owned */
} s3r_prepack;

/* Of many weights, at a fixed address. */
struct s3r_prepacks {
    s3r_prepack *items; /* NULL: none, and the rest is not initialised */
    bool is_bf16;       /* type of the panels of weights that are not int8 */
    size_t total_bytes; /* of all panels */
    size_t (*available_bytes)(void);
    pthread_mutex_t packing; /* guards the arena */
    s3r_arena arena;         /* of panels */
};

/* A weight that is to be kept, and the map that its data may lie in. */
typedef struct s3r_prepack_source {
    s3r_weight *weight; /* its prepack is set */
    s3r_file_map map;
} s3r_prepack_source;

typedef struct s3r_prepack_options {
    bool is_bf16;    /* products are in bf16 */
    bool is_at_once; /* a weight is packed when it is first used */
    /* What may still be taken: s3r_machine_available_bytes. */
    size_t (*available_bytes)(void);
} s3r_prepack_options;

/*
 * For weights that op_linear.h reads, none of which is trained.  Memory is taken when a
 * weight is packed, as long as twice that of all panels is available; what finds none
 * stays as it is: that costs time alone, so it is no error.  *out is empty when nothing
 * can be packed.  int8 of more columns than S3R_INT8_PACKED_DEPTH is left out.
 */
void s3r_prepacks_open(s3r_prepacks *out, const s3r_prepack_source *sources, size_t count,
                       const s3r_prepack_options *options);
/* The weights must not be used any more.  Empty ones are allowed. */
void s3r_prepacks_close(s3r_prepacks *prepacks);
/* Of the panels now. Thread-safe. */
size_t s3r_prepacks_bytes(s3r_prepacks *prepacks);

/* The panels of the product's B, which is the weight as stored, or NULL: not
 * (yet), or not in the type of A.  Thread-safe. */
const void *s3r_prepack_get(s3r_prepack *prepack, s3r_pool *pool,
                            const s3r_kernels *kernels, const s3r_product *product);

#endif
