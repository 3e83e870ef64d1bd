/*
 * Locks by flock: they belong to the open file, so that two in one process exclude each
 * other too (locks by fcntl would not).
 */
#define _DEFAULT_SOURCE /* flock */
#include "base/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/memory.h"

struct s3r_file_lock {
    int file;
};

s3r_status s3r_file_lock_take(s3r_file_lock **out, const char *path, s3r_error *err)
{
    *out = NULL;
    s3r_file_lock *lock = s3r_alloc(1, sizeof *lock);
    if (!lock)
        return s3r_fail_memory(err, path, sizeof *lock);
    lock->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock->file < 0) {
        int reason = errno;
        s3r_free(lock);
        return s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot open for writing: %s", path,
                        strerror(reason));
    }
    int result;
    do
        result = flock(lock->file, LOCK_EX | LOCK_NB);
    while (result != 0 && errno == EINTR);
    int reason = errno;
    if (result == 0) {
        *out = lock;
        return S3R_OK;
    }
    s3r_file_lock_release(lock);
    if (reason == EWOULDBLOCK)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot lock: %s", path, strerror(reason));
}

void s3r_file_lock_release(s3r_file_lock *lock)
{
    if (!lock)
        return;
    (void)close(lock->file); /* which unlocks */
    s3r_free(lock);
}
