/*
 * What is known of the audio files of many utterances: length and content hash, measured
 * once a file, by all threads.
 */
#ifndef S3R_DATA_AUDIO_FACTS_H
#define S3R_DATA_AUDIO_FACTS_H

#include "base/thread_pool.h"
#include "data/manifest.h"
#include "data/string_map.h"

#define S3R_CONTENT_HASH_BYTES 33 /* MD5 in hexadecimal, with NUL */

typedef struct s3r_audio_fact {
    const char *path;
    double seconds;   /* of the whole file; negative when it cannot be read */
    s3r_status error; /* S3R_OK, or why */
    char *message;    /* of the error, without the path; NULL without memory for it */
    char hash[S3R_CONTENT_HASH_BYTES]; /* of the file's bytes; "" when not wanted */
} s3r_audio_fact;

typedef struct s3r_audio_facts {
    s3r_audio_fact *items; /* one a file */
    size_t count, capacity;
    s3r_string_map by_path;
} s3r_audio_facts;

/* Called between groups of files; false interrupts. */
typedef bool (*s3r_facts_progress_fn)(void *context, size_t done, size_t total);

typedef struct s3r_facts_options {
    bool is_decoded; /* else headers are believed where the format's can be */
    bool has_hash;
    s3r_facts_progress_fn progress; /* NULL = none */
    void *progress_context;
} s3r_facts_options;

/* Zeroed before use.  Adds a file once; path is borrowed. */
s3r_status s3r_audio_facts_add(s3r_audio_facts *facts, const char *path, s3r_error *err);
/* Measures all files that were added.  A file that cannot be read is a fact, no error.
 * S3R_ERR_RESOURCE; S3R_ERR_INTERRUPTED. */
s3r_status s3r_audio_facts_measure(s3r_audio_facts *facts, s3r_pool *pool,
                                   const s3r_facts_options *options, s3r_error *err);
/* Never NULL for a path that was added. */
const s3r_audio_fact *s3r_audio_facts_get(const s3r_audio_facts *facts, const char *path);
void s3r_audio_facts_release(s3r_audio_facts *facts);

/* Seconds of the utterance in a file of so many: its own or up to the file's end, at most
 * to there.  Negative when it begins behind the end or ends more than 0.05 s behind. */
double s3r_utterance_seconds(const s3r_utterance *utterance, double file_seconds);

#endif
