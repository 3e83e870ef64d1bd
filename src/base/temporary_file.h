/*
 * Names and files of work in progress.
 */
#ifndef S3R_BASE_TEMPORARY_FILE_H
#define S3R_BASE_TEMPORARY_FILE_H

#include "base/compiler.h"

/* Kinds: what will take the place of PATH, and what has just lost it. */
#define S3R_TEMPORARY_NEW "tmp"
#define S3R_TEMPORARY_OLD "old"

/* "PATH.KIND-PID-N" without slashes at the end of PATH, N another one in each call; the
 * last name of PATH is cut where a file system would not take so long a one.  s3r_free;
 * NULL when there is no memory. */
char *s3r_temporary_sibling(const char *path, const char *kind);
/* Bytes of NAME when name is "NAME.KIND-PID-N", else 0. */
size_t s3r_temporary_base_bytes(const char *name, const char *kind);

/* A file in folder that has no name and vanishes with its descriptor, which is returned:
 * for reading and writing; -1 with errno. */
int s3r_temporary_open(const char *folder);
/* $TMPDIR, or /tmp.  Never NULL. */
const char *s3r_temporary_folder(void);

#endif
