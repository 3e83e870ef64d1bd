/*
 * Memory: checked sizes, the allocator that every floor uses, and the arena that
 * holds everything of one forward (and backward) pass.
 */
#ifndef S3R_BASE_MEMORY_H
#define S3R_BASE_MEMORY_H

#include "base/compiler.h"
#include "base/error.h"

#define S3R_ALIGNMENT 64u

/* *out = a * b (or a + b); false when it does not fit in size_t, *out untouched. */
bool s3r_size_mul(size_t a, size_t b, size_t *out);
bool s3r_size_add(size_t a, size_t b, size_t *out);

/*
 * count * size bytes, zeroed, 64-byte aligned; NULL when there is no memory, the product
 * overflows or the injected fault strikes.  count or size of 0 gives a valid pointer.
 */
void *s3r_alloc(size_t count, size_t size);
/* As s3r_alloc without clearing, for buffers that are filled at once. */
void *s3r_alloc_raw(size_t count, size_t size);
/* Grows (or shrinks) block from old_count to new_count items of size bytes; the new part
 * is zeroed.  NULL on failure, and block is then still valid. */
void *s3r_realloc(void *block, size_t old_count, size_t new_count, size_t size);
/* Copy of a string (of its first length bytes); NULL on failure. */
char *s3r_strdup(const char *text);
char *s3r_strndup(const char *text, size_t length);
/* NULL is allowed. */
void s3r_free(void *block);

/* Tests: the n-th allocation from now on (1 = the next) fails, once; 0 = off.  Counted
 * over all threads.  s3r_alloc_count returns how many allocations have been made so far.
 */
void s3r_alloc_fail_at(size_t n);
size_t s3r_alloc_count(void);

/*
 * Arena: blocks of memory handed out one after another and released together, or back to
 * a mark.  Chunks are kept for reuse, so that a repeated step calls the heap no more.
 * Not thread-safe.
 */
typedef struct s3r_arena_chunk s3r_arena_chunk;
typedef struct s3r_arena {
    s3r_arena_chunk *first;
    s3r_arena_chunk *current; /* chunk in use; NULL before the first allocation */
    size_t used;              /* bytes used of the current chunk */
    size_t chunk_bytes;       /* size of a new chunk, at least */
    size_t peak_bytes;        /* most that was in use at once */
    size_t below_bytes;       /* bytes in the chunks before the current one */
} s3r_arena;

typedef struct s3r_arena_mark {
    s3r_arena_chunk *chunk;
    size_t used;
    size_t below_bytes;
} s3r_arena_mark;

void s3r_arena_init(s3r_arena *arena, size_t chunk_bytes);
void s3r_arena_release(s3r_arena *arena);
/* count * size bytes, 64-byte aligned, NOT cleared; NULL when there is no memory. */
void *s3r_arena_alloc(s3r_arena *arena, size_t count, size_t size);
/* Bytes of all chunks, used or not. */
size_t s3r_arena_held_bytes(const s3r_arena *arena);
s3r_arena_mark s3r_arena_get_mark(const s3r_arena *arena);
/* Everything handed out since the mark becomes invalid. */
void s3r_arena_rewind(s3r_arena *arena, s3r_arena_mark mark);
/* Rewinds to the mark but keeps `bytes` at block (handed out since the mark), moved down:
 * returns their new place, or NULL when there is no memory. */
void *s3r_arena_keep(s3r_arena *arena, s3r_arena_mark mark, const void *block,
                     size_t bytes);

#endif
