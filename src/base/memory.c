/*
 * The allocator behind every floor, with an injectable fault for the tests, and the
 * arena.
 *
 * Each block is 64-byte aligned, so that vector loads never cross a cache line.
 */
#define _DEFAULT_SOURCE /* madvise */
#include "base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size)   ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

#define HUGE_PAGE_BYTES ((size_t)2 << 20)

static atomic_size_t alloc_total;
static atomic_size_t fail_at_total; /* 0 = never */

bool s3r_size_mul(size_t a, size_t b, size_t *out)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

bool s3r_size_add(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b)
        return false;
    *out = a + b;
    return true;
}

void s3r_alloc_fail_at(size_t n)
{
    atomic_store(&fail_at_total, n ? atomic_load(&alloc_total) + n : 0);
}

size_t s3r_alloc_count(void)
{
    return atomic_load(&alloc_total);
}

/* Large blocks are read with long strides, where small pages cost address translation. */
static void prefer_huge_pages(void *block, size_t bytes)
{
#if defined(MADV_HUGEPAGE)
    (void)madvise(block, bytes / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES, MADV_HUGEPAGE);
#else
    (void)block, (void)bytes;
#endif
}

void *s3r_alloc_raw(size_t count, size_t size)
{
    size_t bytes;
    size_t number = atomic_fetch_add(&alloc_total, 1) + 1;
    if (number == atomic_load(&fail_at_total))
        return NULL;
    if (!s3r_size_mul(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    void *block = NULL;
    size_t alignment = bytes >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : S3R_ALIGNMENT;
    if (posix_memalign(&block, alignment, bytes ? bytes : 1) != 0)
        return NULL;
    if (alignment == HUGE_PAGE_BYTES)
        prefer_huge_pages(block, bytes);
    return block;
}

void *s3r_alloc(size_t count, size_t size)
{
    void *block = s3r_alloc_raw(count, size);
    if (block)
        memset(block, 0, count * size);
    return block;
}

void *s3r_realloc(void *block, size_t old_count, size_t new_count, size_t size)
{
    void *grown = s3r_alloc(new_count, size);
    if (!grown)
        return NULL;
    size_t kept = S3R_MIN(old_count, new_count);
    if (block && kept)
        memcpy(grown, block, kept * size);
    s3r_free(block);
    return grown;
}

char *s3r_strndup(const char *text, size_t length)
{
    char *copy = s3r_alloc_raw(length + 1, 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *s3r_strdup(const char *text)
{
    return s3r_strndup(text, strlen(text));
}

void s3r_free(void *block)
{
    free(block);
}

/* ---- arena ---- */

struct s3r_arena_chunk {
    s3r_arena_chunk *next;
    size_t size;
    unsigned char *bytes; /* 64-byte aligned */
};

void s3r_arena_init(s3r_arena *arena, size_t chunk_bytes)
{
    *arena = (s3r_arena){.chunk_bytes = chunk_bytes};
}

static void chunk_destroy(s3r_arena_chunk *chunk)
{
    ASAN_UNPOISON_MEMORY_REGION(chunk->bytes, chunk->size);
    s3r_free(chunk->bytes);
    s3r_free(chunk);
}

void s3r_arena_release(s3r_arena *arena)
{
    for (s3r_arena_chunk *chunk = arena->first; chunk;) {
        s3r_arena_chunk *next = chunk->next;
        chunk_destroy(chunk);
        chunk = next;
    }
    *arena = (s3r_arena){.chunk_bytes = arena->chunk_bytes};
}

static s3r_arena_chunk *chunk_create(size_t size)
{
    s3r_arena_chunk *chunk = s3r_alloc(1, sizeof *chunk);
    if (!chunk)
        return NULL;
    chunk->size = size;
    chunk->bytes = s3r_alloc_raw(size, 1);
    if (!chunk->bytes) {
        s3r_free(chunk);
        return NULL;
    }
    ASAN_POISON_MEMORY_REGION(chunk->bytes, size);
    return chunk;
}

/*
 * The next chunk with room for bytes.  Kept chunks that are too small hold nothing alive
 * (they lie behind the current one) and go, so that growing requests do not pile up
 * chunks; a new one has a quarter to spare for the next request that is a little larger.
 */
static bool advance_chunk(s3r_arena *arena, size_t bytes)
{
    s3r_arena_chunk **link = arena->current ? &arena->current->next : &arena->first;
    while (*link && (*link)->size < bytes) {
        s3r_arena_chunk *small = *link;
        *link = small->next;
        chunk_destroy(small);
    }
    if (!*link) {
        bool is_large = bytes > arena->chunk_bytes;
        *link = chunk_create(is_large ? bytes + bytes / 4 : arena->chunk_bytes);
        if (!*link)
            return false;
    }
    if (arena->current)
        arena->below_bytes += arena->used;
    arena->current = *link;
    arena->used = 0;
    return true;
}

void *s3r_arena_alloc(s3r_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (!s3r_size_mul(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    /* One spare line between blocks is the red zone under ASan and costs nothing. */
    size_t rounded = (bytes + 2 * S3R_ALIGNMENT - 1) & ~(size_t)(S3R_ALIGNMENT - 1);
    if (!arena->current || arena->current->size - arena->used < rounded) {
        if (!advance_chunk(arena, rounded))
            return NULL;
    }
    unsigned char *block = arena->current->bytes + arena->used;
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    arena->used += rounded;
    arena->peak_bytes = S3R_MAX(arena->peak_bytes, arena->below_bytes + arena->used);
    return block;
}

size_t s3r_arena_held_bytes(const s3r_arena *arena)
{
    size_t bytes = 0;
    for (const s3r_arena_chunk *chunk = arena->first; chunk; chunk = chunk->next)
        bytes += chunk->size;
    return bytes;
}

s3r_arena_mark s3r_arena_get_mark(const s3r_arena *arena)
{
    return (s3r_arena_mark){arena->current, arena->used, arena->below_bytes};
}

void s3r_arena_rewind(s3r_arena *arena, s3r_arena_mark mark)
{
    arena->current = mark.chunk;
    arena->used = mark.chunk ? mark.used : 0;
    arena->below_bytes = mark.below_bytes;
    if (mark.chunk)
        ASAN_POISON_MEMORY_REGION(mark.chunk->bytes + mark.used,
                                  mark.chunk->size - mark.used);
}

void *s3r_arena_keep(s3r_arena *arena, s3r_arena_mark mark, const void *block,
                     size_t bytes)
{
    s3r_arena_rewind(arena, mark);
    void *kept = s3r_arena_alloc(arena, bytes, 1);
    if (!kept || kept == block)
        return kept;
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    memmove(kept, block, bytes);
    ASAN_POISON_MEMORY_REGION(arena->current->bytes + arena->used,
                              arena->current->size - arena->used);
    return kept;
}
