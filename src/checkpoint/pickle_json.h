/*
 * Pickled configurations as JSON.
 */
#ifndef S3R_CHECKPOINT_PICKLE_JSON_H
#define S3R_CHECKPOINT_PICKLE_JSON_H

#include <jansson.h>

#include "base/error.h"
#include "checkpoint/pickle_tree.h"

/*
 * Converts node to a new JSON value (json_decref):
 *   dict-like values       objects; keys must be text or integers, others are left out
 *   lists, tuples, sets    arrays
 *   objects with a state   objects of that state (argparse.Namespace, dataclasses)
 *   omegaconf nodes        what they wrap, without their parents
 *   enums, torch.Size      their only argument
 *   all else, NaN, a value inside of itself: null
 * is_visited of all nodes must be false and is so afterwards.  S3R_ERR_MODEL when nested
 * too deeply or too large; S3R_ERR_RESOURCE.
 */
s3r_status s3r_pickle_to_json(json_t **out, s3r_pickle_node *node, const char *label,
                              s3r_error *err);

#endif
