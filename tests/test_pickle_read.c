/*
 * The pickle interpreter: each opcode, each refusal, cycles, and conversion to JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "checkpoint/pickle_json.h"
#include "checkpoint/pickle_read.h"
#include "support_alloc_faults.h"

static s3r_error err;

typedef struct pickle {
    const char *bytes;
    size_t size;
} pickle;

/* A string literal as a pickle, NULs included. */
#define P(literal)                                                                       \
    {                                                                                    \
        literal, sizeof(literal) - 1                                                     \
    }

static s3r_status to_json(pickle p, char **out, s3r_error *error)
{
    s3r_pickle_tree tree;
    json_t *value;
    S3R_TRY(s3r_pickle_read(&tree, NULL, p.bytes, p.size, "f.pt", error));
    s3r_status status = s3r_pickle_to_json(&value, tree.root, "f.pt", error);
    s3r_pickle_tree_release(&tree);
    if (status != S3R_OK)
        return status;
    *out = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(value);
    return S3R_OK;
}

/* A pickle, and its JSON; NULL when it must be refused. */
typedef struct value_case {
    pickle p;
    const char *json;
} value_case;

/* Numbers, texts and bytes */
static const value_case scalar_cases[] = {
    {P("\x80\x02N."), "null"},
    {P("\x88."), "true"},
    {P("\x89."), "false"},
    {P("I01\n."), "true"},
    {P("I-42\n."), "-42"},
    {P("L42L\n."), "42"},
    {P("J\xff\xff\xff\xff."), "-1"},
    {P("K\xff."), "255"},
    {P("M\x01\x02."), "513"},
    {P("\x8a\x01\xfe."), "-2"},
    {P("\x8a\x00."), "0"},
    {P("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."), "9223372036854775807"},
    {P("\x8b\x02\x00\x00\x00\x00\x01."), "256"},
    {P("\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x01."), "null"},
    {P("G\x3f\xf8\x00\x00\x00\x00\x00\x00."), "1.5"},
    {P("G\x7f\xf0\x00\x00\x00\x00\x00\x00."), "null"},
    {P("F2.5\n."), "2.5"},
    {P("X\x02\x00\x00\x00\xc3\xa9."), "\"\xc3\xa9\""},
    {P("\x8c\x02hi."), "\"hi\""},
    {P("\x8d\x02\x00\x00\x00\x00\x00\x00\x00hi."), "\"hi\""},
    {P("U\x02hi."), "\"hi\""},
    {P("T\x02\x00\x00\x00hi."), "\"hi\""},
    {P("S'hi'\n."), "\"hi\""},
    {P("Vhi\n."), "\"hi\""},
    {P("X\x01\x00\x00\x00\xff."), "null"},
    {P("C\x01x."), "null"},
    {P("B\x01\x00\x00\x00x."), "null"},
};

/* Lists, tuples, sets, dicts */
static const value_case container_cases[] = {
    {P("]."), "[]"},
    {P(")."), "[]"},
    {P("}."), "{}"},
    {P("]K\x01"
       "aK\x02"
       "a."),
     "[1,2]"},
    {P("](K\x01K\x02"
       "e."),
     "[1,2]"},
    {P("(K\x01K\x02l."), "[1,2]"},
    {P("(K\x01K\x02t."), "[1,2]"},
    {P("K\x01\x85."), "[1]"},
    {P("K\x01K\x02\x86."), "[1,2]"},
    {P("K\x01K\x02K\x03\x87."), "[1,2,3]"},
    {P("\x8f(K\x01\x90."), "[1]"},
    {P("(K\x01\x91."), "[1]"},
    {P("}U\x01"
       "aK\x01s."),
     "{\"a\":1}"},
    {P("}(U\x01"
       "aK\x01K\x07K\x02"
       "Nsu."),
     NULL},
    {P("}(U\x01"
       "aK\x01K\x07K\x02u."),
     "{\"a\":1,\"7\":2}"},
    {P("(U\x01"
       "aK\x01"
       "d."),
     "{\"a\":1}"},
    {P("}(NK\x01U\x01"
       "aK\x02u."),
     "{\"a\":2}"},
};

/* The stack and the memo */
static const value_case memo_cases[] = {
    {P("K\x01K\x02"
       "0."),
     "1"},
    {P("K\x01(K\x02K\x03"
       "1."),
     "1"},
    {P("K\x01(0."), "1"},
    {P("K\x01"
       "2\x86."),
     "[1,1]"},
    {P("K\x05q\x00"
       "0h\x00."),
     "5"},
    {P("K\x05r\x01\x00\x00\x00"
       "0j\x01\x00\x00\x00."),
     "5"},
    {P("K\x05p0\n0g0\n."), "5"},
    {P("\x80\x04\x95\x06\x00\x00\x00\x00\x00\x00\x00K\x05\x94h\x00\x86."), "[5,5]"},
};

/* Classes, calls, persistent ids, cycles */
static const value_case object_cases[] = {
    {P("cargparse\nNamespace\n)\x81}U\x01"
       "aK\x01sb."),
     "{\"a\":1}"},
    {P("ctorch\nSize\n(K\x02K\x03t\x85R."), "[2,3]"},
    {P("\x8c\x01m\x8c\x01n\x93)}\x92."), "null"},
    {P("cm\nEnum\nU\x01"
       "a\x85R."),
     "\"a\""},
    {P("c__builtin__\ngetattr\ncm\nEnum\nU\x01"
       "a\x86R."),
     "\"a\""},
    {P("cos\nsystem\n(U\x02lsU\x02lst R."), NULL},
    {P("cos\nsystem\n(U\x02lsU\x02lstR."), "null"},
    {P("ccollections\nOrderedDict\n)RU\x01"
       "aK\x01s."),
     "{\"a\":1}"},
    {P("ccollections\ndeque\n)RK\x01"
       "a."),
     "[1]"},
    {P("(im\nC\n}U\x01"
       "aK\x01sb."),
     "{\"a\":1}"},
    {P("(cm\nC\no}U\x01"
       "aK\x01sb."),
     "{\"a\":1}"},
    {P("cm\nC\n)\x81N}U\x01"
       "aK\x01s\x86"
       "b."),
     "{\"a\":1}"},
    {P("comegaconf.nodes\nAnyNode\n)\x81}U\x04_valK\x07sb."), "7"},
    {P("U\x01xQ."), "null"},
    {P("Px\n."), "null"},
    /* A list in itself, and a node whose parent is itself. */
    {P("]q\x00h\x00"
       "a."),
     "[null]"},
    {P("comegaconf\nDictConfig\n)\x81q\x00}(U\x07_parenth\x00U\x08_content}U\x01"
       "ah\x00su"
       "b."),
     "{\"a\":null}"},
};

static void check_values(const value_case *cases, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        char *json = NULL;
        s3r_status status = to_json(cases[i].p, &json, &err);
        if ((cases[i].json == NULL) != (status != S3R_OK) ||
            (json && strcmp(json, cases[i].json) != 0))
            fail_msg("%s case %zu: expected %s, found %s", name, i,
                     cases[i].json ? cases[i].json : "an error",
                     json ? json : err.message);
        free(json);
    }
}

static void test_values_are_read(void **state)
{
    (void)state;
    check_values(scalar_cases, S3R_ARRAY_LEN(scalar_cases), "scalar");
    check_values(container_cases, S3R_ARRAY_LEN(container_cases), "container");
    check_values(memo_cases, S3R_ARRAY_LEN(memo_cases), "memo");
    check_values(object_cases, S3R_ARRAY_LEN(object_cases), "object");
}

static void test_bad_pickles_are_named(void **state)
{
    (void)state;
    static const struct {
        pickle p;
        const char *message;
    } cases[] = {
        {P(""), "ends without STOP"},
        {P("N"), "ends without STOP"},
        {P("."), "the stack is empty"},
        {P("\x80\x06N."), "byte 0: opcode 0x80: protocol: expected at most 5"},
        {P("N\x82\x01."), "byte 1: opcode 0x82: this opcode is not supported"},
        {P("\x97."), "not supported"},
        {P("0."), "the stack is empty"},
        {P("K\x01(a."), "the stack is empty"},
        {P("t."), "there is no mark"},
        {P("e."), "there is no mark"},
        {P("(K\x01"
           "e."),
         "nothing to add to"},
        {P("K\x01(K\x01"
           "e."),
         "no container"},
        {P("](K\x01K\x02u."), "no container"},
        {P("}(K\x01u."), "a key has no value"},
        {P("(K\x01"
           "d."),
         "a key has no value"},
        {P("K\x01\x86."), "the stack is empty"},
        {P("h\x00."), "no such index"},
        {P("Nq\x03"
           "0h\x01."),
         "larger than the pickle so far"},
        {P("Nr\xff\xff\xff\xff."), "larger than the pickle so far"},
        {P("Np99999999999999999999\n."), "larger than the pickle so far"},
        {P("q\x00."), "the stack is empty"},
        {P("X\xff\xff\xff\xff"
           "a."),
         "ends too early"},
        {P("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
           "a."),
         "ends too early"},
        {P("\x95\xff\xff\xff\xff\xff\xff\xff\xff"
           "N."),
         "ends too early"},
        {P("\x8b\xff\xff\xff\xff"
           "a."),
         "ends too early"},
        {P("J\x01"), "ends too early"},
        {P("I12"), "ends within a line"},
        {P("Ix\n."), "expected an integer"},
        {P("I99999999999999999999\n."), "expected an integer"},
        {P("I\n."), "expected a number"},
        {P("Fx\n."), "expected a number"},
        {P("Sx\n."), "quoted"},
        {P("V\\u0041\n."), "escapes"},
        {P("N)R."), "no class is called"},
        {P("cm\nn\nNR."), "not a tuple"},
        {P("K\x01U\x01n\x93."), "not a text"},
        {P("NNb."), "no object"},
        {P("(o."), "the stack is empty"},
        {P("cm"), "ends within a line"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_pickle_tree tree;
        s3r_status status =
            s3r_pickle_read(&tree, NULL, cases[i].p.bytes, cases[i].p.size, "f.pt", &err);
        if (status != S3R_ERR_MODEL || strncmp(err.message, "f.pt: pickle: ", 14) != 0 ||
            !strstr(err.message, cases[i].message))
            fail_msg("case %zu: expected \"%s\", found status %d \"%s\"", i,
                     cases[i].message, status, status ? err.message : "");
    }
}

static void test_pickles_follow_each_other(void **state)
{
    (void)state;
    static const char bytes[] = "K\x01.K\x02.";
    s3r_pickle_tree tree;
    size_t used;
    assert_int_equal(s3r_pickle_read(&tree, &used, bytes, sizeof bytes - 1, "f", &err),
                     S3R_OK);
    assert_int_equal(used, 3);
    s3r_pickle_tree_release(&tree);
    assert_int_equal(
        s3r_pickle_read(&tree, &used, bytes + 3, sizeof bytes - 4, "f", &err), S3R_OK);
    assert_int_equal(tree.root->as.integer, 2);
    s3r_pickle_tree_release(&tree);
}

/* repeat copies of body between head and tail, read and converted. */
static s3r_status read_repeated(const char *head, const char *body, size_t repeat,
                                const char *tail)
{
    size_t head_size = strlen(head), body_size = strlen(body), tail_size = strlen(tail);
    size_t size = head_size + repeat * body_size + tail_size;
    char *bytes = malloc(size), *json = NULL;
    assert_non_null(bytes);
    memcpy(bytes, head, head_size);
    for (size_t i = 0; i < repeat; i++)
        memcpy(bytes + head_size + i * body_size, body, body_size);
    memcpy(bytes + size - tail_size, tail, tail_size);
    s3r_status status = to_json((pickle){bytes, size}, &json, &err);
    free(json);
    free(bytes);
    return status;
}

static void test_excess_is_bounded(void **state)
{
    (void)state;
    /* Nesting is refused by the walker, not by a stack overflow. */
    assert_int_equal(read_repeated("N", "\x85", 500000, "."), S3R_ERR_MODEL);
    assert_non_null(strstr(err.message, "nested deeper"));
    assert_int_equal(read_repeated("N", "\x85", 60, "."), S3R_OK);
    /* Each level doubles what the value unfolds to. */
    assert_int_equal(read_repeated("N", "2\x86", 50, "."), S3R_ERR_MODEL);
    assert_non_null(strstr(err.message, "more than"));
    assert_int_equal(read_repeated("", "N", S3R_PICKLE_MAX_NODES + 1, "."),
                     S3R_ERR_MODEL);
    assert_non_null(strstr(err.message, "too many values"));
    assert_int_equal(read_repeated("N", "(", 100000, "1."), S3R_ERR_MODEL);
}

static s3r_status attempt(void *context, s3r_error *error)
{
    char *json;
    S3R_TRY(to_json(*(const pickle *)context, &json, error));
    if (!json)
        return s3r_fail_memory(error, "the test", 0);
    json_malloc_t allocate;
    json_free_t release;
    json_get_alloc_funcs(&allocate, &release);
    release(json);
    return S3R_OK;
}

static void test_allocation_failures_are_survived(void **state)
{
    (void)state;
    pickle p = P("ccollections\nOrderedDict\n)RU\x01"
                 "a]q\x00(K\x01K\x02K\x03K\x04K\x05K"
                 "\x06"
                 "es(U\x01"
                 "bcm\nC\n)\x81N}U\x01"
                 "aG\x3f\xf8\x00\x00\x00\x00\x00"
                 "\x00s\x86"
                 "bu.");
    test_survives_alloc_faults(attempt, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_read),
        cmocka_unit_test(test_bad_pickles_are_named),
        cmocka_unit_test(test_pickles_follow_each_other),
        cmocka_unit_test(test_excess_is_bounded),
        cmocka_unit_test(test_allocation_failures_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
