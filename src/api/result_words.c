/*
 * Labels with frames to words with frames and confidence.
 */
#include "api/result_words.h"

#include "base/memory.h"

float s3r_word_confidence(const s3r_label *labels, size_t label_count)
{
    float least = 1;
    for (size_t i = 0; i < label_count; i++)
        least = S3R_MIN(least, labels[i].confidence);
    return least;
}

static s3r_status find_words(s3r_words *out, const s3r_vocabulary *vocabulary,
                             const s3r_label *labels, size_t label_count, s3r_error *err)
{
    s3r_label_span *spans = s3r_alloc(label_count, sizeof *spans);
    if (!spans)
        return s3r_fail_memory(err, "words", label_count * sizeof *spans);
    for (size_t i = 0; i < label_count; i++)
        spans[i] = (s3r_label_span){(uint32_t)labels[i].id, labels[i].start_frame,
                                    labels[i].end_frame};
    s3r_status status =
        s3r_vocabulary_words(vocabulary, &out->spans, spans, label_count, err);
    s3r_free(spans);
    return status;
}

static s3r_status make_items(s3r_words *out, const s3r_word_list *list,
                             const s3r_label *labels, s3r_error *err)
{
    out->items = s3r_alloc(list->count, sizeof *out->items);
    if (!out->items)
        return s3r_fail_memory(err, "words", list->count * sizeof *out->items);
    for (; out->count < list->count; out->count++) {
        const s3r_word_span *span = &list->items[out->count];
        out->items[out->count] =
            (s3r_word){.text = span->text,
                       .first_label = span->first_span,
                       .label_count = span->span_count,
                       .start_frame = span->start_frame,
                       .end_frame = span->end_frame,
                       .confidence = s3r_word_confidence(labels + span->first_span,
                                                         span->span_count)};
    }
    return S3R_OK;
}

s3r_status s3r_words_make(s3r_words *out, const s3r_vocabulary *vocabulary,
                          const s3r_label *labels, size_t label_count, s3r_error *err)
{
    *out = (s3r_words){0};
    S3R_TRY(find_words(out, vocabulary, labels, label_count, err));
    return make_items(out, &out->spans, labels, err);
}

s3r_status s3r_words_of_list(s3r_words *out, const s3r_word_list *list,
                             const s3r_label *labels, s3r_error *err)
{
    *out = (s3r_words){0};
    return make_items(out, list, labels, err);
}
void s3r_words_release(s3r_words *words)
{
    s3r_free(words->items);
    s3r_word_list_release(&words->spans);
    *words = (s3r_words){0};
}
