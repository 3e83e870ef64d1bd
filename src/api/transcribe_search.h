/*
 * The search of one file: frames are collected, so that the files of a batch are searched
 * in parallel, or searched as they come, so that a long one needs no more memory.
 */
#ifndef S3R_API_TRANSCRIBE_SEARCH_H
#define S3R_API_TRANSCRIBE_SEARCH_H

#include "decode/beam_search.h"
#include "s3r/transcribe.h"

typedef struct s3r_job_search {
    const s3r_decoder *decoder;
    s3r_beam *beam;   /* NULL: no decoder, and the calls below do nothing */
    bool is_streamed; /* frames are searched as they come */
    float *rows;      /* [frames, labels] collected */
    size_t frames, capacity;
    s3r_decodings found;
    s3r_hypothesis *hypotheses; /* [found.count] */
} s3r_job_search;

/* S3R_ERR_USAGE when the decoder (NULL is allowed) is another model's. */
s3r_status s3r_job_search_check(const s3r_decoder *decoder, const s3r_model *model,
                                s3r_error *err);

/* temperature: of the probabilities of labels. */
s3r_status s3r_job_search_start(s3r_job_search *search, const s3r_decoder *decoder,
                                double temperature, s3r_error *err);
/* The next frames, [count, labels], rows stride floats apart. */
s3r_status s3r_job_search_take(s3r_job_search *search, const float *rows, size_t count,
                               size_t stride, s3r_error *err);
/* Fills found and hypotheses. */
s3r_status s3r_job_search_finish(s3r_job_search *search, s3r_error *err);
/* Text and labels of the best result, for the caller to free. */
s3r_status s3r_job_search_labels(const s3r_job_search *search,
                                 const s3r_vocabulary *vocabulary, char **text,
                                 s3r_label **labels, size_t *count, s3r_error *err);
void s3r_job_search_release(s3r_job_search *search); /* a zeroed one is allowed */

#endif
