/*
 * Which lane of a request: that of the language which is spoken.
 */
#ifndef S3R_API_TRANSCRIBE_IDENTIFY_H
#define S3R_API_TRANSCRIBE_IDENTIFY_H

#include "api/transcribe_files.h"
#include "api/transcribe_run.h"

#define S3R_NO_LANE SIZE_MAX

/*
 * For each file whose request has an identifier, the lane of the likeliest language that
 * has one; S3R_NO_LANE for the others, where no lane's language is known to the
 * identifier, and where it can say nothing.
 *
 *   requests, files, chosen  [count]; files are loaded, and learn their language
 *   goes_on, goes_on_context  asked between windows; false interrupts
 */
s3r_status s3r_choose_lanes(s3r_context *context, const s3r_transcribe_request *requests,
                            s3r_heard_file *files, size_t count,
                            const s3r_transcribe_options *options,
                            bool (*goes_on)(void *), void *goes_on_context,
                            size_t *chosen, s3r_error *err);

#endif
