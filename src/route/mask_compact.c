/*
 * Masks to coded bytes and back, one task a stream.
 */
#include "route/mask_compact.h"

#include <string.h>

#include "base/memory.h"

#define STREAM_ELEMENTS ((size_t)1 << 21)
#define HEAD_BYTES      (sizeof(uint32_t) + S3R_CODER_STATE_BYTES)

_Static_assert(sizeof(s3r_mask_table) == 34, "tables are stored as they are");

/* ---------------------------------------------------------------------------- streams
 */

/* The first matrix of the stream after the one that begins with `first`. */
static size_t stream_end(const s3r_weighed_mask *masks, size_t count, size_t first)
{
    size_t elements = 0, i = first;
    for (; i < count && elements < STREAM_ELEMENTS; i++)
        elements += masks[i].mask.rows * masks[i].mask.cols;
    return i;
}

static size_t stream_count(const s3r_weighed_mask *masks, size_t count)
{
    size_t streams = 0;
    for (size_t i = 0; i < count; i = stream_end(masks, count, i))
        streams++;
    return streams;
}

typedef struct coded_stream {
    size_t first, end; /* matrices */
    size_t word_bytes;
    uint8_t *buffer;      /* encoding: from the allocator */
    const uint8_t *words; /* in the buffer, or in the file */
    s3r_mask_encoder encoder;
    s3r_error err;
} coded_stream;

typedef struct stream_job {
    const s3r_weighed_mask *masks; /* their bits are written when decoding */
    s3r_mask_table *tables;
    const s3r_mask_table *stored_tables;
    const uint8_t *heads;
    coded_stream *streams;
    size_t count;
    s3r_cpu_level level;
} stream_job;

static s3r_status streams_init(stream_job *job, const s3r_weighed_mask *masks,
                               size_t count, s3r_error *err)
{
    size_t first = 0;
    job->masks = masks;
    job->count = stream_count(masks, count);
    job->streams = s3r_alloc(job->count, sizeof *job->streams);
    if (!job->streams)
        return s3r_fail_memory(err, "streams of masks",
                               job->count * sizeof *job->streams);
    for (size_t s = 0; s < job->count; s++) {
        job->streams[s].first = first;
        first = job->streams[s].end = stream_end(masks, count, first);
    }
    return S3R_OK;
}

static void streams_release(stream_job *job)
{
    for (size_t s = 0; job->streams && s < job->count; s++)
        s3r_free(job->streams[s].buffer);
    s3r_free(job->streams);
}

/* The error of the first stream that has one. */
static s3r_status run_streams(stream_job *job, s3r_pool *pool, s3r_task_fn run,
                              s3r_error *err)
{
    if (pool)
        s3r_pool_run(pool, job->count, run, job);
    for (size_t s = 0; !pool && s < job->count; s++)
        run(job, s, 0);
    for (size_t s = 0; s < job->count; s++)
        if (job->streams[s].err.code != S3R_OK)
            return s3r_fail(err, job->streams[s].err.code, "%s",
                            job->streams[s].err.message);
    return S3R_OK;
}

/* --------------------------------------------------------------------------- encoding
 */

static void encode_stream(void *context, size_t task, size_t worker)
{
    (void)worker;
    const stream_job *job = context;
    coded_stream *stream = &job->streams[task];
    size_t most = 0;
    for (size_t i = stream->first; i < stream->end; i++)
        most += s3r_mask_encoded_bytes(&job->masks[i].mask);
    stream->buffer = s3r_alloc_raw(most, 1);
    if (!stream->buffer) {
        s3r_fail_memory(&stream->err, "a stream of masks", most);
        return;
    }
    s3r_mask_encoder_init(&stream->encoder, stream->buffer + most);
    for (size_t i = stream->end; i-- > stream->first;) {
        const s3r_weighed_mask *one = &job->masks[i];
        s3r_mask_table_fit(&job->tables[i], &one->mask, &one->weights);
        s3r_mask_encode(&stream->encoder, &job->tables[i], &one->mask, &one->weights);
    }
    stream->words = stream->encoder.words;
    stream->word_bytes = (size_t)(stream->buffer + most - stream->words);
}

static s3r_status join_streams(uint8_t **out, size_t *size, const stream_job *job,
                               size_t count, s3r_error *err)
{
    size_t table_bytes = count * sizeof(s3r_mask_table);
    *size = table_bytes + job->count * HEAD_BYTES;
    for (size_t s = 0; s < job->count; s++)
        *size += job->streams[s].word_bytes;
    uint8_t *at = *out = s3r_alloc_raw(*size, 1);
    if (!at)
        return s3r_fail_memory(err, "coded masks", *size);
    memcpy(at, job->tables, table_bytes);
    at += table_bytes;
    for (size_t s = 0; s < job->count; s++) {
        uint32_t words = (uint32_t)(job->streams[s].word_bytes / S3R_CODER_WORD_BYTES);
        memcpy(at, &words, sizeof words);
        memcpy(at + sizeof words, job->streams[s].encoder.state, S3R_CODER_STATE_BYTES);
        at += HEAD_BYTES;
    }
    for (size_t s = 0; s < job->count; s++) {
        memcpy(at, job->streams[s].words, job->streams[s].word_bytes);
        at += job->streams[s].word_bytes;
    }
    return S3R_OK;
}

s3r_status s3r_masks_encode(uint8_t **out, size_t *size, const s3r_weighed_mask *masks,
                            size_t count, s3r_pool *pool, s3r_error *err)
{
    stream_job job = {.tables = s3r_alloc(count, sizeof *job.tables)};
    s3r_status status = job.tables
                            ? streams_init(&job, masks, count, err)
                            : s3r_fail_memory(err, "tables", count * sizeof *job.tables);
    if (status == S3R_OK)
        status = run_streams(&job, pool, encode_stream, err);
    if (status == S3R_OK)
        status = join_streams(out, size, &job, count, err);
    streams_release(&job);
    s3r_free(job.tables);
    return status;
}

/* --------------------------------------------------------------------------- decoding
 */

static const uint8_t *head_of(const uint8_t *heads, size_t stream)
{
    return heads + stream * HEAD_BYTES;
}

static size_t words_of(const uint8_t *heads, size_t stream)
{
    uint32_t words;
    memcpy(&words, head_of(heads, stream), sizeof words);
    return words * S3R_CODER_WORD_BYTES;
}

static void decode_stream(void *context, size_t task, size_t worker)
{
    (void)worker;
    const stream_job *job = context;
    coded_stream *stream = &job->streams[task];
    s3r_mask_decoder decoder = {.words = stream->words,
                                .end = stream->words + stream->word_bytes};
    memcpy(decoder.state, head_of(job->heads, task) + sizeof(uint32_t),
           sizeof decoder.state);
    for (size_t i = stream->first; i < stream->end; i++) {
        s3r_mask mask = job->masks[i].mask;
        s3r_mask_decode(&decoder, &job->stored_tables[i], &mask, &job->masks[i].weights,
                        job->level);
    }
    if (!s3r_mask_decoder_is_done(&decoder))
        s3r_fail(&stream->err, S3R_ERR_MODEL,
                 "expected the coded masks of matrices %zu to %zu to end as they began, "
                 "found another end: damaged, or coded with other weights",
                 stream->first, stream->end - 1);
}

s3r_status s3r_masks_decode(s3r_weighed_mask *masks, size_t count, const uint8_t *bytes,
                            size_t size, s3r_cpu_level level, s3r_pool *pool,
                            const char *label, s3r_error *err)
{
    stream_job job = {.stored_tables = (const void *)bytes, .level = level};
    S3R_TRY(s3r_masks_check_size(masks, count, bytes, size, label, err));
    s3r_status status = streams_init(&job, masks, count, err);
    job.heads = bytes + count * sizeof(s3r_mask_table);
    const uint8_t *words = head_of(job.heads, job.count);
    for (size_t s = 0; status == S3R_OK && s < job.count; s++) {
        job.streams[s].words = words;
        words += job.streams[s].word_bytes = words_of(job.heads, s);
    }
    if (status == S3R_OK)
        status = s3r_fail_prefix(err, run_streams(&job, pool, decode_stream, err), label);
    streams_release(&job);
    return status;
}

s3r_status s3r_masks_check_size(const s3r_weighed_mask *masks, size_t count,
                                const uint8_t *bytes, size_t size, const char *label,
                                s3r_error *err)
{
    size_t streams = stream_count(masks, count);
    size_t tables = count * sizeof(s3r_mask_table);
    size_t expected = tables + streams * HEAD_BYTES;
    for (size_t s = 0; s < streams && expected <= size; s++)
        expected += words_of(bytes + tables, s);
    if (expected != size)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: coded masks: expected %s%zu bytes (%zu matrices, %zu "
                        "streams), found %zu",
                        label, expected > size ? "at least " : "", expected, count,
                        streams, size);
    return S3R_OK;
}
