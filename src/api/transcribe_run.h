/*
 * Files through models: what s3r_transcribe and a router share.
 */
#ifndef S3R_API_TRANSCRIBE_RUN_H
#define S3R_API_TRANSCRIBE_RUN_H

#include "api/handles.h"
#include "audio/audio_load.h"
#include "s3r/transcribe.h"

/* A model that a file goes through. */
typedef struct s3r_transcribe_lane {
    const s3r_model *model;
    const char *mask;       /* its name; NULL = none */
    const char *language;   /* that an identifier may name; NULL = none */
    const s3r_error *error; /* why there is no model; NULL: there is one */
} s3r_transcribe_lane;

/* One file and its models, all of one backbone. */
typedef struct s3r_transcribe_request {
    const char *path;
    size_t index;                     /* of its results */
    const s3r_audio *audio;           /* what path holds; NULL: it is loaded */
    const s3r_transcribe_lane *lanes; /* [lane_count], one at least */
    size_t lane_count;
    bool picks_surest; /* one result, of the model that is surest; else one a lane */
    const s3r_model *identifier; /* one result, of the language that this model of the
                                    task "lid" hears, where it does; NULL = none */
} s3r_transcribe_request;

/*
 * Runs the requests; options are checked.
 *
 *   base    a model of the backbone, for sample rate and frames
 *   failed  receives the number of requests that failed, as their results tell
 *
 * The errors of s3r_transcribe but S3R_ERR_PARTIAL.
 */
s3r_status s3r_transcribe_requests(s3r_context *context, const s3r_model *base,
                                   const s3r_transcribe_request *requests, size_t count,
                                   const s3r_transcribe_options *options,
                                   s3r_result_fn result, void *result_context,
                                   size_t *failed, s3r_error *err);
/* S3R_ERR_PARTIAL when some failed. */
s3r_status s3r_transcribe_end(size_t failed, size_t count, s3r_error *err);

/* Checks the options that do not depend on a model. */
s3r_status s3r_transcribe_check_numbers(const s3r_transcribe_options *options,
                                        s3r_error *err);
/* Checks the names of what is written for each path and makes its folders. */
s3r_status s3r_transcribe_open_outputs(const char *const *paths, size_t count,
                                       const s3r_transcribe_options *options,
                                       s3r_error *err);

#endif
