/*
 * Contexts: a thread pool, a kernel table, and the memory of one network.
 */
#include <stdlib.h>

#include "api/handles.h"
#include "api/options_check.h"

void s3r_context_options_init(s3r_context_options *options)
{
    *options = (s3r_context_options){.struct_size = sizeof *options};
}

static s3r_status choose_level(const char *name, s3r_cpu_level *level, s3r_error *err)
{
    s3r_cpu_level best = s3r_cpu_detect();
    if (!s3r_cpu_level_from_name(name ? name : "auto", level))
        return s3r_fail(
            err, S3R_ERR_USAGE,
            "CPU level: expected auto, portable, avx2, avx512, avx512vnni or avx512bf16, "
            "found \"%s\"",
            name);
    if (*level > best)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "CPU level %s: this machine has only up to %s",
                        s3r_cpu_level_name(*level), s3r_cpu_level_name(best));
    return S3R_OK;
}

s3r_status s3r_context_create(s3r_context **out, const s3r_context_options *options,
                              s3r_error *err)
{
    s3r_cpu_level level;
    s3r_context_options defaults;
    s3r_context_options_init(&defaults);
    if (!options)
        options = &defaults;
    S3R_TRY(s3r_options_check_size("context options", sizeof *options,
                                   options->struct_size, err));
    const char *wish = options->cpu_level ? options->cpu_level : getenv("S3R_CPU");
    S3R_TRY(choose_level(wish, &level, err));
    s3r_context *context = s3r_alloc(1, sizeof *context);
    if (!context)
        return s3r_fail_memory(err, "a context", sizeof *context);
    s3r_status status = s3r_pool_create(&context->pool, options->thread_count, err);
    if (status != S3R_OK) {
        s3r_free(context);
        return status;
    }
    context->kernels = s3r_kernels_get(level);
    s3r_tape_init(&context->tape, context->pool, context->kernels);
    *out = context;
    return S3R_OK;
}

void s3r_context_destroy(s3r_context *context)
{
    if (!context)
        return;
    s3r_tape_release(&context->tape);
    s3r_pool_destroy(context->pool);
    s3r_free(context);
}

size_t s3r_context_threads(const s3r_context *context)
{
    return s3r_pool_threads(context->pool);
}

const char *s3r_context_cpu_level(const s3r_context *context)
{
    return s3r_cpu_level_name(context->kernels->level);
}
