/*
 * Numbers have a point in a program whose locale has a comma.
 */
#define _POSIX_C_SOURCE 200809L
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/plain_number.h"
#include "base/text_buffer.h"
#include "data/manifest.h"
#include "support_files.h"
#include "train/train_config.h"

/* Makes a German locale for this process; false where the system cannot. */
static bool take_commas(void)
{
    char command[512];
    const char *folder = test_folder();
    snprintf(command, sizeof command,
             "localedef -i de_DE -f UTF-8 '%s/de_DE.UTF-8' >/dev/null 2>&1", folder);
    if (system(command) != 0)
        return false;
    setenv("LOCPATH", folder, 1);
    return setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
}

static void test_numbers_have_points(void **state)
{
    (void)state;
    char text[64], *end;
    s3r_text_buffer buffer = {0};
    s3r_train_config config;
    s3r_manifest manifest;
    s3r_error err;
    if (!take_commas())
        skip();
    snprintf(text, sizeof text, "%.1f", 0.5);
    assert_string_equal(text, "0,5"); /* the locale is in force */
    s3r_plain_print(text, sizeof text, "%.2f %g", 0.25, 1e-9);
    assert_string_equal(text, "0.25 1e-09");
    assert_true(s3r_plain_parse("0.25", &end) == 0.25 && *end == '\0');
    s3r_buffer_add(&buffer, "%.3f", 1.5);
    assert_string_equal(buffer.text, "1.500");
    s3r_buffer_release(&buffer);
    s3r_train_config_init(&config);
    assert_int_equal(s3r_train_config_set(&config, "optimizer.lr=0.125", &err), S3R_OK);
    assert_true(config.optimizer.lr == 0.125);
    char *yaml;
    assert_int_equal(s3r_train_config_text(&config, &yaml, &err), S3R_OK);
    assert_non_null(strstr(yaml, "lr: 0.125\n"));
    s3r_free(yaml);
    static const char line[] = "{\"audio_filepath\": \"a.wav\", \"offset\": 0.25}\n";
    const char *path = test_path(test_folder(), "m.jsonl");
    test_write_file(path, line, sizeof line - 1);
    assert_int_equal(s3r_manifest_open(&manifest, path, &err), S3R_OK);
    assert_string_equal(manifest.items[0].id, "a.wav@0.25");
    s3r_manifest_close(&manifest);
    snprintf(text, sizeof text, "%.1f", 0.5);
    assert_string_equal(text, "0,5"); /* and still is */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers_have_points)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
