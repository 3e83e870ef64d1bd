/*
 * The names in a folder.
 */
#ifndef S3R_BASE_FOLDER_LIST_H
#define S3R_BASE_FOLDER_LIST_H

#include "base/error.h"

typedef struct s3r_folder_list {
    char **names;
    size_t count;
} s3r_folder_list;

/* The names of all entries that end in suffix ("" = all), without "." and "..", sorted by
 * their bytes.  Errors: `code` when the folder cannot be read; S3R_ERR_RESOURCE. */
s3r_status s3r_folder_list_read(s3r_folder_list *out, const char *folder,
                                const char *suffix, s3r_status code, s3r_error *err);
void s3r_folder_list_release(s3r_folder_list *list);

#endif
