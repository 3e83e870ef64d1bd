/*
 * One text on its way to its times: labels, emissions of these labels, alignment, words.
 */
#ifndef S3R_API_ALIGN_JOB_H
#define S3R_API_ALIGN_JOB_H

#include "api/handles.h"
#include "audio/audio_load.h"
#include "audio/audio_spool.h"
#include "decode/forced_align.h"
#include "s3r/align.h"
#include "tasks/ctc_inference.h"
#include "text/vocabulary_encode.h"

typedef struct s3r_align_job {
    const s3r_model *model;
    const char *path; /* for messages */
    size_t frames;
    s3r_arena arena; /* text, columns */
    s3r_encoded_text text;
    /* Only the labels of the text are kept of each frame: a column each, then the blank
     * and the best of all labels. */
    uint32_t *column_labels; /* [cols - 2] */
    uint32_t *targets;       /* [text.count] columns; a star is the best label's */
    size_t cols;
    float *row;                /* [cols] */
    s3r_audio_spool emissions; /* rows as they come */
    s3r_audio_block block;     /* all rows */
    s3r_align_span *spans;     /* [text.count] */
    s3r_label *labels;         /* [text.count] */
    s3r_word *words;           /* [text.word_count] */
    char *joined;              /* the text */
    double confidence;
} s3r_align_job;

/* Encodes the text and checks that the frames suffice.  Release the job in any case. */
s3r_status s3r_align_job_start(s3r_align_job *job, const s3r_model *model,
                               const char *path, size_t frames, const char *text,
                               s3r_align_missing missing, s3r_error *err);
/* Takes rows of log-probabilities, in order. */
s3r_status s3r_align_job_rows(s3r_align_job *job, const s3r_frame_rows *rows,
                              s3r_error *err);
/* Aligns; labels, words, joined and confidence are then set. */
s3r_status s3r_align_job_finish(s3r_align_job *job, double doubt,
                                bool (*goes_on)(void *context), void *goes_on_context,
                                s3r_error *err);
void s3r_align_job_release(s3r_align_job *job);

#endif
