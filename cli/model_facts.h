/*
 * A model as JSON: the keys that `s3r inspect --json` promises (docs/cli.md).
 */
#ifndef S3R_CLI_MODEL_FACTS_H
#define S3R_CLI_MODEL_FACTS_H

#include <jansson.h>

#include <s3r/model.h>

/* hash NULL gives null.  NULL without memory. */
json_t *s3r_model_facts(const s3r_model *model, const char *hash);

#endif
