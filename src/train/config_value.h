/*
 * Values of settings: from text into the struct and back, by the table.
 */
#ifndef S3R_TRAIN_CONFIG_VALUE_H
#define S3R_TRAIN_CONFIG_VALUE_H

#include "train/config_table.h"

/* The longest value: 96 numbers of 24 characters, and a list's commas. */
#define S3R_CONFIG_VALUE_BYTES 4096u

/*
 * Reads text ("0.1", "0.1,0.2", "ffn", "6-11") into its place.  is_quoted: it was a
 * string in quotes, which is no number and no switch.  S3R_ERR_USAGE says what was
 * expected and found; the struct is then untouched.
 */
s3r_status s3r_config_value_read(const s3r_config_key *key, s3r_train_config *config,
                                 const char *text, bool is_quoted, s3r_error *err);

/* The value as text that reads back to the same bits; S3R_CONFIG_VALUE_BYTES. */
void s3r_config_value_write(const s3r_config_key *key, const s3r_train_config *config,
                            char *text);

/* "a number in [0, 1)", "one of mask, weights": what a key expects. */
void s3r_config_value_expected(const s3r_config_key *key, char *text, size_t text_bytes);

#endif
