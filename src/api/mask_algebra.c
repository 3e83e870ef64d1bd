/*
 * Combining, drawing and comparing mask files.
 */
#include "s3r/mask_algebra.h"

#include <stdlib.h>
#include <string.h>

#include "analyze/mask_combine.h"
#include "analyze/mask_compare.h"
#include "api/mask_backbone.h"
#include "api/options_check.h"
#include "api/output_name.h"

#define NO_HEAD "none"

void s3r_mask_combine_options_init(s3r_mask_combine_options *options)
{
    *options =
        (s3r_mask_combine_options){.struct_size = sizeof *options, .operation = "and"};
}

void s3r_mask_random_options_init(s3r_mask_random_options *options)
{
    *options = (s3r_mask_random_options){
        .struct_size = sizeof *options, .sparsity = 0.1, .modules = "ffn", .seed = 1};
}

/* How files are read, with the backbone when there is one. */
typedef struct opened_reader {
    s3r_opened_backbone opened;
    s3r_mask_reader reader;
} opened_reader;

static s3r_status open_reader(opened_reader *out, const s3r_context *context,
                              const s3r_model *backbone, s3r_error *err)
{
    *out = (opened_reader){
        .reader = {.level = context->kernels->level, .pool = context->pool}};
    if (!backbone)
        return S3R_OK;
    S3R_TRY(s3r_opened_backbone_init(&out->opened, backbone, err));
    out->reader.backbone = &out->opened.backbone;
    return S3R_OK;
}

static bool is_none(const char *head)
{
    return head && strcmp(head, NO_HEAD) == 0;
}

static void give_counts(s3r_mask_counts *out, const s3r_combine_result *result)
{
    if (out)
        *out = (s3r_mask_counts){result->matrices, result->elements, result->removed};
}

static s3r_status find_operation(const char *name, s3r_mask_operation *out,
                                 s3r_error *err)
{
    const char *known;
    for (int i = 0; (known = s3r_mask_operation_name((s3r_mask_operation)i)); i++) {
        if (strcmp(known, name) == 0) {
            *out = (s3r_mask_operation)i;
            return S3R_OK;
        }
    }
    return s3r_fail(err, S3R_ERR_USAGE,
                    "operation: expected and, or, xor, minus or vote, found \"%s\"",
                    name);
}

s3r_status s3r_mask_combine(s3r_context *context, const s3r_model *backbone,
                            const char *const *paths, size_t count,
                            const s3r_mask_combine_options *options, const char *out_path,
                            s3r_mask_counts *counts, s3r_error *err)
{
    s3r_mask_combine_options defaults;
    s3r_mask_combine_options_init(&defaults);
    options = options ? options : &defaults;
    opened_reader reader;
    s3r_combine_result result;
    S3R_TRY(s3r_options_check_size("combine options", sizeof *options,
                                   options->struct_size, err));
    s3r_combine_options how = {.at_least = options->at_least,
                               .head_path = options->head,
                               .has_no_head = is_none(options->head)};
    S3R_TRY(find_operation(options->operation, &how.operation, err));
    S3R_TRY(s3r_output_check_inputs(out_path, paths, count, err));
    S3R_TRY(s3r_output_check_inputs(out_path, &options->head, 1, err));
    S3R_TRY(open_reader(&reader, context, backbone, err));
    s3r_status status = s3r_mask_files_combine(out_path, paths, count, &how,
                                               &reader.reader, &result, err);
    if (status == S3R_OK)
        give_counts(counts, &result);
    s3r_opened_backbone_release(&reader.opened);
    return status;
}

static s3r_status choose_modules(const char *name, s3r_random_mask_options *out,
                                 s3r_error *err)
{
    bool is_both = strcmp(name, "both") == 0;
    out->has_ffn = is_both || strcmp(name, "ffn") == 0;
    out->has_attention = is_both || strcmp(name, "attention") == 0;
    if (out->has_ffn || out->has_attention)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_USAGE,
                    "modules: expected ffn, attention or both, found \"%s\"", name);
}

s3r_status s3r_mask_draw_random(s3r_context *context, const s3r_model *backbone,
                                const s3r_mask_random_options *options,
                                const char *out_path, s3r_mask_counts *counts,
                                s3r_error *err)
{
    s3r_mask_random_options defaults;
    s3r_mask_random_options_init(&defaults);
    options = options ? options : &defaults;
    opened_reader reader;
    s3r_combine_result result;
    S3R_TRY(s3r_options_check_size("random mask options", sizeof *options,
                                   options->struct_size, err));
    s3r_random_mask_options how = {.like_path = options->like,
                                   .sparsity = options->sparsity,
                                   .seed = options->seed,
                                   .head_path = options->head,
                                   .has_no_head = is_none(options->head)};
    S3R_TRY(choose_modules(options->modules, &how, err));
    if (options->seed > INT64_MAX)
        return s3r_fail(err, S3R_ERR_USAGE, "seed: expected at most %lld, found %llu",
                        (long long)INT64_MAX, (unsigned long long)options->seed);
    S3R_TRY(s3r_output_check_inputs(out_path, &options->like, 1, err));
    S3R_TRY(s3r_output_check_inputs(out_path, &options->head, 1, err));
    S3R_TRY(open_reader(&reader, context, backbone, err));
    s3r_status status =
        s3r_mask_file_draw(out_path, &how, &reader.reader,
                           backbone ? &backbone->backbone_config : NULL, &result, err);
    if (status == S3R_OK)
        give_counts(counts, &result);
    s3r_opened_backbone_release(&reader.opened);
    return status;
}

s3r_status s3r_mask_compare(s3r_context *context, const s3r_model *backbone,
                            const char *const *paths, size_t count, char **json,
                            s3r_error *err)
{
    opened_reader reader;
    json_t *object = NULL;
    S3R_TRY(open_reader(&reader, context, backbone, err));
    s3r_status status =
        s3r_mask_files_compare(&object, paths, count, &reader.reader, err);
    s3r_opened_backbone_release(&reader.opened);
    if (status != S3R_OK)
        return status;
    *json = json_dumps(object, JSON_INDENT(2));
    json_decref(object);
    return *json ? S3R_OK : s3r_fail_memory(err, "a comparison", 0);
}

void s3r_mask_compare_free(char *json)
{
    free(json); /* of jansson */
}
