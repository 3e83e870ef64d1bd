/*
 * The languages of a manifest's utterances ("lang"), for telling them apart.
 */
#ifndef S3R_DATA_MANIFEST_LANGUAGES_H
#define S3R_DATA_MANIFEST_LANGUAGES_H

#include "data/manifest.h"
#include "text/language_list.h"

/* All of them, sorted.  S3R_ERR_DATA names file and line of an utterance without one, and
 * the file when they are fewer than two; S3R_ERR_RESOURCE.  *out is empty after a
 * failure. */
s3r_status s3r_manifest_languages(s3r_language_list *out, const s3r_manifest *manifest,
                                  s3r_error *err);

/* Which of `known` an utterance of the manifest in path has.  S3R_ERR_DATA names file and
 * line when it has none or another one. */
s3r_status s3r_utterance_language(size_t *index, const s3r_utterance *utterance,
                                  const char *path, const s3r_language_list *known,
                                  s3r_error *err);

#endif
