#define _GNU_SOURCE /* O_TMPFILE, mkostemp */
#include "base/temporary_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#define NAME_BYTES ((size_t)255) /* the longest that file systems take */
#define MARK_BYTES ((size_t)48)  /* ".KIND-PID-N" and a NUL */

/* The length of path without slashes at its end, its last name cut at a character. */
static size_t base_bytes(const char *path)
{
    size_t length = strlen(path), first;
    while (length > 1 && path[length - 1] == '/')
        length--;
    for (first = length; first > 0 && path[first - 1] != '/';)
        first--;
    if (length - first <= NAME_BYTES - MARK_BYTES)
        return length;
    length = first + NAME_BYTES - MARK_BYTES;
    while (length > first + 1 && ((unsigned char)path[length] & 0xc0) == 0x80)
        length--;
    return length;
}

char *s3r_temporary_sibling(const char *path, const char *kind)
{
    static atomic_uint serial;
    size_t length = base_bytes(path);
    char *sibling = s3r_alloc(length + MARK_BYTES, 1);
    if (sibling)
        snprintf(sibling, length + MARK_BYTES, "%.*s.%.3s-%ld-%u", (int)length, path,
                 kind, (long)getpid(), atomic_fetch_add(&serial, 1));
    return sibling;
}

/* Where the digits at the end of text, of so many bytes, begin, behind a '-'; 0 without.
 */
static size_t skip_number(const char *text, size_t length)
{
    size_t first = length;
    while (first > 0 && text[first - 1] >= '0' && text[first - 1] <= '9')
        first--;
    return first < length && first > 0 && text[first - 1] == '-' ? first - 1 : 0;
}

size_t s3r_temporary_base_bytes(const char *name, const char *kind)
{
    size_t kind_bytes = strlen(kind);
    size_t end = skip_number(name, skip_number(name, strlen(name)));
    if (end <= kind_bytes + 1)
        return 0;
    size_t base = end - kind_bytes - 1;
    bool is_kind = name[base] == '.' && memcmp(name + base + 1, kind, kind_bytes) == 0;
    return is_kind ? base : 0;
}

int s3r_temporary_open(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    char *path = s3r_path_join(folder, ".s3r-XXXXXX");
    if (!path) {
        errno = ENOMEM;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    int reason = errno;
    s3r_free(path);
    errno = reason;
    return fd;
}

const char *s3r_temporary_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder && *folder ? folder : "/tmp";
}
