/*
 * Opening only what the files need: plain masks are combined without their backbone.
 */
#include "mask_session.h"

#include <s3r/mask_pack.h>

s3r_status s3r_mask_session_open(s3r_session *session, const s3r_command *command,
                                 const char *model, const char *const *paths,
                                 size_t count, s3r_error *err)
{
    bool is_needed = model != NULL;
    for (size_t i = 0; i < count && !is_needed; i++) {
        s3r_status status = s3r_mask_is_compact(paths[i], &is_needed, err);
        if (status != S3R_OK)
            return status;
    }
    return is_needed ? s3r_session_open(session, command,
                                        &(s3r_session_options){.model = model}, err)
                     : s3r_session_open_context(session, command, err);
}
