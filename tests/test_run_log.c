/*
 * The log of a run: lines, repair after a crash, cutting on resume, and TensorBoard files
 * read back by a second implementation of frames, CRC-32C and protobuf.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/folder_list.h"
#include "base/memory.h"
#include "support_alloc_faults.h"
#include "support_api.h"
#include "support_files.h"
#include "train/run_log.h"

/* ---- CRC-32C ---- */

static uint32_t slow_crc(const unsigned char *bytes, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < 8 * size; i++) {
        uint32_t bit = (crc ^ (bytes[i / 8] >> (i % 8))) & 1u;
        crc = (crc >> 1) ^ (bit ? 0x82f63b78u : 0);
    }
    return crc ^ 0xffffffffu;
}

/* RFC 3720, B.4, and the usual check value. */
static void test_crc(void **state)
{
    (void)state;
    unsigned char bytes[32];
    assert_int_equal(s3r_crc32c("", 0), 0);
    assert_int_equal(s3r_crc32c("123456789", 9), 0xe3069283u);
    memset(bytes, 0, 32);
    assert_int_equal(s3r_crc32c(bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, 32);
    assert_int_equal(s3r_crc32c(bytes, 32), 0x62a8ab43u);
    for (size_t i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(s3r_crc32c(bytes, 32), 0x46dd794eu);
    for (size_t i = 0; i < 32; i++)
        bytes[i] = (unsigned char)(31 - i);
    assert_int_equal(s3r_crc32c(bytes, 32), 0x113fdb5cu);
    for (size_t n = 0; n <= 32; n++)
        assert_int_equal(s3r_crc32c(bytes, n), slow_crc(bytes, n));
}

/* ---- reading events ---- */

typedef struct event_scalar {
    char tag[80];
    float value;
} event_scalar;

typedef struct event {
    double wall_time;
    uint64_t step;
    char version[32];
    bool is_start;
    size_t count;
    event_scalar scalars[16];
} event;

static uint64_t fixed(const unsigned char *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static uint64_t varint(const unsigned char **at)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        unsigned char byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
}

/* The next field: its number; bytes fields have data and size, others a value. */
typedef struct field {
    unsigned number;
    const unsigned char *data;
    uint64_t value;
} field;

static field next_field(const unsigned char **at)
{
    field f = {0};
    uint64_t key = varint(at);
    f.number = (unsigned)(key >> 3);
    f.data = *at;
    switch (key & 7) {
    case 0:
        f.value = varint(at);
        break;
    case 1:
        f.value = fixed(*at, 8);
        *at += 8;
        break;
    case 5:
        f.value = fixed(*at, 4);
        *at += 4;
        break;
    default:
        assert_int_equal(key & 7, 2);
        f.value = varint(at);
        f.data = *at;
        *at += f.value;
    }
    return f;
}

static void read_value(event_scalar *out, const unsigned char *at, size_t size)
{
    const unsigned char *end = at + size;
    while (at < end) {
        field f = next_field(&at);
        uint32_t bits = (uint32_t)f.value;
        if (f.number == 1)
            snprintf(out->tag, sizeof out->tag, "%.*s", (int)f.value,
                     (const char *)f.data);
        else if (f.number == 2)
            memcpy(&out->value, &bits, sizeof bits);
    }
    assert_ptr_equal(at, end);
}

static void read_event(event *out, const unsigned char *at, size_t size)
{
    const unsigned char *end = at + size;
    memset(out, 0, sizeof *out);
    while (at < end) {
        field f = next_field(&at);
        const unsigned char *inner = f.data;
        if (f.number == 1)
            memcpy(&out->wall_time, &f.value, sizeof f.value);
        else if (f.number == 2)
            out->step = f.value;
        else if (f.number == 3)
            snprintf(out->version, sizeof out->version, "%.*s", (int)f.value,
                     (const char *)f.data);
        else if (f.number == 5)
            while (inner < f.data + f.value) {
                field value = next_field(&inner);
                assert_int_equal(value.number, 1);
                assert_true(out->count < 16);
                read_value(&out->scalars[out->count++], value.data, value.value);
            }
        else if (f.number == 7)
            out->is_start = f.value == 2 && f.data[0] == 8 && f.data[1] == 1;
    }
    assert_ptr_equal(at, end);
}

static uint64_t masked(const unsigned char *bytes, size_t size)
{
    uint32_t crc = slow_crc(bytes, size);
    return (uint32_t)(((crc >> 15) | (crc << 17)) + 0xa282ead8u);
}

/* All events of a file; every frame's checksums must hold. */
static size_t read_events(const char *path, event *out, size_t capacity)
{
    s3r_file_map map;
    s3r_error err;
    size_t count = 0;
    assert_int_equal(s3r_file_map_open(&map, path, S3R_ERR_DATA, &err), S3R_OK);
    for (size_t at = 0; at < map.size; count++) {
        assert_true(map.size - at >= 16);
        size_t size = fixed(map.data + at, 8);
        assert_true(size <= map.size - at - 16);
        assert_int_equal(fixed(map.data + at + 8, 4), masked(map.data + at, 8));
        assert_int_equal(fixed(map.data + at + 12 + size, 4),
                         masked(map.data + at + 12, size));
        assert_true(count < capacity);
        read_event(&out[count], map.data + at + 12, size);
        assert_true(out[count].wall_time > 1.6e9 && out[count].wall_time < 1e10);
        at += size + 16;
    }
    s3r_file_map_close(&map);
    return count;
}

/* The event files of a folder, in their order. */
static size_t event_files(const char *folder, const char *paths[], size_t capacity)
{
    static char storage[8][512];
    size_t count = 0;
    s3r_folder_list list;
    s3r_error err;
    assert_int_equal(s3r_folder_list_read(&list, folder, "", S3R_ERR_DATA, &err), S3R_OK);
    for (size_t i = 0; i < list.count && count < capacity; i++) {
        if (strncmp(list.names[i], "events.out.tfevents.", 20) != 0)
            continue;
        snprintf(storage[count], sizeof storage[0], "%s/%s", folder, list.names[i]);
        paths[count] = storage[count];
        count++;
    }
    s3r_folder_list_release(&list);
    return count;
}

/* ---- writing ---- */

static void write_step(s3r_run_log *log, size_t step, double loss)
{
    s3r_error err;
    json_t *line = json_pack("{sI, s{sf, sI, ss, s{sf}}, sb}", "step", (json_int_t)step,
                             "train", "loss", loss, "epoch", (json_int_t)7, "note",
                             "text", "deep", "x", 0.25, "flag", 1);
    assert_non_null(line);
    if (s3r_run_log_write(log, line, &err) != S3R_OK)
        fail_msg("%s", err.message);
    json_decref(line);
}

static s3r_run_log *open_log(const char *folder, size_t step)
{
    s3r_run_log *log;
    s3r_error err;
    if (s3r_run_log_open(&log, folder, step, &err) != S3R_OK)
        fail_msg("%s", err.message);
    return log;
}

static void assert_lines(const char *folder, const char *expected)
{
    unsigned char text[4096];
    s3r_file_map map;
    s3r_error err;
    assert_int_equal(
        s3r_file_map_open(&map, test_path(folder, "metrics.jsonl"), S3R_ERR_DATA, &err),
        S3R_OK);
    assert_true(map.size < sizeof text);
    memcpy(text, map.data ? map.data : (const unsigned char *)"", map.size);
    text[map.size] = '\0';
    s3r_file_map_close(&map);
    assert_string_equal((char *)text, expected);
}

#define LINE(step, loss)                                                                 \
    "{\"step\": " step ", \"train\": {\"loss\": " loss                                   \
    ", \"epoch\": 7, \"note\": \"text\", \"deep\": {\"x\": 0.25}}, \"flag\": true}\n"

static void test_lines_and_events(void **state)
{
    (void)state;
    const char *folder = test_folder(), *paths[4];
    static event events[8];
    s3r_run_log *log = open_log(folder, 0);
    write_step(log, 10, 0.1);
    assert_lines(folder, LINE("10", "0.1")); /* there before the file is closed */
    write_step(log, 300, -1.5);
    assert_int_equal(s3r_run_log_close(log, NULL), S3R_OK);
    assert_lines(folder, LINE("10", "0.1") LINE("300", "-1.5"));
    assert_int_equal(event_files(folder, paths, 4), 1);
    const char *name = strrchr(paths[0], '/') + 1;
    assert_string_equal(name + strlen(name) - 4, ".s3r");
    assert_int_equal(read_events(paths[0], events, 8), 3);
    assert_string_equal(events[0].version, "brain.Event:2");
    assert_int_equal(events[0].step, 0);
    assert_int_equal(events[2].step, 300);
    assert_int_equal(events[2].count, 3);
    static const event_scalar expected[] = {
        {"train/loss", -1.5f}, {"train/epoch", 7}, {"train/deep/x", .25f}};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(events[2].scalars[i].tag, expected[i].tag);
        assert_true(events[2].scalars[i].value == expected[i].value);
    }
    assert_true(events[1].scalars[0].value == 0.1f);
    assert_true(events[2].wall_time >= events[1].wall_time);
}

static void test_resume(void **state)
{
    (void)state;
    const char *folder = test_folder(), *paths[4];
    static event events[8];
    s3r_run_log *log = open_log(folder, 0);
    for (size_t step = 10; step <= 30; step += 10)
        write_step(log, step, 1);
    assert_int_equal(s3r_run_log_close(log, NULL), S3R_OK);
    log = open_log(folder, 20);
    assert_lines(folder, LINE("10", "1.0") LINE("20", "1.0"));
    write_step(log, 30, 2);
    assert_int_equal(s3r_run_log_close(log, NULL), S3R_OK);
    assert_lines(folder, LINE("10", "1.0") LINE("20", "1.0") LINE("30", "2.0"));
    assert_int_equal(event_files(folder, paths, 4), 2);
    bool was_start_found = false;
    for (size_t i = 0; i < 2; i++) {
        size_t count = read_events(paths[i], events, 8);
        assert_string_equal(events[0].version, "brain.Event:2");
        if (count == 3) {
            was_start_found = events[1].is_start && events[1].step == 21;
            assert_int_equal(events[2].step, 30);
        }
    }
    assert_true(was_start_found);
    log = open_log(folder, 0);
    assert_lines(folder, "");
    assert_int_equal(s3r_run_log_close(log, NULL), S3R_OK);
    assert_int_equal(s3r_run_log_close(NULL, NULL), S3R_OK);
}

static void test_crash(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after; /* NULL = an error that says so */
    } cases[] = {
        {"{\"step\": 1}\n{\"step\": 2}\n{\"st", "{\"step\": 1}\n{\"step\": 2}\n"},
        {"{\"step\": 1}\n{\"step\": 2}", "{\"step\": 1}\n"},
        {"{\"step\": 1}\n\n", "{\"step\": 1}\n"},
        {"{\"step\": 1}\nabc\n", "{\"step\": 1}\n"},
        {"{", ""},
        {"", ""},
        {"{\"step\": 1}\nabc\n{\"step\": 2}\n", NULL},
        {"{\"stop\": 1}\n{\"step\": 2}\n", NULL},
        /* A power cut may leave zeros before what is of steps after the checkpoint. */
        {"{\"step\": 1}\n{\"step\": 5}\nabc\n{\"step\": 6}\n{\"step\": 7}\n",
         "{\"step\": 1}\n{\"step\": 5}\n"},
        {"{\"step\": 4}\nabc\n{\"step\": 6}\nabc\n", "{\"step\": 4}\n"},
        {"{\"step\": 4}\nabc\n{\"step\": 6}\n{\"step\": 5}\n", NULL},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        const char *folder = test_folder(), *path = test_path(folder, "metrics.jsonl");
        s3r_run_log *log;
        s3r_error err;
        test_write_file(path, cases[i].before, strlen(cases[i].before));
        s3r_status status = s3r_run_log_open(&log, folder, 5, &err);
        if (!cases[i].after) {
            test_expect_failure(status, &err, S3R_ERR_RUNTIME, "integer \"step\"");
            assert_lines(folder, cases[i].before);
            continue;
        }
        assert_int_equal(status, S3R_OK);
        assert_lines(folder, cases[i].after);
        assert_int_equal(s3r_run_log_close(log, NULL), S3R_OK);
    }
}

static void test_failures(void **state)
{
    (void)state;
    s3r_run_log *log;
    s3r_error err;
    const char *folder = test_folder();
    const char *none = test_path(folder, "none");
    test_expect_failure(s3r_run_log_open(&log, none, 0, &err), &err, S3R_ERR_RUNTIME,
                        none);
    log = open_log(folder, 0);
    json_t *line = json_pack("{sf}", "loss", 1.0);
    test_expect_failure(s3r_run_log_write(log, line, &err), &err, S3R_ERR_RUNTIME,
                        "integer \"step\"");
    json_decref(line);
    assert_int_equal(s3r_run_log_close(log, NULL), S3R_OK);
}

static s3r_status open_and_write(void *context, s3r_error *err)
{
    s3r_run_log *log;
    S3R_TRY(s3r_run_log_open(&log, context, 1, err));
    json_t *line = json_pack("{sI, s{sf}}", "step", (json_int_t)2, "a", "b", 1.0);
    s3r_status status =
        line ? s3r_run_log_write(log, line, err) : s3r_fail_memory(err, "line", 0);
    json_decref(line);
    s3r_status closed = s3r_run_log_close(log, NULL);
    return status == S3R_OK ? closed : status;
}

static void test_memory(void **state)
{
    (void)state;
    char folder[512];
    strcpy(folder, test_folder());
    test_write_file(test_path(folder, "metrics.jsonl"), "{\"step\": 1}\n", 12);
    test_survives_alloc_faults(open_and_write, folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc),      cmocka_unit_test(test_lines_and_events),
        cmocka_unit_test(test_resume),   cmocka_unit_test(test_crash),
        cmocka_unit_test(test_failures), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
