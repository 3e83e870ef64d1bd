/*
 * The G.722 decoder against ffmpeg, bit for bit (tools/make_g722_fixture.py).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "audio/audio_g722.h"

#define DATA      S3R_TEST_DATA "/audio/"
#define MAX_BYTES 32768u

static size_t read_file(const char *path, unsigned char *bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, MAX_BYTES, file);
    fclose(file);
    assert_true(size > 0 && size < MAX_BYTES);
    return size;
}

static unsigned char encoded[MAX_BYTES], expected[MAX_BYTES];
static int16_t samples[2 * MAX_BYTES];

/* Loud enough to reach every limit. */
static void test_patterns_are_exact(void **state)
{
    (void)state;
    size_t size = read_file(DATA "g722_patterns.g722", encoded);
    assert_int_equal(read_file(DATA "g722_patterns.s16", expected), 4 * size);
    s3r_g722 decoder;
    s3r_g722_init(&decoder);
    s3r_g722_decode(&decoder, samples, encoded, size);
    for (size_t i = 0; i < 2 * size; i++) {
        int value = (int16_t)(uint16_t)(expected[2 * i] | expected[2 * i + 1] << 8);
        if (samples[i] != value)
            fail_msg("sample %zu: expected %d, found %d", i, value, samples[i]);
    }
}

static uint64_t hash_samples(size_t count)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < 2 * count; i++) {
        unsigned value = (uint16_t)samples[i / 2];
        hash = (hash ^ (i % 2 == 0 ? value & 0xffu : value >> 8)) * 0x100000001b3u;
    }
    return hash;
}

/* Whole clips, fed in uneven pieces: the state carries over. */
static void test_speech_is_exact(void **state)
{
    (void)state;
    FILE *list = fopen(DATA "g722_expected.txt", "r");
    assert_non_null(list);
    char name[64], path[512];
    size_t count, files = 0;
    unsigned long long hash;
    while (fscanf(list, "%63s %zu %llx", name, &count, &hash) == 3) {
        snprintf(path, sizeof path, DATA "%s", name);
        size_t size = read_file(path, encoded);
        assert_int_equal(count, 2 * size);
        s3r_g722 decoder;
        s3r_g722_init(&decoder);
        for (size_t at = 0, piece = 1; at < size; at += piece, piece = piece * 7 % 1009) {
            piece = piece < size - at ? piece : size - at;
            s3r_g722_decode(&decoder, samples + 2 * at, encoded + at, piece);
        }
        if (hash_samples(count) != hash)
            fail_msg("%s: differs from ffmpeg", name);
        files++;
    }
    fclose(list);
    assert_int_equal(files, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns_are_exact),
        cmocka_unit_test(test_speech_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
