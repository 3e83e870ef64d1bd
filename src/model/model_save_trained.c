/*
 * A conversion whose edit puts in the trained values.
 */
#include "model/model_save_trained.h"

#include "model/model_convert.h"

static const s3r_parameter *trained_one(const s3r_parameters *parameters,
                                        const s3r_weight_entry *entry)
{
    const s3r_parameter *parameter = s3r_parameters_find(parameters, entry->name);
    return parameter && parameter->values ? parameter : NULL;
}

static bool is_trained(void *context, const s3r_weight_entry *entry)
{
    return trained_one(context, entry) != NULL;
}

static void put_values(void *context, const s3r_weight_entry *entry, size_t first,
                       size_t count, float *values)
{
    s3r_parameter_read(trained_one(context, entry), first, count, values);
}

s3r_status s3r_model_save_trained(const s3r_checkpoint *checkpoint,
                                  const s3r_model_config *config,
                                  const s3r_parameters *parameters, const char *folder,
                                  const s3r_save_trained_options *options, s3r_error *err)
{
    const s3r_convert_edit edit = {.context = (void *)(uintptr_t)parameters,
                                   .touches = is_trained,
                                   .apply = put_values,
                                   .config = config};
    const s3r_convert_options convert = {.dtype = options->dtype,
                                         .is_forced = options->is_forced,
                                         .edit = &edit,
                                         .extra = options->extra,
                                         .extra_count = options->extra_count,
                                         .metadata = options->metadata};
    return s3r_model_convert(checkpoint, config, options->vocabulary, folder, &convert,
                             err);
}
