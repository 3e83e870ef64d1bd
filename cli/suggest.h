/*
 * "Did you mean": the known name nearest to what the user typed.
 */
#ifndef S3R_CLI_SUGGEST_H
#define S3R_CLI_SUGGEST_H

#include <stddef.h>

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b.  Only
 * the first 63 bytes of each count. */
size_t s3r_edit_distance(const char *a, const char *b);

/* The nearer of `best` (NULL: none yet) and `candidate` for `typed`; NULL when neither is
 * near enough to be meant.  Fold it over all known names. */
const char *s3r_suggest(const char *typed, const char *best, const char *candidate);

#endif
