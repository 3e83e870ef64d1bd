/*
 * Packing and unpacking mask files.
 */
#include "s3r/mask_pack.h"

#include "api/mask_backbone.h"
#include "tasks/mask_repack.h"

s3r_status s3r_opened_backbone_init(s3r_opened_backbone *out, const s3r_model *model,
                                    s3r_error *err)
{
    *out = (s3r_opened_backbone){0};
    S3R_TRY(s3r_model_get_hash(model, out->hash, err));
    S3R_TRY(s3r_weight_plan_make(&out->plan, model->checkpoint, NULL,
                                 &model->backbone_config, err));
    out->backbone =
        (s3r_mask_backbone){.path = s3r_checkpoint_path(model->checkpoint),
                            .hash = out->hash,
                            .family = s3r_family_name(model->backbone_config.family),
                            .plan = &out->plan};
    return S3R_OK;
}

void s3r_opened_backbone_release(s3r_opened_backbone *backbone)
{
    s3r_weight_plan_release(&backbone->plan);
}

s3r_status s3r_mask_is_compact(const char *path, bool *is_compact, s3r_error *err)
{
    s3r_mask_file file;
    S3R_TRY(s3r_mask_file_open(&file, path, err));
    *is_compact = file.is_compact;
    s3r_mask_file_close(&file);
    return S3R_OK;
}

s3r_status s3r_mask_pack(s3r_context *context, const s3r_model *backbone,
                         const char *path, const char *out_path, s3r_error *err)
{
    s3r_opened_backbone opened;
    S3R_TRY(s3r_opened_backbone_init(&opened, backbone, err));
    s3r_status status = s3r_mask_file_pack(out_path, path, &opened.backbone,
                                           context->kernels->level, context->pool, err);
    s3r_opened_backbone_release(&opened);
    return status;
}

s3r_status s3r_mask_unpack(s3r_context *context, const s3r_model *backbone,
                           const char *path, const char *out_path, s3r_error *err)
{
    s3r_opened_backbone opened;
    S3R_TRY(s3r_opened_backbone_init(&opened, backbone, err));
    s3r_status status = s3r_mask_file_unpack(out_path, path, &opened.backbone,
                                             context->kernels->level, context->pool, err);
    s3r_opened_backbone_release(&opened);
    return status;
}
