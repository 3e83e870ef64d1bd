/*
 * What the model card of a Hugging Face folder says before its text.
 */
#ifndef S3R_MODEL_MODEL_CARD_READ_H
#define S3R_MODEL_MODEL_CARD_READ_H

#include "base/error.h"

/*
 * The licence in the head of FOLDER/README.md ("---", lines "key: value", "---"): its
 * name, or "other" with license_name behind it; "" when there is none, or none that
 * fits.  license [bytes].  A card that cannot be read is as none.
 */
void s3r_model_card_license(const char *folder, char *license, size_t bytes);

/* The same for the text of a card. */
void s3r_model_card_parse(const char *text, size_t size, char *license, size_t bytes);

#endif
