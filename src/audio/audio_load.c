/*
 * Finds the right decoder for an input and runs it into a sink.
 *
 *   regular file, memory   ".g722" by its name; libsndfile; for a file, then ffmpeg
 *   "-"                    a known magic: spooled and decoded like a file; else raw
 *   other streams (FIFO)   spooled and decoded like a file
 */
#define _POSIX_C_SOURCE 200809L
#include "audio/audio_load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio/audio_decode.h"
#include "audio/audio_g722.h"
#include "audio/audio_magic.h"
#include "audio/audio_pipe.h"
#include "audio/audio_sink.h"
#include "base/memory.h"

#define STREAM_BLOCK_BYTES 8192u
#define G722_BLOCK_BYTES   2048u
#define SPOOLED_RATE       (48000.0 * 4) /* bytes a second of a stream, at most */

void s3r_audio_options_init(s3r_audio_options *options)
{
    *options = (s3r_audio_options){.sample_rate_hz = 16000,
                                   .raw_rate_hz = 16000,
                                   .memory_limit_bytes = (size_t)64 << 20,
                                   .allow_ffmpeg = true};
}

static s3r_status check_rate(uint32_t rate_hz, const char *what, s3r_error *err)
{
    if (rate_hz < S3R_AUDIO_MIN_RATE_HZ || rate_hz > S3R_AUDIO_MAX_RATE_HZ)
        return s3r_fail(err, S3R_ERR_USAGE, "%s: expected %u to %u Hz, found %u", what,
                        S3R_AUDIO_MIN_RATE_HZ, S3R_AUDIO_MAX_RATE_HZ, (unsigned)rate_hz);
    return S3R_OK;
}

static s3r_status check_options(const s3r_audio_options *options, s3r_error *err)
{
    S3R_TRY(check_rate(options->sample_rate_hz, "wanted sample rate", err));
    return check_rate(options->raw_rate_hz, "rate of raw audio", err);
}

static s3r_status write_pcm16(s3r_audio_sink *sink, const int16_t *samples, size_t count,
                              s3r_error *err)
{
    for (size_t i = 0; i < count; i++)
        sink->block[i] = (float)samples[i] / 32768.0f;
    return s3r_audio_sink_write(sink, count, err);
}

static s3r_status decode_g722(s3r_audio_sink *sink, s3r_audio_source *source,
                              s3r_error *err)
{
    unsigned char bytes[G722_BLOCK_BYTES];
    int16_t samples[2 * G722_BLOCK_BYTES];
    uint64_t offset = 0;
    size_t got;
    s3r_g722 decoder;
    s3r_g722_init(&decoder);
    S3R_TRY(s3r_audio_sink_open(sink, S3R_G722_RATE_HZ, 1, err));
    do {
        got = s3r_audio_source_read(source, offset, bytes, sizeof bytes);
        s3r_g722_decode(&decoder, samples, bytes, got);
        S3R_TRY(write_pcm16(sink, samples, 2 * got, err));
        offset += got;
    } while (got > 0);
    if (source->error_number != 0)
        return s3r_fail(err, S3R_ERR_DATA, "%s: cannot read: %s", sink->label,
                        strerror(source->error_number));
    return S3R_OK;
}

/* path NULL: there is no file that ffmpeg could open. */
static s3r_status decode_source(s3r_audio_sink *sink, s3r_audio_source *source,
                                const char *path, s3r_error *err)
{
    bool is_unknown = false, is_missing = false;
    if (s3r_audio_has_extension(sink->label, ".g722"))
        return decode_g722(sink, source, err);
    if (source->size_bytes == 0)
        return s3r_fail(err, S3R_ERR_DATA, "%s: is empty", sink->label);
    s3r_status status = s3r_audio_decode(sink, source, &is_unknown, err);
    if (!is_unknown || !path || !sink->options->allow_ffmpeg)
        return status;
    s3r_error pipe_error = {.message = ""};
    status = s3r_audio_decode_pipe(sink, path, &is_missing, &pipe_error);
    if (is_missing) {
        return s3r_fail(
            err, S3R_ERR_DATA,
            "%s: unknown audio format: libsndfile cannot read it, and ffmpeg, "
            "which may, was not found in PATH",
            path);
    }
    if (status != S3R_OK && err)
        *err = pipe_error;
    return status;
}

static s3r_status load_source(s3r_audio *out, s3r_audio_source *source, const char *label,
                              const char *path, const s3r_audio_options *options,
                              s3r_error *err)
{
    s3r_audio_sink sink;
    s3r_audio_sink_init(&sink, label, options);
    s3r_status status = decode_source(&sink, source, path, err);
    if (status == S3R_OK)
        status = s3r_audio_sink_finish(&sink, out, err);
    s3r_audio_sink_release(&sink);
    return status;
}

static s3r_status decode_raw(s3r_audio_sink *sink, int fd, unsigned char *bytes,
                             size_t size, s3r_error *err)
{
    int16_t samples[STREAM_BLOCK_BYTES / 2];
    int reason = 0;
    S3R_TRY(s3r_audio_sink_open(sink, sink->options->raw_rate_hz, 1, err));
    while (size > 0) {
        for (size_t i = 0; i < size / 2; i++) {
            unsigned value = bytes[2 * i] | (unsigned)bytes[2 * i + 1] << 8;
            samples[i] = (int16_t)(value < 0x8000u ? (int)value : (int)value - 0x10000);
        }
        S3R_TRY(write_pcm16(sink, samples, size / 2, err));
        if (size % 2 != 0)
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: raw audio: expected 16-bit samples, found an odd number "
                            "of bytes (%llu samples and one byte)",
                            sink->label, (unsigned long long)sink->frame_count);
        size = s3r_audio_stream_read(fd, bytes, STREAM_BLOCK_BYTES, &reason);
    }
    if (reason != 0)
        return s3r_fail(err, S3R_ERR_DATA, "%s: cannot read: %s", sink->label,
                        strerror(reason));
    return S3R_OK;
}

static s3r_status load_raw(s3r_audio *out, int fd, const char *label,
                           unsigned char *bytes, size_t size,
                           const s3r_audio_options *options, s3r_error *err)
{
    s3r_audio_sink sink;
    s3r_audio_sink_init(&sink, label, options);
    s3r_status status = decode_raw(&sink, fd, bytes, size, err);
    if (status == S3R_OK)
        status = s3r_audio_sink_finish(&sink, out, err);
    s3r_audio_sink_release(&sink);
    return status;
}

/* Encoded bytes of the longest audio that is wanted, in a format that wastes space; a
 * stream without an end must not fill the disk. */
static uint64_t most_bytes(const s3r_audio_options *options)
{
    double seconds = (double)options->max_sample_count / options->sample_rate_hz;
    return options->max_sample_count > 0 ? (uint64_t)(seconds * SPOOLED_RATE)
                                         : UINT64_MAX;
}

/* Keeps the whole encoded stream, then decodes it as a file. */
static s3r_status load_spooled(s3r_audio *out, int fd, const char *label,
                               unsigned char *bytes, size_t size,
                               const s3r_audio_options *options, s3r_error *err)
{
    s3r_audio_spool spool;
    int reason = 0;
    s3r_status status = S3R_OK;
    s3r_audio_spool_init(&spool, options->memory_limit_bytes);
    while (status == S3R_OK && size > 0) {
        status = s3r_audio_spool_append(&spool, bytes, size, err);
        if (status == S3R_OK && spool.size_bytes > most_bytes(options))
            status =
                s3r_fail(err, S3R_ERR_DATA,
                         "%s: too long: found more than %llu bytes, expected at "
                         "most %.0f s of audio",
                         label, (unsigned long long)most_bytes(options),
                         (double)options->max_sample_count / options->sample_rate_hz);
        size = s3r_audio_stream_read(fd, bytes, STREAM_BLOCK_BYTES, &reason);
    }
    if (status == S3R_OK && reason != 0)
        status =
            s3r_fail(err, S3R_ERR_DATA, "%s: cannot read: %s", label, strerror(reason));
    if (status == S3R_OK) {
        s3r_audio_source source = {spool.heap, spool.fd, spool.size_bytes, 0};
        status = load_source(out, &source, label, NULL, options, err);
    }
    s3r_audio_spool_release(&spool);
    return status;
}

static s3r_status load_stream(s3r_audio *out, int fd, const char *label, bool may_be_raw,
                              const s3r_audio_options *options, s3r_error *err)
{
    unsigned char bytes[STREAM_BLOCK_BYTES];
    int reason = 0;
    size_t size = s3r_audio_stream_read(fd, bytes, sizeof bytes, &reason);
    if (reason != 0)
        return s3r_fail(err, S3R_ERR_DATA, "%s: cannot read: %s", label,
                        strerror(reason));
    if (may_be_raw && !s3r_audio_has_magic(bytes, size))
        return load_raw(out, fd, label, bytes, size, options, err);
    return load_spooled(out, fd, label, bytes, size, options, err);
}

s3r_status s3r_audio_load(s3r_audio *out, const char *path,
                          const s3r_audio_options *options, s3r_error *err)
{
    s3r_audio_options defaults;
    s3r_audio_options_init(&defaults);
    options = options ? options : &defaults;
    S3R_TRY(check_options(options, err));
    if (strcmp(path, "-") == 0)
        return load_stream(out, STDIN_FILENO, "standard input", true, options, err);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return s3r_fail(err, S3R_ERR_DATA, "%s: cannot open: %s", path, strerror(errno));
    struct stat info;
    s3r_status status;
    if (fstat(fd, &info) != 0) {
        status = s3r_fail(err, S3R_ERR_DATA, "%s: %s", path, strerror(errno));
    } else if (S_ISDIR(info.st_mode)) {
        status = s3r_fail(err, S3R_ERR_DATA, "%s: expected an audio file, found a folder",
                          path);
    } else if (S_ISREG(info.st_mode)) {
        s3r_audio_source source = {NULL, fd, (uint64_t)info.st_size, 0};
        status = load_source(out, &source, path, path, options, err);
    } else {
        status = load_stream(out, fd, path, false, options, err);
    }
    close(fd);
    return status;
}

s3r_status s3r_audio_load_memory(s3r_audio *out, const void *bytes, size_t size,
                                 const char *label, const s3r_audio_options *options,
                                 s3r_error *err)
{
    s3r_audio_options defaults;
    s3r_audio_options_init(&defaults);
    options = options ? options : &defaults;
    S3R_TRY(check_options(options, err));
    s3r_audio_source source = {bytes, -1, bytes ? size : 0, 0};
    return load_source(out, &source, label, NULL, options, err);
}

void s3r_audio_release(s3r_audio *audio)
{
    s3r_audio_block block = {audio->storage, audio->storage_bytes, audio->is_mapped};
    s3r_audio_block_release(&block);
    *audio = (s3r_audio){0};
}

double s3r_audio_probe_seconds(const char *path)
{
    struct stat info;
    /* Opening a FIFO would wait for its writer. */
    if (strcmp(path, "-") == 0 || stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    s3r_audio_source source = {NULL, fd, (uint64_t)info.st_size, 0};
    double seconds = s3r_audio_has_extension(path, ".g722")
                         ? 2.0 * (double)info.st_size / S3R_G722_RATE_HZ
                         : s3r_audio_decode_seconds(&source, path);
    close(fd);
    return seconds;
}
