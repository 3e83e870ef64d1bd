/*
 * What the masks that a command line or a list of files names stand for: masks that
 * cannot be used are named once, and left out where others can stand in for them.
 */
#ifndef S3R_CLI_MASK_CHOICE_H
#define S3R_CLI_MASK_CHOICE_H

#include <s3r/router.h>

#include "verb.h"

typedef struct s3r_mask_choices {
    s3r_router *router;
    s3r_context *context;
    s3r_terminal *terminal;
    size_t count;         /* masks in the folder */
    unsigned char *state; /* [count] enum in mask_choice.c */
    size_t bad;           /* masks that were named and left out */
    char **texts;         /* [text_count] what was made; of the choices */
    size_t text_count;
} s3r_mask_choices;

/* The pointers stay the caller's. S3R_ERR_RESOURCE. */
s3r_status s3r_mask_choices_init(s3r_mask_choices *choices, s3r_router *router,
                                 s3r_context *context, s3r_terminal *terminal,
                                 s3r_error *err);
void s3r_mask_choices_release(s3r_mask_choices *choices); /* a zeroed one is allowed */

/*
 * The masks of an s3r_router_request for `names`, which are of its form: for "all",
 * "auto", "auto:NAMES", and any names where one is picked a segment, names of the masks
 * that can be used; for other names with commas those of their masks.  One name, and
 * names of which one is unknown, are returned as they are: their requests fail by
 * themselves.  *out lives as long as names and choices.
 *
 * S3R_ERR_MODEL: of "all" or "auto" there is none; S3R_ERR_RESOURCE.
 */
s3r_status s3r_mask_choices_resolve(s3r_mask_choices *choices, const char *names,
                                    bool is_by_segment, const char **out, s3r_error *err);

#endif
