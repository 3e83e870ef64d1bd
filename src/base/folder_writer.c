/*
 * POSIX renames a folder in one step, but only onto an empty one.  A folder that is not
 * empty changes places with the new one, which Linux does in one step; where a file
 * system cannot, it is moved aside first.  What is kept of it moves over after that, so
 * that no step before changes anything that somebody sees.
 *
 * The old folder is called "PATH.old-PID-N" meanwhile, whether it is the first or second
 * to get there: s3r_folder_writer_recover finishes what a killed process began.
 */
#define _GNU_SOURCE /* renameat2 */
#include "base/folder_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/folder_list.h"
#include "base/memory.h"
#include "base/temporary_file.h"

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
    size_t length = strlen(path);
    while (length > 1 &&
           path[length - 1] == '/') /* which would be part of a link's target */
        length--;
    writer.path = s3r_strndup(path, length);
    if (!writer.path)
        return s3r_fail_memory(err, "a path", length);
    s3r_status status = S3R_OK;
    if (lstat(writer.path, &info) == 0 && S_ISLNK(info.st_mode)) {
        s3r_free(writer.path); /* the folder it leads to */
        writer.path = NULL;
        status = s3r_path_absolute(&writer.path, path, err);
    }
    if (status == S3R_OK)
        writer.temporary_path = s3r_temporary_sibling(writer.path, S3R_TEMPORARY_NEW);
    if (status == S3R_OK && !writer.temporary_path)
        status = s3r_fail_memory(err, "a path", length);
    if (status == S3R_OK)
        status = create_parents(writer.temporary_path, err);
    if (status == S3R_OK && mkdir(writer.temporary_path, 0777) != 0)
        status =
            s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot create a folder beside it: %s",
                     writer.path, strerror(errno));
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

static bool exchange(const char *a, const char *b)
{
    return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0;
}

/* Puts the new folder at path, and at `old` what was there; on failure nothing changed.
 */
static bool move_in(const s3r_folder_writer *writer, const char *old)
{
    if (rename(writer->temporary_path, old) == 0) {
        if (exchange(old, writer->path))
            return true;
        (void)rename(old, writer->temporary_path);
    }
    if (rename(writer->path, old) != 0)
        return false;
    if (rename(writer->temporary_path, writer->path) == 0)
        return true;
    int reason = errno;
    (void)rename(old, writer->path);
    errno = reason;
    return false;
}

/* The opposite of move_in. */
static void move_out(const s3r_folder_writer *writer, const char *old)
{
    if (exchange(old, writer->path))
        (void)rename(old, writer->temporary_path);
    else if (rename(writer->path, writer->temporary_path) == 0)
        (void)rename(old, writer->path);
}

/* path is there and not empty: the new one in, or all as it was. */
static s3r_status swap(const s3r_folder_writer *writer, s3r_folder_owns_fn owns_file,
                       s3r_error *err)
{
    char *old = s3r_temporary_sibling(writer->path, S3R_TEMPORARY_OLD);
    if (!old)
        return s3r_fail_memory(err, "a path", strlen(writer->path));
    s3r_status status = S3R_OK;
    if (!move_in(writer, old)) {
        status = s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot replace the folder: %s",
                          writer->path, strerror(errno));
    } else {
        s3r_path_sync_parent(writer->path);
        status = keep_entries(old, writer->path, owns_file, err);
        if (status == S3R_OK) {
            remove_folder(old, owns_file);
        } else { /* entries that moved already go back */
            (void)keep_entries(writer->path, old, owns_file, NULL);
            move_out(writer, old);
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
        s3r_path_sync_parent(writer->path);
    if (status == S3R_OK)
        release(writer);
    else
        s3r_folder_writer_abort(writer);
    return status;
}

/* An old folder whose place is free goes back there; else what is kept of it moves over.
 */
static void recover_old(const char *old, const char *path, s3r_folder_owns_fn owns_file)
{
    if (!s3r_path_exists(path))
        (void)rename(old, path);
    else if (keep_entries(old, path, owns_file, NULL) == S3R_OK)
        remove_folder(old, owns_file);
}

s3r_status s3r_folder_writer_recover(const char *path, s3r_folder_owns_fn owns_file,
                                     s3r_error *err)
{
    size_t length = strlen(path),
           new_bytes = s3r_temporary_base_bytes(path, S3R_TEMPORARY_NEW);
    size_t old_bytes = s3r_temporary_base_bytes(path, S3R_TEMPORARY_OLD);
    char *target = s3r_strndup(path, old_bytes);
    if (!target)
        return s3r_fail_memory(err, "a path", length);
    if (old_bytes > 0)
        recover_old(path, target, owns_file);
    else if (new_bytes > 0)
        remove_folder(path, NULL);
    s3r_free(target);
    return S3R_OK;
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
