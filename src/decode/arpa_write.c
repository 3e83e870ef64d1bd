/*
 * Lines are collected in a block that goes to the file, deflated or not.
 */
#include <math.h>
#include <stdio.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "decode/arpa_file.h"

#define BLOCK_BYTES  ((size_t)1 << 18)
#define NUMBER_BYTES ((size_t)32)

typedef struct arpa_writer {
    s3r_file_writer *file;
    z_stream deflater;
    bool is_gzip;
    char *block, *packed; /* [BLOCK_BYTES] each */
    size_t used;
} arpa_writer;

static s3r_status deflate_block(arpa_writer *w, int flush, s3r_error *err)
{
    int code;
    w->deflater.next_in = (unsigned char *)w->block;
    w->deflater.avail_in = (unsigned)w->used;
    do {
        w->deflater.next_out = (unsigned char *)w->packed;
        w->deflater.avail_out = (unsigned)BLOCK_BYTES;
        code = deflate(&w->deflater, flush);
        S3R_TRY(s3r_file_writer_write(w->file, w->packed,
                                      BLOCK_BYTES - w->deflater.avail_out, err));
    } while (w->deflater.avail_in > 0 || (flush == Z_FINISH && code == Z_OK));
    return S3R_OK;
}

static s3r_status flush_block(arpa_writer *w, bool is_last, s3r_error *err)
{
    s3r_status status = w->is_gzip
                            ? deflate_block(w, is_last ? Z_FINISH : Z_NO_FLUSH, err)
                            : s3r_file_writer_write(w->file, w->block, w->used, err);
    w->used = 0;
    return status;
}

static s3r_status put(arpa_writer *w, const char *bytes, size_t size, s3r_error *err)
{
    while (size > 0) {
        size_t part = S3R_MIN(size, BLOCK_BYTES - w->used);
        memcpy(w->block + w->used, bytes, part);
        w->used += part;
        bytes += part;
        size -= part;
        if (w->used == BLOCK_BYTES)
            S3R_TRY(flush_block(w, false, err));
    }
    return S3R_OK;
}

static s3r_status put_string(arpa_writer *w, const char *text, s3r_error *err)
{
    return put(w, text, strlen(text), err);
}

/* Seven decimals without zeros at the end: printf would take most of the time, and would
 * ask the locale for its comma.  Values are within [-99, 99]. */
static size_t write_number(char *to, float value)
{
    long long scaled = llround((double)value * 1e7);
    char digits[NUMBER_BYTES], *at = to;
    size_t count = 0, decimals = 7;
    if (scaled < 0)
        *at++ = '-';
    scaled = scaled < 0 ? -scaled : scaled;
    while (decimals > 0 && scaled % 10 == 0) {
        scaled /= 10;
        decimals--;
    }
    do {
        digits[count++] = (char)('0' + scaled % 10);
        scaled /= 10;
        if (count == decimals)
            digits[count++] = '.';
    } while (scaled > 0 || count <= decimals + (decimals > 0));
    while (count > 0)
        *at++ = digits[--count];
    return (size_t)(at - to);
}

static s3r_status put_number(arpa_writer *w, float value, s3r_error *err)
{
    char text[NUMBER_BYTES];
    return put(w, text, write_number(text, value), err);
}

static s3r_status put_ngram(arpa_writer *w, const s3r_ngrams *ngrams, size_t order,
                            size_t index, s3r_error *err)
{
    const s3r_ngram_list *list = &ngrams->lists[order - 1];
    const uint32_t *words = list->words + index * order;
    S3R_TRY(put_number(w, list->prob[index], err));
    for (size_t i = 0; i < order; i++) {
        S3R_TRY(put(w, i == 0 ? "\t" : " ", 1, err));
        S3R_TRY(put_string(w, s3r_word_table_word(&ngrams->words, words[i]), err));
    }
    if (order < ngrams->order) {
        S3R_TRY(put(w, "\t", 1, err));
        S3R_TRY(put_number(w, list->backoff[index], err));
    }
    return put(w, "\n", 1, err);
}

static s3r_status put_model(arpa_writer *w, const s3r_ngrams *ngrams, s3r_error *err)
{
    char line[64];
    S3R_TRY(put_string(w, "\\data\\\n", err));
    for (size_t order = 1; order <= ngrams->order; order++) {
        snprintf(line, sizeof line, "ngram %zu=%zu\n", order,
                 ngrams->lists[order - 1].count);
        S3R_TRY(put_string(w, line, err));
    }
    for (size_t order = 1; order <= ngrams->order; order++) {
        snprintf(line, sizeof line, "\n\\%zu-grams:\n", order);
        S3R_TRY(put_string(w, line, err));
        for (size_t i = 0; i < ngrams->lists[order - 1].count; i++)
            S3R_TRY(put_ngram(w, ngrams, order, i, err));
    }
    S3R_TRY(put_string(w, "\n\\end\\\n", err));
    return flush_block(w, true, err);
}

static s3r_status write_to(arpa_writer *w, const s3r_ngrams *ngrams, s3r_error *err)
{
    const int gzip_window = 15 + 16;
    w->block = s3r_alloc_raw(BLOCK_BYTES, 1);
    w->packed = s3r_alloc_raw(BLOCK_BYTES, 1);
    if (!w->block || !w->packed)
        return s3r_fail_memory(err, "a block of the file", 2 * BLOCK_BYTES);
    if (!w->is_gzip)
        return put_model(w, ngrams, err);
    if (deflateInit2(&w->deflater, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return s3r_fail_memory(err, "gzip", BLOCK_BYTES);
    s3r_status status = put_model(w, ngrams, err);
    (void)deflateEnd(&w->deflater);
    return status;
}

s3r_status s3r_arpa_save(const s3r_ngrams *ngrams, const char *path, s3r_error *err)
{
    size_t length = strlen(path);
    arpa_writer w = {.is_gzip = length > 3 && strcmp(path + length - 3, ".gz") == 0};
    S3R_TRY(s3r_file_writer_open(&w.file, path, err));
    s3r_status status = write_to(&w, ngrams, err);
    s3r_free(w.block);
    s3r_free(w.packed);
    if (status == S3R_OK)
        return s3r_file_writer_commit(w.file, err);
    s3r_file_writer_abort(w.file);
    return status;
}
