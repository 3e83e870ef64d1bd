/*
 * Times what opening a mask file takes, step by step:
 *
 *   mask_bench MODEL MASK.s3m [THREADS [ROUNDS]]
 *
 * Prints the least and the median of the rounds in ms of the wall clock, and of processor
 * time the median.
 */
#define _XOPEN_SOURCE 700
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "model/model_hash.h"
#include "tasks/mask_bits.h"
#include "tasks/routed_model.h"

#define MAX_ROUNDS 1000u

typedef struct bench {
    s3r_checkpoint *checkpoint;
    s3r_model_config config;
    s3r_model_weights weights;
    s3r_weights_options options;
    s3r_weight_plan plan;
    char hash[S3R_MODEL_HASH_BYTES];
    const char *mask;
    size_t rounds;
} bench;

typedef s3r_status (*bench_fn)(bench *b, s3r_error *err);

static double clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static s3r_status time_it(bench *b, const char *what, bench_fn run, s3r_error *err)
{
    double wall[MAX_ROUNDS], processor[MAX_ROUNDS];
    for (size_t i = 0; i < b->rounds; i++) {
        double wall_before = clock_ms(CLOCK_MONOTONIC);
        double processor_before = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
        S3R_TRY(run(b, err));
        wall[i] = clock_ms(CLOCK_MONOTONIC) - wall_before;
        processor[i] = clock_ms(CLOCK_PROCESS_CPUTIME_ID) - processor_before;
    }
    qsort(wall, b->rounds, sizeof *wall, compare);
    qsort(processor, b->rounds, sizeof *processor, compare);
    printf("%-34s %8.2f %8.2f %8.2f\n", what, wall[0], wall[b->rounds / 2],
           processor[b->rounds / 2]);
    return S3R_OK;
}

static s3r_status hash_backbone(bench *b, s3r_error *err)
{
    return s3r_model_hash(b->hash, b->checkpoint, &b->config, err);
}

static s3r_status open_file(bench *b, s3r_error *err)
{
    s3r_mask_file file;
    S3R_TRY(s3r_mask_file_open(&file, b->mask, err));
    s3r_mask_file_close(&file);
    return S3R_OK;
}

/* Opening, and the bits as a network wants them. */
static s3r_status load_bits(bench *b, s3r_error *err)
{
    s3r_mask_file file;
    s3r_arena arena;
    const s3r_mask_backbone backbone = {s3r_checkpoint_path(b->checkpoint), b->hash,
                                        s3r_family_name(b->config.family), &b->plan};
    S3R_TRY(s3r_mask_file_open(&file, b->mask, err));
    s3r_arena_init(&arena, (size_t)1 << 20);
    s3r_weighed_mask *masks = s3r_alloc(s3r_mask_file_matrix_count(&file), sizeof *masks);
    s3r_status status =
        masks ? s3r_mask_bits_load(masks, &arena, &file, &backbone, true,
                                   b->options.kernels->level, b->options.pool, err)
              : s3r_fail_memory(err, "masks", 0);
    s3r_free(masks);
    s3r_arena_release(&arena);
    s3r_mask_file_close(&file);
    return status;
}

static s3r_status open_route(bench *b, s3r_error *err)
{
    s3r_route route;
    S3R_TRY(s3r_route_open(&route, b->mask, b->checkpoint, &b->config, &b->weights,
                           b->hash, &b->options, err));
    s3r_route_close(&route);
    return S3R_OK;
}

static s3r_status run(bench *b, const char *model, size_t threads, s3r_error *err)
{
    s3r_cpu_level level = s3r_cpu_detect();
    const char *wish = getenv("S3R_CPU");
    if (wish && !s3r_cpu_level_from_name(wish, &level))
        return s3r_fail(err, S3R_ERR_USAGE, "S3R_CPU: no such level");
    s3r_weights_options_init(&b->options);
    S3R_TRY(s3r_pool_create(&b->options.pool, threads, err));
    b->options.kernels = s3r_kernels_get(level);
    S3R_TRY(s3r_checkpoint_open(&b->checkpoint, model, err));
    S3R_TRY(s3r_model_config_open(&b->config, b->checkpoint, NULL, err));
    S3R_TRY(
        s3r_model_weights_open(&b->weights, b->checkpoint, &b->config, &b->options, err));
    S3R_TRY(s3r_weight_plan_make(&b->plan, b->checkpoint, NULL, &b->config, err));
    printf("%s, %zu threads, %s, %zu rounds\n", b->mask,
           s3r_pool_threads(b->options.pool), s3r_cpu_level_name(level), b->rounds);
    printf("%-34s %8s %8s %8s\n", "ms", "least", "median", "of CPU");
    S3R_TRY(time_it(b, "hash of the backbone", hash_backbone, err));
    S3R_TRY(time_it(b, "file opened and its seal checked", open_file, err));
    S3R_TRY(time_it(b, "the same and all bits", load_bits, err));
    return time_it(b, "the same and applied", open_route, err);
}

int main(int argc, char **argv)
{
    s3r_error err = {S3R_OK, ""};
    if (argc < 3 || argc > 5) {
        fputs("usage: mask_bench MODEL MASK.s3m [THREADS [ROUNDS]]\n", stderr);
        return S3R_ERR_USAGE;
    }
    bench b = {.mask = argv[2], .rounds = argc > 4 ? strtoul(argv[4], NULL, 10) : 9};
    b.rounds = S3R_MAX(S3R_MIN(b.rounds, (size_t)MAX_ROUNDS), (size_t)1);
    s3r_status status = run(&b, argv[1], argc > 3 ? strtoul(argv[3], NULL, 10) : 0, &err);
    if (status != S3R_OK)
        fprintf(stderr, "mask_bench: %s\n", err.message);
    s3r_weight_plan_release(&b.plan);
    s3r_model_weights_close(&b.weights);
    s3r_checkpoint_close(b.checkpoint);
    s3r_pool_destroy(b.options.pool);
    return status;
}
