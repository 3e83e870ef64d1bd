/*
 * JSON files: the text is made in memory of our own, so that its lack is reported like
 * any other.
 */
#include "base/json_write.h"

#include "base/file.h"
#include "base/memory.h"

s3r_status s3r_json_write(const json_t *object, const char *folder, const char *name,
                          size_t flags, s3r_error *err)
{
    flags |= JSON_INDENT(2);
    size_t size = object ? json_dumpb(object, NULL, 0, flags) : 0;
    char *path = s3r_path_join(folder, name), *text = s3r_alloc(size + 1, 1);
    s3r_status status;
    if (!path || !text || size == 0 || json_dumpb(object, text, size, flags) != size) {
        status = s3r_fail_memory(err, name, size);
    } else {
        text[size] = '\n';
        status = s3r_file_write_all(path, text, size + 1, err);
    }
    s3r_free(path);
    s3r_free(text);
    return status;
}
