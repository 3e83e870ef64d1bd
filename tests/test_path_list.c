/*
 * Input paths from arguments and list files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "path_list.h"
#include "support_files.h"

static const s3r_verb verb = {.name = "hear", .usage = "FILE..."};

static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *arguments[2];
        const char *text; /* of the list; NULL = none */
        s3r_status status;
        const char *paths; /* joined with "|" */
    } cases[] = {
        {{"a", "b"}, NULL, S3R_OK, "a|b"},
        {{"a"}, "b\nc\n", S3R_OK, "a|b|c"},
        {{NULL}, "\n\nb c\r\n\r\nd", S3R_OK, "b c|d"},
        {{"-"}, "a", S3R_OK, "-|a"},
        {{"-", "-"}, NULL, S3R_ERR_USAGE, "given twice"},
        {{"a"}, "-\n", S3R_ERR_USAGE, "cannot be listed"},
        {{NULL}, NULL, S3R_ERR_USAGE, "expected FILE..."},
        {{NULL}, "", S3R_ERR_USAGE, "expected FILE..."},
    };
    const char *folder = test_folder();
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_error err = {S3R_OK, ""};
        s3r_path_list list;
        const char *file = test_path(folder, "list"), *text = cases[i].text;
        s3r_command command = {.verb = &verb, .positionals = cases[i].arguments};
        while (command.positional_count < 2 &&
               cases[i].arguments[command.positional_count])
            command.positional_count++;
        if (text)
            test_write_file(file, text, strlen(text));
        assert_int_equal(s3r_path_list_make(&list, &command, text ? file : NULL, &err),
                         cases[i].status);
        char joined[256] = "";
        for (size_t k = 0; k < list.count && cases[i].status == S3R_OK; k++)
            snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s%s",
                     k ? "|" : "", list.items[k]);
        if (cases[i].status == S3R_OK)
            assert_string_equal(joined, cases[i].paths);
        else if (!strstr(err.message, cases[i].paths))
            fail_msg("case %zu: %s", i, err.message);
        s3r_path_list_release(&list);
    }
}

static void test_bad_list_files(void **state)
{
    (void)state;
    const char *folder = test_folder(), *file = test_path(folder, "list");
    const struct {
        const char *path, *message;
        s3r_status status;
    } cases[] = {
        {"-", "expected a file", S3R_ERR_USAGE},
        {folder, "cannot read the list", S3R_ERR_DATA},
        {"/nothing/here", "cannot open the list", S3R_ERR_DATA},
        {file, "zero byte", S3R_ERR_DATA},
    };
    s3r_command command = {.verb = &verb};
    test_write_file(file, "a\0b\n", 4);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_error err = {S3R_OK, ""};
        s3r_path_list list;
        assert_int_equal(s3r_path_list_make(&list, &command, cases[i].path, &err),
                         cases[i].status);
        assert_non_null(strstr(err.message, cases[i].message));
        s3r_path_list_release(&list);
    }
}

static void test_large_list(void **state)
{
    (void)state;
    const size_t count = 30000;
    char *text = malloc(count * 8 + 1);
    s3r_error err = {S3R_OK, ""};
    s3r_path_list list;
    s3r_command command = {.verb = &verb};
    const char *file = test_path(test_folder(), "list");
    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        snprintf(text + 8 * i, 9, "f%06zu\n", i);
    test_write_file(file, text, count * 8);
    assert_int_equal(s3r_path_list_make(&list, &command, file, &err), S3R_OK);
    assert_int_equal(list.count, count);
    assert_string_equal(list.items[count - 1], "f029999");
    s3r_path_list_release(&list);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_bad_list_files),
        cmocka_unit_test(test_large_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
