/*
 * Reading a file to its end, whatever it is: a pipe has no size.
 */
#include "text_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 65536
#define MARK        "\xef\xbb\xbf"

/* NULL without memory; what could be read otherwise. */
static char *read_all(FILE *file, size_t *size)
{
    size_t capacity = FIRST_BYTES;
    char *text = malloc(capacity);
    *size = 0;
    while (text) {
        *size += fread(text + *size, 1, capacity - *size - 1, file);
        if (*size < capacity - 1) {
            text[*size] = '\0';
            return text;
        }
        char *larger = realloc(text, capacity * 2);
        if (!larger)
            free(text);
        text = larger;
        capacity *= 2;
    }
    return NULL;
}

s3r_status s3r_text_file_read(char **text, const char *path, const char *what,
                              s3r_error *err)
{
    size_t size;
    FILE *file = fopen(path, "rb");
    if (!file)
        return s3r_cli_fail(err, S3R_ERR_DATA, "%s: cannot open %s: %s", path, what,
                            strerror(errno));
    errno = 0;
    char *bytes = read_all(file, &size);
    int reason = ferror(file) ? errno : 0;
    fclose(file);
    if (!bytes)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "%s: no memory for %s", path, what);
    bool has_zero = strlen(bytes) != size;
    if (reason || has_zero) {
        free(bytes);
        return reason
                   ? s3r_cli_fail(err, S3R_ERR_DATA, "%s: cannot read %s: %s", path, what,
                                  strerror(reason))
                   : s3r_cli_fail(err, S3R_ERR_DATA,
                                  "%s: %s: expected text, found a zero byte", path, what);
    }
    if (strncmp(bytes, MARK, strlen(MARK)) == 0)
        memmove(bytes, bytes + strlen(MARK), size - strlen(MARK) + 1);
    *text = bytes;
    return S3R_OK;
}
