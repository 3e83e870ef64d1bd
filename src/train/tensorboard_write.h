/*
 * TensorBoard event files: TFRecord frames around Event messages, written by hand.
 *
 *   frame  u64 length, u32 masked CRC-32C of it, the message, u32 masked CRC-32C of it
 *   Event  1 wall_time (double), 2 step (int64), 3 file_version (string),
 *          5 summary (Summary), 7 session_log (SessionLog)
 *   Summary      repeated 1 value (Value)
 *   Value        1 tag (string), 2 simple_value (float)
 *   SessionLog   1 status (1 = start)
 */
#ifndef S3R_TRAIN_TENSORBOARD_WRITE_H
#define S3R_TRAIN_TENSORBOARD_WRITE_H

#include "base/error.h"

typedef struct s3r_event_file s3r_event_file;

typedef struct s3r_scalar {
    const char *tag;
    double value;
} s3r_scalar;

/* Makes folder/events.out.tfevents.TIME.HOST.s3r.  first_step > 0: what other files of
 * the folder say about this step and later ones does not count. S3R_ERR_RUNTIME,
 * S3R_ERR_RESOURCE. */
s3r_status s3r_event_file_open(s3r_event_file **out, const char *folder,
                               size_t first_step, s3r_error *err);
/* One event with all scalars, flushed to the system. */
s3r_status s3r_event_file_write(s3r_event_file *file, size_t step,
                                const s3r_scalar *scalars, size_t count, s3r_error *err);
/* Waits until the disk has it. */
s3r_status s3r_event_file_sync(s3r_event_file *file, s3r_error *err);
/* Gone in every case; NULL is allowed. */
s3r_status s3r_event_file_close(s3r_event_file *file, s3r_error *err);

#endif
