/*
 * One list of places in the order of the search; the error message is the same list.
 */
#include "model/model_find.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/own_place.h"
#include "base/text_buffer.h"

#define DEFAULT_WORD  "default"
#define DEFAULT_MODEL "s3r-small"

/* Folders of models as seen from the installed library and program; the build says where
 * they are in its layout. */
#ifndef S3R_MODELS_FROM_LIB
#define S3R_MODELS_FROM_LIB "../share/s3r/models"
#endif
#ifndef S3R_MODELS_FROM_BIN
#define S3R_MODELS_FROM_BIN "../share/s3r/models"
#endif
/* A build folder has them beside both. */
#define MODELS_BESIDE "share/s3r/models"

#define MAX_PLACES 5

typedef struct place_list {
    char *folders[MAX_PLACES];
    size_t count;
} place_list;

/* Takes folder, NULL for no memory.  A folder that is there twice is looked at once. */
static s3r_status add_place(place_list *places, char *folder, s3r_error *err)
{
    if (!folder)
        return s3r_fail_memory(err, "the places of models", 0);
    for (size_t i = 0; i < places->count; i++) {
        if (strcmp(places->folders[i], folder) == 0) {
            s3r_free(folder);
            return S3R_OK;
        }
    }
    places->folders[places->count++] = folder;
    return S3R_OK;
}

/* Each ".." of relative takes a name off base, which has no links. */
static s3r_status add_relative(place_list *places, const char *base, const char *relative,
                               s3r_error *err)
{
    size_t length = strlen(base);
    for (; strncmp(relative, "../", 3) == 0; relative += 3)
        while (length > 0 && base[--length] != '/')
            continue;
    char *start = length > 0 ? s3r_strndup(base, length) : s3r_strdup("/");
    char *folder = start ? s3r_path_join(start, relative) : NULL;
    s3r_free(start);
    return add_place(places, folder, err);
}

/* Takes base, NULL when it is not known. */
static s3r_status add_places_of(place_list *places, char *base, const char *installed,
                                s3r_error *err)
{
    s3r_status status = S3R_OK;
    if (base)
        status = add_relative(places, base, MODELS_BESIDE, err);
    if (base && status == S3R_OK)
        status = add_relative(places, base, installed, err);
    s3r_free(base);
    return status;
}

static s3r_status list_places(place_list *places, s3r_error *err)
{
    const char *wish = getenv("S3R_MODELS");
    char *folder = NULL;
    if (wish && wish[0])
        S3R_TRY(add_place(places, s3r_strdup(wish), err));
    S3R_TRY(s3r_own_library_folder(&folder, err));
    S3R_TRY(add_places_of(places, folder, S3R_MODELS_FROM_LIB, err));
    S3R_TRY(s3r_own_program_folder(&folder, err));
    return add_places_of(places, folder, S3R_MODELS_FROM_BIN, err);
}

static s3r_status fail_not_found(const place_list *places, const char *name,
                                 bool is_asked_for, s3r_error *err)
{
    s3r_text_buffer list = {0};
    char *text = NULL;
    for (size_t i = 0; i < places->count; i++)
        s3r_buffer_add(&list, "%s%s", i > 0 ? ", " : "", places->folders[i]);
    S3R_TRY(s3r_buffer_take(&list, &text, "a message", err));
    s3r_status status = s3r_fail(
        err, S3R_ERR_MODEL,
        "%s: expected %s in one of %s; give the path of a model (-m), or set S3R_MODELS "
        "to a folder that has %s",
        name, is_asked_for ? "a file, a folder or a model of this name" : "this model",
        text && text[0] ? text : "S3R_MODELS (which is not set)", name);
    s3r_free(text);
    return status;
}

static s3r_status find_shipped(char **out, const place_list *places, const char *name,
                               bool is_asked_for, s3r_error *err)
{
    for (size_t i = 0; i < places->count; i++) {
        char *path = s3r_path_join(places->folders[i], name);
        if (!path)
            return s3r_fail_memory(err, name, 0);
        if (s3r_path_exists(path)) {
            *out = path;
            return S3R_OK;
        }
        s3r_free(path);
    }
    return fail_not_found(places, name, is_asked_for, err);
}

s3r_status s3r_model_find_path(char **out, const char *name, s3r_error *err)
{
    bool is_default = !name || strcmp(name, DEFAULT_WORD) == 0;
    place_list places = {0};
    if (!is_default && (!name[0] || strchr(name, '/') || s3r_path_exists(name))) {
        *out = s3r_strdup(name);
        return *out ? S3R_OK : s3r_fail_memory(err, name, strlen(name));
    }
    s3r_status status = list_places(&places, err);
    if (status == S3R_OK)
        status = find_shipped(out, &places, is_default ? DEFAULT_MODEL : name,
                              !is_default, err);
    for (size_t i = 0; i < places.count; i++)
        s3r_free(places.folders[i]);
    return status;
}
