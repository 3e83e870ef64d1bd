/*
 * Plain text by examples of several scripts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "support_alloc_faults.h"
#include "text/plain_text.h"

static const s3r_plain_text_options words = {S3R_CASE_LOWER, true, true, false};
static const s3r_plain_text_options bare = {S3R_CASE_LOWER, false, false, false};
static const s3r_plain_text_options quotes = {S3R_CASE_KEEP, false, false, true};

static void test_examples(void **state)
{
    (void)state;
    static const struct {
        const s3r_plain_text_options *options;
        const char *text, *expected;
    } cases[] = {
        {&words, "  L\u2019eau,  c'est   l'EAU!  ", "l'eau c'est l'eau"},
        {&words, "«Porte-clés» – peut-être…", "porte-clés peut-être"},
        {&bare, "«Porte-clés» – peut-être…", "porte clés peut être"},
        {&words, "'tis the dogs' 'quoted' - x -y", "tis the dogs quoted x y"},
        {&quotes, "'Tis the dogs\u2019 tail", "'Tis the dogs' tail"},
        {&words, "well\u2011known rock'n'roll", "well-known rock'n'roll"},
        {&words, "E\u0301te\u0301?\tNON\n", "été non"},
        {&words, "5 € + 2½", "5 € + 2½"},
        {&bare, "5 € + 2½", "5 2½"},
        {&words, "so\u00adft \ufeffmark", "soft mark"},
        {&words, "Вот – дом; где? «Там»!", "вот дом где там"},
        {&words, "з'ява, аб’ект", "з'ява аб'ект"},
        {&words, "Τι είναι; Ένα· δύο.", "τι είναι ένα δύο"},
        {&words, "¿Qué? ¡Ñandú!", "qué ñandú"},
        {&words, "Zažloutlý kůň „skáče“.", "zažloutlý kůň skáče"},
        {&words, "नमस्ते। क्\u200dष", "नमस्ते क्\u200dष"},
        {&words, "می\u200cخواهم، بله؟", "می\u200cخواهم بله"},
        {&words, "你好,世界。「是」", "你好 世界 是"},
        {&words, "안녕, 세계!", "안녕 세계"},
        {&words, "Straße İstanbul", "straße istanbul"},
        {&words, "...!?", ""},
        {&words, "", ""},
    };
    s3r_arena arena;
    s3r_arena_init(&arena, 1024);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        char *found;
        assert_int_equal(
            s3r_text_make_plain(&found, &arena, cases[i].text, cases[i].options, NULL),
            S3R_OK);
        assert_string_equal(found, cases[i].expected);
    }
    s3r_error err;
    char *found;
    assert_int_equal(s3r_text_make_plain(&found, &arena, "a\xe9", &words, &err),
                     S3R_ERR_DATA);
    s3r_arena_release(&arena);
}

static s3r_status attempt(void *context, s3r_error *err)
{
    (void)context;
    s3r_arena arena;
    char *found;
    s3r_arena_init(&arena, 64);
    s3r_status status = s3r_text_make_plain(&found, &arena, "É!", &words, err);
    s3r_arena_release(&arena);
    return status;
}

static void test_memory_faults_are_survived(void **state)
{
    (void)state;
    test_survives_alloc_faults(attempt, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_memory_faults_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
