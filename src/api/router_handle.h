/*
 * What a router holds.
 */
#ifndef S3R_API_ROUTER_HANDLE_H
#define S3R_API_ROUTER_HANDLE_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "api/handles.h"
#include "s3r/router.h"

/* A mask of the folder. */
typedef struct s3r_router_entry {
    char *name, *path;
    json_t *facts;   /* NULL when they cannot be read: error */
    s3r_error error; /* OK, or why not */
    pthread_mutex_t opening;
    bool has_mutex;
    _Atomic(s3r_model *) model; /* NULL until it was asked for */
} s3r_router_entry;

struct s3r_router {
    const s3r_model *backbone;
    char *folder;
    s3r_router_entry *entries; /* by name */
    size_t count;
};

/* The entry of a mask's name, or of a language that it alone has.  S3R_ERR_USAGE. */
s3r_status s3r_router_find(s3r_router *router, const char *name, s3r_router_entry **out,
                           s3r_error *err);
/* Its model, opened when it is not. */
s3r_status s3r_router_entry_open(s3r_router *router, s3r_context *context,
                                 s3r_router_entry *entry, const s3r_model **out,
                                 s3r_error *err);
/* A fact that is text; NULL when there is none. */
const char *s3r_router_entry_fact(const s3r_router_entry *entry, const char *key);
/* The language of a mask, or its name where that is not said or undetermined. */
const char *s3r_router_entry_language(const s3r_router_entry *entry);

#endif
