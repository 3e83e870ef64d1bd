/*
 * The table of settings: every key of a training configuration with its type, its place
 * in the struct, its range, its default and its help.  Reading, overrides, writing,
 * checking and the list of keys all walk this one table.
 */
#ifndef S3R_TRAIN_CONFIG_TABLE_H
#define S3R_TRAIN_CONFIG_TABLE_H

#include "train/train_config.h"

typedef enum s3r_config_type {
    S3R_CONFIG_CHOICE, /* an enum; choices in its order */
    S3R_CONFIG_NAME,   /* char[S3R_CONFIG_NAME_BYTES]: the name itself, of choices */
    S3R_CONFIG_SWITCH, /* bool; choices: the names of false and true */
    S3R_CONFIG_SEED,   /* uint64_t */
    S3R_CONFIG_COUNT,  /* size_t */
    S3R_CONFIG_COUNT_OR_MODEL,  /* size_t; "model" = SIZE_MAX */
    S3R_CONFIG_NUMBER,          /* double */
    S3R_CONFIG_NUMBER_OR_MODEL, /* double; "model" = -1 */
    S3R_CONFIG_BLOCK_NUMBERS,   /* s3r_block_numbers */
    S3R_CONFIG_MODULES,         /* unsigned, a set of S3R_MODULE_* */
    S3R_CONFIG_BLOCK_RANGE,     /* size_t[2]: first, last */
    S3R_CONFIG_LANGUAGE         /* char[64]: a BCP-47 tag or nothing */
} s3r_config_type;

enum { S3R_CONFIG_ABOVE_MIN = 1, S3R_CONFIG_BELOW_MAX = 2 }; /* open ends of a range */

typedef struct s3r_config_key {
    const char *key; /* "mask.sparsity" */
    s3r_config_type type;
    size_t offset; /* in s3r_train_config */
    const char *fallback, *help;
    const char *const *choices; /* ends with NULL */
    double min, max;            /* of numbers */
    unsigned open_ends;
} s3r_config_key;

#define S3R_CONFIG_MAX_KEYS 96u

/* NULL past the last. */
const s3r_config_key *s3r_config_key_at(size_t index);
size_t s3r_config_key_count(void);
/* The index of a key; s3r_config_key_count() when there is none. */
size_t s3r_config_key_find(const char *key);

/* How a choice of a key that is there is written: ("method", S3R_METHOD_LORA) is "lora".
 */
const char *s3r_config_choice_name(const char *key, int choice);

/* Sections ("mask"), in the order of the table; NULL past the last.  Keys without a
 * section come first. */
const char *s3r_config_section_at(size_t index);
const char *s3r_config_section_help(size_t index);
#define S3R_CONFIG_MAX_SECTIONS 16u

/* The key or the section nearest to a name that is neither; NULL when none is near. */
const char *s3r_config_closest(const char *typed);

#endif
