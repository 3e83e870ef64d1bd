/*
 * Memory maps and atomic writes on POSIX.
 *
 * A write goes to a file without a name in the same folder, is synced, gets a name and is
 * renamed over the target; the folder is synced too, so that a power cut cannot bring the
 * old name back with the new content half there.  So nothing is left of a process that
 * was killed.  Where the file system has no such files, it has a name from the start.
 */
#define _GNU_SOURCE /* O_TMPFILE; madvise: posix_madvise ignores POSIX_MADV_DONTNEED */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/temporary_file.h"

#define DESCRIPTOR_PATH_BYTES 48

s3r_status s3r_file_map_open(s3r_file_map *map, const char *path, s3r_status code,
                             s3r_error *err)
{
    /* A pipe without a writer would block here; it is refused below. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return s3r_fail(err, code, "%s: cannot open: %s", path, strerror(errno));
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return s3r_fail(err, code, "%s: expected a regular file, found %s", path,
                        S_ISDIR(info.st_mode) ? "a folder" : "something else");
    }
    if ((uintmax_t)info.st_size > SIZE_MAX) {
        close(fd);
        return s3r_fail(err, S3R_ERR_RESOURCE, "%s: too large to map", path);
    }
    void *data = NULL;
    size_t size = (size_t)info.st_size;
    if (size > 0) {
        data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED) {
            int reason = errno;
            close(fd);
            return s3r_fail(err, reason == ENOMEM ? S3R_ERR_RESOURCE : code,
                            "%s: cannot map %zu bytes: %s", path, size, strerror(reason));
        }
    }
    close(fd);
    *map = (s3r_file_map){data, size};
    return S3R_OK;
}

void s3r_file_map_close(s3r_file_map *map)
{
    if (map->data)
        munmap((void *)(uintptr_t)map->data, map->size);
    *map = (s3r_file_map){0};
}

bool s3r_file_map_has(const s3r_file_map *map, const void *data)
{
    uintptr_t at = (uintptr_t)data, first = (uintptr_t)map->data;
    return map->data && at >= first && at - first < map->size;
}

size_t s3r_byte_order_mark(const void *text, size_t size)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t length = strlen(mark);
    return size >= length && memcmp(text, mark, length) == 0 ? length : 0;
}

void s3r_file_map_forget(const s3r_file_map *map, const void *data, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)data;
    if (!s3r_file_map_has(map, data) || size > map->size - (begin - (uintptr_t)map->data))
        return;
    uintptr_t first = S3R_CEIL_DIV(begin, page) * page;
    uintptr_t last = (begin + size) / page * page;
    if (first < last)
        (void)madvise((void *)first, last - first, MADV_DONTNEED);
}

bool s3r_path_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool s3r_path_is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool s3r_path_is_same(const char *a, const char *b)
{
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

bool s3r_path_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

char *s3r_path_join(const char *folder, const char *name)
{
    size_t folder_length = strlen(folder), name_length = strlen(name);
    bool has_slash = folder_length > 0 && folder[folder_length - 1] == '/';
    char *path = s3r_alloc(folder_length + name_length + 2, 1);
    if (!path)
        return NULL;
    memcpy(path, folder, folder_length);
    if (!has_slash && folder_length > 0)
        path[folder_length++] = '/';
    memcpy(path + folder_length, name, name_length);
    return path;
}

s3r_status s3r_path_absolute(char **out, const char *path, s3r_error *err)
{
    char *resolved = realpath(path, NULL);
    if (!resolved)
        return s3r_fail(err, errno == ENOMEM ? S3R_ERR_RESOURCE : S3R_ERR_DATA,
                        "%s: cannot find: %s", path, strerror(errno));
    *out = s3r_strdup(resolved);
    free(resolved);
    return *out ? S3R_OK : s3r_fail_memory(err, "a path", strlen(path));
}

s3r_status s3r_folder_create(const char *path, s3r_error *err)
{
    if (path[0] == '\0')
        return s3r_fail(err, S3R_ERR_USAGE, "a folder: expected a name, found \"\"");
    char *partial = s3r_strdup(path);
    if (!partial)
        return s3r_fail_memory(err, "a path", strlen(path));
    s3r_status status = S3R_OK;
    for (char *at = partial + 1; status == S3R_OK; at++) {
        char kept = *at;
        if (kept != '/' && kept != '\0')
            continue;
        *at = '\0';
        int reason = mkdir(partial, 0777) != 0 ? errno : 0;
        if (reason != 0 && !s3r_path_is_folder(partial))
            status = s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot create the folder: %s",
                              partial, strerror(reason));
        *at = kept;
        if (kept == '\0')
            break;
    }
    s3r_free(partial);
    return status;
}

struct s3r_file_writer {
    int fd;
    bool has_failed;
    char *path;
    char *temporary_path; /* NULL: what stands at the path is written to as it is */
    bool is_nameless;     /* nothing is at temporary_path yet */
    mode_t mode;          /* of the file that is replaced; 0: none is */
    size_t buffered;
    unsigned char buffer[1 << 16];
};

static void writer_destroy(s3r_file_writer *writer)
{
    if (writer->fd >= 0)
        close(writer->fd);
    s3r_free(writer->path);
    s3r_free(writer->temporary_path);
    s3r_free(writer);
}

/* The descriptor that a path like /dev/stdout stands for; -1 for others.  Its file is
 * somebody's redirection. */
static int descriptor_of(const char *path)
{
    int fd = -1, end = 0;
    if (strcmp(path, "/dev/stdout") == 0)
        return STDOUT_FILENO;
    if (strcmp(path, "/dev/stderr") == 0)
        return STDERR_FILENO;
    bool is_named = sscanf(path, "/dev/fd/%9d%n", &fd, &end) == 1 ||
                    sscanf(path, "/proc/self/fd/%9d%n", &fd, &end) == 1;
    return is_named && path[end] == '\0' ? fd : -1;
}

/* A device or a pipe must stay what it is, and a link must lead to the new file. */
static s3r_status find_target(s3r_file_writer *writer, const char *path, int descriptor,
                              bool *is_replaced, s3r_error *err)
{
    struct stat info;
    size_t length = strlen(path);
    if (length > 0 && path[length - 1] == '/')
        return s3r_fail(err, S3R_ERR_RUNTIME, "%s: expected a file, found a folder",
                        path);
    *is_replaced = descriptor < 0;
    if (!*is_replaced) {
        /* written to where the descriptor stands */
    } else if (stat(path, &info) != 0) {
        if (lstat(path, &info) == 0)
            return s3r_fail(err, S3R_ERR_RUNTIME,
                            "%s: expected a file, found a link to nothing", path);
    } else if (S_ISDIR(info.st_mode)) {
        return s3r_fail(err, S3R_ERR_RUNTIME, "%s: expected a file, found a folder",
                        path);
    } else if (!S_ISREG(info.st_mode)) {
        *is_replaced = false;
    } else {
        writer->mode = info.st_mode & 0777;
        if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode))
            return s3r_path_absolute(&writer->path, path, err);
    }
    writer->path = s3r_strdup(path);
    return writer->path ? S3R_OK : s3r_fail_memory(err, "a path", strlen(path));
}

/* The folder of a path, "." without one; NULL without memory. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? s3r_strndup(path, (size_t)(slash - path) + 1) : s3r_strdup(".");
}

/* Where a file without a name can get one. */
static void descriptor_path(char path[DESCRIPTOR_PATH_BYTES], int fd)
{
    snprintf(path, DESCRIPTOR_PATH_BYTES, "/proc/self/fd/%d", fd);
}

/* A new file in the folder of the target; -1 with errno. */
static int open_new(s3r_file_writer *writer)
{
    char name[DESCRIPTOR_PATH_BYTES];
    char *folder = parent_of(writer->path);
    writer->temporary_path = s3r_temporary_sibling(writer->path, S3R_TEMPORARY_NEW);
    int fd = -1;
    if (folder && writer->temporary_path)
        fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    s3r_free(folder);
    if (!folder || !writer->temporary_path) {
        errno = ENOMEM;
        return -1;
    }
    descriptor_path(name, fd);
    writer->is_nameless = fd >= 0 && s3r_path_exists(name);
    if (writer->is_nameless)
        return fd;
    if (fd >= 0)
        close(fd);
    return open(writer->temporary_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

static s3r_status open_target(s3r_file_writer *writer, const char *path, s3r_error *err)
{
    int descriptor = descriptor_of(path);
    bool is_replaced = false;
    S3R_TRY(find_target(writer, path, descriptor, &is_replaced, err));
    if (is_replaced)
        writer->fd = open_new(writer);
    else
        writer->fd = descriptor < 0 ? open(path, O_WRONLY | O_CLOEXEC)
                                    : fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (writer->fd < 0 && errno == ENOMEM)
        return s3r_fail_memory(err, "a path", strlen(path));
    if (writer->fd >= 0 && writer->mode != 0)
        (void)fchmod(writer->fd, writer->mode);
    if (writer->fd < 0)
        return s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot create: %s", path,
                        strerror(errno));
    return S3R_OK;
}

s3r_status s3r_file_writer_open(s3r_file_writer **out, const char *path, s3r_error *err)
{
    s3r_file_writer *writer = s3r_alloc(1, sizeof *writer);
    if (!writer)
        return s3r_fail_memory(err, "a file writer", sizeof *writer);
    writer->fd = -1;
    s3r_status status = open_target(writer, path, err);
    if (status == S3R_OK)
        *out = writer;
    else
        writer_destroy(writer);
    return status;
}

static s3r_status write_fully(s3r_file_writer *writer, const unsigned char *bytes,
                              size_t size, s3r_error *err)
{
    while (size > 0) {
        ssize_t written = write(writer->fd, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            writer->has_failed = true;
            return s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot write: %s", writer->path,
                            written < 0 ? strerror(errno) : "no progress");
        }
        bytes += written;
        size -= (size_t)written;
    }
    return S3R_OK;
}

static s3r_status writer_flush(s3r_file_writer *writer, s3r_error *err)
{
    size_t size = writer->buffered;
    writer->buffered = 0;
    return write_fully(writer, writer->buffer, size, err);
}

s3r_status s3r_file_writer_write(s3r_file_writer *writer, const void *bytes, size_t size,
                                 s3r_error *err)
{
    if (writer->has_failed)
        return s3r_fail(err, S3R_ERR_RUNTIME, "%s: an earlier write failed",
                        writer->path);
    if (size > sizeof writer->buffer - writer->buffered)
        S3R_TRY(writer_flush(writer, err));
    if (size > sizeof writer->buffer)
        return write_fully(writer, bytes, size, err);
    memcpy(writer->buffer + writer->buffered, bytes, size);
    writer->buffered += size;
    return S3R_OK;
}

void s3r_path_sync_parent(const char *path)
{
    char *folder = parent_of(path);
    if (!folder)
        return;
    int fd = open(folder, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    s3r_free(folder);
}

/* Puts the written file in the place of the target. */
static s3r_status move_in(s3r_file_writer *writer, s3r_error *err)
{
    char name[DESCRIPTOR_PATH_BYTES];
    if (writer->is_nameless) {
        descriptor_path(name, writer->fd);
        if (linkat(AT_FDCWD, name, AT_FDCWD, writer->temporary_path, AT_SYMLINK_FOLLOW))
            return s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot create: %s", writer->path,
                            strerror(errno));
        writer->is_nameless = false;
    }
    if (rename(writer->temporary_path, writer->path) != 0)
        return s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot rename: %s", writer->path,
                        strerror(errno));
    s3r_path_sync_parent(writer->path);
    return S3R_OK;
}

s3r_status s3r_file_writer_commit(s3r_file_writer *writer, s3r_error *err)
{
    s3r_status status =
        writer->has_failed
            ? s3r_fail(err, S3R_ERR_RUNTIME, "%s: an earlier write failed", writer->path)
            : writer_flush(writer, err);
    if (status == S3R_OK && (fsync(writer->fd) != 0 && errno != EINVAL))
        status = s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot sync: %s", writer->path,
                          strerror(errno));
    if (status == S3R_OK && writer->temporary_path)
        status = move_in(writer, err);
    if (status == S3R_OK)
        writer_destroy(writer);
    else
        s3r_file_writer_abort(writer);
    return status;
}

void s3r_file_writer_abort(s3r_file_writer *writer)
{
    if (!writer)
        return;
    if (writer->temporary_path && !writer->is_nameless)
        (void)unlink(writer->temporary_path);
    writer_destroy(writer);
}

s3r_status s3r_file_write_all(const char *path, const void *bytes, size_t size,
                              s3r_error *err)
{
    s3r_file_writer *writer;
    S3R_TRY(s3r_file_writer_open(&writer, path, err));
    s3r_status status = s3r_file_writer_write(writer, bytes, size, err);
    if (status == S3R_OK)
        return s3r_file_writer_commit(writer, err);
    s3r_file_writer_abort(writer);
    return status;
}

s3r_status s3r_stream_sync(FILE *stream, const char *path, s3r_error *err)
{
    if (fflush(stream) == 0 && (fsync(fileno(stream)) == 0 || errno == EINVAL))
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot sync: %s", path, strerror(errno));
}
