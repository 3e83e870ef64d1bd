/*
 * A folder of masks: listing, finding, opening.
 */
#include <stdio.h>
#include <string.h>

#include "api/router_handle.h"
#include "base/closest_name.h"
#include "base/file.h"
#include "base/folder_list.h"

#define SUFFIX     ".s3m"
#define LIST_BYTES 256u /* of names in a message */

/* ---- listing ---- */

static s3r_status list_entry(s3r_router_entry *entry, const char *folder,
                             const char *file, s3r_error *err)
{
    entry->name = s3r_strndup(file, strlen(file) - strlen(SUFFIX));
    entry->path = s3r_path_join(folder, file);
    if (!entry->name || !entry->path)
        return s3r_fail_memory(err, "a mask's name", strlen(file));
    if (pthread_mutex_init(&entry->opening, NULL) != 0)
        return s3r_fail(err, S3R_ERR_RESOURCE, "%s: no mutex", entry->path);
    entry->has_mutex = true;
    if (s3r_mask_file_peek(&entry->facts, entry->path, &entry->error) != S3R_OK &&
        entry->error.code == S3R_ERR_RESOURCE)
        return s3r_fail(err, S3R_ERR_RESOURCE, "%s", entry->error.message);
    return S3R_OK;
}

static s3r_status list_folder(s3r_router *router, const char *folder, s3r_error *err)
{
    s3r_folder_list files;
    S3R_TRY(s3r_folder_list_read(&files, folder, SUFFIX, S3R_ERR_USAGE, err));
    router->folder = s3r_strdup(folder);
    router->entries = s3r_alloc(files.count, sizeof *router->entries);
    s3r_status status = S3R_OK;
    if (files.count == 0)
        status = s3r_fail(err, S3R_ERR_USAGE,
                          "%s: expected mask files (*%s), found none in the folder",
                          folder, SUFFIX);
    else if (!router->folder || !router->entries)
        status = s3r_fail_memory(err, "masks", files.count * sizeof *router->entries);
    while (status == S3R_OK && router->count < files.count) {
        const char *file = files.names[router->count];
        status = list_entry(&router->entries[router->count++], folder, file, err);
    }
    s3r_folder_list_release(&files);
    return status;
}

s3r_status s3r_router_open(s3r_router **out, const s3r_model *backbone,
                           const char *folder, s3r_error *err)
{
    s3r_router *router = s3r_alloc(1, sizeof *router);
    if (!router)
        return s3r_fail_memory(err, "a router", sizeof *router);
    router->backbone = backbone;
    s3r_status status = list_folder(router, folder, err);
    if (status == S3R_OK)
        *out = router;
    else
        s3r_router_close(router);
    return status;
}

void s3r_router_close(s3r_router *router)
{
    if (!router)
        return;
    for (size_t i = 0; i < router->count; i++) {
        s3r_router_entry *entry = &router->entries[i];
        s3r_model_close(atomic_load(&entry->model));
        if (entry->has_mutex)
            pthread_mutex_destroy(&entry->opening);
        json_decref(entry->facts);
        s3r_free(entry->name);
        s3r_free(entry->path);
    }
    s3r_free(router->entries);
    s3r_free(router->folder);
    s3r_free(router);
}

const char *s3r_router_entry_fact(const s3r_router_entry *entry, const char *key)
{
    return json_string_value(json_object_get(entry->facts, key));
}

bool s3r_router_get_mask(const s3r_router *router, size_t index, s3r_router_mask *out)
{
    if (index >= router->count)
        return false;
    const s3r_router_entry *entry = &router->entries[index];
    *out = (s3r_router_mask){.name = entry->name,
                             .path = entry->path,
                             .language = s3r_router_entry_fact(entry, "language"),
                             .method = s3r_router_entry_fact(entry, "method"),
                             .task = s3r_router_entry_fact(entry, "task"),
                             .status = entry->error.code,
                             .message = entry->error.message};
    return true;
}

/* ---- finding ---- */

const char *s3r_router_entry_language(const s3r_router_entry *entry)
{
    const char *language = s3r_router_entry_fact(entry, "language");
    bool is_known = language && strcmp(language, "und") != 0; /* undetermined */
    return is_known ? language : entry->name;
}

static bool has_language(const s3r_router_entry *entry, const char *name)
{
    const char *language = s3r_router_entry_fact(entry, "language");
    return language && strcmp(language, name) == 0;
}

/* Tags are ASCII. */
static bool is_letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* The length of a tag without a region: two letters or three digits behind '-' or '_'. */
static size_t without_region(const char *tag)
{
    size_t length = strcspn(tag, "-_");
    const char *region = tag + length + (tag[length] != '\0');
    size_t digits = strspn(region, "0123456789"), size = strlen(region);
    bool is_region = (size == 2 && is_letter(region[0]) && is_letter(region[1])) ||
                     (size == 3 && digits == 3);
    return (length == 2 || length == 3) && is_region ? length : strlen(tag);
}

/* Whether two tags are one but for case and region: "it", "IT-ch". */
static bool is_like(const char *one, const char *other)
{
    size_t length = without_region(one);
    if (without_region(other) != length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (one[i] != other[i] && !(is_letter(one[i]) && (one[i] ^ other[i]) == 0x20))
            return false;
    return true;
}

/* The only mask of a language like that, NULL when there is none or there are several. */
static s3r_router_entry *find_like(s3r_router *router, const char *name)
{
    s3r_router_entry *found = NULL;
    for (size_t i = 0; i < router->count; i++) {
        s3r_router_entry *entry = &router->entries[i];
        if (!is_like(s3r_router_entry_language(entry), name))
            continue;
        if (found)
            return NULL;
        found = entry;
    }
    return found;
}

/* Names of masks, of a language or (NULL) of all, as far as they fit. */
static void list_names(const s3r_router *router, const char *language,
                       char text[LIST_BYTES])
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < router->count; i++) {
        const s3r_router_entry *entry = &router->entries[i];
        if (language && !has_language(entry, language))
            continue;
        size_t length = strlen(entry->name);
        if (used + length + sizeof ", ..." > LIST_BYTES) {
            snprintf(text + used, LIST_BYTES - used, "%s...", used ? ", " : "");
            return;
        }
        used += (size_t)snprintf(text + used, LIST_BYTES - used, "%s%s", used ? ", " : "",
                                 entry->name);
    }
}

static s3r_status fail_unknown(const s3r_router *router, const char *name, s3r_error *err)
{
    const char *nearest = NULL;
    char names[LIST_BYTES];
    for (size_t i = 0; i < router->count; i++) {
        const char *language = s3r_router_entry_fact(&router->entries[i], "language");
        nearest = s3r_closest_name(name, nearest, router->entries[i].name);
        if (language)
            nearest = s3r_closest_name(name, nearest, language);
    }
    list_names(router, NULL, names);
    return s3r_fail(err, S3R_ERR_USAGE, "%s: no mask \"%s\"%s%s%s; expected one of %s",
                    router->folder, name, nearest ? ", did you mean \"" : "",
                    nearest ? nearest : "", nearest ? "\"" : "", names);
}

s3r_status s3r_router_find(s3r_router *router, const char *name, s3r_router_entry **out,
                           s3r_error *err)
{
    size_t found = 0;
    char names[LIST_BYTES];
    for (size_t i = 0; i < router->count; i++) {
        *out = &router->entries[i];
        if (strcmp(router->entries[i].name, name) == 0)
            return S3R_OK;
    }
    for (size_t i = 0; i < router->count; i++) {
        if (!has_language(&router->entries[i], name))
            continue;
        *out = &router->entries[i];
        found++;
    }
    if (found == 0 && (*out = find_like(router, name)))
        return S3R_OK;
    if (found == 1)
        return S3R_OK;
    if (found == 0)
        return fail_unknown(router, name, err);
    list_names(router, name, names);
    return s3r_fail(err, S3R_ERR_USAGE,
                    "%s: language \"%s\": expected one mask, found %zu; name one of %s",
                    router->folder, name, found, names);
}

/* ---- opening ---- */

static s3r_status open_locked(s3r_router *router, s3r_context *context,
                              s3r_router_entry *entry, s3r_error *err)
{
    s3r_model *model = atomic_load(&entry->model);
    if (model)
        return S3R_OK;
    if (!router->backbone)
        return s3r_fail(err, S3R_ERR_USAGE, "%s: expected a router with a backbone",
                        entry->path);
    if (strchr(entry->name, ','))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: expected a name without a comma, which parts names",
                        entry->path);
    S3R_TRY(s3r_model_open_mask(&model, context, router->backbone, entry->path, err));
    atomic_store(&entry->model, model);
    return S3R_OK;
}

s3r_status s3r_router_entry_open(s3r_router *router, s3r_context *context,
                                 s3r_router_entry *entry, const s3r_model **out,
                                 s3r_error *err)
{
    s3r_status status = S3R_OK;
    if (!atomic_load(&entry->model)) {
        pthread_mutex_lock(&entry->opening);
        status = open_locked(router, context, entry, err);
        pthread_mutex_unlock(&entry->opening);
    }
    *out = atomic_load(&entry->model);
    return status;
}

s3r_status s3r_router_get_model(s3r_router *router, s3r_context *context,
                                const char *name, const s3r_model **out, s3r_error *err)
{
    s3r_router_entry *entry;
    *out = NULL;
    S3R_TRY(s3r_router_find(router, name, &entry, err));
    return s3r_router_entry_open(router, context, entry, out, err);
}
