/*
 * Manifests: which audio, which text.  JSON lines in the manner of NeMo, one utterance a
 * line; docs/data.md has the keys.
 */
#ifndef S3R_DATA_MANIFEST_H
#define S3R_DATA_MANIFEST_H

#include "audio/audio_load.h"
#include "base/memory.h"

typedef struct s3r_utterance {
    const char *id;         /* "id", or the audio path as written, with "@OFFSET" behind
                               it when the utterance does not begin the file */
    const char *audio_path; /* as in the file, or below the manifest's folder */
    double offset_s;        /* where it begins in the file; 0 */
    double duration_s;      /* negative: the file does not say; the audio then ends it */
    const char *text;       /* UTF-8 in NFC, trimmed; NULL when the line has none */
    const char *language, *speaker; /* NULL = not known */
    uint64_t key; /* s3r_utterance_key: the same in every order and batch */
    size_t line;  /* in the file, from 1 */
} s3r_utterance;

/* Whether it is known what is said: an empty text says nothing. */
static inline bool s3r_utterance_has_text(const s3r_utterance *utterance)
{
    return utterance->text && utterance->text[0] != '\0';
}

/* Read it freely; strings live in the arena. */
typedef struct s3r_manifest {
    char *path;
    s3r_utterance *items;
    size_t count;
    s3r_arena owned;
} s3r_manifest;

/*
 * Reads a manifest. S3R_ERR_DATA names file, line, key, expected and found: no JSON, a
 * key of another type, no audio path, text that is not UTF-8, a negative or absurd
 * duration, two utterances with one id, no utterance at all.  Audio files are not looked
 * at. S3R_ERR_RESOURCE.
 */
s3r_status s3r_manifest_open(s3r_manifest *out, const char *path, s3r_error *err);
/* The same from bytes; label names them and its folder is that of relative paths. */
s3r_status s3r_manifest_parse(s3r_manifest *out, const char *bytes, size_t size,
                              const char *label, s3r_error *err);
void s3r_manifest_close(s3r_manifest *manifest); /* a zeroed one is allowed */

/*
 * What random draws for an utterance start from: a hash of its id and text (NULL counts
 * as
 * ""), the same on every machine and in every version.
 * s3r_random_at(FNV-1a of the id, FNV-1a of the text, 0).
 */
uint64_t s3r_utterance_key(const char *id, const char *text);

/* Writes utterances as a manifest, atomically; audio paths are written as they are.
 * Numbers are rounded to microseconds. */
s3r_status s3r_manifest_save(const char *path, const s3r_utterance *items, size_t count,
                             s3r_error *err);

/*
 * The samples of an utterance at options->sample_rate_hz (NULL: the defaults), its part
 * of the file only.  The errors of s3r_audio_load; S3R_ERR_DATA when the part lies beyond
 * the file's end (a tolerance of 0.05 s cuts).  Thread-safe.
 */
s3r_status s3r_utterance_load(s3r_audio *out, const s3r_utterance *utterance,
                              const s3r_audio_options *options, s3r_error *err);

/*
 * The last file that an utterance was cut from, decoded: the utterances of one long
 * recording follow each other, and decoding it for each would take far longer than all
 * the rest.  Zeroed it is empty.  It holds what s3r_audio_load gives for that file.
 */
typedef struct s3r_audio_cache {
    char *path;
    s3r_audio audio; /* when path */
} s3r_audio_cache;

/*
 * s3r_utterance_load, with the same bits and errors.  Only an utterance that does not
 * begin its file makes the cache hold a file.  The caller's, for one thread at a time;
 * options are the same in all calls with one cache.
 */
s3r_status s3r_utterance_load_cached(s3r_audio *out, s3r_audio_cache *cache,
                                     const s3r_utterance *utterance,
                                     const s3r_audio_options *options, s3r_error *err);
void s3r_audio_cache_release(s3r_audio_cache *cache); /* a zeroed one is allowed */

#endif
