/*
 * Transcribing files with one model: options, checks, requests.
 */
#include <string.h>

#include "api/options_check.h"
#include "api/output_name.h"
#include "api/transcribe_run.h"
#include "api/transcribe_search.h"
#include "base/file.h"

void s3r_transcribe_options_init(s3r_transcribe_options *options)
{
    *options = (s3r_transcribe_options){.struct_size = sizeof *options,
                                        .window_s = 40,
                                        .context_s = 4,
                                        .batch_s = 40,
                                        .raw_rate_hz = 16000,
                                        .temperature = 1,
                                        .allow_ffmpeg = true,
                                        .layer = S3R_LAYER_LAST};
}

static s3r_status check_layer(const s3r_model *model,
                              const s3r_transcribe_options *options, s3r_error *err)
{
    int blocks = (int)model->config.block_count;
    if (options->features_folder &&
        (options->layer < S3R_LAYER_ALL || options->layer > blocks))
        return s3r_fail(err, S3R_ERR_USAGE, "layer: expected 0 to %d, found %d", blocks,
                        options->layer);
    return S3R_OK;
}

s3r_status s3r_transcribe_check_numbers(const s3r_transcribe_options *options,
                                        s3r_error *err)
{
    S3R_TRY(s3r_options_check_size("transcribe options", sizeof *options,
                                   options->struct_size, err));
    S3R_TRY(s3r_options_check_windows(options->window_s, options->context_s,
                                      options->batch_s, err));
    return s3r_options_check_temperature(options->temperature, err);
}

static s3r_status check_options(const s3r_model *model,
                                const s3r_transcribe_options *options, s3r_error *err)
{
    S3R_TRY(s3r_transcribe_check_numbers(options, err));
    S3R_TRY(check_layer(model, options, err));
    S3R_TRY(s3r_job_search_check(options->decoder, model, err));
    const char *consequence = "features can be written, text cannot";
    if (!options->features_folder)
        return s3r_model_check_labels(model, consequence, err);
    return options->emissions_folder ? s3r_model_check_head(model, consequence, err)
                                     : S3R_OK;
}

/* Two outputs must not go to one file. */
static s3r_status check_output_names(const char *const *paths, size_t count,
                                     const s3r_transcribe_options *options,
                                     s3r_error *err)
{
    const char *emissions = options->emissions_folder;
    const char *features = options->features_folder;
    if (!emissions && !features)
        return S3R_OK;
    if (emissions && features && strcmp(emissions, features) == 0)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "emissions and features: expected two folders, found %s for both",
                        features);
    return s3r_output_names_check(paths, NULL, count, ".npy", err);
}

static s3r_status make_folders(const s3r_transcribe_options *options, s3r_error *err)
{
    if (options->emissions_folder)
        S3R_TRY(s3r_folder_create(options->emissions_folder, err));
    if (options->features_folder)
        S3R_TRY(s3r_folder_create(options->features_folder, err));
    if (options->emissions_folder && options->features_folder &&
        s3r_path_is_same(options->emissions_folder, options->features_folder))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "emissions and features: expected two folders, %s and %s are one",
                        options->emissions_folder, options->features_folder);
    return S3R_OK;
}

s3r_status s3r_transcribe_open_outputs(const char *const *paths, size_t count,
                                       const s3r_transcribe_options *options,
                                       s3r_error *err)
{
    S3R_TRY(check_output_names(paths, count, options, err));
    return make_folders(options, err);
}

s3r_status s3r_transcribe(s3r_context *context, const s3r_model *model,
                          const char *const *paths, size_t path_count,
                          const s3r_transcribe_options *options, s3r_result_fn result,
                          void *result_context, s3r_error *err)
{
    s3r_transcribe_options defaults;
    s3r_transcribe_options_init(&defaults);
    if (!options)
        options = &defaults;
    S3R_TRY(check_options(model, options, err));
    S3R_TRY(s3r_transcribe_open_outputs(paths, path_count, options, err));
    s3r_transcribe_request *requests = s3r_alloc(path_count, sizeof *requests);
    if (!requests)
        return s3r_fail_memory(err, "the requests", path_count * sizeof *requests);
    const s3r_transcribe_lane lane = {.model = model};
    for (size_t i = 0; i < path_count; i++)
        requests[i] = (s3r_transcribe_request){
            .path = paths[i], .index = i, .lanes = &lane, .lane_count = 1};
    size_t failed = 0;
    s3r_status status =
        s3r_transcribe_requests(context, model, requests, path_count, options, result,
                                result_context, &failed, err);
    s3r_free(requests);
    return status == S3R_OK ? s3r_transcribe_end(failed, path_count, err) : status;
}
