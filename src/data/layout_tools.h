/*
 * What the readers of layouts share: paths below a folder, columns by name, the names of
 * splits.
 */
#ifndef S3R_DATA_LAYOUT_TOOLS_H
#define S3R_DATA_LAYOUT_TOOLS_H

#include "data/corpus.h"
#include "data/line_reader.h"

#define S3R_MAX_COLUMNS    256u
#define S3R_NO_COLUMN      SIZE_MAX
#define S3R_MAX_SPLIT_NAME 64u

/* Adds item with the audio folder/file; file alone when it is absolute.  Without an id
 * the item's is file. */
s3r_status s3r_layout_add(s3r_corpus *corpus, const s3r_corpus_item *item,
                          const char *folder, const char *file, s3r_error *err);

/* folder/name exists. */
s3r_status s3r_layout_has(const char *folder, const char *name, bool *exists,
                          s3r_error *err);

/* For layouts that read every file of a kind: S3R_ERR_USAGE when the folder to write is
 * the source, since a second run would read what the first wrote. */
s3r_status s3r_layout_check_output(const s3r_corpus_request *request, s3r_error *err);

/* The folder part of path ("." without one), a new string; NULL without memory. */
char *s3r_path_folder(const char *path);
/* The last component of path, without slashes behind it, into name; cut when too long. */
void s3r_path_name(const char *path, char *name, size_t name_bytes);
bool s3r_path_ends(const char *path, const char *ending);

/* "validation", "valid", "val", "eval" are "dev"; "training" is "train"; "testing" is
 * "test"; everything else stays. */
const char *s3r_split_name(const char *name);

/* Index of the first field whose name is one of "a|b|c" (in this order); S3R_NO_COLUMN.
 */
size_t s3r_column_find(char *const *fields, size_t count, const char *names);
/* The same; a missing column is an error that lists what there is. */
s3r_status s3r_column_need(const s3r_line_reader *reader, char *const *fields,
                           size_t count, const char *names, size_t *column,
                           s3r_error *err);

/* The whole text is a finite number; false otherwise. */
bool s3r_parse_number(const char *text, double *value);

#endif
