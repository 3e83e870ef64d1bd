/*
 * "Did you mean": the known name nearest to one that is not known.
 */
#ifndef S3R_BASE_CLOSEST_NAME_H
#define S3R_BASE_CLOSEST_NAME_H

#include "base/compiler.h"

/*
 * The nearer of `best` (NULL: none yet) and `candidate` to `typed`, by insertions,
 * deletions, replacements and swaps of neighbours; NULL when neither is near enough to be
 * meant.  The last part of a dotted name counts as the whole ("sparsity" is near to
 * "mask.sparsity").  Fold it over all known names.
 */
const char *s3r_closest_name(const char *typed, const char *best, const char *candidate);

#endif
