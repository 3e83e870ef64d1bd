/*
 * Writing a whole folder at once: it appears complete or not at all.
 */
#ifndef S3R_BASE_FOLDER_WRITER_H
#define S3R_BASE_FOLDER_WRITER_H

#include "base/error.h"

typedef struct s3r_folder_writer {
    char *path;
    char *temporary_path; /* write files here */
} s3r_folder_writer;

/* Creates an empty folder "PATH.tmp-PID-N" beside path (and path's parents).
 * S3R_ERR_RUNTIME, S3R_ERR_RESOURCE. */
s3r_status s3r_folder_writer_open(s3r_folder_writer *out, const char *path,
                                  s3r_error *err);

/* True for a file that a folder written before may have held and that the new one
 * replaces, even by its absence. */
typedef bool (*s3r_folder_owns_fn)(const char *name);

/*
 * Moves the new folder to path.  What was there before is replaced: files that owns_file
 * knows vanish, everything else (notes, subfolders) moves into the new folder.  After a
 * failure path holds what it held before.  Releases the writer in both cases.
 * S3R_ERR_RUNTIME, S3R_ERR_RESOURCE.
 */
s3r_status s3r_folder_writer_commit(s3r_folder_writer *writer,
                                    s3r_folder_owns_fn owns_file, s3r_error *err);
/* Finishes or undoes what a process that was killed left at path, a folder that is called
 * "TARGET.tmp-PID-N" or "TARGET.old-PID-N"; nobody may be writing to TARGET.  Best
 * effort; owns_file is that of the commit.  S3R_ERR_RESOURCE. */
s3r_status s3r_folder_writer_recover(const char *path, s3r_folder_owns_fn owns_file,
                                     s3r_error *err);
/* Removes the new folder with its files.  An empty (zeroed) writer is allowed. */
void s3r_folder_writer_abort(s3r_folder_writer *writer);

/* Removes a folder with its files (not with folders in it).  What cannot be removed
 * stays. */
void s3r_folder_remove(const char *folder);

#endif
