/*
 * A text file of the command line in memory.
 */
#ifndef S3R_CLI_TEXT_FILE_H
#define S3R_CLI_TEXT_FILE_H

#include "verb.h"

/* The whole of a file with a NUL behind it (free), without a byte order mark; what names
 * it in messages ("the list").  S3R_ERR_DATA: it cannot be read, or has a zero byte;
 * S3R_ERR_RESOURCE. */
s3r_status s3r_text_file_read(char **text, const char *path, const char *what,
                              s3r_error *err);

#endif
