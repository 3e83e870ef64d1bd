/*
 * Decoding through libsndfile's virtual files, so that memory, files and spooled streams
 * take one way.
 *
 * libsndfile often returns fewer frames without an error when a file is cut off: the
 * frames that the header promises are compared with those that came.
 */
#include "audio/audio_decode.h"

#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <string.h>

#include "audio/audio_container.h"

typedef struct virtual_file {
    s3r_audio_source *source;
    sf_count_t position;
} virtual_file;

static sf_count_t virtual_length(void *user)
{
    return (sf_count_t)((virtual_file *)user)->source->size_bytes;
}

static sf_count_t virtual_seek(sf_count_t offset, int whence, void *user)
{
    virtual_file *file = user;
    sf_count_t base = whence == SEEK_CUR   ? file->position
                      : whence == SEEK_END ? virtual_length(user)
                                           : 0;
    if (offset < -base || offset > INT64_MAX - base)
        return -1;
    file->position = base + offset;
    return file->position;
}

static sf_count_t virtual_read(void *bytes, sf_count_t size, void *user)
{
    virtual_file *file = user;
    if (size <= 0)
        return 0;
    size_t got = s3r_audio_source_read(file->source, (uint64_t)file->position, bytes,
                                       (size_t)size);
    file->position += (sf_count_t)got;
    return (sf_count_t)got;
}

static sf_count_t virtual_tell(void *user)
{
    return ((virtual_file *)user)->position;
}

bool s3r_audio_has_extension(const char *path, const char *extension)
{
    size_t length = strlen(path), tail = strlen(extension);
    if (length < tail)
        return false;
    for (size_t i = 0; i < tail; i++) {
        char letter = path[length - tail + i];
        if (letter >= 'A' && letter <= 'Z')
            letter = (char)(letter - 'A' + 'a');
        if (letter != extension[i])
            return false;
    }
    return true;
}

/* Formats of telephony that have no header; always 8 kHz mono. */
static int headerless_format(const char *label)
{
    if (s3r_audio_has_extension(label, ".gsm"))
        return SF_FORMAT_RAW | SF_FORMAT_GSM610;
    if (s3r_audio_has_extension(label, ".vox"))
        return SF_FORMAT_RAW | SF_FORMAT_VOX_ADPCM;
    return 0;
}

static SNDFILE *open_virtual(virtual_file *file, SF_INFO *info, const char *label)
{
    static const SF_VIRTUAL_IO constant_io = {virtual_length, virtual_seek, virtual_read,
                                              NULL, virtual_tell};
    SF_VIRTUAL_IO io = constant_io; /* libsndfile's parameter is not const */
    *info = (SF_INFO){0};
    SNDFILE *sound = sf_open_virtual(&io, SFM_READ, info, file);
    int format = headerless_format(label);
    if (!sound && format != 0 && file->source->size_bytes > 0) {
        file->position = 0;
        *info = (SF_INFO){.samplerate = 8000, .channels = 1, .format = format};
        sound = sf_open_virtual(&io, SFM_READ, info, file);
    }
    return sound;
}

/* An MP3 header counts whole frames of 1152 and often forgets the padding, so that only
 * a larger gap means that the file was cut off. */
static bool are_frames_missing(const SF_INFO *info, uint64_t found)
{
    if (info->frames <= 0 || info->frames == SF_COUNT_MAX)
        return false;
    uint64_t promised = (uint64_t)info->frames;
    bool is_mp3 = (info->format & SF_FORMAT_TYPEMASK) == SF_FORMAT_MPEG;
    return found + (is_mp3 ? 4 * 1152 : 0) < promised;
}

static s3r_status fail_truncated(const s3r_audio_sink *sink, uint64_t promised,
                                 s3r_error *err)
{
    return s3r_fail(
        err, S3R_ERR_DATA, "%s: truncated: the header promises %llu frames, found %llu",
        sink->label, (unsigned long long)promised, (unsigned long long)sink->frame_count);
}

/* Frames that so many bytes would give; exact where a frame is a whole number of bytes.
 */
static uint64_t scale_frames(uint64_t frames, const s3r_audio_cut *cut)
{
    uint64_t frame_bytes = cut->found_bytes / frames;
    if (frame_bytes > 0 && cut->found_bytes - frame_bytes * frames < 2 * frame_bytes)
        return cut->promised_bytes / frame_bytes;
    double ratio = (double)cut->promised_bytes / (double)cut->found_bytes;
    return (uint64_t)llround((double)frames * ratio);
}

static s3r_status fail_cut(const s3r_audio_sink *sink, const s3r_audio_cut *cut,
                           s3r_error *err)
{
    if (!cut->is_page && sink->frame_count > 0 && cut->found_bytes > 0)
        return fail_truncated(sink, scale_frames(sink->frame_count, cut), err);
    return s3r_fail(err, S3R_ERR_DATA,
                    "%s: truncated: the %s promises %llu bytes, found %llu (%llu frames)",
                    sink->label, cut->is_page ? "last Ogg page" : "header",
                    (unsigned long long)cut->promised_bytes,
                    (unsigned long long)cut->found_bytes,
                    (unsigned long long)sink->frame_count);
}

static s3r_status check_complete(s3r_audio_sink *sink, s3r_audio_source *source,
                                 const SF_INFO *info, SNDFILE *sound, s3r_error *err)
{
    s3r_audio_cut cut;
    bool is_cut;
    if (source->error_number != 0)
        return s3r_fail(err, S3R_ERR_DATA, "%s: cannot read: %s", sink->label,
                        strerror(source->error_number));
    if (are_frames_missing(info, sink->frame_count))
        return fail_truncated(sink, (uint64_t)info->frames, err);
    if (sf_error(sound) != SF_ERR_NO_ERROR)
        return s3r_fail(err, S3R_ERR_DATA, "%s: damaged after %llu frames: %s",
                        sink->label, (unsigned long long)sink->frame_count,
                        sf_strerror(sound));
    S3R_TRY(s3r_audio_container_check(source, &cut, &is_cut, err));
    return is_cut ? fail_cut(sink, &cut, err) : S3R_OK;
}

static s3r_status decode_frames(s3r_audio_sink *sink, SNDFILE *sound, s3r_error *err)
{
    sf_count_t got;
    do {
        got = sf_readf_float(sound, sink->block, (sf_count_t)sink->block_frames);
        if (got > 0)
            S3R_TRY(s3r_audio_sink_write(sink, (size_t)got, err));
    } while (got > 0);
    return S3R_OK;
}

s3r_status s3r_audio_decode(s3r_audio_sink *sink, s3r_audio_source *source,
                            bool *is_unknown, s3r_error *err)
{
    virtual_file file = {source, 0};
    SF_INFO info;
    *is_unknown = false;
    SNDFILE *sound = open_virtual(&file, &info, sink->label);
    if (!sound) {
        *is_unknown = true;
        return s3r_fail(err, S3R_ERR_DATA, "%s: not audio that libsndfile can read (%s)",
                        sink->label, sf_error_number(sf_error(NULL)));
    }
    s3r_status status = s3r_audio_sink_open(sink, (uint32_t)S3R_MAX(info.samplerate, 0),
                                            (uint32_t)S3R_MAX(info.channels, 0), err);
    if (status == S3R_OK)
        status = decode_frames(sink, sound, err);
    if (status == S3R_OK)
        status = check_complete(sink, source, &info, sound, err);
    sf_close(sound);
    return status;
}

double s3r_audio_decode_seconds(s3r_audio_source *source, const char *label)
{
    virtual_file file = {source, 0};
    SF_INFO info;
    SNDFILE *sound = open_virtual(&file, &info, label);
    if (!sound)
        return -1;
    sf_close(sound);
    if (info.frames < 0 || info.frames == SF_COUNT_MAX || info.samplerate <= 0)
        return -1;
    return (double)info.frames / info.samplerate;
}
