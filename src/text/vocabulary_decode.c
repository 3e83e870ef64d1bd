/*
 * From the best id of every frame to text: greedy CTC, then joining into text or words.
 */
#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"
#include "text/unicode_text.h"
#include "text/vocabulary.h"

static bool is_printed(const s3r_vocabulary *vocabulary, uint32_t label)
{
    return label < vocabulary->count && vocabulary->printed[label];
}

size_t s3r_vocabulary_collapse(const s3r_vocabulary *vocabulary, s3r_label_span *spans,
                               const uint32_t *ids, size_t frame_count)
{
    size_t span_count = 0;
    for (size_t start = 0, end; start < frame_count; start = end) {
        for (end = start + 1; end < frame_count && ids[end] == ids[start];)
            end++;
        if (is_printed(vocabulary, ids[start]))
            spans[span_count++] = (s3r_label_span){ids[start], start, end};
    }
    return span_count;
}

/* Removes white space, as Unicode knows it, from both ends in place. */
static void trim(char *text)
{
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
    const utf8proc_uint8_t *first = NULL, *end = at;
    utf8proc_int32_t character;
    for (utf8proc_ssize_t used; *at; at += used) {
        used = utf8proc_iterate(at, -1, &character);
        if (used <= 0)
            used = 1;
        else if (s3r_character_is_space(character))
            continue;
        first = first ? first : at;
        end = at + used;
    }
    size_t length = first ? (size_t)(end - first) : 0;
    if (first)
        memmove(text, first, length);
    text[length] = '\0';
}

/* Bytes that joining spans takes at most, with a NUL for each; false on overflow. */
static bool joined_bytes(const s3r_vocabulary *vocabulary, const s3r_label_span *spans,
                         size_t span_count, size_t *bytes)
{
    *bytes = 1;
    for (size_t i = 0; i < span_count; i++)
        if (is_printed(vocabulary, spans[i].label) &&
            !s3r_size_add(*bytes, strlen(vocabulary->printed[spans[i].label]) + 1, bytes))
            return false;
    return true;
}

/* Joins spans at `joined`, trimmed; returns the length without the NUL. */
static size_t join(const s3r_vocabulary *vocabulary, const s3r_label_span *spans,
                   size_t span_count, char *joined)
{
    size_t length = 0;
    for (size_t i = 0; i < span_count; i++) {
        if (!is_printed(vocabulary, spans[i].label))
            continue;
        const char *label = vocabulary->printed[spans[i].label];
        if (vocabulary->is_phonemes && length > 0)
            joined[length++] = ' ';
        size_t label_length = strlen(label);
        memcpy(joined + length, label, label_length);
        length += label_length;
    }
    joined[length] = '\0';
    trim(joined);
    return strlen(joined);
}

s3r_status s3r_vocabulary_text(const s3r_vocabulary *vocabulary, char **text,
                               const s3r_label_span *spans, size_t span_count,
                               s3r_error *err)
{
    size_t size;
    if (!joined_bytes(vocabulary, spans, span_count, &size))
        return s3r_fail_memory(err, "a transcript", SIZE_MAX);
    char *joined = s3r_alloc(size, 1);
    if (!joined)
        return s3r_fail_memory(err, "a transcript", size);
    join(vocabulary, spans, span_count, joined);
    *text = joined;
    return S3R_OK;
}

/* ---- words ---- */

static bool parts_words(const s3r_vocabulary *vocabulary, uint32_t label)
{
    if (label == vocabulary->delimiter_id)
        return true;
    if (!is_printed(vocabulary, label) || !vocabulary->printed[label][0])
        return false;
    for (const char *at = vocabulary->printed[label]; *at;)
        if (!s3r_character_is_space(s3r_character_next(&at)))
            return false;
    return true;
}

s3r_status s3r_vocabulary_words(const s3r_vocabulary *vocabulary, s3r_word_list *out,
                                const s3r_label_span *spans, size_t span_count,
                                s3r_error *err)
{
    size_t size;
    *out = (s3r_word_list){0};
    if (!joined_bytes(vocabulary, spans, span_count, &size))
        return s3r_fail_memory(err, "words", SIZE_MAX);
    out->items = s3r_alloc(span_count, sizeof *out->items);
    out->text = s3r_alloc(size, 1);
    if (!out->items || !out->text)
        return s3r_fail_memory(err, "words", span_count * sizeof *out->items + size);
    char *text = out->text;
    for (size_t first = 0, end; first < span_count; first = end + 1) {
        for (end = first; end < span_count && !parts_words(vocabulary, spans[end].label);)
            end++;
        size_t length = join(vocabulary, spans + first, end - first, text);
        if (length == 0)
            continue;
        out->items[out->count++] = (s3r_word_span){
            text, first, end - first, spans[first].start_frame, spans[end - 1].end_frame};
        text += length + 1;
    }
    return S3R_OK;
}

s3r_status s3r_word_list_take_texts(s3r_word_list *list, s3r_text_buffer *names,
                                    s3r_error *err)
{
    s3r_buffer_add_bytes(names, "", 1); /* of no words, too */
    S3R_TRY(s3r_buffer_take(names, &list->text, "words", err));
    const char *at = list->text;
    for (size_t i = 0; i < list->count; i++, at += strlen(at) + 1)
        list->items[i].text = at;
    return S3R_OK;
}

void s3r_word_list_release(s3r_word_list *list)
{
    s3r_free(list->items);
    s3r_free(list->text);
    *list = (s3r_word_list){0};
}

s3r_status s3r_vocabulary_decode(const s3r_vocabulary *vocabulary, char **text,
                                 const uint32_t *ids, size_t frame_count, s3r_error *err)
{
    s3r_label_span *spans = s3r_alloc(frame_count, sizeof *spans);
    if (!spans)
        return s3r_fail_memory(err, "label spans", frame_count * sizeof *spans);
    size_t span_count = s3r_vocabulary_collapse(vocabulary, spans, ids, frame_count);
    s3r_status status = s3r_vocabulary_text(vocabulary, text, spans, span_count, err);
    s3r_free(spans);
    return status;
}
