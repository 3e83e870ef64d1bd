/*
 * Names and sizes of element types, and shapes as text.
 */
#include "base/dtype.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} dtype_table[S3R_DTYPE_COUNT] = {
    [S3R_DTYPE_F32] = {"F32", 4},         [S3R_DTYPE_F16] = {"F16", 2},
    [S3R_DTYPE_BF16] = {"BF16", 2},       [S3R_DTYPE_F64] = {"F64", 8},
    [S3R_DTYPE_I64] = {"I64", 8},         [S3R_DTYPE_I32] = {"I32", 4},
    [S3R_DTYPE_I16] = {"I16", 2},         [S3R_DTYPE_I8] = {"I8", 1},
    [S3R_DTYPE_U8] = {"U8", 1},           [S3R_DTYPE_U16] = {"U16", 2},
    [S3R_DTYPE_U32] = {"U32", 4},         [S3R_DTYPE_U64] = {"U64", 8},
    [S3R_DTYPE_BOOL] = {"BOOL", 1},       [S3R_DTYPE_F8_E4M3] = {"F8_E4M3", 1},
    [S3R_DTYPE_F8_E5M2] = {"F8_E5M2", 1},
};

size_t s3r_dtype_size(s3r_dtype dtype)
{
    return dtype_table[dtype].size;
}

const char *s3r_dtype_name(s3r_dtype dtype)
{
    return dtype_table[dtype].name;
}

bool s3r_dtype_from_name(const char *name, s3r_dtype *out)
{
    for (size_t i = 0; i < S3R_DTYPE_COUNT; i++) {
        if (strcmp(name, dtype_table[i].name) == 0) {
            *out = (s3r_dtype)i;
            return true;
        }
    }
    return false;
}

size_t s3r_tensor_elements(const s3r_tensor *tensor)
{
    size_t elements = 1;
    for (unsigned i = 0; i < tensor->rank; i++)
        elements *= tensor->shape[i];
    return elements;
}

void s3r_tensor_shape_text(const s3r_tensor *tensor, char *text, size_t text_bytes)
{
    size_t used = 0;
    if (text_bytes == 0)
        return;
    text[0] = '\0';
    for (unsigned i = 0; i <= tensor->rank && used < text_bytes; i++) {
        int length = i < tensor->rank ? snprintf(text + used, text_bytes - used, "%s%zu",
                                                 i ? "," : "[", tensor->shape[i])
                                      : snprintf(text + used, text_bytes - used, "%s",
                                                 tensor->rank ? "]" : "[]");
        if (length < 0)
            return;
        used += (size_t)length;
    }
}
