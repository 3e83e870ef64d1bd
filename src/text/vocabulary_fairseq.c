/*
 * fairseq dictionaries: "LABEL COUNT" a line, after <s> <pad> </s> <unk> as ids 0 to 3.
 *
 * The label is everything before the last space.  A label may come twice only when its
 * line ends in "#fairseq:overwrite".  The blank is <s>.  (spec 2.7, 2.13, 3.3)
 */
#include <string.h>
#include <utf8proc.h>

#include "base/file.h"
#include "base/memory.h"
#include "text/vocabulary_read.h"

#define SPECIAL_COUNT 4u
#define OVERWRITE     "#fairseq:overwrite"

static const char *const special_labels[SPECIAL_COUNT] = {"<s>", "<pad>", "</s>",
                                                          "<unk>"};

typedef struct line_reader {
    const char *path;
    const char *at, *end; /* what is left of the file */
    size_t number;        /* of the current line, from 1 */
    json_t *known;        /* set of the labels so far */
    s3r_vocabulary *vocabulary;
    size_t next; /* id of the next label */
} line_reader;

static size_t count_lines(const s3r_file_map *map)
{
    size_t count = map->size > 0 ? 1 : 0;
    for (size_t i = 0; i < map->size; i++)
        count += map->data[i] == '\n';
    return count;
}

static bool is_ascii_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

/* Cuts white space at the end, then splits at the last space: *length becomes the length
 * of what is before it, and the field after it is returned; NULL without a space. */
static const char *split_last(const char *line, size_t *length, size_t *field_length)
{
    while (*length > 0 && is_ascii_space(line[*length - 1]))
        (*length)--;
    for (size_t i = *length; i > 0; i--)
        if (line[i - 1] == ' ') {
            *field_length = *length - i;
            *length = i - 1;
            return line + i;
        }
    return NULL;
}

static bool is_number(const char *text, size_t length)
{
    size_t start = length > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    for (size_t i = start; i < length; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return length > start;
}

static bool is_utf8(const char *text, size_t length)
{
    utf8proc_int32_t character;
    for (size_t i = 0; i < length;) {
        utf8proc_ssize_t used =
            utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                             (utf8proc_ssize_t)(length - i), &character);
        if (used <= 0 || character == 0)
            return false;
        i += (size_t)used;
    }
    return true;
}

/* Takes label (s3r_free) whether it succeeds or not. */
static s3r_status add_label(line_reader *reader, char *label, bool may_repeat,
                            s3r_error *err)
{
    if (!label)
        return s3r_fail_memory(err, "a label", 0);
    reader->vocabulary->labels[reader->next++] = label;
    if (!may_repeat && json_object_get(reader->known, label))
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: line %zu: label \"%s\" is there already (a line that means "
                        "it ends in \"" OVERWRITE "\")",
                        reader->path, reader->number, label);
    if (json_object_set_new(reader->known, label, json_true()) != 0)
        return s3r_fail_memory(err, "a label", strlen(label) + 1);
    return S3R_OK;
}

static s3r_status read_line(line_reader *reader, const char *line, size_t length,
                            s3r_error *err)
{
    size_t field_length = 0;
    const char *field = split_last(line, &length, &field_length);
    if (!field && length == 0) /* a blank line holds no label */
        return S3R_OK;
    bool may_repeat = field && field_length == strlen(OVERWRITE) &&
                      memcmp(field, OVERWRITE, field_length) == 0;
    if (may_repeat)
        field = split_last(line, &length, &field_length);
    if (!field || length == 0 || !is_number(field, field_length))
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: line %zu: expected \"LABEL COUNT\", found something else",
                        reader->path, reader->number);
    if (!is_utf8(line, length))
        return s3r_fail(err, S3R_ERR_MODEL, "%s: line %zu: expected UTF-8, found %02x...",
                        reader->path, reader->number, (unsigned)(unsigned char)line[0]);
    return add_label(reader, s3r_strndup(line, length), may_repeat, err);
}

static s3r_status read_lines(line_reader *reader, s3r_error *err)
{
    for (size_t i = 0; i < SPECIAL_COUNT; i++)
        S3R_TRY(add_label(reader, s3r_strdup(special_labels[i]), true, err));
    while (reader->at < reader->end) {
        const char *newline =
            memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
        const char *line_end = newline ? newline : reader->end;
        reader->number++;
        S3R_TRY(read_line(reader, reader->at, (size_t)(line_end - reader->at), err));
        reader->at = newline ? newline + 1 : reader->end;
    }
    if (reader->next == SPECIAL_COUNT)
        return s3r_fail(err, S3R_ERR_MODEL, "%s: expected labels, found none",
                        reader->path);
    return S3R_OK;
}

static s3r_status read_dictionary(s3r_vocabulary *vocabulary, const s3r_file_map *map,
                                  const char *path, s3r_error *err)
{
    line_reader reader = {.path = path, .vocabulary = vocabulary};
    size_t capacity = count_lines(map) + SPECIAL_COUNT;
    S3R_TRY(s3r_vocabulary_reserve(vocabulary, capacity, err));
    reader.at = map->size ? (const char *)map->data : "";
    reader.end = reader.at + map->size;
    reader.known = json_object();
    if (!reader.known)
        return s3r_fail_memory(err, "a vocabulary", 0);
    s3r_status status = read_lines(&reader, err);
    json_decref(reader.known);
    vocabulary->count = reader.next;
    return status;
}

s3r_status s3r_vocabulary_read_fairseq(s3r_vocabulary *vocabulary, const char *path,
                                       s3r_error *err)
{
    s3r_file_map map;
    S3R_TRY(s3r_file_map_open(&map, path, S3R_ERR_MODEL, err));
    s3r_status status = read_dictionary(vocabulary, &map, path, err);
    s3r_file_map_close(&map);
    S3R_TRY(status);
    for (size_t i = 0; i < SPECIAL_COUNT; i++)
        vocabulary->is_special[i] = true;
    vocabulary->blank_id = 0;
    vocabulary->unknown_id = SPECIAL_COUNT - 1;
    vocabulary->delimiter_id = s3r_vocabulary_find(vocabulary, "|");
    vocabulary->delimiter_text = s3r_strdup(" ");
    if (!vocabulary->delimiter_text)
        return s3r_fail_memory(err, "a label", 2);
    size_t length = strlen(path), name_length = strlen("dict.phn.txt");
    vocabulary->is_phonemes = vocabulary->delimiter_id == S3R_NO_LABEL &&
                              length >= name_length &&
                              strcmp(path + length - name_length, "dict.phn.txt") == 0;
    return S3R_OK;
}
