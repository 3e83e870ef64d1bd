/*
 * Event files, one frame a write.
 */
#include "train/tensorboard_write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/host_name.h"
#include "base/memory.h"
#include "base/text_buffer.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 }; /* wire types of protobuf */
enum { SAME_SECOND = 100 };                               /* files of one second */

struct s3r_event_file {
    FILE *stream;
    char *path;
    s3r_text_buffer event, summary, frame; /* kept, so that a write seldom allocates */
};

static void add_varint(s3r_text_buffer *out, uint64_t value)
{
    unsigned char bytes[10];
    size_t n = 0;
    do {
        bytes[n] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80u : 0));
        value >>= 7;
        n++;
    } while (value);
    s3r_buffer_add_bytes(out, bytes, n);
}

static void add_fixed(s3r_text_buffer *out, uint64_t bits, size_t size)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(bits >> (8 * i));
    s3r_buffer_add_bytes(out, bytes, size);
}

static void add_key(s3r_text_buffer *out, unsigned field, unsigned wire_type)
{
    add_varint(out, field << 3 | wire_type);
}

static void add_bytes_field(s3r_text_buffer *out, unsigned field, const void *bytes,
                            size_t size)
{
    add_key(out, field, BYTES);
    add_varint(out, size);
    s3r_buffer_add_bytes(out, bytes, size);
}

static void add_value(s3r_text_buffer *out, const s3r_scalar *scalar)
{
    s3r_text_buffer value = {0};
    float number = (float)scalar->value;
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    add_bytes_field(&value, 1, scalar->tag, strlen(scalar->tag));
    add_key(&value, 2, FIXED32);
    add_fixed(&value, bits, 4);
    add_bytes_field(out, 1, value.text ? value.text : "", value.length);
    out->has_failed = out->has_failed || value.has_failed;
    s3r_buffer_release(&value);
}

static void begin_event(s3r_event_file *file, size_t step)
{
    struct timespec now = {0};
    uint64_t bits;
    (void)timespec_get(&now, TIME_UTC);
    double wall_time = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    memcpy(&bits, &wall_time, sizeof bits);
    file->event.length = 0;
    add_key(&file->event, 1, FIXED64);
    add_fixed(&file->event, bits, 8);
    add_key(&file->event, 2, VARINT);
    add_varint(&file->event, step);
}

static uint64_t masked_crc(const void *bytes, size_t size)
{
    uint32_t crc = s3r_crc32c(bytes, size);
    return (uint32_t)(((crc >> 15) | (crc << 17)) + 0xa282ead8u);
}

static s3r_status write_event(s3r_event_file *file, s3r_error *err)
{
    s3r_text_buffer *frame = &file->frame;
    if (file->event.has_failed)
        return s3r_fail_memory(err, file->path, file->event.length);
    frame->length = 0;
    add_fixed(frame, file->event.length, 8);
    if (!frame->has_failed)
        add_fixed(frame, masked_crc(frame->text, 8), 4);
    s3r_buffer_add_bytes(frame, file->event.text, file->event.length);
    add_fixed(frame, masked_crc(file->event.text, file->event.length), 4);
    if (frame->has_failed)
        return s3r_fail_memory(err, file->path, file->event.length);
    if (fwrite(frame->text, 1, frame->length, file->stream) != frame->length ||
        fflush(file->stream) != 0)
        return s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot write: %s", file->path,
                        strerror(errno));
    return S3R_OK;
}

/* A new file: two runs may start within one second. */
static s3r_status create_file(s3r_event_file *file, const char *folder, s3r_error *err)
{
    char host[64], name[160];
    s3r_host_name(host, sizeof host);
    long long now = (long long)time(NULL);
    for (int attempt = 0; attempt < SAME_SECOND; attempt++) {
        snprintf(name, sizeof name, "events.out.tfevents.%lld.%s.s3r", now, host);
        if (attempt > 0)
            snprintf(name + strlen(name), sizeof name - strlen(name), ".%d", attempt);
        s3r_free(file->path);
        file->path = s3r_path_join(folder, name);
        if (!file->path)
            return s3r_fail_memory(err, name, 0);
        errno = 0;
        file->stream = fopen(file->path, "wbx");
        if (file->stream)
            return S3R_OK;
        if (errno != EEXIST)
            break;
    }
    return s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot create: %s", file->path,
                    strerror(errno));
}

static s3r_status write_start(s3r_event_file *file, size_t first_step, s3r_error *err)
{
    static const char version[] = "brain.Event:2";
    begin_event(file, 0);
    add_bytes_field(&file->event, 3, version, sizeof version - 1);
    S3R_TRY(write_event(file, err));
    if (first_step == 0)
        return S3R_OK;
    static const unsigned char started[] = {1 << 3 | VARINT, 1};
    begin_event(file, first_step);
    add_bytes_field(&file->event, 7, started, sizeof started);
    return write_event(file, err);
}

s3r_status s3r_event_file_open(s3r_event_file **out, const char *folder,
                               size_t first_step, s3r_error *err)
{
    s3r_event_file *file = s3r_alloc(1, sizeof *file);
    if (!file)
        return s3r_fail_memory(err, "a TensorBoard file", sizeof *file);
    s3r_status status = create_file(file, folder, err);
    if (status == S3R_OK)
        status = write_start(file, first_step, err);
    if (status != S3R_OK) {
        (void)s3r_event_file_close(file, NULL);
        return status;
    }
    *out = file;
    return S3R_OK;
}

s3r_status s3r_event_file_write(s3r_event_file *file, size_t step,
                                const s3r_scalar *scalars, size_t count, s3r_error *err)
{
    file->summary.length = 0;
    for (size_t i = 0; i < count; i++)
        add_value(&file->summary, &scalars[i]);
    if (file->summary.has_failed)
        return s3r_fail_memory(err, file->path, file->summary.length);
    begin_event(file, step);
    add_bytes_field(&file->event, 5, count ? file->summary.text : "",
                    file->summary.length);
    return write_event(file, err);
}

s3r_status s3r_event_file_sync(s3r_event_file *file, s3r_error *err)
{
    return s3r_stream_sync(file->stream, file->path, err);
}

s3r_status s3r_event_file_close(s3r_event_file *file, s3r_error *err)
{
    s3r_status status = S3R_OK;
    if (!file)
        return S3R_OK;
    if (file->stream && fclose(file->stream) != 0)
        status = s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot write: %s", file->path,
                          strerror(errno));
    s3r_buffer_release(&file->event);
    s3r_buffer_release(&file->summary);
    s3r_buffer_release(&file->frame);
    s3r_free(file->path);
    s3r_free(file);
    return status;
}
