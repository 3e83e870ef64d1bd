/*
 * Reading encoded bytes from memory, files and streams; a short read is repeated until
 * the block is full or the input ends.
 */
#define _POSIX_C_SOURCE 200809L
#include "audio/audio_source.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

size_t s3r_audio_source_read(s3r_audio_source *source, uint64_t offset, void *bytes,
                             size_t size)
{
    if (offset >= source->size_bytes)
        return 0;
    size = (size_t)S3R_MIN((uint64_t)size, source->size_bytes - offset);
    if (source->bytes) {
        memcpy(bytes, source->bytes + offset, size);
        return size;
    }
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(source->fd, (unsigned char *)bytes + done, size - done,
                            (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && source->error_number == 0)
            source->error_number = errno;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

size_t s3r_audio_stream_read(int fd, void *bytes, size_t size, int *error_number)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(fd, (unsigned char *)bytes + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            *error_number = errno;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}
