/*
 * POSIX renames a folder in one step, but only onto an empty one.  A folder that is not
 * empty is therefore moved aside first; what is kept of it moves over after the swap, so
 * that no step before the swap changes anything that somebody sees.
 */
#define _POSIX_C_SOURCE 200809L
#include "base/folder_writer.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/folder_list.h"
#include "base/memory.h"

/* "PATH.KIND-PID-N" without a slash at the end of PATH; NULL without memory. */
static char *sibling_path(const char *path, const char *kind)
{
    static atomic_uint serial;
    size_t length = strlen(path), size = length + strlen(kind) + 48;
    char *sibling = s3r_alloc(size, 1);
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (sibling)
        snprintf(sibling, size, "%.*s.%s-%ld-%u", (int)length, path, kind, (long)getpid(),
                 atomic_fetch_add(&serial, 1));
    return sibling;
}

static void release(s3r_folder_writer *writer)
{
    s3r_free(writer->path);
    s3r_free(writer->temporary_path);
    *writer = (s3r_folder_writer){0};
}

static s3r_status create_parents(const char *path, s3r_error *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return S3R_OK;
    char *parent = s3r_strndup(path, (size_t)(slash - path));
    if (!parent)
        return s3r_fail_memory(err, "a path", strlen(path));
    s3r_status status = s3r_folder_create(parent, err);
    s3r_free(parent);
    return status;
}

s3r_status s3r_folder_writer_open(s3r_folder_writer *out, const char *path,
                                  s3r_error *err)
{
    s3r_folder_writer writer = {0};
    struct stat info;
    s3r_status status = S3R_OK;
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode))
        status = s3r_path_absolute(&writer.path, path, err); /* the folder it leads to */
    else
        writer.path = s3r_strdup(path);
    if (status != S3R_OK)
        return status;
    writer.temporary_path = writer.path ? sibling_path(writer.path, "tmp") : NULL;
    if (!writer.path || !writer.temporary_path)
        status = s3r_fail_memory(err, "a path", strlen(path));
    if (status == S3R_OK)
        status = create_parents(writer.temporary_path, err);
    if (status == S3R_OK && mkdir(writer.temporary_path, 0777) != 0)
        status = s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot create the folder: %s",
                          writer.temporary_path, strerror(errno));
    if (status == S3R_OK)
        *out = writer;
    else
        release(&writer);
    return status;
}

/* Removes the files of folder that owns_file knows (NULL: all), then folder itself if it
 * is empty.  What cannot be removed stays. */
static void remove_folder(const char *folder, s3r_folder_owns_fn owns_file)
{
    s3r_folder_list list;
    if (s3r_folder_list_read(&list, folder, "", S3R_ERR_RUNTIME, NULL) == S3R_OK) {
        for (size_t i = 0; i < list.count; i++) {
            char *path = owns_file && !owns_file(list.names[i])
                             ? NULL
                             : s3r_path_join(folder, list.names[i]);
            if (path)
                (void)unlink(path);
            s3r_free(path);
        }
        s3r_folder_list_release(&list);
    }
    (void)rmdir(folder);
}

/* Moves one entry unless the new folder has one of that name. */
static s3r_status keep_entry(const char *old, const char *new, const char *name,
                             s3r_error *err)
{
    char *from = s3r_path_join(old, name), *to = s3r_path_join(new, name);
    s3r_status status = S3R_OK;
    if (!from || !to)
        status = s3r_fail_memory(err, "a path", strlen(name));
    else if (!s3r_path_exists(to) && rename(from, to) != 0)
        status = s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot move to %s: %s", from, to,
                          strerror(errno));
    s3r_free(from);
    s3r_free(to);
    return status;
}

static s3r_status keep_entries(const char *old, const char *new,
                               s3r_folder_owns_fn owns_file, s3r_error *err)
{
    s3r_folder_list list;
    S3R_TRY(s3r_folder_list_read(&list, old, "", S3R_ERR_RUNTIME, err));
    s3r_status status = S3R_OK;
    for (size_t i = 0; status == S3R_OK && i < list.count; i++)
        if (!owns_file(list.names[i]))
            status = keep_entry(old, new, list.names[i], err);
    s3r_folder_list_release(&list);
    return status;
}

/* path is there and not empty: aside with it, the new one in, or all back. */
static s3r_status swap(const s3r_folder_writer *writer, s3r_folder_owns_fn owns_file,
                       s3r_error *err)
{
    char *old = sibling_path(writer->path, "old");
    if (!old)
        return s3r_fail_memory(err, "a path", strlen(writer->path));
    s3r_status status = S3R_OK;
    if (rename(writer->path, old) != 0) {
        status = s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot replace the folder: %s",
                          writer->path, strerror(errno));
    } else if (rename(writer->temporary_path, writer->path) != 0) {
        status = s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot replace the folder: %s",
                          writer->path, strerror(errno));
        (void)rename(old, writer->path);
    } else {
        status = keep_entries(old, writer->path, owns_file, err);
        if (status == S3R_OK)
            remove_folder(old, owns_file);
        else if (rename(writer->path, writer->temporary_path) == 0) {
            /* Entries that moved already go back the same way. */
            (void)keep_entries(writer->temporary_path, old, owns_file, NULL);
            (void)rename(old, writer->path);
        }
    }
    s3r_free(old);
    return status;
}

s3r_status s3r_folder_writer_commit(s3r_folder_writer *writer,
                                    s3r_folder_owns_fn owns_file, s3r_error *err)
{
    s3r_status status = S3R_OK;
    if (rename(writer->temporary_path, writer->path) != 0) {
        bool is_occupied = errno == ENOTEMPTY || errno == EEXIST;
        status = is_occupied ? swap(writer, owns_file, err)
                             : s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot create: %s",
                                        writer->path, strerror(errno));
    }
    if (status == S3R_OK)
        release(writer);
    else
        s3r_folder_writer_abort(writer);
    return status;
}

void s3r_folder_writer_abort(s3r_folder_writer *writer)
{
    if (writer->temporary_path)
        remove_folder(writer->temporary_path, NULL);
    release(writer);
}

void s3r_folder_remove(const char *folder)
{
    remove_folder(folder, NULL);
}
