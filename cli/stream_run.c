/*
 * Samples are handed over as they are read; each update is written and flushed at once.
 */
#define _POSIX_C_SOURCE 200809L
#include "stream_run.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "interrupt.h"
#include "line_text.h"

#define READ_BYTES 8192u

typedef struct writer {
    const s3r_stream_run_options *options;
    bool has_line;     /* words stand on a line that is not ended */
    double last_end_s; /* of the last word */
} writer;

static s3r_status write_text(writer *out, const s3r_stream_update *update)
{
    for (size_t i = 0; i < update->word_count; i++) {
        const s3r_word *word = &update->words[i];
        double start_s = update->frame_s * (double)word->start_frame;
        bool is_apart = start_s - out->last_end_s >= out->options->pause_s;
        char *text = s3r_line_from_text(word->text);
        if (!text)
            return S3R_ERR_RESOURCE;
        printf("%s%s", !out->has_line ? "" : is_apart ? "\n" : " ", text);
        free(text);
        out->has_line = true;
        out->last_end_s = update->frame_s * (double)word->end_frame;
    }
    if (update->is_end && out->has_line)
        printf("\n");
    return S3R_OK;
}

static json_t *rounded(double value, double unit)
{
    return json_real(round(value / unit) * unit);
}

static s3r_status write_json(const s3r_stream_update *update)
{
    json_t *words = json_array();
    for (size_t i = 0; i < update->word_count; i++) {
        const s3r_word *word = &update->words[i];
        json_array_append_new(
            words,
            json_pack("{s:o, s:o, s:o, s:o}", "word", s3r_json_from_bytes(word->text),
                      "start_ms",
                      rounded(1000 * update->frame_s * (double)word->start_frame, 1e-3),
                      "end_ms",
                      rounded(1000 * update->frame_s * (double)word->end_frame, 1e-3),
                      "confidence", rounded((double)word->confidence, 1e-6)));
    }
    char *line = s3r_json_line(json_pack("{s:o, s:o, s:o, s:b}", "decoded_ms",
                                         rounded(1000 * update->decoded_s, 1e-3), "words",
                                         words, "tail", s3r_json_from_bytes(update->tail),
                                         "is_end", update->is_end));
    if (!line)
        return S3R_ERR_RESOURCE;
    fputs(line, stdout);
    free(line);
    return S3R_OK;
}

static s3r_status on_update(void *context, const s3r_stream_update *update)
{
    writer *out = context;
    s3r_status status =
        out->options->is_json ? write_json(update) : write_text(out, update);
    /* A reader that has gone is found by main(); nothing is left to do then. */
    if (fflush(stdout) != 0)
        return S3R_ERR_RUNTIME;
    return status;
}

/* Whole samples of bytes; returns how many bytes they were. */
static size_t to_samples(float *samples, const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size / 2; i++) {
        int value = bytes[2 * i] | bytes[2 * i + 1] << 8;
        samples[i] = (float)(value >= 32768 ? value - 65536 : value) / 32768.0f;
    }
    return size / 2 * 2;
}

static s3r_status pump(s3r_stream *stream, s3r_error *err)
{
    static unsigned char bytes[READ_BYTES];
    static float samples[READ_BYTES / 2];
    size_t held = 0;
    bool is_first = true;
    while (!s3r_interrupted()) {
        ssize_t size = read(STDIN_FILENO, bytes + held, sizeof bytes - held);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return s3r_cli_fail(err, S3R_ERR_DATA, "standard input: %s", strerror(errno));
        held += (size_t)size;
        if (is_first && size > 0 && held < S3R_STREAM_HEAD_BYTES)
            continue;
        if (is_first && s3r_stream_is_file(bytes, held))
            return s3r_cli_fail(err, S3R_ERR_USAGE,
                                "--stream: expected raw samples (16 bit little-endian, "
                                "mono), found a file with a header");
        is_first = false;
        if (size == 0 && held % 2 != 0)
            return s3r_cli_fail(err, S3R_ERR_DATA,
                                "standard input: expected 16-bit samples, found an odd "
                                "number of bytes");
        if (size == 0 && held == 0)
            return S3R_OK;
        size_t used = to_samples(samples, bytes, held);
        s3r_status status = s3r_stream_write(stream, samples, used / 2, err);
        if (status != S3R_OK)
            return status;
        memmove(bytes, bytes + used, held - used);
        held -= used;
    }
    return S3R_OK;
}

s3r_status s3r_stream_run(const s3r_session *session,
                          const s3r_stream_run_options *options, s3r_error *err)
{
    s3r_stream *stream = NULL;
    writer out = {.options = options};
    s3r_status status = s3r_stream_open(&stream, session->context, session->model,
                                        &options->library, on_update, &out, err);
    if (status != S3R_OK)
        return status;
    s3r_interrupt_defer();
    status = pump(stream, err);
    if (status == S3R_OK)
        status = s3r_stream_finish(stream, err);
    s3r_stream_close(stream);
    if (ferror(stdout))
        return S3R_OK; /* main() reports it */
    if (status == S3R_OK && s3r_interrupted())
        return s3r_cli_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
    return status;
}
