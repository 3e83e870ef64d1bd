/*
 * The settings that a YAML text gives, one slot a key of the table.
 */
#ifndef S3R_TRAIN_CONFIG_YAML_H
#define S3R_TRAIN_CONFIG_YAML_H

#include "train/config_table.h"

typedef struct s3r_config_setting {
    size_t line; /* from 1; 0 = the text does not give this key */
    char *text;  /* a list is joined by commas */
    bool is_quoted;
} s3r_config_setting;

typedef struct s3r_config_settings {
    s3r_config_setting items[S3R_CONFIG_MAX_KEYS]; /* by index of the table */
} s3r_config_settings;

/*
 * Collects the settings; values are not interpreted yet.  Nested sections and dotted keys
 * mean the same.  S3R_ERR_USAGE names label, line and key: an unknown key, one given
 * twice, a list or mapping in a wrong place, anchors, aliases, tags, several documents,
 * more than 1 MiB.  S3R_ERR_RESOURCE.  Released in every case.
 */
s3r_status s3r_config_settings_parse(s3r_config_settings *out, const char *text,
                                     size_t size, const char *label, s3r_error *err);
void s3r_config_settings_release(s3r_config_settings *settings);

#endif
