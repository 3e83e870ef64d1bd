/*
 * The side files of a model folder.
 */
#include "model/model_folder.h"

#include <string.h>

#include "base/affix.h"
#include "base/file.h"
#include "base/folder_list.h"
#include "base/json_write.h"
#include "text/vocabulary_write.h"

bool s3r_model_folder_owns(const char *name)
{
    static const char *const names[] = {
        "config.json",           "preprocessor_config.json", "vocab.json",
        "tokenizer_config.json", "special_tokens_map.json",  "added_tokens.json",
        "tokenizer.json"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    bool is_weights =
        strncmp(name, "model", 5) == 0 &&
        (s3r_ends_with(name, ".safetensors") || s3r_ends_with(name, ".index.json"));
    bool is_torch = strncmp(name, "pytorch_model", 13) == 0 &&
                    (s3r_ends_with(name, ".bin") || s3r_ends_with(name, ".index.json"));
    return is_weights || is_torch;
}

s3r_status s3r_model_folder_check(const char *folder, bool is_forced, s3r_error *err)
{
    s3r_folder_list list;
    if (is_forced || !s3r_path_exists(folder))
        return S3R_OK;
    S3R_TRY(s3r_folder_list_read(&list, folder, "", S3R_ERR_RUNTIME, err));
    size_t count = list.count;
    s3r_folder_list_release(&list);
    if (count == 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_USAGE,
                    "%s: expected a new or empty folder, found %zu entries (--force "
                    "replaces a model in it)",
                    folder, count);
}

/* Takes object, which may be NULL for no memory. */
static s3r_status write_json(json_t *object, const char *folder, const char *name,
                             s3r_error *err)
{
    s3r_status status = s3r_json_write(object, folder, name, JSON_SORT_KEYS, err);
    json_decref(object);
    return status;
}

static json_t *make_config(const s3r_model_description *description)
{
    static const char *const torch_names[] = {"float32", "float16", "bfloat16"};
    s3r_model_config config = *description->config;
    if (description->vocabulary)
        config.pad_token_id = description->vocabulary->blank_id;
    json_t *out = s3r_model_config_to_json(&config, description->base_config);
    size_t type = description->dtype == S3R_DTYPE_F16    ? 1
                  : description->dtype == S3R_DTYPE_BF16 ? 2
                                                         : 0;
    if (out &&
        json_object_set_new(out, "torch_dtype", json_string(torch_names[type])) != 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

s3r_status s3r_model_folder_describe(const char *folder,
                                     const s3r_model_description *description,
                                     s3r_error *err)
{
    S3R_TRY(write_json(make_config(description), folder, "config.json", err));
    S3R_TRY(write_json(s3r_model_config_to_preprocessor(description->config,
                                                        description->base_preprocessor),
                       folder, "preprocessor_config.json", err));
    if (!description->vocabulary)
        return S3R_OK;
    return s3r_vocabulary_save(description->vocabulary, folder, err);
}
