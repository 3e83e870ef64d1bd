/*
 * Finding a model by name: what is a path, the order of the places, the message.
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "support_alloc_faults.h"
#include "support_files.h"
#include "s3r/model.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/own_place.h"
#include "model/model_find.h"

static s3r_error err;

static const char *make_folder(const char *parent, const char *name)
{
    const char *path = test_path(parent, name);
    assert_int_equal(s3r_folder_create(path, &err), S3R_OK);
    return path;
}

static void expect_path(const char *name, const char *path)
{
    char *found = NULL;
    if (s3r_model_find_path(&found, name, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_string_equal(found, path);
    s3r_free(found);
}

/* Tests run in the folder of the sources. */
static void test_paths_stay(void **state)
{
    (void)state;
    static const char *const paths[] = {"tests",     "LICENSE",       "", ".",
                                        "./default", "no/such/model", "/"};
    setenv("S3R_MODELS", test_folder(), 1);
    for (size_t i = 0; i < S3R_ARRAY_LEN(paths); i++)
        expect_path(paths[i], paths[i]);
}

static void test_names(void **state)
{
    (void)state;
    const char *models = test_folder();
    const char *small = make_folder(models, "s3r-small"),
               *other = make_folder(models, "other");
    make_folder(models, "tests");
    setenv("S3R_MODELS", models, 1);
    expect_path(NULL, small);
    expect_path("default", small);
    expect_path("s3r-small", small);
    expect_path("other", other);
    expect_path("tests", "tests"); /* a folder here comes first */
}

static void test_places(void **state)
{
    (void)state;
    char *here = NULL;
    const char *models = test_path(test_folder(), "none");
    setenv("S3R_MODELS", models, 1);
    char *found = NULL;
    assert_int_equal(s3r_own_program_folder(&here, &err), S3R_OK);
    assert_int_equal(s3r_model_find_path(&found, "no-such-model", &err), S3R_ERR_MODEL);
    assert_null(found);
    const char *first = strstr(err.message, models);
    const char *second = strstr(err.message, test_path(here, "share/s3r/models"));
    assert_ptr_equal(strstr(err.message, "no-such-model: expected a file, a folder or a "
                                         "model of this name in one of /"),
                     err.message);
    if (!first || !second || second < first)
        fail_msg("places: %s", err.message);
    assert_non_null(strstr(err.message, "set S3R_MODELS to a folder that has "));
    unsetenv("S3R_MODELS");
    assert_int_equal(s3r_model_find_path(&found, "no-such-model", &err), S3R_ERR_MODEL);
    assert_null(strstr(err.message, models));
    s3r_free(here);
}

static void test_public(void **state)
{
    (void)state;
    char path[S3R_MODEL_PATH_BYTES], *name = s3r_alloc(2 * sizeof path, 1);
    assert_non_null(name);
    memset(name, '/', sizeof path);
    assert_int_equal(s3r_model_find(name, path, &err), S3R_ERR_MODEL);
    assert_non_null(strstr(err.message, "expected less than 4096 bytes, found 4096"));
    name[sizeof path - 1] = '\0';
    assert_int_equal(s3r_model_find(name, path, &err), S3R_OK);
    assert_string_equal(path, name);
    s3r_free(name);
}

static s3r_status find(void *name, s3r_error *error)
{
    char *path = NULL;
    s3r_status status = s3r_model_find_path(&path, name, error);
    s3r_free(path);
    return status;
}

static s3r_status find_nothing(void *name, s3r_error *error)
{
    s3r_status status = find(name, error);
    return status == S3R_ERR_MODEL ? S3R_OK : status;
}

static void test_faults(void **state)
{
    (void)state;
    const char *models = test_folder();
    make_folder(models, "s3r-small");
    setenv("S3R_MODELS", models, 1);
    test_survives_alloc_faults(find, NULL);
    test_survives_alloc_faults(find, (char[]){"tests"});
    test_survives_alloc_faults(find_nothing, (char[]){"no-such-model"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_stay), cmocka_unit_test(test_names),
        cmocka_unit_test(test_places),     cmocka_unit_test(test_public),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
