/*
 * The identity of a backbone: what a mask file is pinned to.
 */
#ifndef S3R_MODEL_MODEL_HASH_H
#define S3R_MODEL_MODEL_HASH_H

#include "model/model_config.h"

#define S3R_MODEL_HASH_BYTES 65u /* 64 hexadecimal digits and NUL */

/*
 * SHA-256 over the encoder's weights as stored, by canonical name; reads all of them.
 * Equal for the same values in the same types, whatever file format or naming they have.
 * A model in int8 has the hash of the backbone that it was made from, so that
 * masks of that one fit it.  The CTC head, the mask embedding (which only training uses)
 * and the leftovers of pretraining do not count.
 *
 *   "s3r-backbone-1" NUL, then for each tensor, sorted by the bytes of its name:
 *   name NUL, dtype ("F32") NUL, number of dimensions other than 1 as u64, those
 *   dimensions as u64, the data as it is stored; integers and data little-endian
 *
 *   text  [S3R_MODEL_HASH_BYTES]
 *
 * S3R_ERR_MODEL when the tensors do not fit config; S3R_ERR_RESOURCE.
 */
s3r_status s3r_model_hash(char *text, const s3r_checkpoint *checkpoint,
                          const s3r_model_config *config, s3r_error *err);

#endif
