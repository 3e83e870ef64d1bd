/*
 * Which matrices of a model are kept packed between passes (ops/prepack.h).
 */
#ifndef S3R_MODEL_MODEL_PREPACK_H
#define S3R_MODEL_MODEL_PREPACK_H

#include "model/model_weights.h"
#include "ops/prepack.h"

/*
 * Those of the blocks, the feature projection and the head, masked ones with their mask.
 * Their data lie in maps of the checkpoint, in `replaced` (of a mask file; may be empty)
 * or in memory.  *out stays where it is, and is closed with what is behind weights.
 */
void s3r_model_prepack(s3r_prepacks *out, s3r_model_weights *weights, size_t block_count,
                       const s3r_checkpoint *checkpoint, s3r_file_map replaced,
                       bool is_bf16, bool is_at_once);

#endif
