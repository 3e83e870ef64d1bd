/*
 * Zip archives by central directory, with ZIP64.
 *
 * Sizes come from the central directory alone, so that data descriptors need no care. The
 * local headers only tell where the data begins; they must repeat the name, since an
 * archive whose two views differ is made to deceive one of its readers.
 */
#include "checkpoint/zip_read.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/memory.h"

#define LOCAL_SIGNATURE         0x04034b50u
#define CENTRAL_SIGNATURE       0x02014b50u
#define END_SIGNATURE           0x06054b50u
#define END64_SIGNATURE         0x06064b50u
#define END64_LOCATOR_SIGNATURE 0x07064b50u

#define LOCAL_BYTES         30u
#define CENTRAL_BYTES       46u
#define END_BYTES           22u
#define END64_BYTES         56u
#define END64_LOCATOR_BYTES 20u
#define MAX_COMMENT_BYTES   65535u

#define MAX_NAME_BYTES 4096u
/* All deflated entries together may be this much larger than the archive: far above what
 * float weights reach, far below a bomb. */
#define MAX_INFLATED_RATIO 32u
#define MIN_INFLATED_BOUND ((uint64_t)64 << 20)

typedef struct archive {
    const unsigned char *bytes;
    size_t size;
    uint64_t directory_offset;
    uint64_t directory_bytes;
    uint64_t entry_count;
    const char *label;
    s3r_error *err;
} archive;

static uint64_t load_le(const unsigned char *bytes, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static s3r_status fail(const archive *zip, const char *what)
{
    return s3r_fail(zip->err, S3R_ERR_MODEL, "%s: zip: %s", zip->label, what);
}

static s3r_status fail_entry(const archive *zip, const char *name, const char *what)
{
    return s3r_fail(zip->err, S3R_ERR_MODEL, "%s: zip entry \"%s\": %s", zip->label, name,
                    what);
}

bool s3r_zip_is_likely(const void *bytes, size_t size)
{
    return size >= END_BYTES &&
           (load_le(bytes, 4) == LOCAL_SIGNATURE || load_le(bytes, 4) == END_SIGNATURE);
}

/* Position of the end record, or SIZE_MAX. */
static size_t find_end_record(const archive *zip)
{
    if (zip->size < END_BYTES)
        return SIZE_MAX;
    size_t last = zip->size - END_BYTES;
    size_t first = last > MAX_COMMENT_BYTES ? last - MAX_COMMENT_BYTES : 0;
    for (size_t at = last + 1; at-- > first;) {
        const unsigned char *record = zip->bytes + at;
        if (load_le(record, 4) == END_SIGNATURE && load_le(record + 20, 2) == last - at)
            return at;
    }
    return SIZE_MAX;
}

static s3r_status read_end64_record(archive *zip, size_t end_at)
{
    const unsigned char *locator = zip->bytes + end_at - END64_LOCATOR_BYTES;
    uint64_t at = load_le(locator + 8, 8);
    if (end_at < END64_LOCATOR_BYTES + END64_BYTES ||
        at > end_at - END64_LOCATOR_BYTES - END64_BYTES ||
        load_le(zip->bytes + at, 4) != END64_SIGNATURE)
        return fail(zip, "the ZIP64 end record is missing (an incomplete download?)");
    const unsigned char *record = zip->bytes + at;
    zip->entry_count = load_le(record + 32, 8);
    zip->directory_bytes = load_le(record + 40, 8);
    zip->directory_offset = load_le(record + 48, 8);
    return S3R_OK;
}

static s3r_status read_end_record(archive *zip)
{
    size_t end_at = find_end_record(zip);
    if (end_at == SIZE_MAX)
        return fail(zip, "the end of the archive is missing (an incomplete download?)");
    const unsigned char *record = zip->bytes + end_at;
    zip->entry_count = load_le(record + 10, 2);
    zip->directory_bytes = load_le(record + 12, 4);
    zip->directory_offset = load_le(record + 16, 4);
    if (end_at >= END64_LOCATOR_BYTES &&
        load_le(record - END64_LOCATOR_BYTES, 4) == END64_LOCATOR_SIGNATURE)
        S3R_TRY(read_end64_record(zip, end_at));
    if (zip->directory_offset > end_at ||
        zip->directory_bytes > end_at - zip->directory_offset)
        return fail(zip, "the directory lies outside of the archive");
    if (zip->entry_count > zip->directory_bytes / CENTRAL_BYTES)
        return fail(zip, "the directory is too short for its number of entries");
    return S3R_OK;
}

typedef struct central_sizes {
    uint64_t size, packed_size, header_offset;
} central_sizes;

/* Replaces the fields that are all ones by those of the ZIP64 extra field. */
static bool apply_zip64_extra(central_sizes *sizes, const unsigned char *extra,
                              size_t extra_bytes)
{
    uint64_t *const fields[] = {&sizes->size, &sizes->packed_size, &sizes->header_offset};
    while (extra_bytes >= 4) {
        size_t id = (size_t)load_le(extra, 2), bytes = (size_t)load_le(extra + 2, 2);
        if (bytes > extra_bytes - 4)
            return false;
        const unsigned char *at = extra + 4;
        size_t left = bytes;
        for (size_t i = 0; id == 1 && i < S3R_ARRAY_LEN(fields); i++) {
            if (*fields[i] != UINT32_MAX)
                continue;
            if (left < 8)
                return false;
            *fields[i] = load_le(at, 8);
            at += 8;
            left -= 8;
        }
        if (id == 1)
            return true;
        extra += 4 + bytes;
        extra_bytes -= 4 + bytes;
    }
    return true;
}

/* Finds the data by the local header. */
static s3r_status locate_data(const archive *zip, s3r_zip_entry *entry, size_t name_bytes)
{
    uint64_t limit = zip->directory_offset;
    if (entry->header_offset > limit || limit - entry->header_offset < LOCAL_BYTES)
        return fail_entry(zip, entry->name, "its header lies outside of the archive");
    const unsigned char *local = zip->bytes + entry->header_offset;
    uint64_t left = limit - entry->header_offset - LOCAL_BYTES;
    uint64_t local_name = load_le(local + 26, 2), extra = load_le(local + 28, 2);
    if (load_le(local, 4) != LOCAL_SIGNATURE || local_name != name_bytes ||
        left < local_name + extra ||
        memcmp(local + LOCAL_BYTES, entry->name, name_bytes) != 0)
        return fail_entry(zip, entry->name, "its header differs from the directory");
    if (left - local_name - extra < entry->packed_size)
        return fail_entry(zip, entry->name, "its data leaves the archive");
    entry->packed = local + LOCAL_BYTES + local_name + extra;
    return S3R_OK;
}

/* Reads the directory record at *at and moves *at behind it. */
static s3r_status read_central_record(const archive *zip, s3r_zip_entry *entry,
                                      size_t *at)
{
    size_t end = (size_t)(zip->directory_offset + zip->directory_bytes);
    const unsigned char *record = zip->bytes + *at;
    if (end - *at < CENTRAL_BYTES || load_le(record, 4) != CENTRAL_SIGNATURE)
        return fail(zip, "the directory is damaged");
    size_t name_bytes = (size_t)load_le(record + 28, 2);
    size_t extra_bytes = (size_t)load_le(record + 30, 2);
    size_t record_bytes =
        CENTRAL_BYTES + name_bytes + extra_bytes + (size_t)load_le(record + 32, 2);
    if (end - *at < record_bytes)
        return fail(zip, "the directory is damaged");
    const char *name = (const char *)record + CENTRAL_BYTES;
    if (name_bytes == 0 || name_bytes > MAX_NAME_BYTES || memchr(name, '\0', name_bytes))
        return fail(zip, "the directory has an entry with an impossible name");
    entry->name = s3r_strndup(name, name_bytes);
    if (!entry->name)
        return s3r_fail_memory(zip->err, "the name of a zip entry", name_bytes);

    unsigned flags = (unsigned)load_le(record + 8, 2);
    unsigned method = (unsigned)load_le(record + 10, 2);
    central_sizes sizes = {.size = load_le(record + 24, 4),
                           .packed_size = load_le(record + 20, 4),
                           .header_offset = load_le(record + 42, 4)};
    if (flags & 1u)
        return fail_entry(zip, entry->name, "it is encrypted");
    if (method != 0 && method != 8)
        return fail_entry(zip, entry->name, "it is neither stored nor deflated");
    if (!apply_zip64_extra(&sizes, record + CENTRAL_BYTES + name_bytes, extra_bytes))
        return fail_entry(zip, entry->name, "its ZIP64 field is damaged");
    if (sizes.packed_size > zip->size || sizes.size > SIZE_MAX / 2)
        return fail_entry(zip, entry->name, "its size is larger than the archive");
    entry->is_deflated = method == 8;
    entry->crc = (uint32_t)load_le(record + 16, 4);
    entry->packed_size = (size_t)sizes.packed_size;
    entry->size = (size_t)sizes.size;
    entry->header_offset = sizes.header_offset;
    if (!entry->is_deflated && entry->size != entry->packed_size)
        return fail_entry(zip, entry->name, "it is stored, but its two sizes differ");
    *at += record_bytes;
    return locate_data(zip, entry, name_bytes);
}

static int compare_offsets(const void *a, const void *b)
{
    const s3r_zip_entry *left = a, *right = b;
    return (left->header_offset > right->header_offset) -
           (left->header_offset < right->header_offset);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const s3r_zip_entry *)a)->name, ((const s3r_zip_entry *)b)->name);
}

/* Sorts by place, looks for overlaps; sorts by name, looks for repetitions. */
static s3r_status check_entries(const archive *zip, s3r_zip_entry *entries, size_t count)
{
    uint64_t inflated = 0;
    if (count == 0)
        return S3R_OK;
    qsort(entries, count, sizeof *entries, compare_offsets);
    for (size_t i = 0; i + 1 < count; i++) {
        const unsigned char *end = entries[i].packed + entries[i].packed_size;
        if (end > zip->bytes + entries[i + 1].header_offset)
            return fail_entry(zip, entries[i + 1].name, "it overlaps another entry");
    }
    qsort(entries, count, sizeof *entries, compare_names);
    uint64_t bound = MIN_INFLATED_BOUND + (uint64_t)MAX_INFLATED_RATIO * zip->size;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(entries[i - 1].name, entries[i].name) == 0)
            return fail_entry(zip, entries[i].name, "the name occurs twice");
        if (entries[i].is_deflated && entries[i].size > bound - inflated)
            return fail_entry(zip, entries[i].name,
                              "the unpacked size is not believable for this archive");
        inflated += entries[i].is_deflated ? entries[i].size : 0;
    }
    return S3R_OK;
}

s3r_status s3r_zip_open(s3r_zip *out, const void *bytes, size_t size, const char *label,
                        s3r_error *err)
{
    archive zip = {.bytes = bytes, .size = size, .label = label, .err = err};
    S3R_TRY(read_end_record(&zip));
    s3r_zip result = {.label = label};
    size_t count = (size_t)zip.entry_count;
    result.entries = s3r_alloc(count, sizeof *result.entries);
    if (!result.entries)
        return s3r_fail_memory(err, "the zip directory", count * sizeof *result.entries);
    s3r_status status = S3R_OK;
    size_t at = (size_t)zip.directory_offset;
    while (status == S3R_OK && result.entry_count < count)
        status = read_central_record(&zip, &result.entries[result.entry_count++], &at);
    if (status == S3R_OK)
        status = check_entries(&zip, result.entries, result.entry_count);
    if (status == S3R_OK)
        *out = result;
    else
        s3r_zip_release(&result);
    return status;
}

void s3r_zip_release(s3r_zip *zip)
{
    for (size_t i = 0; i < zip->entry_count; i++) {
        s3r_free(zip->entries[i].name);
        s3r_free(zip->entries[i].inflated);
    }
    s3r_free(zip->entries);
    *zip = (s3r_zip){0};
}

s3r_zip_entry *s3r_zip_find(const s3r_zip *zip, const char *name, size_t name_length)
{
    size_t low = 0, high = zip->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        s3r_zip_entry *entry = &zip->entries[middle];
        size_t entry_length = strlen(entry->name);
        int order = memcmp(name, entry->name, S3R_MIN(name_length, entry_length));
        if (order == 0 && name_length == entry_length)
            return entry;
        if (order > 0 || (order == 0 && name_length > entry_length))
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static voidpf zlib_alloc(voidpf opaque, uInt count, uInt size)
{
    (void)opaque;
    return s3r_alloc(count, size);
}

static void zlib_free(voidpf opaque, voidpf block)
{
    (void)opaque;
    s3r_free(block);
}

/* Inflates exactly size bytes; Z_STREAM_END when the stream ends there. */
static int inflate_exactly(unsigned char *out, size_t size, const unsigned char *in,
                           size_t in_size)
{
    z_stream stream = {.zalloc = zlib_alloc, .zfree = zlib_free};
    int code = inflateInit2(&stream, -MAX_WBITS);
    if (code != Z_OK)
        return code;
    stream.next_in = (z_const Bytef *)(uintptr_t)in;
    stream.next_out = out;
    /* zlib counts in 32 bits: feed both sides in slices. */
    const size_t slice = (size_t)1 << 30;
    while (code == Z_OK) {
        size_t in_left = in_size - (size_t)(stream.next_in - in);
        size_t out_left = size - (size_t)(stream.next_out - out);
        stream.avail_in = (uInt)S3R_MIN(in_left, slice);
        stream.avail_out = (uInt)S3R_MIN(out_left, slice);
        code = inflate(&stream, Z_NO_FLUSH);
    }
    if (code == Z_STREAM_END && (size_t)(stream.next_out - out) != size)
        code = Z_DATA_ERROR;
    inflateEnd(&stream);
    return code;
}

static s3r_status inflate_entry(const s3r_zip *zip, s3r_zip_entry *entry, s3r_error *err)
{
    unsigned char *bytes = s3r_alloc_raw(entry->size, 1);
    if (!bytes)
        return s3r_fail_memory(err, entry->name, entry->size);
    int code = inflate_exactly(bytes, entry->size, entry->packed, entry->packed_size);
    if (code != Z_STREAM_END) {
        s3r_free(bytes);
        if (code == Z_MEM_ERROR)
            return s3r_fail_memory(err, "zlib", 0);
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: zip entry \"%s\": expected %zu bytes when unpacked, the "
                        "data is damaged or of another size",
                        zip->label, entry->name, entry->size);
    }
    entry->inflated = bytes;
    return S3R_OK;
}

s3r_status s3r_zip_read(const s3r_zip *zip, s3r_zip_entry *entry, bool is_verified,
                        const unsigned char **out, s3r_error *err)
{
    bool is_fresh = entry->is_deflated && !entry->inflated;
    if (is_fresh)
        S3R_TRY(inflate_entry(zip, entry, err));
    const unsigned char *bytes = entry->is_deflated ? entry->inflated : entry->packed;
    /* Writers may skip the checksum (PyTorch has an option): zero counts as absent. */
    if ((is_verified || is_fresh) && entry->crc != 0) {
        uint32_t crc = (uint32_t)crc32_z(0, bytes, entry->size);
        if (crc != entry->crc)
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: zip entry \"%s\": checksum: expected %08lx, found %08lx",
                            zip->label, entry->name, (unsigned long)entry->crc,
                            (unsigned long)crc);
    }
    *out = bytes;
    return S3R_OK;
}
