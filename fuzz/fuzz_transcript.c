/*
 * Any bytes as the words of a result: every format can be made of them and is UTF-8.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "s3r/transcript.h"
#include "text/unicode_text.h"

#define MAX_WORDS 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Words are lines; the bytes of a word give its times too. */
static void make_result(s3r_result *result, s3r_word *words, s3r_label *labels,
                        char *text)
{
    size_t frame = 0;
    for (char *at = text; at && *at && result->word_count < MAX_WORDS;) {
        char *end = strchr(at, '\n');
        if (end)
            *end = '\0';
        size_t length = strlen(at), i = result->word_count;
        if (length > 0) {
            size_t start = frame + length % 50;
            frame = start + 1 + (unsigned char)at[0] % 100;
            labels[i] = (s3r_label){.text = at, .start_frame = start, .end_frame = frame};
            words[i] = (s3r_word){.text = at,
                                  .first_label = i,
                                  .label_count = 1,
                                  .start_frame = start,
                                  .end_frame = frame};
            result->word_count = result->label_count = i + 1;
        }
        at = end ? end + 1 : NULL;
    }
    result->frame_count = frame;
    result->duration_s = result->frame_s * (double)frame;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3r_word words[MAX_WORDS];
    s3r_label labels[MAX_WORDS];
    char *text = s3r_strndup((const char *)data, size);
    if (!text)
        return 0;
    s3r_result result = {.path = "a b.wav",
                         .message = "",
                         .frame_s = 0.02,
                         .text = text,
                         .words = words,
                         .labels = labels};
    make_result(&result, words, labels, text);
    s3r_transcript_options options;
    s3r_transcript_options_init(&options);
    options.line_width = 1 + size % 20;
    for (size_t i = 0; i < S3R_TRANSCRIPT_COUNT; i++) {
        char *out;
        if (s3r_transcript_render(&out, &result, (s3r_transcript_format)i, &options,
                                  NULL) != S3R_OK)
            abort();
        if (s3r_text_find_wrong_byte(out) != SIZE_MAX)
            abort();
        s3r_text_free(out);
    }
    s3r_free(text);
    return 0;
}
