/*
 * soxr behind a fixed choice: float in, float out, one channel, one thread, HQ.
 *
 * soxr may give one sample more or less than the exact length; the counts kept here cut
 * the one, and repeat the last sample for the other, so that a length depends on nothing
 * but the input.
 */
#include "audio/audio_resample.h"

#include <soxr.h>

#include "base/memory.h"

struct s3r_resampler {
    soxr_t soxr;
    uint32_t input_rate_hz, output_rate_hz;
    uint64_t taken, written;
    float last;
};

s3r_status s3r_resampler_create(s3r_resampler **out, uint32_t input_rate_hz,
                                uint32_t output_rate_hz, s3r_error *err)
{
    s3r_resampler *resampler = s3r_alloc(1, sizeof *resampler);
    if (!resampler)
        return s3r_fail_memory(err, "a resampler", sizeof *resampler);
    soxr_error_t reason = NULL;
    soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
    resampler->soxr = soxr_create((double)input_rate_hz, (double)output_rate_hz, 1,
                                  &reason, &io, &quality, &runtime);
    if (reason || !resampler->soxr) {
        s3r_resampler_destroy(resampler);
        return s3r_fail(err, S3R_ERR_RESOURCE, "cannot resample %u Hz to %u Hz: %s",
                        (unsigned)input_rate_hz, (unsigned)output_rate_hz,
                        reason ? reason : "no memory");
    }
    resampler->input_rate_hz = input_rate_hz;
    resampler->output_rate_hz = output_rate_hz;
    *out = resampler;
    return S3R_OK;
}

void s3r_resampler_destroy(s3r_resampler *resampler)
{
    if (!resampler)
        return;
    if (resampler->soxr)
        soxr_delete(resampler->soxr);
    s3r_free(resampler);
}

/* round(taken * output / input) without overflow for any real length. */
static uint64_t exact_length(const s3r_resampler *resampler)
{
    uint64_t in = resampler->input_rate_hz, out = resampler->output_rate_hz;
    uint64_t seconds = resampler->taken / in, rest = resampler->taken % in;
    return seconds * out + (rest * out + in / 2) / in;
}

s3r_status s3r_resampler_process(s3r_resampler *resampler, const float *input,
                                 size_t *input_count, float *output,
                                 size_t output_capacity, size_t *output_count,
                                 s3r_error *err)
{
    size_t taken = 0, written = 0;
    soxr_error_t reason =
        soxr_process(resampler->soxr, input, input ? *input_count : 0,
                     input ? &taken : NULL, output, output_capacity, &written);
    if (reason)
        return s3r_fail(err, S3R_ERR_RUNTIME, "resampling failed: %s", reason);
    resampler->taken += taken;
    if (!input) {
        uint64_t left = exact_length(resampler) - resampler->written;
        if (resampler->written > exact_length(resampler))
            left = 0;
        if (written == 0 && left == 1)
            output[written++] = resampler->last;
        written = (size_t)S3R_MIN((uint64_t)written, left);
    }
    if (written > 0)
        resampler->last = output[written - 1];
    resampler->written += written;
    *input_count = taken;
    *output_count = written;
    return S3R_OK;
}
