/*
 * Any bytes as an audio file: an error or samples, never a crash.  The cap on samples and
 * the small memory limit keep a header that promises terabytes harmless, and send longer
 * results through the temporary file.  The first byte picks a name (for .g722).
 */
#include "audio/audio_load.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libsndfile forgets a block of libvorbis when an Ogg header is damaged (1.2.0). */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:vorbis_info_init";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"fuzz", "fuzz", "fuzz", "fuzz.g722"};
    s3r_audio_options options;
    s3r_audio audio;
    s3r_error err;
    if (size == 0)
        return 0;
    s3r_audio_options_init(&options);
    options.allow_ffmpeg = false;
    options.memory_limit_bytes = (size_t)1 << 20;
    options.max_sample_count = (size_t)1 << 20;
    if (s3r_audio_load_memory(&audio, data + 1, size - 1, names[data[0] & 3u], &options,
                              &err) == S3R_OK)
        s3r_audio_release(&audio);
    return 0;
}
