/*
 * Every format, byte by byte; what is escaped; how words become subtitles.
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
#include "s3r/transcript.h"
#include "support_alloc_faults.h"
#include "support_files.h"

static s3r_error err;

/* "hé <b> & a"b" with letters that formats must escape. */
static const s3r_label labels[] = {
    {"h", 2, 5, 6, 0.9f},  {"é", 3, 6, 8, 0.8f},   {"|", 1, 10, 11, 0.5f},
    {"<b>", 4, 12, 13, 1}, {"|", 1, 14, 15, 1},    {"&", 5, 15, 16, 1},
    {"|", 1, 17, 18, 1},   {"a\"b", 6, 60, 62, 1},
};
#define WORD(letters, first, count, start, end, sure)                                    \
    {                                                                                    \
        .text = letters, .first_label = first, .label_count = count,                     \
        .start_frame = start, .end_frame = end, .confidence = sure                       \
    }

static const s3r_word words[] = {WORD("hé", 0, 2, 5, 8, 0.8f),
                                 WORD("<b>", 3, 1, 12, 13, 1), WORD("&", 5, 1, 15, 16, 1),
                                 WORD("a\"b", 7, 1, 60, 62, 1)};
static const s3r_result result = {.path = "dir/my talk.wav",
                                  .message = "",
                                  .duration_s = 1.626625,
                                  .frame_count = 80,
                                  .frame_s = 0.02,
                                  .text = "hé <b> & a\"b",
                                  .labels = labels,
                                  .label_count = S3R_ARRAY_LEN(labels),
                                  .confidence = 0.75,
                                  .words = words,
                                  .word_count = S3R_ARRAY_LEN(words)};
static const s3r_result empty = {.path = "-",
                                 .message = "",
                                 .duration_s = 0.5,
                                 .frame_count = 24,
                                 .frame_s = 0.02,
                                 .text = "",
                                 .confidence = 1};
static const s3r_result failed = {
    .path = "x\xff.wav", .status = S3R_ERR_DATA, .message = "no \"audio\""};

static void expect_text(const s3r_result *given, s3r_transcript_format format,
                        const s3r_transcript_options *options, const char *expected)
{
    char *text;
    if (s3r_transcript_render(&text, given, format, options, &err) != S3R_OK)
        fail_msg("%s", err.message);
    assert_string_equal(text, expected);
    s3r_text_free(text);
}

static void test_lines(void **state)
{
    (void)state;
    expect_text(&result, S3R_TRANSCRIPT_TXT, NULL, "hé <b> & a\"b\n");
    expect_text(&result, S3R_TRANSCRIPT_CTM, NULL,
                "my%20talk 1 0.100 0.060 hé 0.800\n"
                "my%20talk 1 0.240 0.020 %3Cb%3E 1.000\n"
                "my%20talk 1 0.300 0.020 %26 1.000\n"
                "my%20talk 1 1.200 0.040 a%22b 1.000\n");
    expect_text(&result, S3R_TRANSCRIPT_TRN, NULL, "hé %3Cb%3E %26 a%22b (my%20talk)\n");
    expect_text(&result, S3R_TRANSCRIPT_STM, NULL,
                "my%20talk 1 my%20talk 0.100 1.100 hé %3Cb%3E %26\n"
                "my%20talk 1 my%20talk 1.200 1.627 a%22b\n");
}

static void test_json(void **state)
{
    (void)state;
    s3r_result one = result;
    one.label_count = 2;
    one.word_count = 1;
    expect_text(
        &one, S3R_TRANSCRIPT_JSON, NULL,
        "{\"path\":\"dir/my talk.wav\",\"duration_s\":1.626625,\"frames\":80,"
        "\"frame_s\":0.02,\"text\":\"hé <b> & a\\\"b\",\"confidence\":0.75,\"labels\":["
        "{\"label\":\"h\",\"start_frame\":5,\"end_frame\":6,\"start_ms\":100.0,"
        "\"end_ms\":120.0,\"confidence\":0.9},"
        "{\"label\":\"é\",\"start_frame\":6,\"end_frame\":8,\"start_ms\":120.0,"
        "\"end_ms\":160.0,\"confidence\":0.8}],\"words\":["
        "{\"word\":\"hé\",\"start_ms\":100.0,\"end_ms\":160.0,\"confidence\":0.8,"
        "\"first_label\":0,\"label_count\":2}],\"error\":null}\n");
    expect_text(&empty, S3R_TRANSCRIPT_JSON, NULL,
                "{\"path\":\"-\",\"duration_s\":0.5,\"frames\":24,\"frame_s\":0.02,"
                "\"text\":\"\",\"confidence\":1.0,\"labels\":[],\"words\":[],"
                "\"error\":null}\n");
    expect_text(&failed, S3R_TRANSCRIPT_JSON, NULL,
                "{\"path\":\"x\xef\xbf\xbd.wav\",\"duration_s\":null,\"frames\":null,"
                "\"frame_s\":null,\"text\":null,\"confidence\":null,\"labels\":[],"
                "\"words\":[],\"error\":\"no \\\"audio\\\"\"}\n");
}

static void test_subtitles(void **state)
{
    (void)state;
    expect_text(&result, S3R_TRANSCRIPT_SRT, NULL,
                "1\n00:00:00,100 --> 00:00:01,100\nhé <b> &\n\n"
                "2\n00:00:01,200 --> 00:00:01,627\na\"b\n\n");
    expect_text(&result, S3R_TRANSCRIPT_VTT, NULL,
                "WEBVTT\n\n00:00:00.100 --> 00:00:01.100\nhé &lt;b&gt; &amp;\n\n"
                "00:00:01.200 --> 00:00:01.627\na\"b\n\n");
    expect_text(&result, S3R_TRANSCRIPT_TSV, NULL,
                "start\tend\ttext\n100\t1100\thé <b> &\n1200\t1627\ta\"b\n");
    expect_text(&empty, S3R_TRANSCRIPT_SRT, NULL, "");
    expect_text(&empty, S3R_TRANSCRIPT_VTT, NULL, "WEBVTT\n\n");
    expect_text(&empty, S3R_TRANSCRIPT_TSV, NULL, "start\tend\ttext\n");
}

static void test_textgrid(void **state)
{
    (void)state;
    s3r_result one = result;
    one.words = words + 3;
    one.word_count = 1;
    one.labels = labels + 7;
    one.label_count = 1;
    static const char tier[] = "        xmin = 0 \n"
                               "        xmax = 1.626625 \n"
                               "        intervals: size = 3 \n"
                               "        intervals [1]:\n"
                               "            xmin = 0.000000 \n"
                               "            xmax = 1.200000 \n"
                               "            text = \"\" \n"
                               "        intervals [2]:\n"
                               "            xmin = 1.200000 \n"
                               "            xmax = 1.240000 \n"
                               "            text = \"a\"\"b\" \n"
                               "        intervals [3]:\n"
                               "            xmin = 1.240000 \n"
                               "            xmax = 1.626625 \n"
                               "            text = \"\" \n";
    char expected[2048];
    snprintf(expected, sizeof expected,
             "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\nxmin = 0 \n"
             "xmax = 1.626625 \ntiers? <exists> \nsize = 2 \nitem []: \n"
             "    item [1]:\n        class = \"IntervalTier\" \n"
             "        name = \"words\" \n%s"
             "    item [2]:\n        class = \"IntervalTier\" \n"
             "        name = \"labels\" \n%s",
             tier, tier);
    expect_text(&one, S3R_TRANSCRIPT_TEXTGRID, NULL, expected);
}

/* Bytes that are no UTF-8, control characters and arrows cannot break a format. */
static void test_odd_text(void **state)
{
    (void)state;
    static const s3r_label one[] = {{"a\n\xff-->", 1, 0, 2, 1}};
    static const s3r_word word[] = {WORD("a\n\xff-->", 0, 1, 0, 2, 1)};
    s3r_result odd = result;
    odd.text = word[0].text;
    odd.labels = one;
    odd.words = word;
    odd.label_count = odd.word_count = 1;
    expect_text(&odd, S3R_TRANSCRIPT_TXT, NULL, "a \xef\xbf\xbd-->\n");
    expect_text(&odd, S3R_TRANSCRIPT_SRT, NULL,
                "1\n00:00:00,000 --> 00:00:01,000\na \xef\xbf\xbd->\n\n");
    expect_text(&odd, S3R_TRANSCRIPT_VTT, NULL,
                "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\na \xef\xbf\xbd--&gt;\n\n");
    expect_text(&odd, S3R_TRANSCRIPT_CTM, NULL,
                "my%20talk 1 0.000 0.040 a%0A\xef\xbf\xbd--%3E 1.000\n");
    for (size_t format = 0; format < S3R_TRANSCRIPT_COUNT; format++) {
        char *text;
        assert_int_equal(s3r_transcript_render(&text, &failed,
                                               (s3r_transcript_format)format, NULL, &err),
                         S3R_OK);
        assert_int_equal(text[0] != '\0', format == S3R_TRANSCRIPT_JSON);
        s3r_text_free(text);
    }
}

/* ---- subtitles ---- */

#define MAX_WORDS 16

typedef struct timed_word {
    const char *text;
    size_t start, end; /* frames of 0.1 s */
} timed_word;

static void check_cues(const timed_word *given, const s3r_transcript_options *options,
                       const char *expected)
{
    s3r_word list[MAX_WORDS];
    s3r_label spans[MAX_WORDS];
    s3r_result one = {.path = "a.wav",
                      .message = "",
                      .duration_s = 20,
                      .frame_s = 0.1,
                      .text = "",
                      .labels = spans,
                      .words = list};
    for (; given[one.word_count].text; one.word_count++) {
        const timed_word *word = &given[one.word_count];
        list[one.word_count] =
            (s3r_word)WORD(word->text, one.word_count, 1, word->start, word->end, 1);
        spans[one.word_count] = (s3r_label){word->text, 1, word->start, word->end, 1};
    }
    one.label_count = one.word_count;
    expect_text(&one, S3R_TRANSCRIPT_SRT, options, expected);
}

static void test_cues(void **state)
{
    (void)state;
    s3r_transcript_options options;
    s3r_transcript_options_init(&options);
    options.line_width = 5;
    options.max_cue_s = 3;
    options.min_cue_s = 0.5;
    options.pause_s = 0.6;
    /* A pause parts; one frame less does not. */
    check_cues((timed_word[]){{"a", 0, 5}, {"b", 11, 20}, {NULL, 0, 0}}, &options,
               "1\n00:00:00,000 --> 00:00:00,500\na\n\n"
               "2\n00:00:01,100 --> 00:00:02,000\nb\n\n");
    check_cues((timed_word[]){{"a", 0, 5}, {"b", 10, 20}, {NULL, 0, 0}}, &options,
               "1\n00:00:00,000 --> 00:00:02,000\na b\n\n");
    /* Two lines of five columns; the third line goes into the next, at the longest pause
     * of the second half. */
    check_cues((timed_word[]){{"aa", 0, 2},
                              {"bb", 2, 4},
                              {"ccc", 6, 8},
                              {"d", 8, 9},
                              {"eee", 9, 10},
                              {NULL, 0, 0}},
               &options,
               "1\n00:00:00,000 --> 00:00:00,500\naa bb\n\n"
               "2\n00:00:00,600 --> 00:00:01,100\nccc d\neee\n\n");
    /* Longer than three seconds: equal pauses, so as late as possible. */
    check_cues(
        (timed_word[]){
            {"a", 0, 10}, {"b", 10, 20}, {"c", 20, 30}, {"d", 30, 40}, {NULL, 0, 0}},
        &options,
        "1\n00:00:00,000 --> 00:00:03,000\na b c\n\n"
        "2\n00:00:03,000 --> 00:00:04,000\nd\n\n");
    /* A word alone may last longer; the end of the audio limits the shortest time. */
    check_cues((timed_word[]){{"a", 0, 50}, {"b", 197, 199}, {NULL, 0, 0}}, &options,
               "1\n00:00:00,000 --> 00:00:05,000\na\n\n"
               "2\n00:00:19,700 --> 00:00:20,000\nb\n\n");
    /* A wide word is divided between characters, with marks kept and wide ones counted
     * twice. */
    check_cues((timed_word[]){{"abcdefg", 0, 7}, {NULL, 0, 0}}, &options,
               "1\n00:00:00,000 --> 00:00:00,700\nabcde\nfg\n\n");
    check_cues((timed_word[]){{"你好你", 0, 7}, {NULL, 0, 0}}, &options,
               "1\n00:00:00,000 --> 00:00:00,700\n你好\n你\n\n");
    check_cues((timed_word[]){{"e\xcc\x81"
                               "e\xcc\x81"
                               "eee",
                               0, 7},
                              {NULL, 0, 0}},
               &options,
               "1\n00:00:00,000 --> 00:00:00,700\ne\xcc\x81"
               "e\xcc\x81"
               "eee\n\n");
}

/* A divided word of two labels: its first half has the first one's time. */
static void test_divided_words_have_the_times_of_labels(void **state)
{
    (void)state;
    static const s3r_label two[] = {{"aaaa", 1, 0, 10, 1}, {"bbbb", 2, 50, 60, 1}};
    static const s3r_word word[] = {WORD("aaaabbbb", 0, 2, 0, 60, 1)};
    s3r_transcript_options options;
    s3r_transcript_options_init(&options);
    options.line_width = 5;
    s3r_result one = {.path = "a.wav",
                      .message = "",
                      .duration_s = 20,
                      .frame_s = 0.1,
                      .text = "aaaabbbb",
                      .labels = two,
                      .label_count = 2,
                      .words = word,
                      .word_count = 1};
    expect_text(&one, S3R_TRANSCRIPT_TSV, &options,
                "start\tend\ttext\n0\t1000\taaaa\n5000\t6000\tbbbb\n");
}

static void test_wrong_options(void **state)
{
    (void)state;
    char *text;
    s3r_transcript_options good, options;
    s3r_transcript_options_init(&good);
    for (size_t i = 0; i < 7; i++) {
        options = good;
        if (i == 0)
            options.struct_size = 1;
        if (i == 1)
            options.line_width = 0;
        if (i == 2)
            options.max_lines = 0;
        if (i == 3)
            options.max_cue_s = 0;
        if (i == 4)
            options.min_cue_s = 8;
        if (i == 5)
            options.pause_s = 0;
        s3r_transcript_format format = i == 6 ? S3R_TRANSCRIPT_COUNT : S3R_TRANSCRIPT_SRT;
        assert_int_equal(s3r_transcript_render(&text, &result, format, &options, &err),
                         S3R_ERR_USAGE);
        assert_true(err.message[0] != '\0');
    }
}

/* ---- files ---- */

static void test_files(void **state)
{
    (void)state;
    const char *folder = test_path(test_folder(), "a/b");
    for (size_t format = 0; format < S3R_TRANSCRIPT_COUNT; format++) {
        char *text, name[64];
        s3r_file_map map;
        const char *known = s3r_transcript_format_name(format);
        assert_int_equal(s3r_transcript_save(&result, folder,
                                             (s3r_transcript_format)format, NULL, &err),
                         S3R_OK);
        snprintf(name, sizeof name, "my talk.%s",
                 format == S3R_TRANSCRIPT_TEXTGRID ? "TextGrid" : known);
        assert_int_equal(
            s3r_file_map_open(&map, test_path(folder, name), S3R_ERR_DATA, &err), S3R_OK);
        assert_int_equal(s3r_transcript_render(&text, &result,
                                               (s3r_transcript_format)format, NULL, &err),
                         S3R_OK);
        assert_int_equal(map.size, strlen(text));
        assert_memory_equal(map.data, text, map.size);
        s3r_text_free(text);
        s3r_file_map_close(&map);
    }
    assert_null(s3r_transcript_format_name(S3R_TRANSCRIPT_COUNT));
    assert_false(s3r_transcript_format_is_lines(S3R_TRANSCRIPT_COUNT));
    assert_true(s3r_transcript_format_is_lines(S3R_TRANSCRIPT_CTM));
    assert_false(s3r_transcript_format_is_lines(S3R_TRANSCRIPT_SRT));
    const char *file = test_path(folder, "my talk.srt");
    assert_int_equal(s3r_transcript_save(&result, test_path(file, "sub"),
                                         S3R_TRANSCRIPT_SRT, NULL, &err),
                     S3R_ERR_RUNTIME);
    static const char *const distinct[] = {"a.wav", "x/b.wav", "-"};
    static const char *const same[] = {"a.wav", "x/b.wav", "y/a.flac"};
    static const char *const masked[] = {"a.wav", "b.wav", "a.cs.wav"};
    static const char *const masks[] = {"nl,cs", NULL, "cs"};
    static const char *const dotted[] = {"nl,b.c", NULL, "b,c"};
    assert_int_equal(s3r_transcript_check_names(distinct, NULL, 3, &err), S3R_OK);
    assert_int_equal(s3r_transcript_check_names(same, NULL, 3, &err), S3R_ERR_USAGE);
    assert_string_equal(err.message, "a.wav and y/a.flac would both be written to a");
    assert_int_equal(s3r_transcript_check_names(masked, NULL, 3, &err), S3R_OK);
    assert_int_equal(s3r_transcript_check_names(masked, dotted, 3, &err), S3R_OK);
    assert_int_equal(s3r_transcript_check_names(masked, masks, 3, &err), S3R_ERR_USAGE);
    assert_string_equal(err.message, "a.wav and a.cs.wav would both be written to a.cs");
}

static s3r_status render_all(void *context, s3r_error *error)
{
    s3r_status status = S3R_OK;
    for (size_t i = 0; i < S3R_TRANSCRIPT_COUNT && status == S3R_OK; i++) {
        status =
            s3r_transcript_save(&result, context, (s3r_transcript_format)i, NULL, error);
    }
    return status;
}

static void test_memory_faults_are_survived(void **state)
{
    (void)state;
    char folder[1024];
    snprintf(folder, sizeof folder, "%s", test_folder());
    test_survives_alloc_faults(render_all, folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_subtitles),
        cmocka_unit_test(test_textgrid),
        cmocka_unit_test(test_odd_text),
        cmocka_unit_test(test_cues),
        cmocka_unit_test(test_divided_words_have_the_times_of_labels),
        cmocka_unit_test(test_wrong_options),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_memory_faults_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
