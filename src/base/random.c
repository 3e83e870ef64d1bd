/*
 * Philox 4x32-10 and the stream over its blocks: number `position` of a stream is half a
 * block whose counter is (position / 2, stream) and whose key is the seed.
 */
#include "base/random.h"

#include <math.h>

#define ROUNDS       10
#define MULTIPLIER_0 0xd2511f53u
#define MULTIPLIER_1 0xcd9e8d57u
#define KEY_STEP_0   0x9e3779b9u /* golden ratio */
#define KEY_STEP_1   0xbb67ae85u /* sqrt(3) - 1 */

void s3r_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t product_0 = (uint64_t)MULTIPLIER_0 * c0;
        uint64_t product_1 = (uint64_t)MULTIPLIER_1 * c2;
        c0 = (uint32_t)(product_1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product_1;
        c2 = (uint32_t)(product_0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product_0;
        k0 += KEY_STEP_0;
        k1 += KEY_STEP_1;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

static void block_at(uint32_t out[4], uint64_t key, uint64_t a, uint64_t b)
{
    const uint32_t counter[4] = {(uint32_t)a, (uint32_t)(a >> 32), (uint32_t)b,
                                 (uint32_t)(b >> 32)};
    const uint32_t halves[2] = {(uint32_t)key, (uint32_t)(key >> 32)};
    s3r_philox(out, counter, halves);
}

uint64_t s3r_random_at(uint64_t key, uint64_t a, uint64_t b)
{
    uint32_t block[4];
    block_at(block, key, a, b);
    return block[0] | (uint64_t)block[1] << 32;
}

void s3r_random_init(s3r_random *random, uint64_t seed, uint64_t stream)
{
    *random = (s3r_random){.seed = seed, .stream = stream};
}

uint64_t s3r_random_bits(s3r_random *random)
{
    uint32_t block[4];
    block_at(block, random->seed, random->position / 2, random->stream);
    const uint32_t *half = block + 2 * (random->position % 2);
    random->position++;
    return half[0] | (uint64_t)half[1] << 32;
}

double s3r_random_uniform(s3r_random *random)
{
    return (double)(s3r_random_bits(random) >> 11) * 0x1p-53;
}

double s3r_random_normal(s3r_random *random)
{
    /* Box and Muller; 1 - u is never 0. */
    double radius = sqrt(-2.0 * log(1.0 - s3r_random_uniform(random)));
    return radius * cos(6.283185307179586 * s3r_random_uniform(random));
}

uint64_t s3r_random_below(s3r_random *random, uint64_t bound)
{
    /* The last, incomplete run of `bound` numbers is drawn again. */
    uint64_t excess = (UINT64_MAX % bound + 1) % bound, bits;
    do {
        bits = s3r_random_bits(random);
    } while (bits > UINT64_MAX - excess);
    return bits % bound;
}

void s3r_random_shuffle(s3r_random *random, size_t *items, size_t count)
{
    for (size_t left = count; left > 1; left--) {
        size_t pick = (size_t)s3r_random_below(random, left);
        size_t item = items[pick];
        items[pick] = items[left - 1];
        items[left - 1] = item;
    }
}
