/*
 * Lists of tensor names for people: names that differ only in their numbers become one.
 *
 *   encoder.layers.[0-11].attention.k_proj.bias (12 tensors)
 */
#ifndef S3R_MODEL_NAME_FOLD_H
#define S3R_MODEL_NAME_FOLD_H

#include "base/error.h"

/* Text of bounded length; what does not fit is left out and marked by "...". */
typedef struct s3r_text {
    char *bytes; /* NUL-terminated; s3r_free */
    size_t used, capacity;
} s3r_text;

/* False when there is no memory. */
bool s3r_text_create(s3r_text *text, size_t capacity);
void s3r_text_add(s3r_text *text, const char *format, ...) S3R_PRINTF(2, 3);

/* A name and what is wrong with it, "" for nothing more to say. */
typedef struct s3r_named_fault {
    char *name, *detail; /* s3r_free */
} s3r_named_fault;

typedef struct s3r_fault_list {
    s3r_named_fault *items;
    size_t count, capacity;
    size_t uncounted; /* beyond the bound, not kept */
} s3r_fault_list;

/* Copies both texts.  False when there is no memory. */
bool s3r_fault_list_add(s3r_fault_list *list, const char *name, const char *detail);
void s3r_fault_list_release(s3r_fault_list *list);
/* Adds "a, b.[0-11].c (12 tensors): detail" in the order of the list.  Reorders nothing.
 * False when there is no memory. */
bool s3r_fault_list_fold(const s3r_fault_list *list, s3r_text *text);

#endif
