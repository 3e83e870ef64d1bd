/*
 * Finding the weights of a language model on a dev set.
 */
#ifndef S3R_TUNE_H
#define S3R_TUNE_H

#include "s3r/decode.h"
#include "s3r/eval.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One pair of weights and what it makes of the dev set. */
typedef struct s3r_tune_point {
    double lm_weight, word_score;
    double wer, cer; /* 1 is 100 % */
} s3r_tune_point;

/* Called once a point, in the order in which they are tried.  Another status than S3R_OK
 * ends the run and is returned: S3R_ERR_INTERRUPTED is meant for that. */
typedef s3r_status (*s3r_tune_fn)(void *context, const s3r_tune_point *point);

/*
 * Runs the network once over a manifest, then decodes with a grid of weights (LM weights
 * 0 to 4, word scores -3 to 2) and with finer steps around the best point.  The best has
 * the lowest WER (with by_characters the lowest CER), of equals the lowest of the other,
 * then the lowest LM weight.  The same for any number of threads.
 *
 *   decoder  of the model; has the best weights afterwards
 *   options  of reading and comparing; what they write is not written, and their decoder
 *            is not used; NULL = defaults
 *   result   NULL = not wanted
 *
 * Emissions are held in memory: 128 bytes a frame with 32 labels.  Utterances that cannot
 * be read are left out: S3R_ERR_PARTIAL then, with *best complete.  Other errors as
 * s3r_eval; S3R_ERR_USAGE: a decoder of another model.
 */
S3R_API s3r_status s3r_tune(s3r_context *context, const s3r_model *model,
                            s3r_decoder *decoder, const char *manifest_path,
                            bool by_characters, const s3r_eval_options *options,
                            s3r_tune_fn result, void *result_context,
                            s3r_tune_point *best, s3r_error *err);

#ifdef __cplusplus
}
#endif
#endif
