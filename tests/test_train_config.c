/*
 * Settings of training runs: the table against the struct, every source, every error,
 * and that the effective text reads back to the same struct.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "support_alloc_faults.h"
#include "support_files.h"
#include "train/config_value.h"

static s3r_status parse(s3r_train_config *config, const char *text, s3r_error *err)
{
    return s3r_train_config_parse(config, text, strlen(text), "run.yaml", err);
}

static void parse_onto_defaults(s3r_train_config *config, const char *text)
{
    s3r_error err = {0};
    s3r_train_config_init(config);
    if (parse(config, text, &err) != S3R_OK)
        fail_msg("%s\n%s", text, err.message);
}

static void value_of(const s3r_train_config *config, const char *key, char *text)
{
    s3r_config_value_write(s3r_config_key_at(s3r_config_key_find(key)), config, text);
}

static void assert_value(const s3r_train_config *config, const char *key,
                         const char *expected)
{
    char text[S3R_CONFIG_VALUE_BYTES];
    value_of(config, key, text);
    if (strcmp(text, expected) != 0)
        fail_msg("%s: expected %s, found %s", key, expected, text);
}

/* The numbers of the paper's text and of spec 1.5. */
static void test_defaults(void **state)
{
    (void)state;
    s3r_train_config c;
    s3r_error err;
    s3r_train_config_init(&c);
    assert_int_equal(s3r_train_config_check(&c, &err), S3R_OK);
    assert_int_equal(c.method, S3R_METHOD_MASK);
    assert_false(c.is_original);
    assert_int_equal(c.seed, 1);
    assert_int_equal(c.mask.sparsity.count, 1);
    assert_true(c.mask.sparsity.values[0] == 0.1);
    assert_int_equal(c.mask.init, S3R_INIT_ORI);
    assert_int_equal(c.mask.modules, S3R_MODULE_FFN);
    assert_int_equal(c.mask.first_block, 0);
    assert_true(c.mask.last_block == SIZE_MAX);
    assert_false(c.also.mask_embedding);
    assert_int_equal(c.optimizer.form, S3R_ADAM_FAIRSEQ);
    assert_true(c.optimizer.lr == 5e-5 && c.optimizer.beta1 == .9 &&
                c.optimizer.beta2 == .98 && c.optimizer.eps == 1e-8 &&
                c.optimizer.clip_norm == 0);
    assert_int_equal(c.schedule.kind, S3R_SCHEDULE_TRI_STAGE);
    assert_int_equal(c.schedule.steps, 12000);
    assert_true(c.schedule.warmup == .1 && c.schedule.hold == .4 &&
                c.schedule.decay == .5 && c.schedule.init_scale == .01 &&
                c.schedule.final_scale == 1e-4);
    assert_true(c.augment.time_prob == .65 && c.augment.channel_prob == .25);
    assert_int_equal(c.augment.time_length, 10);
    assert_true(c.augment.time_min_masks == SIZE_MAX); /* the model's */
    assert_int_equal(c.augment.channel_length, 64);
    assert_int_equal(c.augment.channel_min_masks, 0);
    assert_true(c.dropout.hidden == 0 && c.dropout.attention == 0 &&
                c.dropout.activation == .1 && c.dropout.layer_drop == .1);
}

/* Every key has a section that is known, a default that its type accepts and a help; no
 * key is there twice and no place in the struct is used twice. */
static void test_table_is_sound(void **state)
{
    (void)state;
    const s3r_config_key *key;
    const char *name, *fallback, *help;
    for (size_t i = 0; (key = s3r_config_key_at(i)) != NULL; i++) {
        char section[64];
        s3r_train_config c;
        assert_true(s3r_train_config_key(i, &name, &fallback, &help));
        assert_int_equal(s3r_config_key_find(name), i);
        assert_true(strlen(help) > 4);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(s3r_config_key_at(j)->offset, key->offset);
        s3r_train_config_init(&c);
        assert_value(&c, name,
                     strcmp(fallback, "1e-4") == 0   ? "0.0001"
                     : strcmp(fallback, "5e-5") == 0 ? "5e-05"
                     : strcmp(fallback, "1e-8") == 0 ? "1e-08"
                                                     : fallback);
        const char *dot = strchr(name, '.');
        if (!dot)
            continue;
        snprintf(section, sizeof section, "%.*s", (int)(dot - name), name);
        bool is_known = false;
        for (size_t j = 0; s3r_config_section_at(j); j++)
            is_known = is_known || strcmp(s3r_config_section_at(j), section) == 0;
        if (!is_known)
            fail_msg("%s: no such section", section);
    }
    assert_false(s3r_train_config_key(s3r_config_key_count(), &name, &fallback, &help));
}

static void test_nested_and_flat(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "mask:\n  sparsity: .2\n  modules: [q, fc1]\nseed: 7\n",
        "mask: {sparsity: 0.2, modules: \"q,fc1\"}\nseed: 7\n",
        "mask.sparsity: 2e-1\nmask.modules: q,fc1\nseed: 7\n",
        "---\nseed: 7 # why\nmask.modules: [q,\n fc1]\nmask.sparsity: [0.2]\n...\n",
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(texts); i++) {
        s3r_train_config c;
        parse_onto_defaults(&c, texts[i]);
        assert_int_equal(c.seed, 7);
        assert_int_equal(c.mask.modules, S3R_MODULE_Q | S3R_MODULE_FC1);
        assert_true(c.mask.sparsity.count == 1 && c.mask.sparsity.values[0] == .2);
    }
    s3r_train_config c, defaults;
    s3r_train_config_init(&defaults);
    static const char *const empty[] = {"", "\n# nothing\n", "---\n", "mask: {}\n"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(empty); i++) {
        parse_onto_defaults(&c, empty[i]);
        assert_memory_equal(&c, &defaults, sizeof c);
    }
}

static void test_values(void **state)
{
    (void)state;
    s3r_train_config c;
    parse_onto_defaults(&c, "mask.sparsity: [0, .1, 0.25]\nmask.blocks: 6-11\n"
                            "language: no\nmask.gradient: sigmoid\n"
                            "seed: 9223372036854775807\ndropout.hidden: model\n"
                            "augment: {time_prob: model}\nmethod: mask+weights\n");
    assert_int_equal(c.mask.sparsity.count, 3);
    assert_true(c.mask.sparsity.values[2] == .25);
    assert_int_equal(c.mask.first_block, 6);
    assert_int_equal(c.mask.last_block, 11);
    assert_string_equal(c.language, "no");
    assert_true(c.mask.is_sigmoid);
    assert_true(c.seed == INT64_MAX);
    assert_true(c.dropout.hidden == -1 && c.augment.time_prob == -1);
    assert_int_equal(c.method, S3R_METHOD_MASK_WEIGHTS);
    parse_onto_defaults(&c, "mask.blocks: 4\n");
    assert_true(c.mask.first_block == 4 && c.mask.last_block == 4);
    parse_onto_defaults(&c, "mask.blocks: 4-last\nmask.modules: both\n");
    assert_true(c.mask.first_block == 4 && c.mask.last_block == SIZE_MAX);
    assert_int_equal(c.mask.modules, 63);
}

static const struct {
    const char *text, *said;
} bad_texts[] = {
    {"seed: 1\nmask:\n  sparsty: .1\n",
     "run.yaml:3: \"mask.sparsty\": unknown key; did you mean \"mask.sparsity\"?"},
    {"sparsity: .1\n", "did you mean \"mask.sparsity\"?"},
    {"maks: {sparsity: .1}\n",
     "run.yaml:1: \"maks\": unknown key; did you mean \"mask\"?"},
    {"lr: 1\n", "did you mean \"optimizer.lr\"?"},
    {"zebra: 1\n", "run.yaml:1: \"zebra\": unknown key"},
    {"mask: {sparsity: {a: 1}}\n",
     "\"mask.sparsity\": expected a number, or a list of at "
     "most 96, in [0, 1), found a mapping"},
    {"mask.sparsity: 1\n",
     "run.yaml:1: \"mask.sparsity\": expected a number, or a list of "
     "at most 96, in [0, 1), found 1"},
    {"mask.sparsity: -0.1\n", "in [0, 1), found -0.1"},
    {"mask.sparsity: nan\n", "found nan"},
    {"mask.sparsity: .inf\n", "found .inf"},
    {"mask.sparsity: 0x1p-2\n", "found 0x1p-2"},
    {"mask.sparsity: []\n", "found nothing"},
    {"mask.sparsity: [0.1, [0.2]]\n", "found a list in it"},
    {"mask.sparsity: [0.1, 'a,b']\n", "found \"a,b\" in it"},
    {"mask.sparsity:\n", "found nothing"},
    {"mask: 3\n",
     "run.yaml:1: \"mask\": expected settings below it, found a single value"},
    {"mask: [a]\n", "expected settings below it, found a list"},
    {"mask.modules: []\n", "found nothing"},
    {"mask.modules: ffn,fc3\n", "found ffn,fc3"},
    {"mask.blocks: 7-6\n", "found 7-6"},
    {"mask.blocks: 200\n", "found 200"},
    {"mask.blocks: all-3\n", "found all-3"},
    {"seed: -1\n", "expected a whole number below 2^63, found -1"},
    {"seed: 9223372036854775808\n", "expected a whole number below 2^63"},
    {"seed: \"5\"\n", "expected a whole number below 2^63, found \"5\""},
    {"seed: 1.5\n", "found 1.5"},
    {"seed: [1]\n", "expected a whole number below 2^63, found a list"},
    {"method: masks\n", "expected mask, weights, head, adapter, lora, bias, magnitude, "
                        "mask+weights or pretrain, found masks"},
    {"also.biases: yes\n", "expected false or true, found yes"},
    {"also.biases: 'true'\n", "found \"true\""},
    {"schedule: {steps: 0}\n", "expected a whole number in [1, 1000000000], found 0"},
    {"optimizer.lr: 0\n", "expected a number in (0, 10], found 0"},
    {"optimizer.lr: 1e999\n", "found 1e999"},
    {"optimizer.beta1: 1\n", "[0, 1), found 1"},
    {"language: de_AT\n", "expected a language tag"},
    {"seed: 1\nseed: 2\n",
     "run.yaml:2: \"seed\": expected once, found again (first in line 1)"},
    {"mask: {init: ri}\n\nmask.init: ri\n", "run.yaml:3: \"mask.init\": expected once"},
    {"mask: {init: ri}\nmask: {scope: global}\n", "run.yaml:2: \"mask\": expected once"},
    {"seed: &a 1\n", "run.yaml:1: expected plain settings, found an anchor"},
    {"mask: &a {init: ri}\n", "found an anchor"},
    {"mask.sparsity: &a [0.1]\n", "found an anchor"},
    {"seed: *a\n", "found an alias"},
    {"seed: !!int 1\n", "found a tag"},
    {"mask: !x {init: ri}\n", "found a tag"},
    {"<<: {seed: 1}\n", "\"<<\": unknown key"},
    {"seed: 1\n---\nseed: 2\n", "expected one document, found another"},
    {"- seed\n", "expected settings (\"key: value\"), found a list"},
    {"seed\n", "found a single value"},
    {"[[[[[[[[[[[[[[[[[[[[", "found a list"},
    {"mask: {{{{{{{{{{{{{{", "found a mapping"},
    {"{[a]: 1}\n", "expected a key, found a list"},
    {"seed: {a\n", "found a mapping"},
    {"seed: 'a\n", "run.yaml:2: expected YAML, found:"},
    {"seed: 1\n\tx: 2\n", "expected YAML, found:"},
    {"seed: \x01\n", "expected YAML, found: control characters"},
    {"seed: \xff\n", "byte 6: expected YAML"},
    {"seed: \"1\\0\"\n", "found a NUL byte"},
    {"preset: 11m\n", "run.yaml:1: \"preset\": preset: expected none, 10m"},
};

static void test_bad_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(bad_texts); i++) {
        s3r_train_config c, defaults;
        s3r_error err = {0};
        s3r_train_config_init(&c);
        s3r_train_config_init(&defaults);
        s3r_status status = parse(&c, bad_texts[i].text, &err);
        if (status != S3R_ERR_USAGE || !strstr(err.message, bad_texts[i].said))
            fail_msg("%s: expected \"%s\", found %d \"%s\"", bad_texts[i].text,
                     bad_texts[i].said, status, err.message);
        assert_memory_equal(&c, &defaults, sizeof c);
    }
}

static void test_huge_texts(void **state)
{
    (void)state;
    static char text[(1 << 20) + 2];
    s3r_train_config c;
    s3r_error err = {0};
    s3r_train_config_init(&c);
    memset(text, '#', sizeof text - 1);
    assert_int_equal(parse(&c, text, &err), S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "expected at most 1048576 bytes"));
    memset(text, '[', sizeof text - 2);
    memcpy(text, "mask: ", 6);
    text[sizeof text - 2] = '\0';
    assert_int_equal(parse(&c, text, &err), S3R_ERR_USAGE);
    memset(text, 'a', sizeof text - 2);
    memcpy(text, "language: ", 10);
    assert_int_equal(parse(&c, text, &err), S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "less than 4096 bytes"));
    size_t used = (size_t)sprintf(text, "mask.sparsity: [");
    for (size_t i = 0; i < 97; i++)
        used += (size_t)sprintf(text + used, "0.5,");
    strcpy(text + used, "]\n");
    assert_int_equal(parse(&c, text, &err), S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "at most 96"));
}

static void test_overrides(void **state)
{
    (void)state;
    static const struct {
        const char *assignment, *said; /* NULL = fine */
    } cases[] = {
        {"optimizer.lr=1e-4", NULL},
        {"mask.sparsity=0.1,0.2", NULL},
        {"language=", NULL},
        {"mask.blocks=0-5", NULL},
        {"sparsity=0.1", "unknown key \"sparsity\"; did you mean \"mask.sparsity\"?"},
        {"optimizer.lr", "expected key.sub=value"},
        {"=1", "expected key.sub=value"},
        {"", "expected key.sub=value"},
        {"optimizer.lr=fast", "optimizer.lr: expected a number in (0, 10], found fast"},
        {"optimizer.lr=", "found nothing"},
        {"preset=10m", "expected --preset"},
        {"compat=original", "expected --compat"},
        {"optimizer.lroptimizer.lroptimizer.lroptimizer.lroptimizer.lroptimizer.lr=1",
         "unknown key"},
    };
    s3r_train_config c;
    s3r_train_config_init(&c);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_error err = {0};
        s3r_status status = s3r_train_config_set(&c, cases[i].assignment, &err);
        if (status != (cases[i].said ? S3R_ERR_USAGE : S3R_OK) ||
            (cases[i].said && !strstr(err.message, cases[i].said)))
            fail_msg("%s: %d \"%s\"", cases[i].assignment, status, err.message);
    }
    assert_true(c.optimizer.lr == 1e-4);
    assert_int_equal(c.mask.sparsity.count, 2);
    assert_int_equal(c.mask.last_block, 5);
}

enum { PRESET_KEYS = 9 };

static const char *const preset_keys[PRESET_KEYS] = {
    "schedule.steps",     "augment.time_prob", "augment.channel_prob",
    "dropout.layer_drop", "dropout.hidden",    "dropout.attention",
    "mask.sparsity",      "eval.metric",       "batch.accumulate"};

/* Spec 1.5, 1.9 and 2.9, in the order of preset_keys. */
static const struct {
    const char *preset, *compat, *values[PRESET_KEYS];
} preset_cases[] = {
    {"none", "none", {"12000", "0.65", "0.25", "0.1", "0", "0", "0.1", "wer", "1"}},
    {"10m", "none", {"12000", "0.65", "0.25", "0.1", "0", "0", "0.1", "wer", "8"}},
    {"1h", "none", {"15000", "0.65", "0.25", "0.1", "0", "0", "0.1", "wer", "8"}},
    {"10h", "none", {"20000", "0.65", "0.5", "0.05", "0", "0", "0.1", "wer", "8"}},
    {"xlsr", "none", {"12000", "0.75", "0.25", "0.1", "0", "0", "0.1", "per", "8"}},
    {"none",
     "original",
     {"13000", "0.65", "0.25", "0.1", "0.1", "0.1", "0.1", "wer", "1"}},
    {"10m",
     "original",
     {"13000", "0.65", "0.25", "0.1", "0.1", "0.1", "0.1", "wer", "8"}},
    {"1h", "original", {"15000", "0.65", "0.25", "0.1", "0.1", "0.1", "0.1", "wer", "8"}},
    {"10h",
     "original",
     {"20000", "0.65", "0.5", "0.05", "0.1", "0.1", "0.3", "wer", "8"}},
    {"xlsr", "original", {"13000", "0.75", "0.25", "0.1", "0", "0", "0.1", "per", "8"}},
};

static void test_presets_and_compat(void **state)
{
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(preset_cases); i++) {
        const char *preset = preset_cases[i].preset, *compat = preset_cases[i].compat;
        bool is_original = strcmp(compat, "original") == 0;
        s3r_train_config c, d;
        s3r_error err = {0};
        s3r_train_config_init(&c);
        assert_int_equal(s3r_train_config_compat(&c, compat, &err), S3R_OK);
        assert_int_equal(s3r_train_config_preset(&c, preset, &err), S3R_OK);
        for (size_t j = 0; j < PRESET_KEYS; j++)
            assert_value(&c, preset_keys[j], preset_cases[i].values[j]);
        assert_value(&c, "mask.init", is_original ? "ri" : "ori");
        assert_value(&c, "also.mask_embedding", is_original ? "true" : "false");
        assert_int_equal(s3r_train_config_check(&c, &err), S3R_OK);
        /* The other order, and there and back. */
        s3r_train_config_init(&d);
        assert_int_equal(s3r_train_config_preset(&d, preset, &err), S3R_OK);
        assert_int_equal(s3r_train_config_compat(&d, "original", &err), S3R_OK);
        assert_int_equal(s3r_train_config_compat(&d, compat, &err), S3R_OK);
        assert_memory_equal(&c, &d, sizeof c);
        /* The same by a file, whose other keys win wherever they stand. */
        char text[200];
        snprintf(text, sizeof text, "schedule.steps: 5\npreset: %s\ncompat: %s\n", preset,
                 compat);
        parse_onto_defaults(&d, text);
        c.schedule.steps = 5;
        assert_memory_equal(&c, &d, sizeof c);
    }
}

/* Weight fine-tuning ends at another rate in the original, whatever comes first; what
 * somebody has chosen stays.  (spec 1.9) */
static void test_compat_of_methods(void **state)
{
    (void)state;
    static const struct {
        const char *before, *compat, *after, *final_scale;
    } cases[] = {
        {"method=weights", "original", "seed=1", "0.05"},
        {"seed=1", "original", "method=weights", "0.05"},
        {"seed=1", "none", "method=weights", "0.0001"},
        {"method=weights", "original", "method=mask", "0.0001"},
        {"schedule.final_scale=0.2", "original", "method=weights", "0.2"},
        {"method=weights", "original", "schedule.final_scale=0.2", "0.2"},
        {"seed=1", "original", "method=mask+weights", "0.0001"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_train_config c;
        s3r_error err;
        s3r_train_config_init(&c);
        assert_int_equal(s3r_train_config_set(&c, cases[i].before, &err), S3R_OK);
        assert_int_equal(s3r_train_config_compat(&c, cases[i].compat, &err), S3R_OK);
        assert_int_equal(s3r_train_config_set(&c, cases[i].after, &err), S3R_OK);
        assert_value(&c, "schedule.final_scale", cases[i].final_scale);
    }
    s3r_train_config c;
    parse_onto_defaults(&c, "schedule.final_scale: 1e-4\nmethod: weights\n"
                            "compat: original\n");
    assert_value(&c, "schedule.final_scale", "0.0001");
    parse_onto_defaults(&c, "method: weights\ncompat: original\n");
    assert_value(&c, "schedule.final_scale", "0.05");
}

static void test_unused(void **state)
{
    (void)state;
    static const struct {
        const char *method, *setting;
        bool has_dev;
        const char *said; /* NULL = fine */
    } cases[] = {
        {"method=mask", "mask.sparsity=0.3", true, NULL},
        {"method=lora", "mask.sparsity=0.3", true, "mask.sparsity: the method lora"},
        {"method=lora", "lora.rank=3", true, NULL},
        {"method=mask", "lora.rank=3", true, "lora.rank: the method mask "},
        {"method=magnitude", "mask.sparsity=0.3", true, NULL},
        {"method=magnitude", "mask.init=wmi", true, "mask.init: the method magnitude"},
        {"method=mask", "adapter.width=3", true, "adapter.width: "},
        {"method=mask", "pretrain.groups=3", true, "pretrain.groups: "},
        {"method=mask", "eval.patience=3", true, NULL},
        {"method=mask", "eval.patience=3", false, "eval.patience: there is nothing"},
        {"method=mask", "optimizer.lr=3", false, NULL},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_train_config c;
        s3r_error err = {S3R_OK, ""};
        const char *both[] = {cases[i].method, cases[i].setting};
        s3r_train_config_init(&c);
        for (size_t k = 0; k < 2; k++)
            assert_int_equal(s3r_train_config_set(&c, both[k], &err), S3R_OK);
        s3r_status status =
            s3r_train_config_check_used(&c, both, 2, cases[i].has_dev, &err);
        assert_int_equal(status, cases[i].said ? S3R_ERR_USAGE : S3R_OK);
        if (cases[i].said && !strstr(err.message, cases[i].said))
            fail_msg("expected \"%s\", found: %s", cases[i].said, err.message);
    }
}

static void test_wrong_choices(void **state)
{
    (void)state;
    s3r_train_config c;
    s3r_error err = {0};
    s3r_train_config_init(&c);
    assert_int_equal(s3r_train_config_preset(&c, "100h", &err), S3R_ERR_USAGE);
    assert_string_equal(
        err.message,
        "preset: expected none, 10m, 1h, 10h, xlsr, hubert or wav2vec2, found 100h");
    assert_int_equal(s3r_train_config_compat(&c, "fairseq", &err), S3R_ERR_USAGE);
    assert_string_equal(err.message, "compat: expected none or original, found fairseq");
    assert_int_equal(s3r_train_config_preset(&c, "1h", &err), S3R_OK);
    assert_int_equal(parse(&c, "preset: 10m\n", &err), S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "expected 1h as chosen on the command line"));
    assert_int_equal(parse(&c, "preset: 1h\n", &err), S3R_OK);
}

static void test_check(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"schedule: {warmup: .2}\n",
         "expected warmup + hold + decay = 1, found 0.2 + 0.4"},
        {"schedule: {final_scale: 0}\n", "schedule.final_scale: expected more than 0"},
        {"batch: {min_seconds: 50}\n", "batch.min_seconds: expected at most"},
        {"mask: {sparsity: [.1, .2], scope: global}\n", "expected one number"},
        {"eval.start: 20000\n", "eval.start: expected at most schedule.steps"},
    };
    s3r_train_config c;
    s3r_error err;
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        parse_onto_defaults(&c, cases[i].text);
        assert_int_equal(s3r_train_config_check(&c, &err), S3R_ERR_USAGE);
        if (!strstr(err.message, cases[i].said))
            fail_msg("%s", err.message);
    }
    parse_onto_defaults(&c, "schedule: {kind: cosine, warmup: .2, final_scale: 0}\n");
    assert_int_equal(s3r_train_config_check(&c, &err), S3R_OK);
    /* Values that code put there are checked like those of a text. */
    s3r_train_config_init(&c);
    c.mask.sparsity.values[0] = 1.5;
    assert_int_equal(s3r_train_config_check(&c, &err), S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "mask.sparsity: expected"));
    s3r_train_config_init(&c);
    c.method = (s3r_method)77;
    assert_int_equal(s3r_train_config_check(&c, &err), S3R_ERR_USAGE);
    s3r_train_config_init(&c);
    c.mask.first_block = 8;
    c.mask.last_block = 3;
    assert_int_equal(s3r_train_config_check(&c, &err), S3R_ERR_USAGE);
    assert_non_null(strstr(err.message, "mask.blocks: expected"));
}

static size_t choice_count(const s3r_config_key *key)
{
    size_t n = 0;
    while (key->choices[n])
        n++;
    return n;
}

/* A random legal number; often an end of the range or one with many digits. */
static double random_number(const s3r_config_key *key, s3r_random *random)
{
    double part = s3r_random_uniform(random);
    if (s3r_random_below(random, 8) == 0 && !(key->open_ends & S3R_CONFIG_ABOVE_MIN))
        return key->min;
    if (part == 0)
        part = .5;
    double value = key->min + part * (key->max - key->min);
    return s3r_random_below(random, 2) && key->min == 0 ? value * 1e-7 : value;
}

static void randomize(const s3r_config_key *key, s3r_train_config *c, s3r_random *random)
{
    void *place = (char *)c + key->offset;
    size_t n = key->choices ? choice_count(key) : 0;
    int choice = n ? (int)s3r_random_below(random, n) : 0;
    switch (key->type) {
    case S3R_CONFIG_CHOICE:
        memcpy(place, &choice, sizeof choice);
        break;
    case S3R_CONFIG_NAME:
        memset(place, 0, 8);
        memcpy(place, key->choices[choice], strlen(key->choices[choice]));
        break;
    case S3R_CONFIG_SWITCH:
        *(bool *)place = choice == 1;
        break;
    case S3R_CONFIG_SEED:
        *(uint64_t *)place = s3r_random_bits(random) >> 1;
        break;
    case S3R_CONFIG_COUNT:
    case S3R_CONFIG_COUNT_OR_MODEL:
        *(size_t *)place =
            (size_t)(key->min + (key->max - key->min) * s3r_random_uniform(random));
        if (key->type == S3R_CONFIG_COUNT_OR_MODEL && s3r_random_below(random, 3) == 0)
            *(size_t *)place = SIZE_MAX;
        break;
    case S3R_CONFIG_NUMBER_OR_MODEL:
    case S3R_CONFIG_NUMBER:
        *(double *)place = random_number(key, random);
        if (key->type == S3R_CONFIG_NUMBER_OR_MODEL && s3r_random_below(random, 3) == 0)
            *(double *)place = -1;
        break;
    case S3R_CONFIG_BLOCK_NUMBERS: {
        s3r_block_numbers *numbers = place;
        memset(numbers, 0, sizeof *numbers);
        numbers->count = 1 + s3r_random_below(random, S3R_CONFIG_MAX_BLOCKS);
        for (size_t i = 0; i < numbers->count; i++)
            numbers->values[i] = random_number(key, random);
        break;
    }
    case S3R_CONFIG_MODULES:
        *(unsigned *)place = 1 + (unsigned)s3r_random_below(random, 63);
        break;
    case S3R_CONFIG_BLOCK_RANGE: {
        size_t *range = place;
        range[0] = s3r_random_below(random, S3R_CONFIG_MAX_BLOCKS);
        range[1] =
            s3r_random_below(random, 2)
                ? SIZE_MAX
                : range[0] + s3r_random_below(random, S3R_CONFIG_MAX_BLOCKS - range[0]);
        break;
    }
    case S3R_CONFIG_LANGUAGE: {
        static const char *const tags[] = {"", "no", "zh-Hant-TW", "1", "true"};
        memset(place, 0, 64);
        const char *tag = tags[s3r_random_below(random, S3R_ARRAY_LEN(tags))];
        memcpy(place, tag, strlen(tag));
        break;
    }
    }
}

static void test_text_reads_back(void **state)
{
    (void)state;
    s3r_random random;
    s3r_random_init(&random, 20, 1);
    for (int round = 0; round < 200; round++) {
        s3r_train_config c, back;
        s3r_error err = {0};
        const s3r_config_key *key;
        char *text;
        s3r_train_config_init(&c);
        for (size_t i = 0; (key = s3r_config_key_at(i)) != NULL; i++)
            randomize(key, &c, &random);
        assert_int_equal(s3r_train_config_text(&c, &text, &err), S3R_OK);
        s3r_train_config_init(&back);
        if (parse(&back, text, &err) != S3R_OK)
            fail_msg("round %d: %s", round, err.message);
        for (size_t i = 0; (key = s3r_config_key_at(i)) != NULL; i++) {
            char expected[S3R_CONFIG_VALUE_BYTES];
            value_of(&c, key->key, expected);
            assert_value(&back, key->key, expected);
        }
        assert_memory_equal(&c, &back, sizeof c);
        s3r_free(text);
    }
}

static void test_files(void **state)
{
    (void)state;
    const char *folder = test_folder(), *path = test_path(folder, "a.yaml");
    s3r_train_config c;
    s3r_error err;
    s3r_train_config_init(&c);
    test_write_file(path, "seed: 3\n", 8);
    assert_int_equal(s3r_train_config_load(&c, path, &err), S3R_OK);
    assert_int_equal(c.seed, 3);
    test_write_file(path, "", 0);
    assert_int_equal(s3r_train_config_load(&c, path, &err), S3R_OK);
    assert_int_equal(s3r_train_config_load(&c, folder, &err), S3R_ERR_USAGE);
    assert_int_equal(s3r_train_config_load(&c, test_path(folder, "none"), &err),
                     S3R_ERR_USAGE);
}

static s3r_status parse_and_write(void *context, s3r_error *err)
{
    s3r_train_config c;
    char *text;
    (void)context;
    s3r_train_config_init(&c);
    S3R_TRY(parse(&c, "seed: 2\nmask: {sparsity: [.1, .2]}\npreset: 10m\n", err));
    S3R_TRY(s3r_train_config_text(&c, &text, err));
    s3r_free(text);
    return S3R_OK;
}

static void test_memory(void **state)
{
    (void)state;
    test_survives_alloc_faults(parse_and_write, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_table_is_sound),
        cmocka_unit_test(test_nested_and_flat),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_bad_texts),
        cmocka_unit_test(test_huge_texts),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_presets_and_compat),
        cmocka_unit_test(test_compat_of_methods),
        cmocka_unit_test(test_unused),
        cmocka_unit_test(test_wrong_choices),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_text_reads_back),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
