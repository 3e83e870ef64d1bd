/*
 * From frames to results.
 */
#include "api/transcribe_search.h"

#include <string.h>

#include "api/decoder.h"
#include "base/memory.h"

s3r_status s3r_job_search_check(const s3r_decoder *decoder, const s3r_model *model,
                                s3r_error *err)
{
    if (!decoder || decoder->model == model)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_USAGE,
                    "decoder: expected one that was opened for this model");
}

s3r_status s3r_job_search_start(s3r_job_search *search, const s3r_decoder *decoder,
                                double temperature, s3r_error *err)
{
    search->decoder = decoder;
    S3R_TRY(s3r_beam_create(&search->beam, &decoder->search, err));
    s3r_beam_set_temperature(search->beam, temperature);
    return S3R_OK;
}

s3r_status s3r_job_search_take(s3r_job_search *search, const float *rows, size_t count,
                               size_t stride, s3r_error *err)
{
    if (!search->beam)
        return S3R_OK;
    if (search->is_streamed)
        return s3r_beam_add(search->beam, rows, count, stride, err);
    size_t labels = search->decoder->search.label_count;
    if (search->frames + count > search->capacity) {
        size_t capacity = S3R_MAX(search->frames + count, 2 * search->capacity);
        float *grown =
            s3r_realloc(search->rows, search->capacity, capacity, labels * sizeof *grown);
        if (!grown)
            return s3r_fail_memory(err, "emissions", capacity * labels * sizeof *grown);
        search->rows = grown;
        search->capacity = capacity;
    }
    for (size_t i = 0; i < count; i++)
        memcpy(search->rows + (search->frames + i) * labels, rows + i * stride,
               labels * sizeof *rows);
    search->frames += count;
    return S3R_OK;
}

s3r_status s3r_job_search_finish(s3r_job_search *search, s3r_error *err)
{
    if (!search->beam)
        return S3R_OK;
    S3R_TRY(s3r_beam_add(search->beam, search->rows, search->frames,
                         search->decoder->search.label_count, err));
    S3R_TRY(s3r_beam_finish(search->beam, search->decoder->nbest, &search->found, err));
    search->hypotheses = s3r_alloc(search->found.count, sizeof *search->hypotheses);
    if (!search->hypotheses)
        return s3r_fail_memory(err, "results", search->found.count);
    for (size_t i = 0; i < search->found.count; i++) {
        const s3r_decoded *d = &search->found.items[i];
        search->hypotheses[i] = (s3r_hypothesis){.text = d->text,
                                                 .score = d->score,
                                                 .emission = d->emission,
                                                 .lm_log10 = d->lm,
                                                 .words = d->word_count};
    }
    return S3R_OK;
}

s3r_status s3r_job_search_labels(const s3r_job_search *search,
                                 const s3r_vocabulary *vocabulary, char **text,
                                 s3r_label **labels, size_t *count, s3r_error *err)
{
    const s3r_decoded *best = &search->found.items[0];
    *count = best->span_count;
    *text = s3r_strdup(best->text);
    *labels = s3r_alloc(best->span_count, sizeof **labels);
    if (!*text || !*labels)
        return s3r_fail_memory(err, "the labels", best->span_count * sizeof **labels);
    for (size_t i = 0; i < best->span_count; i++) {
        const s3r_label_span *span = &best->spans[i];
        (*labels)[i] = (s3r_label){.text = vocabulary->labels[span->label],
                                   .id = span->label,
                                   .start_frame = span->start_frame,
                                   .end_frame = span->end_frame,
                                   .confidence = best->probabilities[i]};
    }
    return S3R_OK;
}

void s3r_job_search_release(s3r_job_search *search)
{
    s3r_beam_destroy(search->beam);
    s3r_free(search->rows);
    s3r_decodings_release(&search->found);
    s3r_free(search->hypotheses);
    *search = (s3r_job_search){0};
}
