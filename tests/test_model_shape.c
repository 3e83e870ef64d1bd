/*
 * Settings of a new model: the defaults, every key, and what is refused and how.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "model/model_shape.h"
#include "support_alloc_faults.h"

static s3r_error err;

static void set(s3r_model_shape *shape, const char *key, const char *value)
{
    if (s3r_model_shape_set(shape, key, value, "new.yaml", &err) != S3R_OK)
        fail_msg("%s", err.message);
}

static void test_defaults(void **state)
{
    s3r_model_shape shape;
    s3r_model_config config;
    (void)state;
    s3r_model_shape_init(&shape);
    assert_int_equal(s3r_model_shape_config(&shape, "new.yaml", &config, &err), S3R_OK);
    assert_int_equal(config.family, S3R_FAMILY_HUBERT);
    assert_int_equal(config.extractor_norm, S3R_EXTRACTOR_GROUP);
    assert_int_equal(config.conv_count, 7);
    assert_int_equal(config.conv[6].dim, 256);
    assert_int_equal(s3r_config_stride(&config), 320);
    assert_int_equal(s3r_config_receptive_field(&config), 400);
    assert_int_equal(config.hidden_size, 320);
    assert_int_equal(config.head_count, 5);
    assert_false(config.is_pre_norm || config.conv_bias || config.do_normalize);
    assert_true(config.mask_time_prob == 0.8 && config.layerdrop == 0.05);
    for (size_t i = 0; s3r_model_shape_key(i); i++)
        assert_true(strlen(s3r_model_shape_help(i)) > 5);
}

static void test_all_keys(void **state)
{
    static const char *const settings[][2] = {{"family", "wav2vec2"},
                                              {"conv", "[(32, 10, 5), (48,4,4)] * 1"},
                                              {"extractor_norm", "layer"},
                                              {"conv_bias", "true"},
                                              {"hidden_size", "96"},
                                              {"ffn_size", "100"},
                                              {"blocks", "3"},
                                              {"heads", "6"},
                                              {"pos_conv_kernel", "32"},
                                              {"pos_conv_groups", "8"},
                                              {"pre_norm", "true"},
                                              {"normalize", "true"},
                                              {"license", "apache-2.0"}};
    s3r_model_shape shape;
    s3r_model_config config;
    size_t count = 0;
    (void)state;
    s3r_model_shape_init(&shape);
    for (size_t i = 0; i < S3R_ARRAY_LEN(settings); i++)
        set(&shape, settings[i][0], settings[i][1]);
    while (s3r_model_shape_key(count))
        count++;
    assert_int_equal(count, S3R_ARRAY_LEN(settings));
    assert_int_equal(s3r_model_shape_config(&shape, "new.yaml", &config, &err), S3R_OK);
    assert_int_equal(config.family, S3R_FAMILY_WAV2VEC2);
    assert_int_equal(config.extractor_norm, S3R_EXTRACTOR_LAYER);
    assert_int_equal(config.conv_count, 2);
    assert_int_equal(config.conv[1].stride, 4);
    assert_int_equal(config.ffn_size, 100);
    assert_int_equal(config.block_count, 3);
    assert_int_equal(config.pos_conv_kernel, 32);
    assert_int_equal(config.pos_conv_groups, 8);
    assert_true(config.is_pre_norm && config.conv_bias && config.do_normalize);
    assert_true(config.mask_time_prob == 0.65);
    assert_string_equal(config.license, "apache-2.0");
}

static void test_refused(void **state)
{
    static const char *const cases[][3] = {
        {"hiden_size", "320",
         "new.yaml: unknown setting \"hiden_size\" (did you mean "
         "\"hidden_size\"?)"},
        {"wings", "2", "new.yaml: unknown setting \"wings\""},
        {"family", "wavlm",
         "new.yaml: family: expected hubert or wav2vec2, found "
         "\"wavlm\""},
        {"blocks", "0",
         "new.yaml: blocks: expected a number from 1 to 65536, found "
         "\"0\""},
        {"blocks", "-1",
         "new.yaml: blocks: expected a number from 1 to 65536, found "
         "\"-1\""},
        {"blocks", "8x",
         "new.yaml: blocks: expected a number from 1 to 65536, found "
         "\"8x\""},
        {"blocks", "99999999999999999999999", NULL},
        {"pre_norm", "yes", "new.yaml: pre_norm: expected true or false, found \"yes\""},
    };
    char text[2 * S3R_SHAPE_TEXT_BYTES];
    s3r_model_shape shape;
    (void)state;
    s3r_model_shape_init(&shape);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        assert_int_equal(
            s3r_model_shape_set(&shape, cases[i][0], cases[i][1], "new.yaml", &err),
            S3R_ERR_USAGE);
        if (cases[i][2])
            assert_string_equal(err.message, cases[i][2]);
    }
    memset(text, 'x', sizeof text);
    text[S3R_SHAPE_TEXT_BYTES] = '\0';
    assert_int_equal(s3r_model_shape_set(&shape, "license", text, "new.yaml", &err),
                     S3R_ERR_USAGE);
}

static void test_no_model(void **state)
{
    static const char *const cases[][3] = {
        {"heads", "7", "heads: expected a divisor of hidden_size 320, found 7"},
        {"pos_conv_groups", "3",
         "pos_conv_groups: expected a divisor of hidden_size 320, found 3"},
        {"conv", "(256, 10, 5)", "conv: expected lists"},
    };
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_model_shape shape;
        s3r_model_config config;
        s3r_model_shape_init(&shape);
        set(&shape, cases[i][0], cases[i][1]);
        assert_int_equal(s3r_model_shape_config(&shape, "new.yaml", &config, &err),
                         S3R_ERR_USAGE);
        assert_non_null(strstr(err.message, cases[i][2]));
    }
}

static s3r_status attempt(void *context, s3r_error *error)
{
    s3r_model_shape shape;
    s3r_model_config config;
    (void)context;
    s3r_model_shape_init(&shape);
    return s3r_model_shape_config(&shape, "new.yaml", &config, error);
}

static void test_without_memory(void **state)
{
    (void)state;
    test_survives_alloc_faults(attempt, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),       cmocka_unit_test(test_all_keys),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_no_model),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
