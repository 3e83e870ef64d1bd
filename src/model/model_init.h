/*
 * A fresh model: random weights as pretraining begins with them. (spec 2.2-2.4, 2.6)
 */
#ifndef S3R_MODEL_MODEL_INIT_H
#define S3R_MODEL_MODEL_INIT_H

#include "model/model_config.h"
#include "text/vocabulary.h"

/*
 * Writes a Hugging Face folder, in F32:
 *   convolutions of the extractor   normal, variance 2 / fan-in (He et al. 2015)
 *   positional convolution          normal, variance 4 / (kernel * hidden_size), with
 *                                   the gain at which weight norm changes nothing
 *   matrices                        normal, standard deviation 0.02
 *   mask embedding                  uniform in [0, 1)
 *   norms 1 and 0, all biases 0
 * Each tensor has a stream of its own by seed and name: one seed gives the same bits
 * always, whatever else the model has.
 *
 *   config      a wav2vec2 or hubert model with a feature projection, without adapters
 *   vocabulary  of a CTC head; NULL: no head
 *   folder      new or empty; it appears complete or not at all
 *
 * S3R_ERR_USAGE: folder holds something, or another kind of model; S3R_ERR_RUNTIME,
 * S3R_ERR_RESOURCE.
 */
s3r_status s3r_model_init(const s3r_model_config *config, uint64_t seed,
                          const s3r_vocabulary *vocabulary, const char *folder,
                          s3r_error *err);

#endif
