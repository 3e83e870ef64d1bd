/*
 * Transcription while the sound comes in.
 *
 * Every chunk is run with what was heard before it and a little of what comes after it,
 * as an utterance of its own: normalisation, too, sees this window alone.  What is kept
 * of a window is never changed later, so words are final as soon as the next begins, and
 * the latency is at most chunk + right context + the time that a window takes to compute.
 * The windows depend on the options alone, not on how the samples are handed over.
 */
#ifndef S3R_STREAM_H
#define S3R_STREAM_H

#include "s3r/transcribe.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct s3r_stream s3r_stream;

typedef struct s3r_stream_options {
    size_t struct_size;      /* set by _init */
    double chunk_s;          /* kept of each window; default 1 */
    double left_s;           /* heard before it; default 8 */
    double right_s;          /* heard after it; default 1 */
    double temperature;      /* as in s3r_transcribe_options; default 1 */
    uint32_t sample_rate_hz; /* of what is written, 1000 to 768000; 0 (default): the
                                model's.  Resampling adds at most 0.12 s to the latency, 1
                                s below 8000 Hz. */
} s3r_stream_options;

S3R_API void s3r_stream_options_init(s3r_stream_options *options);

/* What a chunk has brought.  Valid during the callback only. */
typedef struct s3r_stream_update {
    double decoded_s; /* audio from the beginning that is done */
    double frame_s;
    const s3r_word *words; /* new ones, complete, in order; frames count from the
                              beginning; first_label and label_count are 0 */
    size_t word_count;
    const char *tail; /* what is known of the word behind them; "" when nothing */
    bool is_end;      /* the last update; tail is "" */
} s3r_stream_update;

/* Called once a chunk, in the caller's thread.  Another status than S3R_OK ends the call
 * that led to it. */
typedef s3r_status (*s3r_stream_fn)(void *context, const s3r_stream_update *update);

/*
 * Begins a stream of samples.  In a vocabulary without a word
 * delimiter a word ends with 0.6 s of blanks.
 *
 *   context, model  stay open as long as the stream; the context is used by the calls
 *                   below and meanwhile free for others
 *   options         NULL means the defaults
 *
 * S3R_ERR_USAGE, S3R_ERR_MODEL (no head, no vocabulary), S3R_ERR_RESOURCE.
 */
S3R_API s3r_status s3r_stream_open(s3r_stream **out, s3r_context *context,
                                   const s3r_model *model,
                                   const s3r_stream_options *options,
                                   s3r_stream_fn update, void *update_context,
                                   s3r_error *err);

/* Whether the first bytes of an input are those of an audio file, which as samples would
 * be noise.  S3R_STREAM_HEAD_BYTES tell.  Thread-safe. */
#define S3R_STREAM_HEAD_BYTES 4096u
S3R_API bool s3r_stream_is_file(const void *bytes, size_t size);

/*
 * More samples, mono, full scale 1; updates come for the chunks that they complete. After
 * a failure the stream can only be closed: S3R_ERR_USAGE.  S3R_ERR_DATA (samples or
 * results that are not finite), S3R_ERR_RESOURCE, and what the callback returned.
 */
S3R_API s3r_status s3r_stream_write(s3r_stream *stream, const float *samples,
                                    size_t count, s3r_error *err);
/* The sound has ended: what is left, and the last update; then it can only be closed. */
S3R_API s3r_status s3r_stream_finish(s3r_stream *stream, s3r_error *err);
S3R_API void s3r_stream_close(s3r_stream *stream); /* NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
