/*
 * Any bytes as the settings of a training run: an error that leaves them as they were, or
 * settings whose text reads back to the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "train/train_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const s3r_train_config *config)
{
    s3r_train_config back;
    char *text;
    s3r_train_config_init(&back);
    if (s3r_train_config_text(config, &text, NULL) != S3R_OK)
        return;
    if (s3r_train_config_parse(&back, text, strlen(text), "text", NULL) != S3R_OK ||
        memcmp(config, &back, sizeof back) != 0)
        abort();
    s3r_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3r_train_config config, before;
    s3r_error err;
    s3r_train_config_init(&config);
    s3r_train_config_init(&before);
    s3r_status status =
        s3r_train_config_parse(&config, (const char *)data, size, "fuzz", &err);
    if (status == S3R_OK) {
        check(&config);
        (void)s3r_train_config_check(&config, &err);
    } else if (memcmp(&config, &before, sizeof config) != 0) {
        abort();
    }
    /* The same bytes as an override. */
    char *text = s3r_strndup((const char *)data, size);
    if (!text)
        return 0;
    s3r_train_config_init(&config);
    if (s3r_train_config_set(&config, text, &err) == S3R_OK)
        check(&config);
    s3r_free(text);
    return 0;
}
