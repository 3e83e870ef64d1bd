/*
 * Mask files from their plain to their compact form and back.
 *
 * The way back gives the same bytes: facts are written in one form only (compact JSON,
 * keys sorted), and the compact file knows the seal of the plain one and where the masks
 * were in it.
 */
#ifndef S3R_TASKS_MASK_REPACK_H
#define S3R_TASKS_MASK_REPACK_H

#include "tasks/mask_bits.h"

/*
 * Writes the compact form of the plain file at `path` to out_path, which may be the same.
 * S3R_ERR_USAGE: it is compact, or has no masks.  S3R_ERR_MODEL: what opening finds;
 * another backbone; a file that nobody could give back bit for bit, because its facts are
 * not spelt as s3r writes them.  S3R_ERR_RUNTIME,
 * S3R_ERR_RESOURCE.
 */
s3r_status s3r_mask_file_pack(const char *out_path, const char *path,
                              const s3r_mask_backbone *backbone, s3r_cpu_level level,
                              s3r_pool *pool, s3r_error *err);

/* Writes the plain form of the compact file at `path`; out_path NULL: only checks that
 * everything is there.  S3R_ERR_USAGE: it is plain.  Other errors as above. */
s3r_status s3r_mask_file_unpack(const char *out_path, const char *path,
                                const s3r_mask_backbone *backbone, s3r_cpu_level level,
                                s3r_pool *pool, s3r_error *err);

#endif
