/*
 * A result as a JSON object on one line: docs/cli.md lists its keys.
 */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "api/transcript_write.h"
#include "base/memory.h"

/* Numbers for people and diff: without the noise of binary fractions. */
static json_t *rounded(double value, double unit)
{
    return json_real(round(value / unit) * unit);
}

static json_t *text_of(const char *bytes)
{
    s3r_text_buffer clean = {0};
    s3r_transcript_add_text(&clean, bytes, strlen(bytes), true);
    json_t *string = clean.has_failed ? NULL : json_string(clean.text ? clean.text : "");
    s3r_buffer_release(&clean);
    return string;
}

/* Adds a text; takes the object's place: NULL without memory. */
static json_t *add_text(json_t *object, const char *key, const char *text)
{
    if (object && json_object_set_new(object, key, text_of(text)) == 0)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *ms_of(const s3r_result *result, size_t frame)
{
    return rounded(1000 * result->frame_s * (double)frame, 1e-3);
}

static json_t *describe_label(const s3r_result *result, size_t index)
{
    const s3r_label *label = &result->labels[index];
    return json_pack("{s:o, s:I, s:I, s:o, s:o, s:o}", "label", text_of(label->text),
                     "start_frame", (json_int_t)label->start_frame, "end_frame",
                     (json_int_t)label->end_frame, "start_ms",
                     ms_of(result, label->start_frame), "end_ms",
                     ms_of(result, label->end_frame), "confidence",
                     rounded((double)label->confidence, 1e-6));
}

static json_t *describe_word(const s3r_result *result, size_t index)
{
    const s3r_word *word = &result->words[index];
    json_t *object = json_pack(
        "{s:o, s:o, s:o, s:o, s:I, s:I}", "word", text_of(word->text), "start_ms",
        ms_of(result, word->start_frame), "end_ms", ms_of(result, word->end_frame),
        "confidence", rounded((double)word->confidence, 1e-6), "first_label",
        (json_int_t)word->first_label, "label_count", (json_int_t)word->label_count);
    if (object && result->is_aligned &&
        (json_object_set_new(object, "score", rounded((double)word->score, 1e-6)) != 0 ||
         json_object_set_new(object, "doubtful", json_boolean(word->is_doubtful)) != 0)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* NULL without memory. */
static json_t *describe_all(const s3r_result *result,
                            json_t *(*describe)(const s3r_result *result, size_t index),
                            size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(array, describe(result, i)) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *describe_segment(const s3r_result *result, size_t index)
{
    const s3r_segment *segment = &result->segments[index];
    json_t *object =
        json_pack("{s:o, s:o}", "start_ms", rounded(1000 * segment->start_s, 1e-3),
                  "end_ms", rounded(1000 * segment->end_s, 1e-3));
    return segment->mask ? add_text(object, "mask", segment->mask) : object;
}

static json_t *describe_hypothesis(const s3r_result *result, size_t index)
{
    const s3r_hypothesis *hypothesis = &result->hypotheses[index];
    return json_pack("{s:o, s:o, s:o, s:o, s:I}", "text", text_of(hypothesis->text),
                     "score", rounded(hypothesis->score, 1e-6), "emission",
                     rounded(hypothesis->emission, 1e-6), "lm_log10",
                     rounded(hypothesis->lm_log10, 1e-6), "words",
                     (json_int_t)hypothesis->words);
}

/* Adds a list where there is one; takes the object's place: NULL without memory. */
static json_t *add_list(json_t *object, const s3r_result *result, const char *key,
                        json_t *(*describe_one)(const s3r_result *result, size_t index),
                        size_t count)
{
    if (object &&
        json_object_set_new(object, key, describe_all(result, describe_one, count)) == 0)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *describe(const s3r_result *result)
{
    if (result->status != S3R_OK)
        return json_pack("{s:o, s:n, s:n, s:n, s:n, s:n, s:[], s:[], s:o}", "path",
                         text_of(result->path), "duration_s", "frames", "frame_s", "text",
                         "confidence", "labels", "words", "error",
                         text_of(result->message));
    return json_pack(
        "{s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:n}", "path", text_of(result->path),
        "duration_s", rounded(result->duration_s, 1e-6), "frames",
        (json_int_t)result->frame_count, "frame_s", rounded(result->frame_s, 1e-9),
        "text", result->text ? text_of(result->text) : json_null(), "confidence",
        rounded(result->confidence, 1e-6), "labels",
        describe_all(result, describe_label, result->label_count), "words",
        describe_all(result, describe_word, result->word_count), "error");
}

/* What a mask of the task lid heard, which chose the mask. */
static json_t *add_heard(json_t *object, const s3r_language *language)
{
    json_t *heard = json_pack("{s:o, s:o}", "language", text_of(language->name),
                              "probability", rounded(language->probability, 1e-6));
    if (object && json_object_set_new(object, "heard", heard) == 0)
        return object;
    json_decref(object);
    return NULL;
}

void s3r_transcript_write_json(s3r_text_buffer *out, const s3r_transcript_source *source)
{
    const s3r_result *result = source->result;
    json_t *object = describe(result);
    if (result->mask)
        object = add_text(object, "mask", result->mask);
    if (result->language_count > 0)
        object = add_heard(object, &result->languages[0]);
    if (result->segments)
        object =
            add_list(object, result, "segments", describe_segment, result->segment_count);
    if (result->hypothesis_count > 0)
        object = add_list(object, result, "hypotheses", describe_hypothesis,
                          result->hypothesis_count);
    char *text =
        object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    s3r_buffer_add_string(out, text);
    s3r_buffer_add_string(out, "\n");
    out->has_failed = out->has_failed || !text;
    s3r_free(text);
    json_decref(object);
}
