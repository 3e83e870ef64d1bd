/*
 * s3r doctor: what this installation is and whether it works here.  Reports facts, then
 * runs the checks; a failed check is exit code 1, a missing optional program is not.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <s3r/context.h>
#include <s3r/machine.h>

#include "verb.h"

/* A check proves one thing; on failure err says what is wrong and what to do. */
typedef struct check {
    const char *name;
    s3r_status (*run)(const s3r_command *command, s3r_error *err);
} check;

static s3r_status check_version(const s3r_command *command, s3r_error *err)
{
    (void)command;
    if (strcmp(s3r_version(), S3R_CLI_VERSION) == 0)
        return S3R_OK;
    return s3r_cli_fail(err, S3R_ERR_RUNTIME,
                        "the program is %s but loads libs3r %s; reinstall both",
                        S3R_CLI_VERSION, s3r_version());
}

/* Position of a CPU level in the order of --cpu; names of the library are the same. */
static int level_rank(const char *name)
{
    for (int i = 0; i <= S3R_CPU_CHOICE_AVX512BF16; i++)
        if (strcmp(s3r_cpu_choice_names[i], name) == 0)
            return i;
    return -1;
}

static s3r_status check_cpu(const s3r_command *command, s3r_error *err)
{
    if (command->global.cpu <= level_rank(s3r_machine_cpu_level()))
        return S3R_OK;
    return s3r_cli_fail(
        err, S3R_ERR_RUNTIME, "this machine has no %s kernels, only up to %s",
        s3r_cpu_choice_names[command->global.cpu], s3r_machine_cpu_level());
}

/* Threads start, and every level that this machine has can be chosen. */
static s3r_status check_contexts(const s3r_command *command, s3r_error *err)
{
    s3r_status status = S3R_OK;
    int best = level_rank(s3r_machine_cpu_level());
    for (int level = S3R_CPU_CHOICE_AUTO; level <= best && status == S3R_OK; level++) {
        s3r_context_options options;
        s3r_context *context = NULL;
        s3r_context_options_init(&options);
        options.thread_count = command->global.threads;
        options.cpu_level = s3r_cpu_choice_names[level];
        status = s3r_context_create(&context, &options, err);
        s3r_context_destroy(context);
    }
    return status;
}

static const check checks[] = {
    {"program and library match", check_version},
    {"CPU level", check_cpu},
    {"kernels and threads", check_contexts},
};
#define CHECK_COUNT (sizeof checks / sizeof checks[0])

/* Programs that s3r calls when they are there. */
static const struct program {
    const char *name, *use;
} programs[] = {
    {"ffmpeg", "audio that libsndfile cannot read, and video"},
    {"espeak-ng", "phones in vocab build"},
    {"apt-get", "speech from Debian packages in data prepare"},
};
#define PROGRAM_COUNT (sizeof programs / sizeof programs[0])

static bool is_on_path(const char *program)
{
    const char *path = getenv("PATH");
    while (path && *path) {
        char candidate[4096];
        size_t length = strcspn(path, ":");
        snprintf(candidate, sizeof candidate, "%.*s/%s", (int)length, path, program);
        if (access(candidate, X_OK) == 0)
            return true;
        path += length + (path[length] == ':');
    }
    return false;
}

/* A field of /proc/meminfo in bytes; 0 when there is none. */
static uint64_t memory_field(const char *name)
{
    char line[256];
    uint64_t kib = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file)) {
        size_t length = strlen(name);
        if (strncmp(line, name, length) == 0 && line[length] == ':')
            kib = strtoull(line + length + 1, NULL, 10);
    }
    fclose(file);
    return kib * 1024;
}

static json_t *describe_dependencies(void)
{
    json_t *all = json_object();
    s3r_dependency dependency;
    for (size_t i = 0; s3r_machine_dependency(i, &dependency); i++)
        json_object_set_new(all, dependency.name, json_string(dependency.version));
    return all;
}

static json_t *describe_programs(void)
{
    json_t *all = json_object();
    for (size_t i = 0; i < PROGRAM_COUNT; i++)
        json_object_set_new(all, programs[i].name,
                            json_boolean(is_on_path(programs[i].name)));
    return all;
}

/* {"name": null} for a passed check, {"name": "what is wrong"} for a failed one. */
static json_t *run_checks(const s3r_command *command, size_t *failures)
{
    json_t *all = json_object();
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        s3r_error err = {S3R_OK, ""};
        bool passed = checks[i].run(command, &err) == S3R_OK;
        *failures += !passed;
        json_object_set_new(all, checks[i].name,
                            passed ? json_null() : json_string(err.message));
    }
    return all;
}

static json_t *describe(const s3r_command *command, size_t *failures)
{
    size_t threads = command->global.threads;
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "version",
                     s3r_version(), "cpu_level", s3r_machine_cpu_level(), "processors",
                     (json_int_t)s3r_machine_processor_count(), "threads",
                     (json_int_t)(threads ? threads : s3r_machine_processor_count()),
                     "memory_bytes", (json_int_t)memory_field("MemTotal"),
                     "memory_available_bytes", (json_int_t)memory_field("MemAvailable"),
                     "libraries", describe_dependencies(), "programs",
                     describe_programs(), "checks", run_checks(command, failures));
}

static int64_t integer(const json_t *object, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(object, key));
}

static void print_text(json_t *facts)
{
    const char *key = NULL;
    json_t *value = NULL;
    printf("s3r           %s\n", s3r_version());
    printf("CPU level     %s\n", s3r_machine_cpu_level());
    printf("threads       %" PRId64 " (of %" PRId64 " processors)\n",
           integer(facts, "threads"), integer(facts, "processors"));
    printf("memory        %.1f GiB, %.1f GiB available\n",
           (double)integer(facts, "memory_bytes") / (1 << 30),
           (double)integer(facts, "memory_available_bytes") / (1 << 30));
    json_object_foreach(json_object_get(facts, "libraries"), key, value)
        printf("%-13s %s\n", key, json_string_value(value));
    for (size_t i = 0; i < PROGRAM_COUNT; i++) {
        json_t *found =
            json_object_get(json_object_get(facts, "programs"), programs[i].name);
        printf("%-13s %s (for %s)\n", programs[i].name,
               json_is_true(found) ? "found" : "not found, optional", programs[i].use);
    }
    json_object_foreach(json_object_get(facts, "checks"), key, value)
        printf("check         %s: %s\n", key,
               json_is_null(value) ? "ok" : json_string_value(value));
}

static s3r_status run_doctor(const s3r_command *command, s3r_error *err)
{
    size_t failures = 0;
    json_t *facts = describe(command, &failures);
    if (!facts)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "doctor: no memory");
    if (command->global.is_json) {
        json_dumpf(facts, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_text(facts);
    }
    json_decref(facts);
    if (failures == 0)
        return S3R_OK;
    return s3r_cli_fail(err, S3R_ERR_RUNTIME, "doctor: %zu of %zu checks failed",
                        failures, (size_t)CHECK_COUNT);
}

static const char *const example[] = {"s3r doctor", "s3r doctor --json --cpu avx2", NULL};

const s3r_verb s3r_verb_doctor = {
    .name = "doctor",
    .summary = "Report what this installation is and check that it works",
    .description = "Reports versions, CPU level, processors, memory and the optional "
                   "programs that were found, then runs the checks. A failed check is "
                   "exit code 1.",
    .has_json = true,
    .example = example,
    .run = run_doctor,
};
