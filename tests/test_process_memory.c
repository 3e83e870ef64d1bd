/*
 * What a process holds grows with what it touches.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/process_memory.h"
#include "support_files.h"

#define BLOCK ((size_t)64 << 20)

/* The system counts pages for each processor and adds them up now and then. */
#define SLACK ((size_t)4 << 20)

static void test_peak(void **state)
{
    (void)state;
    size_t before = s3r_process_peak_bytes();
    assert_true(before > 0);
    unsigned char *block = s3r_alloc_raw(BLOCK, 1);
    assert_non_null(block);
    memset(block, 1, BLOCK);
    size_t during = s3r_process_peak_bytes();
    assert_true(block[BLOCK - 1] == 1);
    s3r_free(block);
    /* The peak before may have been above what was held. */
    assert_true(during >= BLOCK && during + SLACK >= before);
    assert_true(s3r_process_peak_bytes() + SLACK >= during);
}

static void test_available(void **state)
{
    (void)state;
    size_t available = s3r_machine_available_bytes();
    assert_true(available > (size_t)1 << 20);
}

static void write_group(const char *root, const char *group, const char *limit,
                        const char *used, const char *stat, bool is_version_1)
{
    const char *folder = test_path(root, group);
    assert_int_equal(s3r_folder_create(folder, NULL), S3R_OK);
    test_write_file(
        test_path(folder, is_version_1 ? "memory.limit_in_bytes" : "memory.max"), limit,
        strlen(limit));
    test_write_file(
        test_path(folder, is_version_1 ? "memory.usage_in_bytes" : "memory.current"),
        used, strlen(used));
    test_write_file(test_path(folder, "memory.stat"), stat, strlen(stat));
}

/* The tightest of the group and those around it; pages of files count as free. */
static void test_control_groups(void **state)
{
    (void)state;
    const char *root = test_folder(), *list = test_path(root, "list");
    static const char two[] = "0::/job/step\n",
                      one[] = "4:cpu,memory:/job/step\n2:cpu:/x\n";
    test_write_file(list, two, strlen(two));
    assert_int_equal(s3r_control_groups_left_bytes(root, list), SIZE_MAX);
    write_group(root, "job", "max\n", "900\n", "", false);
    assert_int_equal(s3r_control_groups_left_bytes(root, list), SIZE_MAX);
    write_group(root, "job", "1000\n", "900\n", "file 5\ninactive_file 300\n", false);
    assert_int_equal(s3r_control_groups_left_bytes(root, list), 400);
    write_group(root, "job/step", "500\n", "450\n", "", false);
    assert_int_equal(s3r_control_groups_left_bytes(root, list), 50);
    write_group(root, "job/step", "500\n", "10\n", "", false);
    assert_int_equal(s3r_control_groups_left_bytes(root, list), 400);
    test_write_file(list, one, strlen(one));
    write_group(root, "memory/job/step", "800\n", "700\n",
                "inactive_file 0\ntotal_inactive_file 200\n", true);
    assert_int_equal(s3r_control_groups_left_bytes(root, list), 300);
    write_group(root, "memory", "250\n", "0\n", "", true);
    assert_int_equal(s3r_control_groups_left_bytes(root, list), 250);
    test_write_file(list, "broken", 6);
    assert_int_equal(s3r_control_groups_left_bytes(root, list), 250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peak),
        cmocka_unit_test(test_available),
        cmocka_unit_test(test_control_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
