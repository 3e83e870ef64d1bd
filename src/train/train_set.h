/*
 * The utterances of a run, ready for the network: labels, frame counts, and the frozen
 * extractor's output.
 *
 * Everything that is wrong with the data is found and named here, before the first step.
 */
#ifndef S3R_TRAIN_TRAIN_SET_H
#define S3R_TRAIN_TRAIN_SET_H

#include "data/manifest.h"
#include "train/feature_cache.h"
#include "train/train_model.h"

typedef struct s3r_train_item {
    const s3r_utterance *utterance;
    const uint32_t *labels; /* [label_count]; NULL when the vocabulary lacks some */
    size_t label_count;
    size_t language; /* S3R_TARGET_LANGUAGE: index in the model's list */
    size_t frames;   /* unlabelled: at most those of batch.max_seconds, which are drawn */
    size_t samples;  /* with keeps_samples: of the whole utterance */
} s3r_train_item;

typedef struct s3r_train_set {
    s3r_manifest manifest;
    s3r_train_item *items; /* what is used; the rest was named and left out */
    size_t count;
    size_t *frames;           /* [count] */
    s3r_feature_cache *cache; /* of features, NULL: they are computed anew each time; of
                                 a set with keeps_samples: 16-bit samples, one a row */
    bool keeps_samples;
    s3r_audio_cache *recording; /* the last one that an utterance was cut from */
    double seconds;
    char hash[S3R_MODEL_HASH_BYTES]; /* of what training sees: ids, targets, samples */
    s3r_arena owned;
} s3r_train_set;

/* What of a line training looks at. */
typedef enum s3r_train_target {
    S3R_TARGET_TEXT,
    S3R_TARGET_LANGUAGE,
    S3R_TARGET_NONE, /* pretraining */
} s3r_train_target;

/* What the preparation tells: warnings (text) and progress (text NULL).  Returning false
 * interrupts. */
typedef bool (*s3r_prepare_fn)(void *context, const char *text, size_t done,
                               size_t total);

typedef struct s3r_train_set_options {
    const char *path;   /* of the manifest */
    bool is_evaluation; /* too long utterances stay: they are run in windows */
    s3r_train_target target;
    bool keeps_samples; /* the cache has samples, since the extractor trains */
    s3r_dtype cache_dtype;
    bool has_cache;
    size_t cache_bytes;
    const char *cache_folder;
    s3r_prepare_fn tell;
    void *tell_context;
} s3r_train_set_options;

/*
 * Reads the manifest and encodes the texts, which is quick: what is wrong with them is
 * known before any audio is decoded.  Utterances without text are left out, with a
 * warning.  S3R_ERR_DATA: characters outside the vocabulary (the first ones are listed;
 * for evaluation they are warnings, and count as errors), a language that the model does
 * not have or none, nothing left; S3R_ERR_RESOURCE.
 *
 * options is borrowed until the set is loaded.
 */
s3r_status s3r_train_set_open(s3r_train_set *out, const s3r_train_model *model,
                              const s3r_train_set_options *options, s3r_error *err);

/*
 * Decodes all audio of an open set once and fills the cache.  Left out, each with a
 * warning: utterances outside of batch.min_seconds .. max_seconds, targets that need more
 * frames than there are (for evaluation: a warning only).  S3R_ERR_DATA: unreadable
 * audio, nothing left; S3R_ERR_RESOURCE, S3R_ERR_INTERRUPTED.
 */
s3r_status s3r_train_set_load(s3r_train_set *set, s3r_train_model *model, s3r_tape *tape,
                              const s3r_train_config *config,
                              const s3r_train_set_options *options, s3r_error *err);
void s3r_train_set_close(s3r_train_set *set); /* a zeroed one is allowed */

/* Utterances [first, end) that fill a batch of at most so many frames together; at least
 * one, which may be longer. */
size_t s3r_train_set_batch_end(const s3r_train_set *set, size_t first, size_t most);

/*
 * The extractor's output of some utterances, [frames, channels] in the tape's arena;
 * ragged receives where each is.  Without a cache audio is decoded, which can fail:
 * S3R_ERR_DATA.
 */
s3r_status s3r_train_set_features(const s3r_train_set *set, const s3r_train_model *model,
                                  s3r_tape *tape, const size_t *indices, size_t count,
                                  s3r_value **features, s3r_ragged *ragged,
                                  s3r_error *err);

/*
 * The same through the recorded extractor, for a set with keeps_samples, so that its
 * weights train.  first_frame[count] is where in each utterance its part begins (NULL:
 * whole utterances); a part has at most the item's frames.  NULL when the tape has failed
 * (s3r_tape_status).
 */
s3r_value *s3r_train_set_extract(const s3r_train_set *set, const s3r_train_model *model,
                                 s3r_tape *tape, const size_t *indices, size_t count,
                                 const size_t *first_frame, s3r_ragged *frames);

#endif
