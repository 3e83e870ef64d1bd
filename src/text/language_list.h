/*
 * The languages that a model tells apart, in the order of the rows of its head.
 */
#ifndef S3R_TEXT_LANGUAGE_LIST_H
#define S3R_TEXT_LANGUAGE_LIST_H

#include <jansson.h>

#include "base/error.h"

#define S3R_MAX_LANGUAGES 8192u

typedef struct s3r_language_list {
    char **names;
    size_t count, capacity;
} s3r_language_list; /* zeroed it is empty */

/* Puts a name where it belongs in a sorted list (by bytes); a name that is there stays
 * alone.  S3R_ERR_DATA beyond S3R_MAX_LANGUAGES; S3R_ERR_RESOURCE. */
s3r_status s3r_language_list_insert(s3r_language_list *list, const char *name,
                                    s3r_error *err);
void s3r_language_list_release(s3r_language_list *list);

/* False when the name is not there. */
bool s3r_language_list_find(const s3r_language_list *list, const char *name,
                            size_t *index);

/* The names with commas, cut short with "..." where they do not fit. */
void s3r_language_list_text(const s3r_language_list *list, char *text, size_t bytes);

/*
 * The fact "languages" of a mask file: an array of at least two different texts, in the
 * order of the head.  S3R_ERR_MODEL names path and what is wrong; S3R_ERR_RESOURCE.
 * *list is empty after a failure.
 */
s3r_status s3r_language_list_from_json(s3r_language_list *list, const json_t *array,
                                       const char *path, s3r_error *err);
/* NULL without memory, and when a name is not UTF-8. */
json_t *s3r_language_list_to_json(const s3r_language_list *list);

#endif
