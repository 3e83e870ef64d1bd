/*
 * Masks as sets of kept connections: combining, comparing and drawing them.
 */
#ifndef S3R_ROUTE_MASK_SETS_H
#define S3R_ROUTE_MASK_SETS_H

#include "base/random.h"
#include "route/mask.h"

typedef enum s3r_mask_operation {
    S3R_MASK_AND,   /* kept by all */
    S3R_MASK_OR,    /* kept by one at least */
    S3R_MASK_XOR,   /* kept by an odd number: for two, where they differ */
    S3R_MASK_MINUS, /* kept by the first and by no other */
    S3R_MASK_VOTE   /* kept by so many at least */
} s3r_mask_operation;

/* "and", "or", "xor", "minus", "vote"; NULL behind the last. */
const char *s3r_mask_operation_name(s3r_mask_operation operation);

#define S3R_MASK_MAX_VOTES 255u

/* into = into OPERATION other, which have one shape; not for votes. */
void s3r_mask_bits_combine(s3r_mask *into, s3r_mask_operation operation,
                           const s3r_mask *other);
/* Keeps what at_least of the masks keep; count <= S3R_MASK_MAX_VOTES. */
void s3r_mask_bits_vote(s3r_mask *out, const s3r_mask *const *masks, size_t count,
                        size_t at_least);
/* Removes exactly so many connections, each choice equally likely. */
void s3r_mask_bits_draw(s3r_mask *out, size_t removed, s3r_random *random);

/* How two masks of one shape lie to each other; sums over matrices are such counts too.
 */
typedef struct s3r_mask_overlap {
    size_t elements, removed_a, removed_b, removed_both;
} s3r_mask_overlap;

/* Adds the counts of two masks. */
void s3r_mask_overlap_add(s3r_mask_overlap *sum, const s3r_mask *a, const s3r_mask *b);

/*
 * Measures of likeness; NaN where they say nothing (spec 6.1).  "expected" is the value
 * for independent masks of the same sparsities.
 *
 *   cosine   of the kept sets, as in the paper: high for any two sparse removals
 *   jaccard  of the removed sets: common ones / all that one of them removes
 *   phi      correlation of the bits: 0 for independent masks, 1 for equal ones
 */
double s3r_overlap_cosine(const s3r_mask_overlap *overlap);
double s3r_overlap_cosine_expected(const s3r_mask_overlap *overlap);
double s3r_overlap_jaccard(const s3r_mask_overlap *overlap);
double s3r_overlap_jaccard_expected(const s3r_mask_overlap *overlap);
double s3r_overlap_phi(const s3r_mask_overlap *overlap);

#endif
