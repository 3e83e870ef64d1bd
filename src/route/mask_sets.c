/*
 * Set operations a word at a time.
 */
#include "route/mask_sets.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const char *s3r_mask_operation_name(s3r_mask_operation operation)
{
    static const char *const names[] = {[S3R_MASK_AND] = "and",
                                        [S3R_MASK_OR] = "or",
                                        [S3R_MASK_XOR] = "xor",
                                        [S3R_MASK_MINUS] = "minus",
                                        [S3R_MASK_VOTE] = "vote"};
    return (size_t)operation < S3R_ARRAY_LEN(names) ? names[operation] : NULL;
}

#define WORD_BITS    64u
#define VOTE_PLANES  8u
#define PLANE_VALUES ((size_t)1 << VOTE_PLANES)

_Static_assert(S3R_MASK_MAX_VOTES == PLANE_VALUES - 1, "counts fit into the planes");

static size_t words_of(const s3r_mask *mask)
{
    return mask->rows * mask->stride;
}

void s3r_mask_bits_combine(s3r_mask *into, s3r_mask_operation operation,
                           const s3r_mask *other)
{
    assert(into->rows == other->rows && into->cols == other->cols);
    uint64_t *a = into->bits;
    const uint64_t *b = other->bits;
    for (size_t i = 0; i < words_of(into); i++) {
        switch (operation) {
        case S3R_MASK_AND:
            a[i] &= b[i];
            break;
        case S3R_MASK_OR:
            a[i] |= b[i];
            break;
        case S3R_MASK_XOR:
            a[i] ^= b[i];
            break;
        case S3R_MASK_MINUS:
            a[i] &= ~b[i];
            break;
        case S3R_MASK_VOTE:
            assert(false);
        }
    }
}

/* 64 counters of 8 bits, one bit of each a plane. */
static uint64_t vote_word(const s3r_mask *const *masks, size_t count, size_t at_least,
                          size_t word)
{
    uint64_t planes[VOTE_PLANES] = {0}, greater = 0, equal = UINT64_MAX;
    for (size_t m = 0; m < count; m++) {
        uint64_t carry = masks[m]->bits[word];
        for (size_t p = 0; p < VOTE_PLANES; p++) {
            uint64_t both = planes[p] & carry;
            planes[p] ^= carry;
            carry = both;
        }
    }
    for (size_t p = VOTE_PLANES; p-- > 0;) {
        uint64_t wanted = at_least >> p & 1 ? UINT64_MAX : 0;
        greater |= equal & planes[p] & ~wanted;
        equal &= ~(planes[p] ^ wanted);
    }
    return greater | equal;
}

void s3r_mask_bits_vote(s3r_mask *out, const s3r_mask *const *masks, size_t count,
                        size_t at_least)
{
    assert(count <= S3R_MASK_MAX_VOTES && at_least > 0 && at_least <= count);
    for (size_t i = 0; i < words_of(out); i++)
        out->bits[i] = vote_word(masks, count, at_least, i);
}

/* Of the elements that are left, so many must still be removed (Knuth, algorithm S). */
void s3r_mask_bits_draw(s3r_mask *out, size_t removed, s3r_random *random)
{
    size_t left = out->rows * out->cols;
    assert(removed <= left);
    s3r_mask_fill(out);
    for (size_t row = 0; row < out->rows && removed > 0; row++) {
        for (size_t col = 0; col < out->cols; col++, left--) {
            if (s3r_random_below(random, left) >= removed)
                continue;
            out->bits[row * out->stride + col / WORD_BITS] &=
                ~((uint64_t)1 << col % WORD_BITS);
            removed--;
        }
    }
}

/* ----------------------------------------------------------------------------- likeness
 */

void s3r_mask_overlap_add(s3r_mask_overlap *sum, const s3r_mask *a, const s3r_mask *b)
{
    size_t elements = a->rows * a->cols;
    size_t removed_a = elements - s3r_mask_kept_count(a);
    size_t removed_b = elements - s3r_mask_kept_count(b);
    size_t removed_once = s3r_mask_distance(a, b);
    sum->elements += elements;
    sum->removed_a += removed_a;
    sum->removed_b += removed_b;
    sum->removed_both += (removed_a + removed_b - removed_once) / 2;
}

/* As numbers: elements, kept by either, kept by both. */
typedef struct kept_sets {
    double n, a, b, both;
} kept_sets;

static kept_sets kept_of(const s3r_mask_overlap *o)
{
    size_t removed_once = o->removed_a + o->removed_b - o->removed_both;
    return (kept_sets){(double)o->elements, (double)(o->elements - o->removed_a),
                       (double)(o->elements - o->removed_b),
                       (double)(o->elements - removed_once)};
}

double s3r_overlap_cosine(const s3r_mask_overlap *overlap)
{
    kept_sets kept = kept_of(overlap);
    return kept.a > 0 && kept.b > 0 ? kept.both / (sqrt(kept.a) * sqrt(kept.b)) : NAN;
}

double s3r_overlap_cosine_expected(const s3r_mask_overlap *overlap)
{
    kept_sets kept = kept_of(overlap);
    return kept.a > 0 && kept.b > 0 ? sqrt(kept.a / kept.n) * sqrt(kept.b / kept.n) : NAN;
}

double s3r_overlap_jaccard(const s3r_mask_overlap *overlap)
{
    size_t any = overlap->removed_a + overlap->removed_b - overlap->removed_both;
    return any > 0 ? (double)overlap->removed_both / (double)any : NAN;
}

double s3r_overlap_jaccard_expected(const s3r_mask_overlap *overlap)
{
    double n = (double)overlap->elements;
    double a = (double)overlap->removed_a / n, b = (double)overlap->removed_b / n;
    return a + b > 0 ? a * b / (a + b - a * b) : NAN;
}

double s3r_overlap_phi(const s3r_mask_overlap *overlap)
{
    double n = (double)overlap->elements, both = (double)overlap->removed_both;
    double a = (double)overlap->removed_a, b = (double)overlap->removed_b;
    double spread = sqrt(a * (n - a)) * sqrt(b * (n - b));
    return spread > 0 ? (n * both - a * b) / spread : NAN;
}
