/*
 * A weight counts its uses down, is packed by one thread while the others read the map,
 * and is ready; or it found no memory and stays in the map.
 */
#define _POSIX_C_SOURCE 200809L
#include "ops/prepack.h"

/* States below the uses that are left. */
enum { DUE = 0, PACKING = -1, READY = -2, REFUSED = -3 };

/* The first weight is packed after some uses, the last one after some more. */
#define FIRST_USES  4u
#define SPREAD_USES 16u
/* Large enough for huge pages. */
#define CHUNK_BYTES ((size_t)32 << 20)

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

static bool has_memory(const s3r_prepacks *prepacks)
{
    return prepacks->total_bytes <= prepacks->available_bytes() / 2;
}

void s3r_prepacks_open(s3r_prepacks *out, const s3r_prepack_source *sources, size_t count,
                       const s3r_prepack_options *options)
{
    *out = (s3r_prepacks){.is_bf16 = options->is_bf16,
                          .available_bytes = options->available_bytes};
    if (!total_bytes(sources, count, options->is_bf16, &out->total_bytes) ||
        !has_memory(out))
        return;
    s3r_prepack *items = s3r_alloc(count, sizeof *items);
    if (!items)
        return;
    if (pthread_mutex_init(&out->packing, NULL) != 0) {
        s3r_free(items);
        return;
    }
    out->items = items;
    s3r_arena_init(&out->arena, S3R_MIN(CHUNK_BYTES, out->total_bytes));
    for (size_t i = 0; i < count; i++) {
        const s3r_product product = product_of(sources[i].weight, options->is_bf16);
        size_t uses = FIRST_USES + SPREAD_USES * i / count;
        atomic_init(&items[i].state, options->is_at_once ? DUE : (int)uses);
        items[i].all = out;
        items[i].map = sources[i].map;
        if (s3r_product_packed_bytes(&product) > 0)
            sources[i].weight->prepack = &items[i];
    }
}

void s3r_prepacks_close(s3r_prepacks *prepacks)
{
    if (prepacks->items) {
        pthread_mutex_destroy(&prepacks->packing);
        s3r_arena_release(&prepacks->arena);
        s3r_free(prepacks->items);
    }
    *prepacks = (s3r_prepacks){0};
}

size_t s3r_prepacks_bytes(s3r_prepacks *prepacks)
{
    if (!prepacks->items)
        return 0;
    pthread_mutex_lock(&prepacks->packing);
    size_t bytes = prepacks->arena.peak_bytes;
    pthread_mutex_unlock(&prepacks->packing);
    return bytes;
}

/* NULL without memory. */
static void *take_room(s3r_prepacks *prepacks, size_t bytes)
{
    pthread_mutex_lock(&prepacks->packing);
    void *room =
        has_memory(prepacks) ? s3r_arena_alloc(&prepacks->arena, bytes, 1) : NULL;
    pthread_mutex_unlock(&prepacks->packing);
    return room;
}

/* In the one thread that found the weight due. */
static const void *pack(s3r_prepack *prepack, s3r_pool *pool, const s3r_kernels *kernels,
                        const s3r_product *product)
{
    void *panels = take_room(prepack->all, s3r_product_packed_bytes(product));
    if (!panels) {
        atomic_store(&prepack->state, REFUSED);
        return NULL;
    }
    s3r_product_pack(pool, kernels, product, panels);
    prepack->panels = panels;
    atomic_store_explicit(&prepack->state, READY, memory_order_release);
    s3r_file_map_forget(&prepack->map, product->b,
                        product->n * product->k * s3r_dtype_size(product->b_dtype));
    return panels;
}

const void *s3r_prepack_get(s3r_prepack *prepack, s3r_pool *pool,
                            const s3r_kernels *kernels, const s3r_product *product)
{
    int state = atomic_load_explicit(&prepack->state, memory_order_acquire);
    if (!product->a_scales && product->is_bf16 != prepack->all->is_bf16)
        return NULL;
    while (state > DUE)
        if (atomic_compare_exchange_weak(&prepack->state, &state, state - 1))
            return NULL;
    if (state == DUE && atomic_compare_exchange_strong(&prepack->state, &state, PACKING))
        return pack(prepack, pool, kernels, product);
    return state == READY ? prepack->panels : NULL;
}
