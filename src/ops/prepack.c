/*
 * A weight counts its uses down, is packed by one thread while the others read the map,
 * and is ready.
 */
#include "ops/prepack.h"

#include "base/memory.h"

/* States below the uses that are left. */
enum { DUE = 0, PACKING = -1, READY = -2 };

/* The first weight is packed after some uses, the last one after some more. */
#define FIRST_USES  4u
#define SPREAD_USES 16u

/* The product of a weight, as far as packing is concerned. */
static s3r_product product_of(const s3r_weight *weight, bool is_bf16)
{
    return (s3r_product){.n = weight->rows,
                         .k = weight->cols,
                         .is_bf16 = is_bf16 && weight->dtype != S3R_DTYPE_I8,
                         .a_scales =
                             weight->dtype == S3R_DTYPE_I8 ? weight->scales : NULL};
}

static bool total_bytes(const s3r_prepack_source *sources, size_t count, bool is_bf16,
                        size_t *total)
{
    *total = 0;
    for (size_t i = 0; i < count; i++) {
        const s3r_product product = product_of(sources[i].weight, is_bf16);
        if (!s3r_size_add(*total, s3r_product_packed_bytes(&product), total))
            return false;
    }
    return *total > 0;
}

void s3r_prepacks_open(s3r_prepacks *out, const s3r_prepack_source *sources, size_t count,
                       const s3r_prepack_options *options)
{
    size_t total;
    *out = (s3r_prepacks){0};
    if (!total_bytes(sources, count, options->is_bf16, &total) ||
        total > options->limit_bytes)
        return;
    out->items = s3r_alloc(count, sizeof *out->items);
    out->panels = s3r_alloc_raw(total, 1);
    if (!out->items || !out->panels) {
        s3r_prepacks_close(out);
        return;
    }
    unsigned char *panels = out->panels;
    for (size_t i = 0; i < count; i++) {
        const s3r_product product = product_of(sources[i].weight, options->is_bf16);
        size_t bytes = s3r_product_packed_bytes(&product);
        s3r_prepack *prepack = &out->items[i];
        size_t uses = FIRST_USES + SPREAD_USES * i / count;
        atomic_init(&prepack->state, options->is_at_once ? DUE : (int)uses);
        prepack->is_bf16 = options->is_bf16;
        prepack->panels = panels;
        prepack->map = sources[i].map;
        panels += bytes;
        if (bytes > 0)
            sources[i].weight->prepack = prepack;
    }
}

void s3r_prepacks_close(s3r_prepacks *prepacks)
{
    s3r_free(prepacks->items);
    s3r_free(prepacks->panels);
    *prepacks = (s3r_prepacks){0};
}

/* Where the data begins and what of it the product reads, as one range. */
static void forget_data(const s3r_prepack *prepack, const s3r_product *product)
{
    s3r_file_map_forget(&prepack->map, product->b,
                        product->n * product->k * s3r_dtype_size(product->b_dtype));
}

const void *s3r_prepack_get(s3r_prepack *prepack, s3r_pool *pool,
                            const s3r_kernels *kernels, const s3r_product *product)
{
    int state = atomic_load_explicit(&prepack->state, memory_order_acquire);
    if (!product->a_scales && product->is_bf16 != prepack->is_bf16)
        return NULL;
    while (state > DUE)
        if (atomic_compare_exchange_weak(&prepack->state, &state, state - 1))
            return NULL;
    if (state == DUE &&
        atomic_compare_exchange_strong(&prepack->state, &state, PACKING)) {
        s3r_product_pack(pool, kernels, product, prepack->panels);
        atomic_store_explicit(&prepack->state, READY, memory_order_release);
        forget_data(prepack, product);
        return prepack->panels;
    }
    return state == READY ? prepack->panels : NULL;
}
