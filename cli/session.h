/*
 * What nearly every verb starts with: a context and an open model.
 */
#ifndef S3R_CLI_SESSION_H
#define S3R_CLI_SESSION_H

#include <s3r/context.h>
#include <s3r/router.h>

#include "mask_choice.h"

typedef struct s3r_session_options {
    const char *model;    /* as s3r_model_find takes it; NULL: the shipped one */
    const char *language; /* NULL = none */
    const char *mask;     /* a mask file to apply; NULL = none */
    const char *masks;    /* a folder of them, of which language names one; NULL = none */
    bool allows_several;  /* language may name several masks, all or auto */
    bool is_by_file;      /* files may name masks themselves */
    bool is_by_segment;   /* of the masks one is picked a segment */
    size_t threads;       /* 0 = as the command says */
    bool is_bf16;
} s3r_session_options;

typedef struct s3r_session {
    s3r_context *context;
    const s3r_model *model; /* with its mask; with several masks the backbone */
    s3r_model *opened;
    s3r_router *router; /* NULL without a folder of masks */
    s3r_mask_choices choices;
    const char
        *several; /* for s3r_mask_choices_resolve; NULL: there is one mask at most */
} s3r_session;

/* Finds the model of that name (s3r_model_find) and says which it is when the command
 * line has no path. */
s3r_status s3r_session_find_model(const s3r_command *command, const char *name,
                                  char path[S3R_MODEL_PATH_BYTES], s3r_error *err);
/* Opens both with the --threads and --cpu of the command, or neither. */
s3r_status s3r_session_open(s3r_session *session, const s3r_command *command,
                            const s3r_session_options *options, s3r_error *err);
/* The context alone, for verbs that need no model. */
s3r_status s3r_session_open_context(s3r_session *session, const s3r_command *command,
                                    s3r_error *err);
void s3r_session_close(s3r_session *session); /* a zeroed session is allowed */

#endif
