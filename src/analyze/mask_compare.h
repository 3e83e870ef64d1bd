/*
 * How alike masks are, pair by pair: of all matrices, of each block, of each matrix.
 */
#ifndef S3R_ANALYZE_MASK_COMPARE_H
#define S3R_ANALYZE_MASK_COMPARE_H

#include "analyze/mask_operands.h"

/*
 * A JSON object (docs/masks.md): "masks", an array of the files, and "pairs", an array
 * with an object for each two of them.  Compared are the matrices that both mask.
 * S3R_ERR_USAGE: fewer than two files; S3R_ERR_MODEL as s3r_mask_operands_open and: two
 * files that mask no matrix in common; S3R_ERR_RESOURCE.
 */
s3r_status s3r_mask_files_compare(json_t **out, const char *const *paths, size_t count,
                                  const s3r_mask_reader *reader, s3r_error *err);

#endif
