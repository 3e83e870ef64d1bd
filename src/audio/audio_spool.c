/*
 * The spool.  The heap doubles up to the limit and is at last copied into a block of the
 * exact size, so that the peak is below twice the limit; past the limit nothing is kept
 * but the caller's blocks.
 */
#define _POSIX_C_SOURCE 200809L
#include "audio/audio_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/temporary_file.h"

#define FIRST_CAPACITY ((size_t)1 << 16)

void s3r_audio_spool_init(s3r_audio_spool *spool, size_t limit_bytes)
{
    *spool = (s3r_audio_spool){.limit_bytes = limit_bytes, .fd = -1};
}

void s3r_audio_spool_release(s3r_audio_spool *spool)
{
    s3r_free(spool->heap);
    if (spool->fd >= 0)
        close(spool->fd);
    s3r_audio_spool_init(spool, spool->limit_bytes);
}

static s3r_status create_file(s3r_audio_spool *spool, s3r_error *err)
{
    const char *folder = s3r_temporary_folder();
    spool->fd = s3r_temporary_open(folder);
    if (spool->fd >= 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_RESOURCE,
                    "%s: cannot create a temporary file for long audio: %s", folder,
                    strerror(errno));
}

static s3r_status write_file(s3r_audio_spool *spool, const unsigned char *bytes,
                             size_t size, s3r_error *err)
{
    while (size > 0) {
        ssize_t written = write(spool->fd, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return s3r_fail(err, S3R_ERR_RESOURCE,
                            "cannot write the temporary file for long audio after %zu "
                            "bytes: %s",
                            spool->size_bytes,
                            written < 0 ? strerror(errno) : "no progress");
        bytes += written;
        size -= (size_t)written;
    }
    return S3R_OK;
}

static s3r_status move_to_file(s3r_audio_spool *spool, s3r_error *err)
{
    S3R_TRY(create_file(spool, err));
    S3R_TRY(write_file(spool, spool->heap, spool->size_bytes, err));
    s3r_free(spool->heap);
    spool->heap = NULL;
    spool->capacity = 0;
    return S3R_OK;
}

static s3r_status grow_heap(s3r_audio_spool *spool, size_t needed, s3r_error *err)
{
    size_t capacity = S3R_MAX(spool->capacity, FIRST_CAPACITY);
    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    /* Not beyond the limit, which is at least `needed`. */
    capacity = S3R_MIN(capacity, S3R_MAX(spool->limit_bytes, needed));
    unsigned char *grown = s3r_realloc(spool->heap, spool->size_bytes, capacity, 1);
    if (!grown)
        return s3r_fail_memory(err, "decoded audio", capacity);
    spool->heap = grown;
    spool->capacity = capacity;
    return S3R_OK;
}

s3r_status s3r_audio_spool_append(s3r_audio_spool *spool, const void *bytes, size_t size,
                                  s3r_error *err)
{
    size_t needed;
    if (!s3r_size_add(spool->size_bytes, size, &needed))
        return s3r_fail_memory(err, "decoded audio", SIZE_MAX);
    if (spool->fd < 0 && needed > spool->limit_bytes)
        S3R_TRY(move_to_file(spool, err));
    if (spool->fd >= 0) {
        S3R_TRY(write_file(spool, bytes, size, err));
    } else if (size > 0) {
        if (needed > spool->capacity)
            S3R_TRY(grow_heap(spool, needed, err));
        memcpy(spool->heap + spool->size_bytes, bytes, size);
    }
    spool->size_bytes = needed;
    return S3R_OK;
}

static s3r_status map_file(s3r_audio_spool *spool, s3r_audio_block *out, s3r_error *err)
{
    void *map = mmap(NULL, spool->size_bytes, PROT_READ, MAP_SHARED, spool->fd, 0);
    if (map == MAP_FAILED)
        return s3r_fail(err, S3R_ERR_RESOURCE,
                        "cannot map %zu bytes of temporary audio: %s", spool->size_bytes,
                        strerror(errno));
    *out = (s3r_audio_block){map, spool->size_bytes, true};
    return S3R_OK;
}

s3r_status s3r_audio_spool_finish(s3r_audio_spool *spool, s3r_audio_block *out,
                                  s3r_error *err)
{
    if (spool->fd >= 0) {
        S3R_TRY(map_file(spool, out, err));
    } else {
        unsigned char *exact = s3r_alloc_raw(spool->size_bytes, 1);
        if (!exact)
            return s3r_fail_memory(err, "decoded audio", spool->size_bytes);
        if (spool->size_bytes > 0)
            memcpy(exact, spool->heap, spool->size_bytes);
        *out = (s3r_audio_block){exact, spool->size_bytes, false};
    }
    s3r_audio_spool_release(spool);
    return S3R_OK;
}

void s3r_audio_block_release(s3r_audio_block *block)
{
    if (block->is_mapped)
        munmap(block->storage, block->size_bytes);
    else
        s3r_free(block->storage);
    *block = (s3r_audio_block){0};
}
