/*
 * Inside the configuration: reading fields of JSON objects by tables, and the two readers
 * that use it.
 */
#ifndef S3R_MODEL_MODEL_CONFIG_READ_H
#define S3R_MODEL_MODEL_CONFIG_READ_H

#include <stddef.h>

#include "model/model_config.h"

/* What the JSON did not say, so that the tensors may. */
typedef struct s3r_config_silence {
    bool conv_bias, extractor_norm, projection_norm, adapter, vocab_size;
} s3r_config_silence;

typedef enum s3r_field_kind {
    S3R_FIELD_COUNT, /* size_t */
    S3R_FIELD_REAL,  /* double */
    S3R_FIELD_FLAG,  /* bool; low and high unused */
} s3r_field_kind;

/* The value under `key` goes to `offset` of s3r_model_config. */
typedef struct s3r_config_field {
    const char *key;
    s3r_field_kind kind;
    size_t offset;
    double low, high;
} s3r_config_field;

#define S3R_FIELD(key, kind, member, low, high)                                          \
    {                                                                                    \
        key, kind, offsetof(s3r_model_config, member), low, high                         \
    }

/* An object and where it is: messages say "LABEL: "PATHkey": ...". */
typedef struct s3r_config_node {
    const json_t *object; /* NULL: every field is absent */
    const char *label;
    const char *path; /* "", or with a dot at the end: "model.w2v_args." */
} s3r_config_node;

/* The value of a field; NULL when absent, null or an omegaconf reference "${...}". */
const json_t *s3r_config_get(const s3r_config_node *node, const char *key);
/* Fields that are absent keep what config has. */
s3r_status s3r_config_read_fields(s3r_model_config *config, const s3r_config_node *node,
                                  const s3r_config_field *fields, size_t count,
                                  s3r_error *err);
s3r_status s3r_config_read_count(size_t *out, const s3r_config_node *node,
                                 const char *key, double low, double high,
                                 s3r_error *err);
s3r_status s3r_config_read_flag(bool *out, const s3r_config_node *node, const char *key,
                                s3r_error *err);
/* A string; *out stays when absent.  Borrowed from the object. */
s3r_status s3r_config_read_text(const char **out, const s3r_config_node *node,
                                const char *key, s3r_error *err);
/* S3R_ERR_MODEL unless the field is absent or equal to `only`, the sole supported one. */
s3r_status s3r_config_expect_text(const s3r_config_node *node, const char *key,
                                  const char *only, s3r_error *err);
s3r_status s3r_config_expect_flag(const s3r_config_node *node, const char *key, bool only,
                                  s3r_error *err);
/* "LABEL: "key": expected EXPECTED, found VALUE". */
s3r_status s3r_config_fail(const s3r_config_node *node, const char *key,
                           const char *expected, const json_t *found, s3r_error *err);

/* The two readers; out holds the common defaults already. */
s3r_status s3r_config_parse_hf(s3r_model_config *out, s3r_config_silence *silence,
                               const s3r_config_source *source, s3r_error *err);
s3r_status s3r_config_parse_fairseq(s3r_model_config *out, s3r_config_silence *silence,
                                    const s3r_config_source *source, s3r_error *err);
/* Parsing and the checks that involve several values. */
s3r_status s3r_config_parse_checked(s3r_model_config *out, s3r_config_silence *silence,
                                    const s3r_config_source *source, s3r_error *err);

#endif
