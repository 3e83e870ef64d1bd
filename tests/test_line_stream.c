/*
 * Lines of plain and gzip files, whatever their ends; what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "support_alloc_faults.h"
#include "support_files.h"
#include "text/line_stream.h"

static void expect_lines(s3r_line_stream *stream, const char *const *expected)
{
    bool has_line;
    for (size_t i = 0; expected[i]; i++) {
        assert_int_equal(s3r_line_stream_next(stream, &has_line, NULL), S3R_OK);
        assert_true(has_line);
        assert_string_equal(stream->text, expected[i]);
        assert_int_equal(stream->length, strlen(expected[i]));
        assert_int_equal(stream->line, i + 1);
    }
    assert_int_equal(s3r_line_stream_next(stream, &has_line, NULL), S3R_OK);
    assert_false(has_line);
}

static void test_ends(void **state)
{
    (void)state;
    static const char *const expected[] = {"one", "", "two ", "last", NULL};
    static const char *const none[] = {NULL};
    const char text[] = "\xef\xbb\xbfone\r\n\ntwo \nlast";
    s3r_line_stream stream;
    assert_int_equal(
        s3r_line_stream_from_bytes(&stream, text, sizeof text - 1, "t", NULL), S3R_OK);
    expect_lines(&stream, expected);
    s3r_line_stream_close(&stream);
    assert_int_equal(s3r_line_stream_from_bytes(&stream, "", 0, "t", NULL), S3R_OK);
    expect_lines(&stream, none);
    s3r_line_stream_close(&stream);
}

static void test_gzip(void **state)
{
    (void)state;
    static const char *const expected[] = {"one", "two", NULL};
    const char *path = test_path(test_folder(), "x.gz");
    s3r_line_stream stream;
    s3r_error err;
    bool has_line = true;
    gzFile file = gzopen(path, "wb");
    assert_int_equal(gzputs(file, "one\ntwo\n"), 8);
    assert_int_equal(gzclose(file), Z_OK);
    assert_int_equal(s3r_line_stream_open(&stream, path, NULL), S3R_OK);
    expect_lines(&stream, expected);
    s3r_line_stream_close(&stream);
    /* cut: an error instead of an end */
    s3r_file_map map;
    assert_int_equal(s3r_file_map_open(&map, path, S3R_ERR_DATA, NULL), S3R_OK);
    const char *cut = test_path(test_folder(), "cut.gz");
    test_write_file(cut, map.data, map.size - 9);
    s3r_file_map_close(&map);
    assert_int_equal(s3r_line_stream_open(&stream, cut, NULL), S3R_OK);
    s3r_status status = S3R_OK;
    while (status == S3R_OK && has_line)
        status = s3r_line_stream_next(&stream, &has_line, &err);
    assert_int_equal(status, S3R_ERR_DATA);
    assert_non_null(strstr(err.message, "cut.gz: the gzip file ends too early"));
    s3r_line_stream_close(&stream);
}

static s3r_status read_all(const char *bytes, size_t size, size_t *lines, s3r_error *err)
{
    s3r_line_stream stream;
    bool has_line = true;
    S3R_TRY(s3r_line_stream_from_bytes(&stream, bytes, size, "t", err));
    s3r_status status = S3R_OK;
    for (*lines = 0; status == S3R_OK && has_line; *lines += has_line)
        status = s3r_line_stream_next(&stream, &has_line, err);
    s3r_line_stream_close(&stream);
    return status;
}

/* The longest line is read, one byte more is not; what follows a long line is found. */
static void test_long_lines(void **state)
{
    (void)state;
    size_t size = 2 * S3R_LINE_STREAM_MAX + 10, lines;
    char *text = s3r_alloc_raw(size, 1);
    s3r_error err;
    memset(text, 'x', size);
    text[S3R_LINE_STREAM_MAX] = '\n';
    text[S3R_LINE_STREAM_MAX + 5] = '\n';
    assert_int_equal(read_all(text, S3R_LINE_STREAM_MAX + 8, &lines, &err), S3R_OK);
    assert_int_equal(lines, 3);
    text[S3R_LINE_STREAM_MAX] = 'x';
    text[S3R_LINE_STREAM_MAX + 5] = 'x';
    assert_int_equal(read_all(text, size, &lines, &err), S3R_ERR_DATA);
    assert_string_equal(err.message,
                        "t: line 1: longer than 1048576 bytes (is this text?)");
    assert_int_equal(read_all("a\nb\0c\n", 6, &lines, &err), S3R_ERR_DATA);
    assert_string_equal(err.message, "t: line 2: expected text, found a zero byte");
    s3r_free(text);
}

static void test_missing(void **state)
{
    (void)state;
    s3r_line_stream stream;
    s3r_error err;
    assert_int_equal(s3r_line_stream_open(&stream, "/no/such", &err), S3R_ERR_DATA);
    assert_string_equal(err.message, "/no/such: No such file or directory");
    assert_int_equal(s3r_line_stream_open(&stream, "/", &err), S3R_OK);
    bool has_line;
    assert_int_equal(s3r_line_stream_next(&stream, &has_line, &err), S3R_ERR_DATA);
    s3r_line_stream_close(&stream);
}

static void test_words(void **state)
{
    (void)state;
    char line[] = "  a\tbc  d";
    char *at = line;
    size_t length;
    assert_ptr_equal(s3r_next_word(&at, &length), line + 2);
    assert_int_equal(length, 1);
    assert_ptr_equal(s3r_next_word(&at, &length), line + 4);
    assert_int_equal(length, 2);
    assert_ptr_equal(s3r_next_word(&at, &length), line + 8);
    assert_null(s3r_next_word(&at, &length));
}

static s3r_status attempt(void *context, s3r_error *err)
{
    size_t lines;
    (void)context;
    return read_all("a\nb\n", 4, &lines, err);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    test_survives_alloc_faults(attempt, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),       cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_long_lines), cmocka_unit_test(test_missing),
        cmocka_unit_test(test_words),      cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
