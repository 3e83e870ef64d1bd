/*
 * What the verbs that read several mask files begin with: a context, and the backbone
 * when somebody names it or a file is compact.
 */
#ifndef S3R_CLI_MASK_SESSION_H
#define S3R_CLI_MASK_SESSION_H

#include <s3r/mask_algebra.h>

#include "session.h"

/* model may be NULL; session->model stays NULL when nobody needs it. */
s3r_status s3r_mask_session_open(s3r_session *session, const s3r_command *command,
                                 const char *model, const char *const *paths,
                                 size_t count, s3r_error *err);

#define S3R_MASK_MODEL_HELP                                                              \
    "The backbone of the masks, which compact files need. Without it the shipped one "   \
    "is "                                                                                \
    "taken for them."

#endif
