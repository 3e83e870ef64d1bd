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
