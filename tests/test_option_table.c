/*
 * The option parser: every accepted form, every refusal with its message.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "option_table.h"

typedef struct values {
    bool is_loud, is_deep;
    size_t size;
    double rate;
    int mode;
    const char *name;
    s3r_string_list files;
} values;

#define FIELD(member) .offset = offsetof(values, member)

static const s3r_option table[] = {
    {.name = "loud", .letter = 'l', .type = S3R_OPTION_FLAG, FIELD(is_loud)},
    {.name = "deep", .letter = 'd', .type = S3R_OPTION_FLAG, FIELD(is_deep)},
    {.name = "size",
     .letter = 's',
     .type = S3R_OPTION_SIZE,
     FIELD(size),
     .argument = "N",
     .fallback = "7"},
    {.name = "rate", .type = S3R_OPTION_DOUBLE, FIELD(rate), .argument = "R"},
    {.name = "mode",
     .type = S3R_OPTION_ENUM,
     FIELD(mode),
     .values = "fast|exact|slow",
     .fallback = "exact",
     .environment = "S3R_TEST_MODE"},
    {.name = "name",
     .letter = 'n',
     .alias = "other_name",
     .type = S3R_OPTION_STRING,
     FIELD(name)},
    {.name = "file", .letter = 'f', .type = S3R_OPTION_LIST, FIELD(files)},
};

typedef struct result {
    values values;
    s3r_string_list positionals;
    s3r_status status;
    s3r_error err;
} result;

/* Parses words separated by single spaces; "" is no argument. */
static void parse(result *out, const char *line)
{
    static char buffer[512];
    char *args[32];
    size_t count = 0;
    memset(out, 0, sizeof *out);
    strcpy(buffer, line);
    for (char *word = strtok(buffer, " "); word; word = strtok(NULL, " "))
        args[count++] = word;
    s3r_option_set set = {table, sizeof table / sizeof table[0], &out->values};
    out->status = s3r_options_parse(&set, 1, args, count, &out->positionals, &out->err);
}

static void release(result *out)
{
    s3r_option_set set = {table, sizeof table / sizeof table[0], &out->values};
    s3r_options_release(&set, 1, &out->positionals);
}

static void test_defaults(void **state)
{
    (void)state;
    result r;
    parse(&r, "");
    assert_int_equal(r.status, S3R_OK);
    assert_false(r.values.is_loud);
    assert_int_equal(r.values.size, 7);
    assert_int_equal(r.values.mode, 1);
    assert_null(r.values.name);
    assert_int_equal(r.positionals.count, 0);
    release(&r);
}

static void test_forms_of_values(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        size_t size;
    } cases[] = {
        {"--size=12", 12},      {"--size 12", 12},
        {"-s 12", 12},          {"-s12", 12},
        {"-s=12", 12},          {"-ls12", 12},
        {"-lds 12", 12},        {"--size 2K", 2048},
        {"--size 1m", 1048576}, {"--size 3 --size=12", 12},
        {"--size 0", 0},        {"-- --size 12", 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        result r;
        parse(&r, cases[i].line);
        if (r.status != S3R_OK || r.values.size != cases[i].size)
            fail_msg("\"%s\": size %zu, %s", cases[i].line, r.values.size, r.err.message);
        release(&r);
    }
}

static void test_aliases(void **state)
{
    (void)state;
    result r;
    parse(&r, "--name a --other_name b");
    assert_int_equal(r.status, S3R_OK);
    assert_string_equal(r.values.name, "b");
    release(&r);
    parse(&r, "--other_name=c");
    assert_int_equal(r.status, S3R_OK);
    assert_string_equal(r.values.name, "c");
    release(&r);
}

static void test_positionals_may_be_mixed(void **state)
{
    (void)state;
    result r;
    parse(&r, "a -l - --file=x b -f y -- -d --file");
    assert_int_equal(r.status, S3R_OK);
    const char *expected[] = {"a", "-", "b", "-d", "--file"};
    assert_int_equal(r.positionals.count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(r.positionals.items[i], expected[i]);
    assert_int_equal(r.values.files.count, 2);
    assert_string_equal(r.values.files.items[0], "x");
    assert_string_equal(r.values.files.items[1], "y");
    assert_true(r.values.is_loud);
    assert_false(r.values.is_deep);
    release(&r);
}

static void test_values_keep_their_text(void **state)
{
    (void)state;
    result r;
    parse(&r, "--name=a=b --rate -1.5e-3 --mode slow");
    assert_int_equal(r.status, S3R_OK);
    assert_string_equal(r.values.name, "a=b");
    assert_true(r.values.rate == -1.5e-3);
    assert_int_equal(r.values.mode, 2);
    release(&r);
    parse(&r, "--name= -n -l");
    assert_string_equal(r.values.name, "-l");
    release(&r);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"--lout", "unknown option \"--lout\"; did you mean \"--loud\"?"},
        {"--sizes=3", "unknown option \"--sizes\"; did you mean \"--size\"?"},
        {"--zebra", "unknown option \"--zebra\""},
        {"-x", "unknown option \"-x\""},
        {"-lx", "unknown option \"-x\""},
        {"--loud=yes", "--loud: takes no value, found \"yes\""},
        {"--size", "--size: expected a value: N"},
        {"-s", "-s: expected a value: N"},
        {"--size=", "--size: expected a whole number, 0 or more, found \"\""},
        {"--size -1", "--size: expected a whole number, 0 or more, found \"-1\""},
        {"--size 3.5", "--size: expected a whole number, 0 or more, found \"3.5\""},
        {"--size 99999999999999999999",
         "--size: expected a whole number, 0 or more, found \"99999999999999999999\""},
        {"--size 99999999999G",
         "--size: expected a whole number, 0 or more, found \"99999999999G\""},
        {"--rate nan", "--rate: expected a number, found \"nan\""},
        {"--rate 1x", "--rate: expected a number, found \"1x\""},
        {"--mode fas", "--mode: expected fast|exact|slow, found \"fas\""},
        {"--mode", "--mode: expected a value: fast|exact|slow"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        result r;
        parse(&r, cases[i].line);
        assert_int_equal(r.status, S3R_ERR_USAGE);
        assert_int_equal(r.err.code, S3R_ERR_USAGE);
        assert_string_equal(r.err.message, cases[i].message);
        release(&r);
    }
}

static void test_environment_is_a_default(void **state)
{
    (void)state;
    result r;
    setenv("S3R_TEST_MODE", "slow", 1);
    parse(&r, "");
    assert_int_equal(r.values.mode, 2);
    release(&r);
    parse(&r, "--mode=fast");
    assert_int_equal(r.values.mode, 0);
    release(&r);
    setenv("S3R_TEST_MODE", "bad", 1);
    parse(&r, "");
    assert_int_equal(r.status, S3R_ERR_USAGE);
    assert_string_equal(r.err.message,
                        "S3R_TEST_MODE: expected fast|exact|slow, found \"bad\"");
    release(&r);
    unsetenv("S3R_TEST_MODE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_forms_of_values),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_positionals_may_be_mixed),
        cmocka_unit_test(test_values_keep_their_text),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_environment_is_a_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
