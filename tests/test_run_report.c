/*
 * report.html and the model card: complete with full facts, sound with none, escaped
 * whatever the facts say, well-formed and self-contained.
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
#include "base/text_buffer.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_files.h"
#include "train/run_log.h"
#include "train/run_summary.h"
#include "train/svg_chart.h"

enum { STEPS = 2000 };

static const char *const evil = "<script>alert('x')</script> & \"q\" | `*_[a](b)\n# end";

static char *read_text(const char *folder, const char *name)
{
    s3r_file_map map;
    s3r_error err;
    if (s3r_file_map_open(&map, test_path(folder, name), S3R_ERR_DATA, &err) != S3R_OK)
        fail_msg("%s", err.message);
    char *text = s3r_strndup((const char *)map.data, map.size);
    assert_non_null(text);
    s3r_file_map_close(&map);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("expected \"%s\" in:\n%.3000s", part, text ? text : "");
}

/* Every tag is closed in its order; void elements and the doctype are not opened. */
static void assert_well_formed(const char *html)
{
    static const char *const empty[] = {"!doctype", "meta", "line", "polyline"};
    char open[64][16], name[16];
    size_t depth = 0;
    for (const char *at = strchr(html, '<'); at; at = strchr(at + 1, '<')) {
        bool is_end = at[1] == '/';
        const char *start = at + 1 + is_end, *close = strchr(at, '>');
        size_t length = strcspn(start, " >/");
        assert_non_null(close);
        assert_true(length > 0 && length < sizeof name);
        snprintf(name, sizeof name, "%.*s", (int)length, start);
        bool is_empty = close[-1] == '/';
        for (size_t i = 0; i < S3R_ARRAY_LEN(empty); i++)
            is_empty = is_empty || strcmp(empty[i], name) == 0;
        if (is_end) {
            assert_true(depth > 0);
            assert_string_equal(open[--depth], name);
        } else if (!is_empty) {
            assert_true(depth < 64);
            strcpy(open[depth++], name);
        }
    }
    assert_int_equal(depth, 0);
    assert_null(strstr(html, "<script"));
    assert_null(strstr(html, "http:"));
    assert_null(strstr(html, "https:"));
    assert_null(strstr(html, "nan"));
    assert_null(strstr(html, "inf\""));
}

/* A log of a run with two evaluations; the better one first. */
static void write_log(const char *folder)
{
    s3r_run_log *log;
    s3r_error err;
    assert_int_equal(s3r_run_log_open(&log, folder, 0, &err), S3R_OK);
    for (int step = 2; step <= STEPS; step += 2) {
        json_t *line = json_pack("{si, s{sf, sf, sf, sf}}", "step", step, "train", "loss",
                                 100.0 / step, "lr", 1e-5, "blank_ratio", .5,
                                 "frames_per_second", 1000.0 + step);
        assert_int_equal(s3r_run_log_write(log, line, &err), S3R_OK);
        json_decref(line);
        if (step % 1000 != 0)
            continue;
        line = json_pack("{si, s{sf, sf, sf, sf}, s{sf, sf}}", "step", step, "dev", "wer",
                         .2 + step * 1e-5, "cer", .1, "per", .3, "loss", 2.0, "mask",
                         "changed_since_start", .03, "changed_since_evaluation", .01);
        assert_int_equal(s3r_run_log_write(log, line, &err), S3R_OK);
        json_decref(line);
    }
    assert_int_equal(s3r_run_log_close(log, NULL), S3R_OK);
}

static json_t *make_facts(const char *name, const char *license)
{
    json_t *facts = json_pack(
        "{s{ss, ss, ss}, ss, ss, s[{ss, s[ii], sf}, {ss, s[ii], sf}], s{sf, si}, s{ss, "
        "si, "
        "sf}, s{ss, si, sf}, si, si, ss, ss}",
        "backbone", "name", name, "hash", "0123abcd", "family", "wav2vec2", "method",
        "mask", "language", "nl", "matrices", "name", "a", "shape", 10, 10, "sparsity",
        .1, "name", "b", "shape", 30, 10, "sparsity", .2, "metrics", "wer", .2125,
        "empty", 3, "data", "hash", "feed", "utterances", 48, "hours", .1667, "dev",
        "hash", "beef", "utterances", 20, "hours", .1, "seed", 5, "step", STEPS,
        "license", license, "created_by", "s3r 0");
    assert_non_null(facts);
    return facts;
}

static void test_full(void **state)
{
    (void)state;
    const char *folder = test_folder();
    s3r_error err;
    write_log(folder);
    static const char config[] = "mask.sparsity: 0.17\neval.metric: wer\n";
    test_write_file(test_path(folder, "config.yaml"), config, sizeof config - 1);
    json_t *facts = make_facts("Wav2Vec2Model", "apache-2.0");
    if (s3r_run_report_write(folder, facts, &err) != S3R_OK)
        fail_msg("%s", err.message);
    json_decref(facts);
    char *html = read_text(folder, "report.html"), *card = read_text(folder, "README.md");
    assert_well_formed(html);
    static const char *const in_html[] = {
        "<title>Method mask on Wav2Vec2Model, nl</title>",
        "best dev WER</th><td class=\"n\">21.00 % at step 1000",
        "wer</th><td class=\"n\">21.25 %",
        "70 of 400 connections (17.50 %) in 2 matrices",
        "48 utterances, 10 minutes",
        "<tr class=\"set\"><td>mask.sparsity</td><td class=\"n\">0.17</td>",
        "<tr><td>mask.init</td><td class=\"n\">ori</td>",
        "Loss an utterance",
        "Error rate on dev",
        "Learning rate",
        "Frames that are blank",
        "Mask that changed",
        "Frames a second",
        "<title>step 1000: 21 %</title>",
        "prefers-color-scheme:dark",
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(in_html); i++)
        assert_has(html, in_html[i]);
    static const char *const in_card[] = {
        "language: \"nl\"\nlicense: \"apache-2.0\"\n",
        "# Speech recognition for nl\n",
        "a learned binary mask on its frozen weights",
        "| content hash | 0123abcd |",
        "| sparsity | 17.50 % of the connections of 2 matrices are removed |",
        "| training data | 10 minutes |",
        "| dev data | 6 minutes |",
        "at step 1000, which has the best WER, one run with seed 5:",
        "| WER | 21.00 % |\n| CER | 10.00 % |\n| PER | 30.00 % |\n| loss (nats an "
        "utterance) | 2 |\n",
        "<details>\n<summary>All settings",
        "\n    mask:\n      sparsity: 0.17\n      init: ori\n",
        "s3r transcribe -m BACKBONE --mask best.s3m a.wav",
        "That of the backbone: apache\\-2.0.",
        "trained on 10 minutes of speech",
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(in_card); i++)
        assert_has(card, in_card[i]);
    assert_true(strlen(html) < 200000); /* many points are averaged */
    s3r_free(html);
    s3r_free(card);
}

static void test_amounts_and_names(void **state)
{
    (void)state;
    static const struct {
        double hours;
        const char *name, *row, *base;
    } cases[] = {
        {9.612 / 3600, "facebook/wav2vec2-base", "| 9.61 seconds |",
         "base_model: \"facebook/wav2vec2-base\"\n"},
        {0.99, "Wav2Vec2Model", "| 59.4 minutes |", NULL},
        {10, "/data/models/base", "| 10 hours |", NULL},
        {150, "../base", "| 150 hours |", NULL},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const char *folder = test_folder();
        s3r_error err;
        json_t *facts = make_facts(cases[i].name, "mit");
        json_object_set_new(json_object_get(facts, "data"), "hours",
                            json_real(cases[i].hours));
        assert_int_equal(s3r_run_report_write(folder, facts, &err), S3R_OK);
        json_decref(facts);
        char *card = read_text(folder, "README.md");
        assert_has(card, cases[i].row);
        assert_has(card, "| wer | 21.25 % |"); /* no log: what the facts say */
        if (cases[i].base)
            assert_has(card, cases[i].base);
        else
            assert_null(strstr(card, "base_model"));
        s3r_free(card);
    }
}

static void test_nothing_known(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        const char *folder = test_folder();
        s3r_error err;
        json_t *facts = k == 0 ? NULL
                        : k == 1
                            ? json_object()
                            : json_pack("{sn, si, s[i], sn, ss}", "backbone", "method", 3,
                                        "matrices", 1, "data", "metrics", "none");
        assert_int_equal(s3r_run_report_write(folder, facts, &err), S3R_OK);
        json_decref(facts);
        char *html = read_text(folder, "report.html");
        char *card = read_text(folder, "README.md");
        assert_well_formed(html);
        assert_null(strstr(html, "Curves"));
        assert_has(card, "Not evaluated");
        s3r_free(html);
        s3r_free(card);
    }
    s3r_error err;
    const char *none = test_path(test_folder(), "none");
    test_expect_failure(s3r_run_report_write(none, NULL, &err), &err, S3R_ERR_RUNTIME,
                        none);
}

static void test_escaping(void **state)
{
    (void)state;
    const char *folder = test_folder();
    s3r_error err;
    json_t *facts = make_facts(evil, evil);
    assert_int_equal(json_object_set_new(facts, "language", json_string(evil)), 0);
    assert_int_equal(s3r_run_report_write(folder, facts, &err), S3R_OK);
    json_decref(facts);
    char *html = read_text(folder, "report.html"), *card = read_text(folder, "README.md");
    assert_well_formed(html);
    assert_has(html,
               "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;q&quot;");
    assert_null(strstr(card + strlen("---\nlanguage: ") + strlen(evil) * 4, "<script"));
    assert_has(card,
               "language: \"<script>alert('x')</script> & \\\"q\\\" | `*_[a](b)# end\"");
    assert_has(card,
               "# Speech recognition for &lt;script&gt;alert\\('x'\\)&lt;/script&gt; "
               "&amp; \"q\" \\| \\`\\*\\_\\[a\\]\\(b\\) \\# end\n");
    s3r_free(html);
    s3r_free(card);
}

static void test_text_buffer(void **state)
{
    (void)state;
    s3r_text_buffer buffer = {0};
    s3r_error err;
    char *text;
    s3r_buffer_add_html(&buffer, NULL);
    s3r_buffer_add_string(&buffer, NULL);
    assert_int_equal(s3r_buffer_take(&buffer, &text, "text", &err), S3R_OK);
    assert_string_equal(text, "");
    s3r_free(text);
    for (int i = 0; i < 3000; i++)
        s3r_buffer_add(&buffer, "%d,", i % 10);
    s3r_buffer_add_html(&buffer, "<&>\"'");
    s3r_buffer_add_markdown(&buffer, "a\nb*<");
    assert_int_equal(s3r_buffer_take(&buffer, &text, "text", &err), S3R_OK);
    assert_int_equal(strlen(text), 6000 + 4 + 5 + 4 + 6 + 5 + 5 + 4);
    assert_string_equal(text + 6000, "&lt;&amp;&gt;&quot;&#39;a b\\*&lt;");
    s3r_free(text);
    s3r_alloc_fail_at(1);
    s3r_buffer_add(&buffer, "abc");
    s3r_alloc_fail_at(0);
    s3r_buffer_add(&buffer, "def");
    assert_int_equal(s3r_buffer_take(&buffer, &text, "text", &err), S3R_ERR_RESOURCE);
}

/* Values that have no axis are left out; flat and single ones are drawn. */
static void test_odd_charts(void **state)
{
    (void)state;
    static const struct {
        s3r_point points[2];
        size_t count;
        bool is_drawn;
    } cases[] = {
        {{{0, 0}}, 1, true},
        {{{5, 3}, {5, 3}}, 2, true},
        {{{1, -2}, {2, -2}}, 2, true},
        {{{1, 1e300}, {2, 1e299}}, 2, true},
        {{{1, -1.7e308}, {2, 1.7e308}}, 2, false},
        {{{1, 0}, {2, 5e-324}}, 2, false},
        {{{1, 1e16}, {2, 1e16 + 2}}, 2, true},
        {{{0, 0}}, 0, false},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_text_buffer out = {0};
        s3r_point points[2];
        memcpy(points, cases[i].points, sizeof points);
        s3r_curve curve = {points, cases[i].count, 2};
        s3r_chart chart = {.title = "a", .series = {{"b", &curve}}};
        s3r_chart_add(&out, &chart);
        if ((out.length > 0) != cases[i].is_drawn)
            fail_msg("case %zu", i);
        if (out.length > 0)
            assert_well_formed(out.text);
        assert_true(out.length < 20000);
        s3r_buffer_release(&out);
    }
}

static s3r_status report(void *context, s3r_error *err)
{
    json_t *facts = json_object();
    if (!facts)
        return s3r_fail_memory(err, "facts", 0);
    s3r_status status = s3r_run_report_write(context, facts, err);
    json_decref(facts);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    char folder[512];
    strcpy(folder, test_folder());
    static const char lines[] = "{\"step\": 1, \"dev\": {\"wer\": 0.5}}\n{\"step\": 2}\n";
    test_write_file(test_path(folder, "metrics.jsonl"), lines, sizeof lines - 1);
    test_write_file(test_path(folder, "config.yaml"), "seed: 2\n", 8);
    test_survives_alloc_faults(report, folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full),          cmocka_unit_test(test_amounts_and_names),
        cmocka_unit_test(test_nothing_known), cmocka_unit_test(test_escaping),
        cmocka_unit_test(test_text_buffer),   cmocka_unit_test(test_odd_charts),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
