/*
 * Mask files as JSON, and checking them.
 */
#include "s3r/mask_info.h"

#include <stdlib.h>

#include "api/mask_backbone.h"
#include "route/mask.h"
#include "tasks/mask_repack.h"

static json_t *describe_tensor(const s3r_tensor *tensor)
{
    json_t *shape = json_array();
    for (unsigned i = 0; i < tensor->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
    return json_pack("{s:s, s:s, s:o, s:I}", "name", tensor->name, "dtype",
                     s3r_dtype_name(tensor->dtype), "shape", shape, "bytes",
                     (json_int_t)tensor->size_bytes);
}

static json_t *describe_file(const s3r_mask_file *file)
{
    const s3r_safetensors *container = &file->sealed.container;
    const char *name;
    size_t rows, cols, masked = 0, kept = 0;
    json_t *tensors = json_array();
    for (size_t i = 0; i < container->tensor_count; i++)
        if (json_array_append_new(tensors, describe_tensor(&container->tensors[i])) !=
            0) {
            json_decref(tensors);
            return NULL;
        }
    for (size_t i = 0; s3r_mask_file_matrix(file, i, &name, &rows, &cols); i++) {
        const s3r_tensor *bits = s3r_mask_file_find_part(file, S3R_MASK_PREFIX, name, "");
        masked += rows * cols;
        kept += bits ? s3r_packed_kept_count(bits->data, bits->size_bytes)
                     : rows * cols - s3r_mask_file_stated_removed(file, i);
    }
    size_t labels =
        file->has_head ? s3r_mask_file_find(file, "head/weight")->shape[0] : 0;
    json_t *path = json_string(file->path); /* NULL when it is not UTF-8 */
    return json_pack("{s:o, s:i, s:b, s:s, s:I, s:I, s:I, s:I, s:o, s:O}", "path",
                     path ? path : json_null(), "format", (int)file->sealed.version,
                     "is_compact", (int)file->is_compact, "content_hash",
                     file->content_hash, "file_bytes", (json_int_t)file->sealed.map.size,
                     "masked_elements", (json_int_t)masked, "kept_elements",
                     (json_int_t)kept, "label_count", (json_int_t)labels, "tensors",
                     tensors, "facts", file->facts);
}

s3r_status s3r_mask_info(char **json, const char *path, s3r_error *err)
{
    s3r_mask_file file;
    S3R_TRY(s3r_mask_file_open(&file, path, err));
    json_t *object = describe_file(&file);
    *json = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    json_decref(object);
    s3r_mask_file_close(&file);
    return *json ? S3R_OK : s3r_fail_memory(err, "a description", 0);
}

void s3r_mask_info_free(char *json)
{
    free(json); /* of jansson */
}

/* What applying it finds, and for a compact file whether the plain one comes back. */
static s3r_status verify_with(const char *path, const s3r_model *model,
                              const s3r_mask_backbone *backbone, s3r_error *err)
{
    s3r_route route;
    s3r_weights_options options;
    s3r_weights_options_init(&options);
    S3R_TRY(s3r_route_open(&route, path, model->checkpoint, &model->backbone_config,
                           model->has_route ? &model->backbone_weights : &model->weights,
                           backbone->hash, &options, err));
    bool is_compact = route.file.is_compact;
    s3r_route_close(&route);
    return is_compact
               ? s3r_mask_file_unpack(NULL, path, backbone, s3r_cpu_detect(), NULL, err)
               : S3R_OK;
}

s3r_status s3r_mask_verify(const char *path, const s3r_model *model, s3r_error *err)
{
    s3r_mask_file file;
    s3r_opened_backbone opened;
    if (!model) {
        S3R_TRY(s3r_mask_file_open(&file, path, err));
        s3r_mask_file_close(&file);
        return S3R_OK;
    }
    S3R_TRY(s3r_opened_backbone_init(&opened, model, err));
    s3r_status status = verify_with(path, model, &opened.backbone, err);
    s3r_opened_backbone_release(&opened);
    return status;
}
