/*
 * docs/training.md lists every key of the table, as the table says it, and no other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text_buffer.h"
#include "train/config_value.h"
#include "train/train_state.h"

#define GUIDE "docs/training.md"

/* In a table of Markdown a bar needs a backslash. */
static void add_cell(s3r_text_buffer *out, const char *text)
{
    for (; *text; text++)
        s3r_buffer_add(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void add_row(s3r_text_buffer *out, const s3r_config_key *key)
{
    char expected[512];
    const char *quote = key->fallback[0] ? "`" : "";
    s3r_config_value_expected(key, expected, sizeof expected);
    s3r_buffer_add(out, "\n| `%s` | %s%s%s | ", key->key, quote, key->fallback, quote);
    add_cell(out, expected);
    s3r_buffer_add_string(out, " | ");
    add_cell(out, key->help);
    s3r_buffer_add_string(out, " |\n");
}

static char *read_guide(void)
{
    s3r_file_map map;
    s3r_error err;
    if (s3r_file_map_open(&map, GUIDE, S3R_ERR_DATA, &err) != S3R_OK)
        fail_msg("%s", err.message);
    char *text = s3r_strndup((const char *)map.data, map.size);
    s3r_file_map_close(&map);
    assert_non_null(text);
    return text;
}

static void test_keys(void **state)
{
    (void)state;
    const s3r_config_key *key;
    char *guide = read_guide();
    char *start = strstr(guide, "\n### At the top\n"),
         *end = strstr(guide, "\n## The run");
    assert_true(start && end && start < end);
    *end = '\0';
    size_t rows = 0;
    for (const char *at = start; (at = strstr(at, "\n| `")) != NULL; at++)
        rows++;
    for (size_t i = 0; (key = s3r_config_key_at(i)) != NULL; i++) {
        s3r_text_buffer row = {0};
        add_row(&row, key);
        if (!row.text || !strstr(start, row.text))
            fail_msg("%s: expected this line:%s", GUIDE, row.text ? row.text : "");
        s3r_buffer_release(&row);
    }
    assert_int_equal(rows, s3r_config_key_count());
    for (size_t i = 0; s3r_config_section_at(i); i++) {
        s3r_text_buffer heading = {0};
        s3r_buffer_add(&heading, "\n### %s: %s\n", s3r_config_section_at(i),
                       s3r_config_section_help(i));
        if (!heading.text || !strstr(start, heading.text))
            fail_msg("%s: expected this heading:%s", GUIDE,
                     heading.text ? heading.text : "");
        s3r_buffer_release(&heading);
    }
    s3r_free(guide);
}

/* A state has room for as many as a setting may ask for. */
static void test_limits(void **state)
{
    (void)state;
    const s3r_config_key *key = s3r_config_key_at(s3r_config_key_find("eval.keep_best"));
    assert_non_null(key);
    assert_true(key->max == S3R_MAX_BEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
