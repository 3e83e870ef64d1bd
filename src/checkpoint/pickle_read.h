/*
 * Reading Python pickles without running them.
 */
#ifndef S3R_CHECKPOINT_PICKLE_READ_H
#define S3R_CHECKPOINT_PICKLE_READ_H

#include "base/error.h"
#include "checkpoint/pickle_tree.h"

/*
 * Reads one pickle of protocol 0 to 4 from the beginning of bytes into out; *used, when
 * not NULL, receives its length, so that the next pickle of a sequence can follow.  bytes
 * must outlive the tree.  S3R_ERR_MODEL with the byte and the reason, S3R_ERR_RESOURCE.
 */
s3r_status s3r_pickle_read(s3r_pickle_tree *out, size_t *used, const void *bytes,
                           size_t size, const char *label, s3r_error *err);

#endif
