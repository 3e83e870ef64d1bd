/*
 * How far word confidences can be believed, and the temperature that mends them.
 */
#ifndef S3R_CALIBRATE_H
#define S3R_CALIBRATE_H

#include "s3r/transcribe.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct s3r_calibrate_options {
    size_t struct_size;         /* set by _init */
    double temperature;         /* one to judge beside 1 and the fitted one; default 1 */
    double window_s, context_s; /* as in s3r_transcribe_options */
    bool allow_ffmpeg;          /* default true */
    s3r_progress_fn progress;   /* NULL = none */
    void *progress_context;
} s3r_calibrate_options;

S3R_API void s3r_calibrate_options_init(s3r_calibrate_options *options);

#define S3R_CONFIDENCE_BINS 10 /* of equal width: confidence 0 to 0.1, ... */

typedef struct s3r_confidence_report {
    double temperature;
    double calibration_error; /* expected: mean over words of |right - confidence| in
                                 the word's bin */
    double cross_entropy;     /* NIST's normalised one: 1 perfect, 0 no information */
    double confidence;        /* mean */
    struct {
        size_t words, right;
        double confidence; /* mean; 0 without words */
    } bins[S3R_CONFIDENCE_BINS];
} s3r_confidence_report;

typedef struct s3r_calibration {
    size_t utterances, failed,
        skipped;         /* scored; failed; without text, or an empty one */
    size_t words, right; /* of the hypotheses */
    s3r_confidence_report plain, given, fitted; /* temperature 1, the options', the one
                                                   with the least cross entropy */
} s3r_calibration;

/* An utterance that failed: its id and why.  Valid during the call only. */
typedef void (*s3r_calibrate_failed_fn)(void *context, const char *id,
                                        const char *message);

/*
 * Transcribes the utterances of a manifest and compares each word's confidence with
 * whether it is right.  Words are those of s3r_result, compared without case; where the
 * vocabulary has no word delimiter, labels take their place.  The fitted temperature is
 * one of 2^(k/8), k = -16 to 24.
 *
 *   failed  may be NULL
 *
 * S3R_ERR_PARTIAL with a complete report when some utterances failed; S3R_ERR_USAGE,
 * S3R_ERR_MODEL (no head, no vocabulary), S3R_ERR_DATA (the manifest, nothing to score,
 * all failed), S3R_ERR_RESOURCE, S3R_ERR_INTERRUPTED.
 */
S3R_API s3r_status s3r_calibrate(s3r_context *context, const s3r_model *model,
                                 const char *manifest_path,
                                 const s3r_calibrate_options *options,
                                 s3r_calibrate_failed_fn failed, void *failed_context,
                                 s3r_calibration *out, s3r_error *err);

#ifdef __cplusplus
}
#endif
#endif
