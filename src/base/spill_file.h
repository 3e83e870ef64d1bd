/*
 * Memory that lies in a file: what does not fit into memory is written to a nameless
 * file of a folder and mapped, so that the system may drop its pages and read them again.
 */
#ifndef S3R_BASE_SPILL_FILE_H
#define S3R_BASE_SPILL_FILE_H

#include "base/error.h"

typedef struct s3r_spill_file s3r_spill_file;

/* Makes the file in an existing folder and removes its name at once: it goes when it is
 * closed, however the program ends.  S3R_ERR_RUNTIME, S3R_ERR_RESOURCE. */
s3r_status s3r_spill_file_open(s3r_spill_file **out, const char *folder, s3r_error *err);
void s3r_spill_file_close(s3r_spill_file *file); /* NULL is allowed */

/*
 * size_bytes more, zeroed, readable and writable, 64-byte aligned, valid until the file
 * is closed.  The space on the disk is taken now, so that a later write cannot fail:
 * S3R_ERR_RUNTIME names the folder, the bytes and the reason (no space left).
 */
s3r_status s3r_spill_file_extend(s3r_spill_file *file, size_t size_bytes, void **out,
                                 s3r_error *err);

/* Bytes that the file takes. */
size_t s3r_spill_file_bytes(const s3r_spill_file *file);

#endif
