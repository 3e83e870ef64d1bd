/*
 * Nameless files, mapped piece by piece: a piece stays where it is when the file grows.
 */
#define _POSIX_C_SOURCE 200809L
#include "base/spill_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/temporary_file.h"

/* Pieces are made in steps of this, a multiple of every page size. */
#define STEP_BYTES ((size_t)1 << 16)

typedef struct piece {
    struct piece *next;
    void *data;
    size_t size;
} piece;

struct s3r_spill_file {
    int fd;
    size_t size;
    piece *pieces;
    char *folder;
};

s3r_status s3r_spill_file_open(s3r_spill_file **out, const char *folder, s3r_error *err)
{
    s3r_spill_file *file = s3r_alloc(1, sizeof *file);
    if (file)
        file->folder = s3r_strdup(folder);
    s3r_status status = S3R_OK;
    if (!file || !file->folder)
        status = s3r_fail_memory(err, "a file for what memory does not hold", 0);
    else if ((file->fd = s3r_temporary_open(folder)) < 0)
        status = s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot create a temporary file: %s",
                          folder, strerror(errno));
    if (status == S3R_OK) {
        *out = file;
        return S3R_OK;
    }
    if (file)
        s3r_free(file->folder);
    s3r_free(file);
    return status;
}

void s3r_spill_file_close(s3r_spill_file *file)
{
    if (!file)
        return;
    while (file->pieces) {
        piece *next = file->pieces->next;
        (void)munmap(file->pieces->data, file->pieces->size);
        s3r_free(file->pieces);
        file->pieces = next;
    }
    close(file->fd);
    s3r_free(file->folder);
    s3r_free(file);
}

/* Takes the space: a hole that is filled through a map would end the program (SIGBUS) on
 * a full disk. */
static s3r_status take_space(const s3r_spill_file *file, size_t size, s3r_error *err)
{
    int reason;
    do
        reason = posix_fallocate(file->fd, (off_t)file->size, (off_t)size);
    while (reason == EINTR);
    if (reason == 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_RUNTIME,
                    "%s: cannot keep %zu bytes more in a temporary file (it has %zu): %s",
                    file->folder, size, file->size, strerror(reason));
}

s3r_status s3r_spill_file_extend(s3r_spill_file *file, size_t size_bytes, void **out,
                                 s3r_error *err)
{
    size_t size;
    if (!s3r_size_add(size_bytes, STEP_BYTES, &size))
        return s3r_fail_memory(err, "a temporary file", size_bytes);
    size = S3R_MAX(size_bytes + STEP_BYTES - 1, STEP_BYTES) / STEP_BYTES * STEP_BYTES;
    piece *added = s3r_alloc(1, sizeof *added);
    if (!added)
        return s3r_fail_memory(err, "a temporary file", sizeof *added);
    s3r_status status = take_space(file, size, err);
    if (status == S3R_OK) {
        added->size = size;
        added->data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd,
                           (off_t)file->size);
        if (added->data == MAP_FAILED)
            status = s3r_fail(err, S3R_ERR_RESOURCE, "%s: cannot map %zu bytes: %s",
                              file->folder, size, strerror(errno));
    }
    if (status != S3R_OK) {
        s3r_free(added);
        return status;
    }
    added->next = file->pieces;
    file->pieces = added;
    file->size += size;
    *out = added->data;
    return S3R_OK;
}

size_t s3r_spill_file_bytes(const s3r_spill_file *file)
{
    return file->size;
}
