/*
 * Files: read-only memory maps, and writes that are atomic (a reader sees the old file or
 * the whole new one, never a part).
 */
#ifndef S3R_BASE_FILE_H
#define S3R_BASE_FILE_H

#include <stdio.h>

#include "base/error.h"

typedef struct s3r_file_map {
    const unsigned char *data; /* NULL when size is 0 */
    size_t size;
} s3r_file_map;

/* Maps a regular file read-only and shared: pages are read when touched and are shared by
 * all processes.  Errors: `code` with "PATH: reason" (missing, a folder, no permission).
 */
s3r_status s3r_file_map_open(s3r_file_map *map, const char *path, s3r_status code,
                             s3r_error *err);
void s3r_file_map_close(s3r_file_map *map);
/* Whether data points into the map. */
bool s3r_file_map_has(const s3r_file_map *map, const void *data);
/* Bytes of the byte order mark that a file of UTF-8 begins with: 3 or 0. */
size_t s3r_byte_order_mark(const void *text, size_t size);
/* Tells the system that the pages within [data, data + size) are not needed soon: they
 * leave this process's memory and are read again when touched.  Anything outside of the
 * map is ignored. */
void s3r_file_map_forget(const s3r_file_map *map, const void *data, size_t size);

bool s3r_path_is_folder(const char *path);
bool s3r_path_exists(const char *path);
bool s3r_path_is_file(const char *path); /* a regular one */
/* True when both exist and are one file or folder, whatever their names. */
bool s3r_path_is_same(const char *a, const char *b);
/* "folder/name" in a new string (s3r_free); NULL when there is no memory. */
char *s3r_path_join(const char *folder, const char *name);
/* The path from the root without links, "." and "..", in a new string (s3r_free).
 * S3R_ERR_DATA when it does not exist; S3R_ERR_RESOURCE. */
s3r_status s3r_path_absolute(char **out, const char *path, s3r_error *err);
/* Makes a new name at path durable; a file system that cannot sync a folder is no error.
 */
void s3r_path_sync_parent(const char *path);
/* Creates path and its parents; existing folders are fine. */
s3r_status s3r_folder_create(const char *path, s3r_error *err);

/*
 * Atomic writer: bytes go to a file without a name in the folder of PATH, or, where the
 * file system has none, to "PATH.tmp-PID-N"; commit syncs and renames it to PATH, with
 * the permissions of a file that it replaces.  abort leaves what was there before.  A
 * failed write is remembered, so that a sequence of writes needs one check at commit.
 * Where PATH is a link, the file that it leads to is replaced; a device or a pipe is
 * written to as it is, which cannot be undone. S3R_ERR_RUNTIME, also for a folder and for
 * a link to nothing; S3R_ERR_RESOURCE.
 */
typedef struct s3r_file_writer s3r_file_writer;
s3r_status s3r_file_writer_open(s3r_file_writer **out, const char *path, s3r_error *err);
s3r_status s3r_file_writer_write(s3r_file_writer *writer, const void *bytes, size_t size,
                                 s3r_error *err);
/* Takes ownership in both cases: the writer is gone after either call.  NULL is allowed
 * for abort. */
s3r_status s3r_file_writer_commit(s3r_file_writer *writer, s3r_error *err);
void s3r_file_writer_abort(s3r_file_writer *writer);
/* The three steps above for one buffer. */
s3r_status s3r_file_write_all(const char *path, const void *bytes, size_t size,
                              s3r_error *err);

/* Flushes a stream that is appended to, and waits until the disk has it.  path is for the
 * message.  S3R_ERR_RUNTIME. */
s3r_status s3r_stream_sync(FILE *stream, const char *path, s3r_error *err);

#endif
