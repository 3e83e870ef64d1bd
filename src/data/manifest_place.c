/*
 * Copies of the utterances get their paths and ids, then they are saved.
 */
#include "data/manifest_place.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "data/string_map.h"

typedef struct placing {
    s3r_utterance *items;
    s3r_arena owned;
    s3r_string_map ids; /* value: how often */
    char *folder;       /* absolute, of the manifest */
} placing;

static s3r_status own(placing *p, const char *text, const char **out, s3r_error *err)
{
    size_t bytes = strlen(text) + 1;
    char *copy = s3r_arena_alloc(&p->owned, bytes, 1);
    if (!copy)
        return s3r_fail_memory(err, "a manifest", bytes);
    memcpy(copy, text, bytes);
    *out = copy;
    return S3R_OK;
}

static s3r_status place_audio(placing *p, s3r_utterance *item, s3r_error *err)
{
    char *path;
    S3R_TRY(s3r_path_absolute(&path, item->audio_path, err));
    size_t length = strlen(p->folder);
    bool is_below = strncmp(path, p->folder, length) == 0 && path[length] == '/';
    s3r_status status =
        own(p, is_below ? path + length + 1 : path, &item->audio_path, err);
    s3r_free(path);
    return status;
}

static s3r_status place_id(placing *p, s3r_utterance *item, s3r_error *err)
{
    const char *base = item->id;
    bool is_new;
    size_t *uses;
    S3R_TRY(s3r_string_map_add(&p->ids, base, 1, &uses, &is_new, err));
    for (size_t number = *uses + 1; !is_new; number++) {
        char ending[32];
        size_t length = strlen(base);
        snprintf(ending, sizeof ending, "#%zu", number);
        char *id = s3r_arena_alloc(&p->owned, length + strlen(ending) + 1, 1);
        if (!id)
            return s3r_fail_memory(err, "a manifest", length);
        memcpy(id, base, length);
        strcpy(id + length, ending);
        /* The search goes on there at the next of this name. */
        *s3r_string_map_find(&p->ids, base) = number;
        S3R_TRY(s3r_string_map_add(&p->ids, id, 1, &uses, &is_new, err));
        item->id = id;
    }
    return S3R_OK;
}

static s3r_status place_all(placing *p, const char *path, const s3r_utterance *items,
                            size_t count, s3r_error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? s3r_strndup(path, S3R_MAX((size_t)(slash - path), (size_t)1))
                         : s3r_strdup(".");
    if (!folder)
        return s3r_fail_memory(err, "a path", strlen(path));
    s3r_status status = s3r_folder_create(folder, err);
    if (status == S3R_OK)
        status = s3r_path_absolute(&p->folder, folder, err);
    s3r_free(folder);
    S3R_TRY(status);
    p->items = s3r_alloc(count, sizeof *p->items);
    if (!p->items)
        return s3r_fail_memory(err, "a manifest", count * sizeof *p->items);
    for (size_t i = 0; i < count; i++) {
        p->items[i] = items[i];
        S3R_TRY(place_audio(p, &p->items[i], err));
        S3R_TRY(place_id(p, &p->items[i], err));
    }
    return s3r_manifest_save(path, p->items, count, err);
}

s3r_status s3r_manifest_place(const char *path, const s3r_utterance *items, size_t count,
                              s3r_error *err)
{
    placing p = {0};
    s3r_arena_init(&p.owned, (size_t)256 << 10);
    s3r_status status = place_all(&p, path, items, count, err);
    s3r_free(p.items);
    s3r_free(p.folder);
    s3r_string_map_release(&p.ids);
    s3r_arena_release(&p.owned);
    return status;
}
