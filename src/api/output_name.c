/*
 * Output names, compared after sorting.
 */
#include "api/output_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text_buffer.h"
#include "s3r/router.h"

char *s3r_output_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (strcmp(path, "-") == 0)
        name = "stdin";
    const char *dot = strrchr(name, '.');
    return s3r_strndup(name, dot && dot != name ? (size_t)(dot - name) : strlen(name));
}

char *s3r_output_name_of_mask(const char *path, const char *mask, size_t length)
{
    char *name = s3r_output_name(path);
    size_t bytes = name ? strlen(name) + length + sizeof "." : 0;
    char *longer = name ? s3r_alloc(bytes, 1) : NULL;
    if (longer)
        snprintf(longer, bytes, "%s.%.*s", name, (int)length, mask);
    s3r_free(name);
    return longer;
}

typedef struct output_name {
    char *name;
    size_t index; /* of its input */
} output_name;

static int compare_names(const void *a, const void *b)
{
    const output_name *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* Masks that a text names for outputs of their own; 1 where the output is of the input.
 */
static size_t count_parts(const char *masks)
{
    size_t count = 1;
    if (masks && strncmp(masks, S3R_MASKS_AUTO_OF, strlen(S3R_MASKS_AUTO_OF)) == 0)
        return 1;
    for (const char *at = masks; at && *at; at++)
        count += *at == ',';
    return count;
}

static s3r_status add_names(output_name *names, const char *path, const char *masks,
                            size_t index, s3r_error *err)
{
    size_t count = count_parts(masks);
    for (size_t i = 0; i < count; i++) {
        size_t length = masks ? strcspn(masks, ",") : 0;
        names[i].index = index;
        names[i].name = count == 1 ? s3r_output_name(path)
                                   : s3r_output_name_of_mask(path, masks, length);
        if (!names[i].name)
            return s3r_fail_memory(err, "a name", strlen(path) + length);
        masks = masks ? masks + length + 1 : NULL;
    }
    return S3R_OK;
}

static s3r_status check_distinct(const char *const *paths, const char *const *masks,
                                 size_t count, const char *extension, output_name *names,
                                 size_t total, s3r_error *err)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const char *own = masks ? masks[i] : NULL;
        S3R_TRY(add_names(names + used, paths[i], own, i, err));
        used += count_parts(own);
    }
    qsort(names, total, sizeof *names, compare_names);
    for (size_t i = 1; i < total; i++)
        if (strcmp(names[i - 1].name, names[i].name) == 0)
            return s3r_fail(err, S3R_ERR_USAGE, "%s and %s would both be written to %s%s",
                            paths[names[i - 1].index], paths[names[i].index],
                            names[i].name, extension);
    return S3R_OK;
}

s3r_status s3r_output_names_check(const char *const *paths, const char *const *masks,
                                  size_t count, const char *extension, s3r_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const char *own = masks ? masks[i] : NULL;
        if (own && strcmp(own, S3R_MASKS_ALL) == 0)
            return s3r_fail(err, S3R_ERR_USAGE,
                            "%s: expected the names of masks, found \"all\"", paths[i]);
        total += count_parts(own);
    }
    output_name *names = s3r_alloc(total, sizeof *names);
    if (!names)
        return s3r_fail_memory(err, "names", total * sizeof *names);
    s3r_status status = check_distinct(paths, masks, count, extension, names, total, err);
    for (size_t i = 0; i < total; i++)
        s3r_free(names[i].name);
    s3r_free(names);
    return status;
}

s3r_status s3r_output_check_new(const char *path, s3r_error *err)
{
    if (!s3r_path_exists(path))
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_USAGE,
                    "%s: is there already: expected a name of which there is no file "
                    "(--overwrite replaces it)",
                    path);
}

s3r_status s3r_output_file(char **path, const char *folder, const char *name,
                           const char *extension, s3r_error *err)
{
    s3r_text_buffer text = {0};
    s3r_buffer_add(&text, "%s/%s.%s", folder, name, extension);
    return s3r_buffer_take(&text, path, "a path", err);
}

static s3r_status check_file(const char *folder, const char *name, const char *extension,
                             s3r_error *err)
{
    char *path = NULL;
    S3R_TRY(s3r_output_file(&path, folder, name, extension, err));
    s3r_status status = s3r_output_check_new(path, err);
    s3r_free(path);
    return status;
}

s3r_status s3r_output_names_check_new(const char *const *paths, const char *const *masks,
                                      size_t count, const char *folder,
                                      const char *extension, s3r_error *err)
{
    s3r_status status = S3R_OK;
    for (size_t i = 0; i < count && status == S3R_OK; i++) {
        const char *own = masks ? masks[i] : NULL;
        size_t parts = count_parts(own);
        output_name *names = s3r_alloc(parts, sizeof *names);
        status = names ? add_names(names, paths[i], own, i, err)
                       : s3r_fail_memory(err, "names", parts * sizeof *names);
        for (size_t k = 0; names && k < parts; k++) {
            if (status == S3R_OK)
                status = check_file(folder, names[k].name, extension, err);
            s3r_free(names[k].name);
        }
        s3r_free(names);
    }
    return status;
}

s3r_status s3r_output_check_inputs(const char *out, const char *const *inputs,
                                   size_t count, s3r_error *err)
{
    for (size_t i = 0; i < count && s3r_path_is_file(out); i++)
        if (inputs[i] && s3r_path_is_same(out, inputs[i]))
            return s3r_fail(err, S3R_ERR_USAGE,
                            "%s: expected another file for the result: it would replace "
                            "the input %s",
                            out, inputs[i]);
    return S3R_OK;
}
