/*
 * The encoded bytes that a decoder reads: a block of memory or an open regular file, both
 * readable at any position.
 *
 * Files are read and not mapped: a file that somebody shortens while we read it ends
 * early instead of killing the process, and its pages do not count as ours.
 */
#ifndef S3R_AUDIO_AUDIO_SOURCE_H
#define S3R_AUDIO_AUDIO_SOURCE_H

#include "base/compiler.h"

typedef struct s3r_audio_source {
    const unsigned char *bytes; /* NULL: the bytes are in fd */
    int fd;
    uint64_t size_bytes;
    int error_number; /* errno of the first read that failed; 0 = none */
} s3r_audio_source;

/* Reads up to size bytes at offset into bytes; less only at the end or after an error. */
size_t s3r_audio_source_read(s3r_audio_source *source, uint64_t offset, void *bytes,
                             size_t size);

/* The same for a stream that cannot seek: fills bytes from fd unless it ends before. */
size_t s3r_audio_stream_read(int fd, void *bytes, size_t size, int *error_number);

#endif
