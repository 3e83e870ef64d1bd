/*
 * Many languages on one backbone: a folder of mask files beside an open model, and
 * requests that name their masks.
 *
 * A mask is opened when it is first asked for and stays open: after that a switch is a
 * pointer.  Mask, head, vocabulary and normalisation change together.  What masks have in
 * common is computed once: utterances of different masks run in one batch, and an
 * utterance that goes through several masks runs through the extractor, and through the
 * blocks that none of them touches, once.  Texts do not depend on who shares a batch.
 */
#ifndef S3R_ROUTER_H
#define S3R_ROUTER_H

#include "s3r/transcribe.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct s3r_router s3r_router;

/*
 * Lists the mask files (*.s3m) of a folder and reads what they say of themselves; a file
 * that cannot be read is listed with its error and makes no other fail.
 *
 *   backbone  stays open as long as the router, may be in use by other threads; a mask
 *             that it was opened with plays no part. NULL: the masks can be listed and
 *             not opened
 *
 * S3R_ERR_USAGE: no folder, or one without mask files; S3R_ERR_RESOURCE.
 */
S3R_API s3r_status s3r_router_open(s3r_router **out, const s3r_model *backbone,
                                   const char *folder, s3r_error *err);
/* Closes the masks too; no call with the router may be running.  NULL is allowed. */
S3R_API void s3r_router_close(s3r_router *router);

typedef struct s3r_router_mask {
    const char *name;     /* of the file, without ".s3m" */
    const char *path;     /* of the file */
    const char *language; /* as the file says; NULL when it does not */
    const char *method;   /* that it was trained with; NULL when it cannot be read */
    const char *task;     /* "ctc", "lid", "none"; NULL when it cannot be read */
    s3r_status status;    /* S3R_OK, or why its facts cannot be read */
    const char *message;  /* the error; "" when OK */
} s3r_router_mask;

/* The index-th mask, by name; false past the last.  Strings live as long as the router.
 * Thread-safe. */
S3R_API bool s3r_router_get_mask(const s3r_router *router, size_t index,
                                 s3r_router_mask *out);

/*
 * The backbone with a mask, opened by the first call that asks for it (which checks the
 * whole file).  It is the router's and stays open with it.
 *
 *   name  of a mask, or a language that one mask alone has; else, when one mask alone is
 *         like it, whatever case and region
 *
 * S3R_ERR_USAGE: an unknown name (with the nearest known one), a language of several
 * masks (with their names); S3R_ERR_MODEL: a file that is damaged or was made for another
 * backbone; S3R_ERR_RESOURCE.  Thread-safe, with a context a thread.
 */
S3R_API s3r_status s3r_router_get_model(s3r_router *router, s3r_context *context,
                                        const char *name, const s3r_model **out,
                                        s3r_error *err);

/* What stands for masks that are not named; behind the last one names follow. */
#define S3R_MASKS_ALL     "all"
#define S3R_MASKS_AUTO    "auto"
#define S3R_MASKS_AUTO_OF "auto:"

typedef struct s3r_router_request {
    const char *path; /* of audio, as s3r_transcribe takes it */
    /*
     * "cs"         one mask, by name or language
     * "cs,nl"      several: a result each, in this order
     * "all"        all masks with a vocabulary, by name
     * "auto"       of all masks the one of the language that is spoken, when the folder
     *              has a mask that tells (task "lid"; the first by name that can be
     *              opened): the likeliest that is the language, or else the name, of a
     *              mask
     * "auto:cs,nl" of these
     *
     * Without a mask that tells, or when no mask has a language that it knows, the surest
     * is taken: that with the highest mean probability of the frames that are no blanks.
     * Masks that cannot be opened are not taken as long as one can.
     */
    const char *masks;
    /* One result: each stretch of speech in the mask that "auto" would take there.
     * Stretches are those of voice_only (s3r/transcribe.h), joined to at least 1.5 s
     * where no more than 1 s lies between; what lies outside has no text.  The result's
     * mask is "cs,nl,cs", in the order of time, and its segments say where. */
    bool by_segment;
} s3r_router_request;

/*
 * Transcribes each request with its masks, as s3r_transcribe does with one model; results
 * come by request and, within it, by mask, and have `mask` set.  What fails, a file or a
 * mask, fails its own results alone, and an unknown name its request: S3R_ERR_PARTIAL
 * then.
 *
 * options: no decoder, no features, and emissions only where every request has one mask
 * and none is by segment. S3R_ERR_USAGE: other options, a router without a backbone.
 * One call at a time a context; any number of contexts at once.
 */
S3R_API s3r_status s3r_router_transcribe(s3r_router *router, s3r_context *context,
                                         const s3r_router_request *requests, size_t count,
                                         const s3r_transcribe_options *options,
                                         s3r_result_fn result, void *result_context,
                                         s3r_error *err);

#ifdef __cplusplus
}
#endif
#endif
