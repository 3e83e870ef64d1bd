/*
 * A growing store of bytes with a bound on memory: heap up to a limit, and an unlinked
 * temporary file after that.
 *
 * Past the limit bytes go out through write(), so that they never become resident in this
 * process while the store grows; the finished file is mapped read-only.  On a $TMPDIR
 * that is itself kept in memory (tmpfs) the bound is the one of that file system.
 */
#ifndef S3R_AUDIO_AUDIO_SPOOL_H
#define S3R_AUDIO_AUDIO_SPOOL_H

#include "base/error.h"

typedef struct s3r_audio_spool {
    unsigned char *heap; /* NULL before the first byte and after the move to the file */
    size_t capacity;
    size_t size_bytes; /* bytes stored, wherever they are */
    size_t limit_bytes;
    int fd; /* -1 while the bytes are in heap */
} s3r_audio_spool;

void s3r_audio_spool_init(s3r_audio_spool *spool, size_t limit_bytes);
void s3r_audio_spool_release(s3r_audio_spool *spool);
/* S3R_ERR_RESOURCE without memory or disk; the spool may then only be released. */
s3r_status s3r_audio_spool_append(s3r_audio_spool *spool, const void *bytes, size_t size,
                                  s3r_error *err);

/* A finished block; 64-byte aligned.  storage is a heap block or a map. */
typedef struct s3r_audio_block {
    void *storage;
    size_t size_bytes;
    bool is_mapped;
} s3r_audio_block;

/* Moves the bytes (at least one) into *out and leaves the spool empty. */
s3r_status s3r_audio_spool_finish(s3r_audio_spool *spool, s3r_audio_block *out,
                                  s3r_error *err);
void s3r_audio_block_release(s3r_audio_block *block);

#endif
