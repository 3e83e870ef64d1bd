/*
 * Times what many masks on one backbone cost:
 *
 *   router_bench MODEL MASKS SECONDS FILES [THREADS [ROUNDS]]
 *
 * SECONDS is the length of each of FILES recordings (noise) and masks are taken from the
 * folder in turn.  Prints medians of the wall clock, and what memory and a switch take.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sndfile.h>

#include "base/memory.h"
#include "base/random.h"
#include "s3r/router.h"

#define MAX_ROUNDS 100u

typedef struct bench {
    s3r_context *context;
    s3r_model *backbone;
    s3r_router *router;
    char folder[64];
    char **paths; /* [files] */
    size_t files, rounds, mask_count;
    s3r_router_mask *masks; /* [mask_count] */
    s3r_router_request *requests;
} bench;

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static s3r_status ignore(void *context, const s3r_result *result)
{
    (void)context;
    return result->status;
}

/* Memory that is nobody else's, of this process; NAN where the system does not tell. */
static double private_mb(void)
{
    char line[256];
    double kb = NAN;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "Anonymous:", 10) == 0)
            kb = atof(line + 10);
    if (file)
        fclose(file);
    return kb * 1024e-6;
}

/* ---- what is timed ---- */

typedef s3r_status (*bench_fn)(bench *b, s3r_error *err);

static s3r_status route(bench *b, size_t count, s3r_error *err)
{
    return s3r_router_transcribe(b->router, b->context, b->requests, count, NULL, ignore,
                                 NULL, err);
}

static s3r_status run_backbone(bench *b, s3r_error *err)
{
    return s3r_transcribe(b->context, b->backbone, (const char *const *)b->paths,
                          b->files, NULL, ignore, NULL, err);
}

static s3r_router_request request(const char *path, const char *masks)
{
    return (s3r_router_request){.path = path, .masks = masks};
}

/* All files in the mask with the number `mask`, or (SIZE_MAX) in one after another. */
static void set_requests(bench *b, size_t mask)
{
    for (size_t i = 0; i < b->files; i++)
        b->requests[i] = request(
            b->paths[i], b->masks[mask == SIZE_MAX ? i % b->mask_count : mask].name);
}

static s3r_status run_one_mask(bench *b, s3r_error *err)
{
    set_requests(b, 0);
    return route(b, b->files, err);
}

static s3r_status run_mixed(bench *b, s3r_error *err)
{
    set_requests(b, SIZE_MAX);
    return route(b, b->files, err);
}

/* A call a mask: what there is without mixed batches. */
static s3r_status run_by_mask(bench *b, s3r_error *err)
{
    for (size_t m = 0; m < b->mask_count; m++) {
        size_t count = 0;
        for (size_t i = m; i < b->files; i += b->mask_count)
            b->requests[count++] = request(b->paths[i], b->masks[m].name);
        if (count > 0)
            S3R_TRY(route(b, count, err));
    }
    return S3R_OK;
}

static s3r_status run_all(bench *b, s3r_error *err)
{
    b->requests[0] = request(b->paths[0], "all");
    return route(b, 1, err);
}

static s3r_status run_each(bench *b, s3r_error *err)
{
    for (size_t m = 0; m < b->mask_count; m++) {
        b->requests[0] = request(b->paths[0], b->masks[m].name);
        S3R_TRY(route(b, 1, err));
    }
    return S3R_OK;
}

/* In turn, so that what disturbs one disturbs all. */
static s3r_status time_all(bench *b, s3r_error *err)
{
    static const struct {
        const char *name;
        bench_fn run;
    } runs[] = {{"all files in one mask", run_one_mask},
                {"each file in its own mask, one call", run_mixed},
                {"each file in its own mask, a call a mask", run_by_mask},
                {"one file in all masks, one call", run_all},
                {"one file in all masks, a call a mask", run_each},
                {"all files in the backbone's own head", run_backbone}};
    static double ms[S3R_ARRAY_LEN(runs)][MAX_ROUNDS];
    s3r_model_info info;
    s3r_model_get_info(b->backbone, &info);
    size_t count = S3R_ARRAY_LEN(runs) - (info.has_vocabulary ? 0 : 1);
    for (size_t round = 0; round <= b->rounds; round++)
        for (size_t i = 0; i < count; i++) {
            double before = now_ms();
            S3R_TRY(runs[i].run(b, err));
            if (round > 0) /* the first warms up */
                ms[i][round - 1] = now_ms() - before;
        }
    for (size_t i = 0; i < count; i++) {
        qsort(ms[i], b->rounds, sizeof **ms, compare);
        printf("%-42s %9.1f ms (least %.1f)\n", runs[i].name, ms[i][b->rounds / 2],
               ms[i][0]);
    }
    return S3R_OK;
}

/* Private memory before and after opening all masks, and what a switch takes then. */
static s3r_status measure_masks(bench *b, s3r_error *err)
{
    enum { SWITCHES = 100000 };
    const s3r_model *model;
    double before = private_mb();
    double began = now_ms();
    for (size_t m = 0; m < b->mask_count; m++)
        S3R_TRY(
            s3r_router_get_model(b->router, b->context, b->masks[m].name, &model, err));
    double opened = now_ms();
    double after = private_mb();
    for (size_t i = 0; i < SWITCHES; i++)
        S3R_TRY(s3r_router_get_model(b->router, b->context,
                                     b->masks[i % b->mask_count].name, &model, err));
    printf(
        "%zu masks opened in %.1f ms, %.2f MB of private memory each; a switch %.2f us\n",
        b->mask_count, opened - began, (after - before) / (double)b->mask_count,
        1e3 * (now_ms() - opened) / SWITCHES);
    return S3R_OK;
}

/* ---- set-up ---- */

static s3r_status write_noise(const char *path, size_t samples, uint64_t seed,
                              s3r_error *err)
{
    SF_INFO format = {
        .samplerate = 16000, .channels = 1, .format = SF_FORMAT_WAV | SF_FORMAT_PCM_16};
    SNDFILE *file = sf_open(path, SFM_WRITE, &format);
    s3r_random random;
    if (!file)
        return s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot be written", path);
    s3r_random_init(&random, seed, 0);
    for (size_t i = 0; i < samples; i++) {
        float x = (float)(0.1 * s3r_random_normal(&random));
        sf_write_float(file, &x, 1);
    }
    sf_close(file);
    return S3R_OK;
}

static s3r_status make_files(bench *b, double seconds, s3r_error *err)
{
    snprintf(b->folder, sizeof b->folder, "/tmp/router_bench.XXXXXX");
    if (!mkdtemp(b->folder))
        return s3r_fail(err, S3R_ERR_RUNTIME, "%s: cannot be made", b->folder);
    b->paths = s3r_alloc(b->files, sizeof *b->paths);
    b->requests = s3r_alloc(b->files, sizeof *b->requests);
    if (!b->paths || !b->requests)
        return s3r_fail_memory(err, "files", b->files);
    for (size_t i = 0; i < b->files; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%zu.wav", b->folder, i);
        b->paths[i] = s3r_strdup(path);
        S3R_TRY(write_noise(path, (size_t)(seconds * 16000), i, err));
    }
    return S3R_OK;
}

static s3r_status list_masks(bench *b, s3r_error *err)
{
    s3r_router_mask mask;
    while (s3r_router_get_mask(b->router, b->mask_count, &mask))
        b->mask_count++;
    b->masks = s3r_alloc(b->mask_count, sizeof *b->masks);
    if (!b->masks)
        return s3r_fail_memory(err, "masks", b->mask_count);
    for (size_t i = 0; i < b->mask_count; i++)
        s3r_router_get_mask(b->router, i, &b->masks[i]);
    return S3R_OK;
}

static s3r_status run(bench *b, char **argv, size_t threads, s3r_error *err)
{
    s3r_context_options context;
    s3r_model_options model;
    s3r_context_options_init(&context);
    s3r_model_options_init(&model);
    context.thread_count = threads;
    model.is_bf16 = getenv("ROUTER_BENCH_BF16") != NULL;
    S3R_TRY(s3r_context_create(&b->context, &context, err));
    S3R_TRY(s3r_model_open(&b->backbone, b->context, argv[1], &model, err));
    S3R_TRY(s3r_router_open(&b->router, b->backbone, argv[2], err));
    S3R_TRY(list_masks(b, err));
    S3R_TRY(make_files(b, atof(argv[3]), err));
    printf("%s, %zu masks, %zu files of %s s, %zu threads, %s, %s\n", argv[1],
           b->mask_count, b->files, argv[3], s3r_context_threads(b->context),
           s3r_context_cpu_level(b->context), model.is_bf16 ? "bf16" : "f32");
    set_requests(b, 0);
    S3R_TRY(route(b, 1, err)); /* the hash of the backbone */
    S3R_TRY(measure_masks(b, err));
    return time_all(b, err);
}

int main(int argc, char **argv)
{
    s3r_error err = {S3R_OK, ""};
    if (argc < 5 || argc > 7) {
        fputs("usage: router_bench MODEL MASKS SECONDS FILES [THREADS [ROUNDS]]\n",
              stderr);
        return S3R_ERR_USAGE;
    }
    bench b = {.files = strtoul(argv[4], NULL, 10),
               .rounds = argc > 6 ? strtoul(argv[6], NULL, 10) : 5};
    b.files = S3R_MAX(b.files, (size_t)1);
    b.rounds = S3R_MAX(S3R_MIN(b.rounds, (size_t)MAX_ROUNDS), (size_t)1);
    s3r_status status = run(&b, argv, argc > 5 ? strtoul(argv[5], NULL, 10) : 0, &err);
    if (status != S3R_OK)
        fprintf(stderr, "router_bench: %s\n", err.message);
    for (size_t i = 0; b.paths && i < b.files; i++) {
        remove(b.paths[i]);
        s3r_free(b.paths[i]);
    }
    remove(b.folder);
    s3r_free(b.paths);
    s3r_free(b.requests);
    s3r_free(b.masks);
    s3r_router_close(b.router);
    s3r_model_close(b.backbone);
    s3r_context_destroy(b.context);
    return status;
}
