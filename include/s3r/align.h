/*
 * Where in a recording the words of a known text are: forced alignment with the model's
 * own labels.
 *
 * The likeliest CTC path that spells the text is found exactly (Viterbi), in memory that
 * grows with (frames * labels)^(2/3): an hour with 50,000 letters takes 56 MB and its
 * emissions, which go to a file in $TMPDIR above 64 MB.  Results are those of s3r_result:
 * words as they were written, labels with frames, path confidences.
 */
#ifndef S3R_ALIGN_H
#define S3R_ALIGN_H

#include "s3r/transcribe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What to do with characters (phones) of a text that have no label. */
typedef enum s3r_align_missing {
    /* Of characters without a label; punctuation that nobody says is passed over. */
    S3R_ALIGN_REFUSE, /* S3R_ERR_DATA names them */
    S3R_ALIGN_SKIP, /* align the rest; a word without any label has a time of length 0 */
    S3R_ALIGN_STAR  /* a run of them stands for any sound: it is as likely as the best
                       label of each frame */
} s3r_align_missing;

typedef struct s3r_align_options {
    size_t struct_size;         /* set by _init */
    s3r_align_missing missing;  /* default S3R_ALIGN_REFUSE */
    double doubt;               /* a word with a lower score is doubtful; default -3 */
    double window_s, context_s; /* as in s3r_transcribe_options */
    bool allow_ffmpeg;          /* default true */
    s3r_progress_fn progress;   /* NULL = none */
    void *progress_context;
} s3r_align_options;

S3R_API void s3r_align_options_init(s3r_align_options *options);

typedef struct s3r_align_item {
    const char *path; /* audio, "-" is stdin */
    const char *text; /* UTF-8, words parted by white space */
} s3r_align_item;

/*
 * Aligns each text to its audio; one result an item, in order.  In a result `text` is
 * the text with single spaces, `confidence` is the mean probability of the path over all
 * frames, and a word's score is the sum over its frames of log(probability of the path's
 * label / probability of the best label), divided by its labels.
 *
 * An item fails with S3R_ERR_DATA when its audio is unreadable or has fewer frames than
 * the text needs, when nothing of the text has a label, or some character has none
 * (S3R_ALIGN_REFUSE); with S3R_ERR_RESOURCE when it would take more than 2 GiB.  Others
 * go on: S3R_ERR_PARTIAL then.  Otherwise as s3r_transcribe.
 */
S3R_API s3r_status s3r_align(s3r_context *context, const s3r_model *model,
                             const s3r_align_item *items, size_t item_count,
                             const s3r_align_options *options, s3r_result_fn result,
                             void *result_context, s3r_error *err);

/*
 * Aligns the utterances of a manifest that have a text; index counts all, path is the
 * id, and name the id with "/" as "%2F" and "%" as "%25".  S3R_ERR_DATA: the manifest, or
 * none with a text.
 */
S3R_API s3r_status s3r_align_manifest(s3r_context *context, const s3r_model *model,
                                      const char *manifest_path,
                                      const s3r_align_options *options,
                                      s3r_result_fn result, void *result_context,
                                      s3r_error *err);

#ifdef __cplusplus
}
#endif
#endif
