/*
 * Lists of languages: short, so that they are searched from the front.
 */
#include "text/language_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Makes room at `place` and puts a copy of the name there. */
static s3r_status put(s3r_language_list *list, size_t place, const char *name,
                      s3r_error *err)
{
    if (list->count == S3R_MAX_LANGUAGES)
        return s3r_fail(err, S3R_ERR_DATA, "expected at most %u languages, found more",
                        S3R_MAX_LANGUAGES);
    if (list->count == list->capacity) {
        size_t capacity = 2 * list->capacity + 16;
        char **grown = s3r_realloc(list->names, list->capacity, capacity, sizeof *grown);
        if (!grown)
            return s3r_fail_memory(err, "the languages", capacity * sizeof *grown);
        list->names = grown;
        list->capacity = capacity;
    }
    char *copy = s3r_strdup(name);
    if (!copy)
        return s3r_fail_memory(err, "a language", strlen(name) + 1);
    memmove(list->names + place + 1, list->names + place,
            (list->count - place) * sizeof *list->names);
    list->names[place] = copy;
    list->count++;
    return S3R_OK;
}

s3r_status s3r_language_list_insert(s3r_language_list *list, const char *name,
                                    s3r_error *err)
{
    size_t place = 0;
    while (place < list->count && strcmp(list->names[place], name) < 0)
        place++;
    if (place < list->count && strcmp(list->names[place], name) == 0)
        return S3R_OK;
    return put(list, place, name, err);
}

void s3r_language_list_release(s3r_language_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        s3r_free(list->names[i]);
    s3r_free(list->names);
    *list = (s3r_language_list){0};
}

bool s3r_language_list_find(const s3r_language_list *list, const char *name,
                            size_t *index)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->names[i], name) != 0)
            continue;
        *index = i;
        return true;
    }
    return false;
}

void s3r_language_list_text(const s3r_language_list *list, char *text, size_t bytes)
{
    static const char more[] = ", ...";
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < list->count; i++) {
        size_t needed = strlen(list->names[i]) + 2;
        if (used + needed + sizeof more > bytes) {
            snprintf(text + used, bytes - used, "%s", used > 0 ? more : more + 2);
            return;
        }
        used += (size_t)snprintf(text + used, bytes - used, "%s%s", used > 0 ? ", " : "",
                                 list->names[i]);
    }
}

static s3r_status fail_fact(const char *path, const json_t *found, s3r_error *err)
{
    char *text = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    s3r_status status = s3r_fail(
        err, S3R_ERR_MODEL,
        "%s: facts: \"languages\": expected 2 to %u different texts, found %.80s", path,
        S3R_MAX_LANGUAGES, text ? text : "nothing");
    free(text);
    return status;
}

s3r_status s3r_language_list_from_json(s3r_language_list *list, const json_t *array,
                                       const char *path, s3r_error *err)
{
    size_t count = json_array_size(array);
    s3r_status status = S3R_OK;
    *list = (s3r_language_list){0};
    if (count < 2 || count > S3R_MAX_LANGUAGES)
        return fail_fact(path, array, err);
    for (size_t i = 0, at; i < count && status == S3R_OK; i++) {
        const char *name = json_string_value(json_array_get(array, i));
        if (!name || !*name || s3r_language_list_find(list, name, &at))
            status = fail_fact(path, array, err);
        else
            status = put(list, i, name, err);
    }
    if (status != S3R_OK)
        s3r_language_list_release(list);
    return status;
}

json_t *s3r_language_list_to_json(const s3r_language_list *list)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < list->count; i++)
        if (json_array_append_new(array, json_string(list->names[i])) != 0) {
            json_decref(array);
            array = NULL;
        }
    return array;
}
