/*
 * Any audio in, 16 kHz (or the model's rate) mono float out. (spec 2.1)
 *
 * libsndfile decodes (WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF, ...), soxr resamples (HQ),
 * channels are averaged.  "-" reads raw signed 16-bit little-endian mono from stdin at
 * raw_rate_hz, or any libsndfile format when the bytes start with a known magic.  ".g722"
 * is decoded here (64 kbit/s, 16 kHz).  Anything else goes through an `ffmpeg` pipe when
 * the program exists.
 */
#ifndef S3R_AUDIO_AUDIO_LOAD_H
#define S3R_AUDIO_AUDIO_LOAD_H

#include "base/error.h"

typedef struct s3r_audio {
    const float *samples; /* [sample_count] mono; 64-byte aligned */
    size_t sample_count;
    uint32_t sample_rate_hz;        /* of samples */
    uint32_t source_sample_rate_hz; /* of the file */
    uint32_t source_channels;
    void *storage; /* private: heap block, or a map of an unlinked temporary file */
    size_t storage_bytes;
    bool is_mapped;
} s3r_audio;

typedef struct s3r_audio_options {
    uint32_t sample_rate_hz; /* wanted rate; default 16000 */
    uint32_t raw_rate_hz;    /* rate of raw stdin; default 16000 */
    /* Longer audio is spooled to an unlinked file in $TMPDIR and mapped, so that memory
     * stays bounded (by twice this while loading); default 64 MiB. */
    size_t memory_limit_bytes;
    size_t max_sample_count; /* more samples are S3R_ERR_DATA; default 0 = no limit */
    bool allow_ffmpeg;       /* default true */
} s3r_audio_options;

void s3r_audio_options_init(s3r_audio_options *options);

/*
 * Loads the whole of path; options NULL means the defaults.  Errors, each naming the
 * path: S3R_ERR_DATA for a missing or unreadable file, an unknown format (says that
 * ffmpeg was not found, or what ffmpeg said), a truncated file (how many frames were
 * promised and found), NaN or infinite samples (the first position), 0 samples;
 * S3R_ERR_RESOURCE without memory.  Out untouched on failure. Thread-safe.
 */
s3r_status s3r_audio_load(s3r_audio *out, const char *path,
                          const s3r_audio_options *options, s3r_error *err);
/* The same for an encoded file that is already in memory (fuzzing, network). */
s3r_status s3r_audio_load_memory(s3r_audio *out, const void *bytes, size_t size,
                                 const char *label, const s3r_audio_options *options,
                                 s3r_error *err);
void s3r_audio_release(s3r_audio *audio);

/*
 * Seconds of audio in path from its header alone, for sorting and progress; negative when
 * the format does not tell (pipes, g722 is known by size).  Never an error.
 */
double s3r_audio_probe_seconds(const char *path);

#endif
