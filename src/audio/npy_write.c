/*
 * The .npy writer: magic, version, a Python dictionary as text padded so that the data
 * start at a multiple of 64 bytes, then the values as they are in memory.
 */
#include "audio/npy_write.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

#define PREFIX_BYTES 10u  /* magic 6, version 2, length of the dictionary 2 */
#define HEADER_BYTES 128u /* holds three extents of 20 digits */

static const char *host_dtype(void)
{
    const uint16_t probe = 1;
    unsigned char first;
    memcpy(&first, &probe, 1);
    return first == 1 ? "<f4" : ">f4";
}

static void format_header(char header[HEADER_BYTES], unsigned rank, const size_t *shape)
{
    char extents[64] = "";
    size_t used = 0;
    for (unsigned i = 0; i < rank; i++) {
        const char *after = rank == 1 ? "," : i + 1 < rank ? ", " : "";
        used += (size_t)snprintf(extents + used, sizeof extents - used, "%zu%s", shape[i],
                                 after);
    }
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)(HEADER_BYTES - PREFIX_BYTES);
    header[9] = 0;
    int length = snprintf(header + PREFIX_BYTES, HEADER_BYTES - PREFIX_BYTES,
                          "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                          host_dtype(), extents);
    size_t end = PREFIX_BYTES + (size_t)length;
    memset(header + end, ' ', HEADER_BYTES - 1 - end);
    header[HEADER_BYTES - 1] = '\n';
}

s3r_status s3r_npy_save(const char *path, const float *data, unsigned rank,
                        const size_t *shape, s3r_error *err)
{
    size_t bytes = sizeof *data;
    if (rank < 1 || rank > S3R_NPY_MAX_RANK)
        return s3r_fail(err, S3R_ERR_USAGE, "%s: rank: expected 1 to %u, found %u", path,
                        S3R_NPY_MAX_RANK, rank);
    for (unsigned i = 0; i < rank; i++) {
        if (!s3r_size_mul(bytes, shape[i], &bytes))
            return s3r_fail(err, S3R_ERR_USAGE, "%s: the array is too large", path);
    }
    char header[HEADER_BYTES];
    s3r_file_writer *writer;
    format_header(header, rank, shape);
    S3R_TRY(s3r_file_writer_open(&writer, path, err));
    s3r_status status = s3r_file_writer_write(writer, header, sizeof header, err);
    if (status == S3R_OK && bytes > 0)
        status = s3r_file_writer_write(writer, data, bytes, err);
    if (status == S3R_OK)
        return s3r_file_writer_commit(writer, err);
    s3r_file_writer_abort(writer);
    return status;
}

struct s3r_npy_writer {
    s3r_file_writer *file;
    size_t rows_left, cols;
};

s3r_status s3r_npy_writer_open(s3r_npy_writer **out, const char *path, size_t rows,
                               size_t cols, s3r_error *err)
{
    const size_t shape[2] = {rows, cols};
    char header[HEADER_BYTES];
    s3r_npy_writer *writer = s3r_alloc(1, sizeof *writer);
    if (!writer)
        return s3r_fail_memory(err, "an array writer", sizeof *writer);
    *writer = (s3r_npy_writer){.rows_left = rows, .cols = cols};
    s3r_status status = s3r_file_writer_open(&writer->file, path, err);
    if (status != S3R_OK) {
        s3r_free(writer);
        return status;
    }
    format_header(header, 2, shape);
    status = s3r_file_writer_write(writer->file, header, sizeof header, err);
    if (status != S3R_OK)
        s3r_npy_writer_abort(writer);
    else
        *out = writer;
    return status;
}

s3r_status s3r_npy_writer_add(s3r_npy_writer *writer, const float *data, size_t count,
                              size_t stride, s3r_error *err)
{
    for (size_t i = 0; i < count; i++)
        S3R_TRY(s3r_file_writer_write(writer->file, data + i * stride,
                                      writer->cols * sizeof *data, err));
    writer->rows_left -= S3R_MIN(count, writer->rows_left);
    return S3R_OK;
}

s3r_status s3r_npy_writer_commit(s3r_npy_writer *writer, s3r_error *err)
{
    s3r_status status = S3R_OK;
    if (writer->rows_left > 0) {
        status = s3r_fail(err, S3R_ERR_RUNTIME, "an array ended %zu rows too early",
                          writer->rows_left);
        s3r_file_writer_abort(writer->file);
    } else {
        status = s3r_file_writer_commit(writer->file, err);
    }
    s3r_free(writer);
    return status;
}

void s3r_npy_writer_abort(s3r_npy_writer *writer)
{
    if (!writer)
        return;
    s3r_file_writer_abort(writer->file);
    s3r_free(writer);
}
