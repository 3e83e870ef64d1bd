/*
 * One file on its way from audio to result, or to one result a model.
 */
#ifndef S3R_API_TRANSCRIBE_FILES_H
#define S3R_API_TRANSCRIBE_FILES_H

#include "api/handles.h"
#include "api/transcribe_search.h"
#include "api/voice_gate.h"
#include "audio/audio_load.h"
#include "audio/npy_write.h"
#include "s3r/transcribe.h"
#include "tasks/ctc_inference.h"

/* A file's audio, which all jobs of the file read. */
typedef struct s3r_heard_file {
    const char *path;
    size_t index;
    s3r_audio audio;
    bool is_borrowed; /* the audio is the caller's */
    s3r_status status;
    s3r_error error; /* why it cannot be heard */
    size_t frames;
    s3r_language language;  /* the likeliest, where it was asked for; else without name */
    bool is_other_language; /* the mask that was taken is of another */
} s3r_heard_file;

/* Loads the audio for models like this one; a failure goes into the file. */
void s3r_heard_file_load(s3r_heard_file *file, const s3r_model *model,
                         const s3r_transcribe_options *options);
void s3r_heard_file_release(s3r_heard_file *file);

/* What is collected of a file in one model while its frames come. */
typedef struct s3r_file_job {
    const s3r_heard_file *file;
    const s3r_model *model;
    const char *mask;        /* its name for the result; NULL = none */
    size_t part, part_count; /* of the file's results */
    s3r_status status;
    s3r_error error;       /* why it failed */
    uint32_t *best_ids;    /* [frames]; NULL when no text is wanted */
    float *probabilities;  /* [frames] of the best label */
    double temperature;    /* of these */
    s3r_voice_gate gate;   /* frames where nobody speaks count as blanks */
    s3r_job_search search; /* with a decoder */
    s3r_npy_writer *emissions;
    s3r_npy_writer **features; /* [hidden states]; NULL entries are not wanted */
    size_t feature_count;
} s3r_file_job;

/* Opens the outputs of a job whose file and model are set; a failure, also of the file,
 * goes into the job. */
void s3r_file_job_start(s3r_file_job *job, const s3r_transcribe_options *options);
/* Closes the outputs and reports the result. */
s3r_status s3r_file_job_finish(s3r_file_job *job, s3r_result_fn result,
                               void *result_context, s3r_error *err);
void s3r_file_job_release(s3r_file_job *job);
/* How sure the model is of what it heard, to compare models by: the mean probability of
 * the frames that are no blanks, 0 where all are; negative for a job that failed. */
double s3r_file_job_sureness(const s3r_file_job *job);

/* What the sinks of s3r_inference do for one file; a failure goes into the job. */
void s3r_file_job_log_probs(s3r_file_job *job, const s3r_frame_rows *rows);
void s3r_file_job_hidden(s3r_file_job *job, size_t layer, const s3r_frame_rows *rows);

/* "folder/NAME.npy" for path, or "folder/NAME.LAYER.npy" with layer >= 0 (s3r_free); NAME
 * is the last part of the path without its extension. NULL without memory. */
char *s3r_output_path(const char *folder, const char *path, int layer);

#endif
