/*
 * The input files of a verb: its arguments, then the lines of --files-from.
 */
#ifndef S3R_CLI_PATH_LIST_H
#define S3R_CLI_PATH_LIST_H

#include "verb.h"

typedef struct s3r_path_list {
    const char **items;
    size_t count; /* at least 1 */
    char *text;   /* of the list file, cut into lines; NULL without one */
    const char *
        *masks; /* [count] of each path; first what a line of the list has behind its
                   last tab, NULL where there is none; NULL when no line has one */
} s3r_path_list;

/*
 * files_from may be NULL.  One path a line, empty lines are skipped.  S3R_ERR_USAGE: no
 * paths at all, standard input ("-") twice or in a list; S3R_ERR_DATA: an unreadable
 * list.  Release it in any case.
 */
s3r_status s3r_path_list_make(s3r_path_list *list, const s3r_command *command,
                              const char *files_from, s3r_error *err);
/* Parts the lines of the list file at their last tab into path and masks.
 * S3R_ERR_USAGE: nothing on one side of a tab. */
s3r_status s3r_path_list_part_masks(s3r_path_list *list, const s3r_command *command,
                                    s3r_error *err);
void s3r_path_list_release(s3r_path_list *list);

#endif
