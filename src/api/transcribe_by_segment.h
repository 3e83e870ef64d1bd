/*
 * Recordings in which the language changes: each stretch of speech in the surest model.
 */
#ifndef S3R_API_TRANSCRIBE_BY_SEGMENT_H
#define S3R_API_TRANSCRIBE_BY_SEGMENT_H

#include "api/transcribe_run.h"

/* Runs one request by segment; one result.  As s3r_transcribe_requests. */
s3r_status s3r_transcribe_by_segment(s3r_context *context, const s3r_model *base,
                                     const s3r_transcribe_request *request,
                                     const s3r_transcribe_options *options,
                                     s3r_result_fn result, void *result_context,
                                     size_t *failed, s3r_error *err);

#endif
