/*
 * Transcripts: what is written, read back, and refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "support_alloc_faults.h"
#include "support_files.h"
#include "tasks/trn_file.h"

static void expect_line(const char *text, const char *id, s3r_token_unit unit,
                        const char *expected)
{
    const char *path = test_path(test_folder(), "x.trn");
    s3r_file_writer *writer;
    s3r_file_map map;
    assert_int_equal(s3r_file_writer_open(&writer, path, NULL), S3R_OK);
    assert_int_equal(s3r_trn_write_line(writer, text, id, unit, NULL), S3R_OK);
    assert_int_equal(s3r_file_writer_commit(writer, NULL), S3R_OK);
    assert_int_equal(s3r_file_map_open(&map, path, S3R_ERR_DATA, NULL), S3R_OK);
    assert_int_equal(map.size, strlen(expected));
    assert_memory_equal(map.data, expected, map.size);
    s3r_file_map_close(&map);
}

static void test_write(void **state)
{
    (void)state;
    expect_line("a  b\tc ", "x_1", S3R_UNIT_WORD, "a b c (x_1)\n");
    expect_line("", "x_1", S3R_UNIT_WORD, "(x_1)\n");
    expect_line("{ @a d;b don't %% a-b.", "x", S3R_UNIT_WORD,
                "%7B %40a d%3Bb don't %25%25 a-b. (x)\n");
    expect_line("a | b", "x", S3R_UNIT_PHONE, "a b (x)\n");
    expect_line(" \xc3\xbc"
                "b  {",
                "x", S3R_UNIT_CHARACTER, "\xc3\xbc b <space> %7B (x)\n");
    expect_line("a", "dir/f (1)%.wav", S3R_UNIT_WORD, "a (dir/f%20%281%29%25.wav)\n");
}

static s3r_status parse(s3r_transcripts *out, const char *bytes, s3r_error *err)
{
    return s3r_transcripts_parse(out, bytes, strlen(bytes), "t.trn", err);
}

static void test_read_trn(void **state)
{
    (void)state;
    s3r_transcripts t;
    assert_int_equal(
        parse(&t,
              ";; comment\n\nb c (z_2)\r\n%7B %25x a{ %hes %41 (y_1)\n (w) \n"
              "x (b) (v)",
              NULL),
        S3R_OK);
    assert_true(t.has_ids);
    assert_int_equal(t.count, 4);
    assert_string_equal(s3r_transcripts_find(&t, "z_2")->text, "b c ");
    assert_int_equal(s3r_transcripts_find(&t, "z_2")->line, 3);
    assert_string_equal(s3r_transcripts_find(&t, "y_1")->text, "{ %x a{ %hes %41 ");
    assert_string_equal(s3r_transcripts_find(&t, "w")->text, " ");
    assert_string_equal(s3r_transcripts_find(&t, "v")->text, "x (b) ");
    assert_null(s3r_transcripts_find(&t, "u"));
    s3r_transcripts_close(&t);
}

static void test_read_lines(void **state)
{
    (void)state;
    s3r_transcripts t;
    assert_int_equal(parse(&t, "\xef\xbb\xbfone (a)\r\n\ntwo\n", NULL), S3R_OK);
    assert_false(t.has_ids);
    assert_int_equal(t.count, 3);
    assert_string_equal(t.items[0].text, "one (a)");
    assert_string_equal(t.items[1].text, "");
    assert_string_equal(t.items[2].text, "two");
    assert_string_equal(t.items[2].id, "3");
    assert_null(s3r_transcripts_find(&t, "3"));
    s3r_transcripts_close(&t);
    assert_int_equal(parse(&t, "", NULL), S3R_OK);
    assert_int_equal(t.count, 0);
    s3r_transcripts_close(&t);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *said;
    } cases[] = {
        {"a (x)\nb (x)\n", "t.trn: line 2: expected a new id, found \"x\" of line 1"},
        {"a { b / c } (x)\n", "t.trn: line 1: expected words, found \"{\""},
        {"@ (x)\n", "found \"@\""},
        {"ok\n\xff\n", "t.trn: line 2: expected UTF-8"},
    };
    s3r_transcripts t;
    s3r_error err;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        assert_int_equal(parse(&t, cases[i].bytes, &err), S3R_ERR_DATA);
        if (!strstr(err.message, cases[i].said))
            fail_msg("expected %s, found %s", cases[i].said, err.message);
    }
    assert_int_equal(s3r_transcripts_parse(&t, "a\0b", 3, "t", &err), S3R_ERR_DATA);
    assert_int_equal(s3r_transcripts_open(&t, "/no/such", &err), S3R_ERR_DATA);
}

static s3r_status attempt(void *context, s3r_error *err)
{
    s3r_transcripts t;
    s3r_status status = parse(&t, context, err);
    if (status == S3R_OK)
        s3r_transcripts_close(&t);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    char trn[] = "a b (x)\n", lines[] = "a\nb\n";
    test_survives_alloc_faults(attempt, trn);
    test_survives_alloc_faults(attempt, lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),         cmocka_unit_test(test_read_trn),
        cmocka_unit_test(test_read_lines),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
