/*
 * Output names, compared after sorting.
 */
#include "api/output_name.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

char *s3r_output_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (strcmp(path, "-") == 0)
        name = "stdin";
    const char *dot = strrchr(name, '.');
    return s3r_strndup(name, dot && dot != name ? (size_t)(dot - name) : strlen(name));
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

static s3r_status check_distinct(const char *const *paths, size_t count,
                                 const char *extension, output_name *names,
                                 s3r_error *err)
{
    for (size_t i = 0; i < count; i++) {
        names[i] = (output_name){s3r_output_name(paths[i]), i};
        if (!names[i].name)
            return s3r_fail_memory(err, "a name", strlen(paths[i]));
    }
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 1; i < count; i++)
        if (strcmp(names[i - 1].name, names[i].name) == 0)
            return s3r_fail(err, S3R_ERR_USAGE, "%s and %s would both be written to %s%s",
                            paths[names[i - 1].index], paths[names[i].index],
                            names[i].name, extension);
    return S3R_OK;
}

s3r_status s3r_output_names_check(const char *const *paths, size_t count,
                                  const char *extension, s3r_error *err)
{
    output_name *names = s3r_alloc(count, sizeof *names);
    if (!names)
        return s3r_fail_memory(err, "names", count * sizeof *names);
    s3r_status status = check_distinct(paths, count, extension, names, err);
    for (size_t i = 0; i < count; i++)
        s3r_free(names[i].name);
    s3r_free(names);
    return status;
}
