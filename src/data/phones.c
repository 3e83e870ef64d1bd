/*
 * espeak-ng gets many texts at once, one a line, since starting it takes longer than a
 * sentence.  It answers a line each, but may swallow a text or part a long one: then the
 * lines cannot be told apart, and the batch is given again in halves.  Long texts go
 * alone, so that a swallowed and a parted text never meet.
 */
#include "data/phones.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "base/process.h"
#include "text/unicode_text.h"

#define BATCH_TEXTS      512u
#define LONG_TEXT_BYTES  240u
#define MAX_OUTPUT_BYTES ((size_t)64 << 20)

#define GLOTTAL_STOP  0x294
#define PALATAL       0x2B2
#define OPEN_E        0x25B
#define GREEK_EPSILON 0x3B5

typedef struct speaker {
    const char **phones;
    s3r_arena *arena;
    const char *const *texts;
    const char *voice;
    size_t switched; /* texts with words in another language */
} speaker;

/* Lower-case primary language, as espeak-ng names its voices: "pt-BR" is "pt-br". */
static void name_voice(char *name, size_t size, const char *voice)
{
    snprintf(name, size, "%s", strcmp(voice, "zh") == 0 ? "cmn" : voice);
    for (char *at = name; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
}

static s3r_status explain(const speaker *s, s3r_status status, const s3r_error *why,
                          bool is_missing, s3r_error *err)
{
    if (is_missing)
        return s3r_fail(err, S3R_ERR_RUNTIME,
                        "phones need the program espeak-ng, which was not found; install "
                        "it (apt-get install espeak-ng)");
    if (strstr(why->message, "voice does not exist"))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "espeak-ng has no voice \"%s\" (espeak-ng --voices lists them)",
                        s->voice);
    return s3r_fail(err, status, "%s", why->message);
}

/* Texts [first, end), one a line, go in; a new string comes out. */
static s3r_status run_espeak(const speaker *s, size_t first, size_t end, char **output,
                             s3r_error *err)
{
    char voice[64];
    size_t bytes = 1, used = 0, output_bytes;
    bool is_missing = false;
    s3r_error why = {0};
    name_voice(voice, sizeof voice, s->voice);
    /* A line shorter than -l ends a clause. */
    const char *const arguments[] = {"espeak-ng", "-q", "--ipa", "--sep= ", "-l",
                                     "1000000",   "-v", voice,   "--stdin", NULL};
    for (size_t i = first; i < end; i++)
        bytes += strlen(s->texts[i]) + 1;
    char *input = s3r_alloc(bytes, 1);
    if (!input)
        return s3r_fail_memory(err, "texts", bytes);
    for (size_t i = first; i < end; i++)
        used += (size_t)snprintf(input + used, bytes - used, "%s\n", s->texts[i]);
    const s3r_process process = {arguments, input, used, MAX_OUTPUT_BYTES};
    s3r_status status =
        s3r_process_run(&process, output, &output_bytes, &is_missing, &why);
    s3r_free(input);
    return status == S3R_OK ? S3R_OK : explain(s, status, &why, is_missing, err);
}

static bool is_dropped(int32_t character)
{
    static const int32_t signs[] = {0x2C8, 0x2CC, '-', '^', '"', '_', ';', '\'', '|'};
    for (size_t i = 0; i < S3R_ARRAY_LEN(signs); i++)
        if (character == signs[i])
            return true;
    return false;
}

/* One unit of espeak-ng's as a phone behind *to; nothing may be left of it. */
static void write_phone(char **to, const char *start, const char *unit, size_t length)
{
    const char *end = unit + length;
    bool is_first = true, is_palatal = false;
    while (unit < end) {
        int32_t character = s3r_character_next(&unit);
        if (character <= 0 || is_dropped(character))
            continue;
        if (character == '?')
            character = GLOTTAL_STOP;
        if (character == GREEK_EPSILON) /* in Danish */
            character = OPEN_E;
        if (character == PALATAL && is_palatal)
            continue;
        is_palatal = character == PALATAL;
        if (is_first && *to > start)
            *(*to)++ = ' ';
        is_first = false;
        *to += s3r_character_write(*to, character);
    }
}

/* A line of espeak-ng's, NUL-terminated.  "(en)" and the like mark another language. */
static s3r_status read_line(const char **phones, speaker *s, const char *line,
                            s3r_error *err)
{
    /* The glottal stop takes a byte more than its sign. */
    char *text = s3r_arena_alloc(s->arena, strlen(line) + 1, 2), *to = text;
    bool is_switched = false;
    if (!text)
        return s3r_fail_memory(err, "phones", 2 * strlen(line));
    while (*line) {
        size_t length = strcspn(line, " \n");
        if (line[0] == '(')
            is_switched = true;
        else
            write_phone(&to, text, line, length);
        line += length + (line[length] != '\0');
    }
    *to = '\0';
    s->switched += is_switched;
    char *normal;
    S3R_TRY(s3r_text_normalize(&normal, s->arena, text, S3R_CASE_KEEP, err));
    *phones = normal;
    return S3R_OK;
}

static size_t count_lines(const char *output)
{
    size_t count = 0;
    for (; *output; output++)
        count += *output == '\n';
    return count;
}

static s3r_status read_output(speaker *s, size_t first, size_t end, char *output,
                              s3r_error *err)
{
    if (end - first == 1) /* in however many lines */
        return read_line(&s->phones[first], s, output, err);
    for (size_t i = first; i < end; i++) {
        char *newline = strchr(output, '\n');
        *newline = '\0';
        S3R_TRY(read_line(&s->phones[i], s, output, err));
        output = newline + 1;
    }
    return S3R_OK;
}

/* Halves a batch whose answer does not have a line a text; the depth is logarithmic. */
static s3r_status speak(speaker *s, size_t first, size_t end, s3r_error *err)
{
    char *output;
    S3R_TRY(run_espeak(s, first, end, &output, err));
    bool is_clear = end - first == 1 || count_lines(output) == end - first;
    s3r_status status = is_clear ? read_output(s, first, end, output, err) : S3R_OK;
    s3r_free(output);
    if (is_clear || status != S3R_OK)
        return status;
    size_t middle = first + (end - first) / 2;
    S3R_TRY(speak(s, first, middle, err));
    return speak(s, middle, end, err);
}

static bool goes_alone(const char *text)
{
    return text[0] == '\0' || strlen(text) > LONG_TEXT_BYTES;
}

s3r_status s3r_phones_make(const char **phones, s3r_arena *arena,
                           const char *const *texts, size_t count, const char *voice,
                           s3r_error *err)
{
    speaker s = {.phones = phones, .arena = arena, .texts = texts, .voice = voice};
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; !goes_alone(texts[first]) && end < count &&
                              end - first < BATCH_TEXTS && !goes_alone(texts[end]);)
            end++;
        S3R_TRY(speak(&s, first, end, err));
    }
    if (2 * s.switched > count)
        return s3r_fail(err, S3R_ERR_DATA,
                        "espeak-ng read %zu of %zu texts in another language: the voice "
                        "\"%s\" cannot read their script",
                        s.switched, count, voice);
    return S3R_OK;
}
