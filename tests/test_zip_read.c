/*
 * Zip reading: archives built here byte by byte, sound ones and each kind of damage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "base/memory.h"
#include "checkpoint/zip_read.h"
#include "support_alloc_faults.h"

static s3r_error err;

typedef struct image {
    unsigned char bytes[4096];
    size_t size;
} image;

static void put(image *zip, uint64_t value, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        zip->bytes[zip->size++] = (unsigned char)(i < 8 ? value >> (8 * i) : 0);
}

static void put_bytes(image *zip, const void *bytes, size_t size)
{
    assert_true(zip->size + size < sizeof zip->bytes);
    if (size)
        memcpy(zip->bytes + zip->size, bytes, size);
    zip->size += size;
}

/* One entry of a test archive; what differs from a sound one is set. */
typedef struct entry {
    const char *name;
    const void *data;
    size_t packed_size, size;
    unsigned method, flags;
    uint32_t crc;
    const char *local_name; /* NULL = name */
    bool is_zip64;
    size_t offset_shift; /* added to the header offset */
} entry;

static entry stored(const char *name, const char *data)
{
    size_t size = strlen(data);
    return (entry){.name = name,
                   .data = data,
                   .packed_size = size,
                   .size = size,
                   .crc = (uint32_t)crc32_z(0, (const unsigned char *)data, size)};
}

static void put_central(image *zip, const entry *e, size_t offset)
{
    bool z = e->is_zip64;
    put(zip, 0x02014b50, 4);
    put(zip, 0, 4);
    put(zip, e->flags, 2);
    put(zip, e->method, 2);
    put(zip, 0, 4);
    put(zip, e->crc, 4);
    put(zip, z ? UINT32_MAX : e->packed_size, 4);
    put(zip, z ? UINT32_MAX : e->size, 4);
    put(zip, strlen(e->name), 2);
    put(zip, z ? 4 + 6 + 4 + 24 : 0, 2);
    put(zip, 0, 2 + 2 + 2 + 4);
    put(zip, z ? UINT32_MAX : offset, 4);
    put_bytes(zip, e->name, strlen(e->name));
    if (z) {
        put(zip, 0x9999, 2);
        put(zip, 6, 2);
        put(zip, 0, 6);
        put(zip, 1, 2);
        put(zip, 24, 2);
        put(zip, e->size, 8);
        put(zip, e->packed_size, 8);
        put(zip, offset, 8);
    }
}

static void build(image *zip, const entry *entries, size_t count)
{
    size_t offsets[8];
    *zip = (image){0};
    for (size_t i = 0; i < count; i++) {
        const char *name =
            entries[i].local_name ? entries[i].local_name : entries[i].name;
        offsets[i] = zip->size + entries[i].offset_shift;
        put(zip, 0x04034b50, 4);
        put(zip, 0, 22); /* sizes are not read here, as with data descriptors */
        put(zip, strlen(name), 2);
        put(zip, 3, 2);
        put_bytes(zip, name, strlen(name));
        put(zip, 0, 3);
        put_bytes(zip, entries[i].data, entries[i].packed_size);
    }
    size_t directory = zip->size;
    bool is_zip64 = count > 0 && entries[0].is_zip64;
    for (size_t i = 0; i < count; i++)
        put_central(zip, &entries[i], offsets[i]);
    size_t end = zip->size;
    if (is_zip64) {
        put(zip, 0x06064b50, 4);
        put(zip, 44, 8);
        put(zip, 0, 12);
        put(zip, count, 8);
        put(zip, count, 8);
        put(zip, end - directory, 8);
        put(zip, directory, 8);
        put(zip, 0x07064b50, 4);
        put(zip, 0, 4);
        put(zip, end, 8);
        put(zip, 1, 4);
    }
    put(zip, 0x06054b50, 4);
    put(zip, 0, 4);
    put(zip, is_zip64 ? UINT16_MAX : count, 2);
    put(zip, is_zip64 ? UINT16_MAX : count, 2);
    put(zip, is_zip64 ? UINT32_MAX : end - directory, 4);
    put(zip, is_zip64 ? UINT32_MAX : directory, 4);
    put(zip, 4, 2);
    put_bytes(zip, "note", 4);
}

/* Raw deflate of size zero bytes, or of data. */
static size_t deflate_raw(unsigned char *out, size_t out_size, const void *data,
                          size_t size)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY),
                     Z_OK);
    stream.next_in = (z_const Bytef *)(uintptr_t)data;
    stream.avail_in = (uInt)size;
    stream.next_out = out;
    stream.avail_out = (uInt)out_size;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return out_size - stream.avail_out;
}

static void check_entry(const s3r_zip *zip, const char *name, const char *expected)
{
    const unsigned char *bytes;
    s3r_zip_entry *found = s3r_zip_find(zip, name, strlen(name));
    assert_non_null(found);
    assert_int_equal(s3r_zip_read(zip, found, true, &bytes, &err), S3R_OK);
    assert_int_equal(found->size, strlen(expected));
    assert_memory_equal(bytes, expected, found->size);
}

static void test_sound_archives_are_read(void **state)
{
    (void)state;
    static const char text[] = "abcabcabcabcabcabcabcabcabcabc";
    unsigned char packed[128];
    for (unsigned is_zip64 = 0; is_zip64 < 2; is_zip64++) {
        image bytes;
        s3r_zip zip;
        entry entries[] = {stored("z/data.pkl", "hello"), stored("z/data/0", "12345678"),
                           stored("z/deflated", text), stored("z/", "")};
        entries[2].method = 8;
        entries[2].data = packed;
        entries[2].packed_size =
            deflate_raw(packed, sizeof packed, text, sizeof text - 1);
        for (size_t i = 0; i < S3R_ARRAY_LEN(entries); i++)
            entries[i].is_zip64 = is_zip64;
        build(&bytes, entries, S3R_ARRAY_LEN(entries));
        assert_true(s3r_zip_is_likely(bytes.bytes, bytes.size));
        assert_int_equal(s3r_zip_open(&zip, bytes.bytes, bytes.size, "a.zip", &err),
                         S3R_OK);
        assert_int_equal(zip.entry_count, 4);
        check_entry(&zip, "z/data.pkl", "hello");
        check_entry(&zip, "z/data/0", "12345678");
        check_entry(&zip, "z/deflated", text);
        check_entry(&zip, "z/deflated", text);
        assert_null(s3r_zip_find(&zip, "z/data", 6));
        assert_null(s3r_zip_find(&zip, "z/data/0\0x", 10));
        assert_null(s3r_zip_find(&zip, "z/data/00", 9));
        /* Stored data is not copied. */
        const unsigned char *in_place;
        s3r_zip_entry *found = s3r_zip_find(&zip, "z/data/0", 8);
        assert_int_equal(s3r_zip_read(&zip, found, false, &in_place, &err), S3R_OK);
        assert_true(in_place > bytes.bytes && in_place < bytes.bytes + bytes.size);
        s3r_zip_release(&zip);
    }
}

static void test_bad_entries_are_named(void **state)
{
    (void)state;
    entry sound = stored("b", "12345678");
    entry encrypted = sound, method = sound, sizes = sound, renamed = sound;
    entry outside = sound;
    encrypted.flags = 1;
    method.method = 12;
    sizes.size = 9;
    renamed.local_name = "x";
    outside.offset_shift = 1000;
    entry bomb = sound;
    bomb.method = 8;
    bomb.size = (size_t)1 << 30;
    const struct {
        entry second;
        const char *message;
    } cases[] = {
        {encrypted, "encrypted"},
        {method, "neither stored nor deflated"},
        {sizes, "its two sizes differ"},
        {renamed, "differs from the directory"},
        {outside, "outside of the archive"},
        {stored("a", "1"), "occurs twice"},
        {bomb, "not believable"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        image bytes;
        s3r_zip zip;
        entry entries[] = {stored("a", "12345678"), cases[i].second};
        build(&bytes, entries, 2);
        s3r_status status = s3r_zip_open(&zip, bytes.bytes, bytes.size, "a.zip", &err);
        if (status != S3R_ERR_MODEL || strncmp(err.message, "a.zip: zip", 10) != 0 ||
            !strstr(err.message, cases[i].message))
            fail_msg("expected \"%s\", found status %d \"%s\"", cases[i].message, status,
                     status ? err.message : "");
    }
}

static void test_overlap_is_an_error(void **state)
{
    (void)state;
    /* The first entry's data contains the second entry. */
    image inner, bytes;
    s3r_zip zip;
    entry second = stored("b", "1234");
    build(&inner, &second, 1);
    entry entries[] = {stored("a", ""), stored("b", "1234")};
    entries[0].data = inner.bytes;
    entries[0].packed_size = entries[0].size = 30 + 1 + 3 + 4;
    entries[1].offset_shift = (size_t)0 - (30 + 1 + 3 + 4);
    build(&bytes, entries, 2);
    assert_int_equal(s3r_zip_open(&zip, bytes.bytes, bytes.size, "a.zip", &err),
                     S3R_ERR_MODEL);
    assert_non_null(strstr(err.message, "\"b\": it overlaps"));
}

static void test_damaged_data_is_an_error(void **state)
{
    (void)state;
    unsigned char packed[64];
    size_t packed_size = deflate_raw(packed, sizeof packed, "hello hello", 11);
    const struct {
        size_t size, packed_size;
        uint32_t crc;
        unsigned method;
        const char *message;
    } cases[] = {
        {11, packed_size, 1, 8, "checksum: expected 00000001"},
        {10, packed_size, 0, 8, "expected 10 bytes"},
        {12, packed_size, 0, 8, "expected 12 bytes"},
        {11, packed_size - 1, 0, 8, "expected 11 bytes"},
        {0, packed_size, 0, 8, "expected 0 bytes"},
        {packed_size, packed_size, 5, 0, "checksum: expected 00000005"},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        image bytes;
        s3r_zip zip;
        const unsigned char *out;
        entry bad = {.name = "a",
                     .data = packed,
                     .packed_size = cases[i].packed_size,
                     .size = cases[i].size,
                     .method = cases[i].method,
                     .crc = cases[i].crc};
        build(&bytes, &bad, 1);
        assert_int_equal(s3r_zip_open(&zip, bytes.bytes, bytes.size, "a.zip", &err),
                         S3R_OK);
        assert_int_equal(s3r_zip_read(&zip, &zip.entries[0], true, &out, &err),
                         S3R_ERR_MODEL);
        if (!strstr(err.message, cases[i].message))
            fail_msg("expected \"%s\", found \"%s\"", cases[i].message, err.message);
        s3r_zip_release(&zip);
    }
}

/* Every truncation and every changed byte gives a result or an error, never a crash. */
static void test_any_damage_is_survived(void **state)
{
    (void)state;
    image bytes;
    entry entries[] = {stored("z/data.pkl", "hello"), stored("z/data/0", "12345678")};
    entries[0].is_zip64 = entries[1].is_zip64 = true;
    build(&bytes, entries, 2);
    for (size_t i = 0; i < bytes.size; i++) {
        s3r_zip zip;
        assert_int_not_equal(s3r_zip_open(&zip, bytes.bytes, i, "a.zip", &err), S3R_OK);
        for (unsigned change = 1; change < 256; change *= 2) {
            bytes.bytes[i] ^= (unsigned char)change;
            if (s3r_zip_open(&zip, bytes.bytes, bytes.size, "a.zip", &err) == S3R_OK)
                s3r_zip_release(&zip);
            bytes.bytes[i] ^= (unsigned char)change;
        }
    }
}

static s3r_status attempt(void *context, s3r_error *error)
{
    const image *bytes = context;
    s3r_zip zip;
    const unsigned char *out;
    S3R_TRY(s3r_zip_open(&zip, bytes->bytes, bytes->size, "a.zip", error));
    s3r_status status = S3R_OK;
    for (size_t i = 0; status == S3R_OK && i < zip.entry_count; i++)
        status = s3r_zip_read(&zip, &zip.entries[i], true, &out, error);
    s3r_zip_release(&zip);
    return status;
}

static void test_allocation_failures_are_survived(void **state)
{
    (void)state;
    image bytes;
    unsigned char packed[64];
    entry entries[] = {stored("a", "hello"), stored("b", "hello hello")};
    entries[1].method = 8;
    entries[1].data = packed;
    entries[1].packed_size = deflate_raw(packed, sizeof packed, "hello hello", 11);
    build(&bytes, entries, 2);
    test_survives_alloc_faults(attempt, &bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_archives_are_read),
        cmocka_unit_test(test_bad_entries_are_named),
        cmocka_unit_test(test_overlap_is_an_error),
        cmocka_unit_test(test_damaged_data_is_an_error),
        cmocka_unit_test(test_any_damage_is_survived),
        cmocka_unit_test(test_allocation_failures_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
