/*
 * Some rows of a value.
 */
#ifndef S3R_OPS_OP_TAKE_ROWS_H
#define S3R_OPS_OP_TAKE_ROWS_H

#include "ops/tape.h"

/*
 *   x     [rows of x, cols]
 *   rows  [count] distinct rows of x, in any order; the list is copied
 *
 * Returns [count, cols].
 */
s3r_value *s3r_op_take_rows(s3r_tape *tape, s3r_value *x, const size_t *rows,
                            size_t count);

#endif
