/*
 * Scoring a manifest while somebody else takes the emissions.
 */
#ifndef S3R_API_EVAL_EMISSIONS_H
#define S3R_API_EVAL_EMISSIONS_H

#include "s3r/eval.h"

/* Gets the emissions [frames, labels] of an utterance and its text as it is compared;
 * both are valid during the call only. */
typedef s3r_status (*s3r_emissions_fn)(void *context, const float *log_probs,
                                       size_t frames, const char *reference,
                                       s3r_error *err);

/* As s3r_eval, and calls take (NULL is allowed) for each utterance that could be scored.
 */
s3r_status s3r_eval_emissions(s3r_context *context, const s3r_model *model,
                              const char *manifest_path, const s3r_eval_options *options,
                              s3r_eval_fn result, void *result_context,
                              s3r_eval_summary *summary, s3r_emissions_fn take,
                              void *take_context, s3r_error *err);

#endif
