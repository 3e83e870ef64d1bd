/*
 * A lock that one process at a time can hold, for a folder that must not be written by
 * two.  The system releases it when the process ends, in whatever way.
 */
#ifndef S3R_BASE_FILE_LOCK_H
#define S3R_BASE_FILE_LOCK_H

#include "base/error.h"

typedef struct s3r_file_lock s3r_file_lock;

/*
 * Takes the lock of the file path, which is made when it is missing, stays empty and
 * is not removed: a file that is removed can be locked twice.  *out is NULL when somebody
 * else has it (also another lock of this process), and the status S3R_OK.
 * S3R_ERR_RUNTIME, S3R_ERR_RESOURCE.
 */
s3r_status s3r_file_lock_take(s3r_file_lock **out, const char *path, s3r_error *err);
void s3r_file_lock_release(s3r_file_lock *lock); /* NULL is allowed */

#endif
