/*
 * Any folder of audio, without texts: every audio file below it is an utterance, for
 * pretraining and for clustering.
 */
#include <string.h>

#include "base/folder_list.h"
#include "data/layout_tools.h"
#include "data/layouts.h"

#define MAX_DEPTH 32u

typedef struct walk {
    s3r_corpus *corpus;
    const char *language;
    size_t found;
} walk;

/* Equal but for the case of ASCII letters. */
static bool is_alike(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a;
        if (x != *b)
            return false;
    }
    return *a == *b;
}

/* What libsndfile and we ourselves decode, by the end of the name. */
static bool is_audio(const char *name)
{
    static const char *const endings[] = {".wav", ".flac", ".ogg",  ".oga", ".opus",
                                          ".mp3", ".g722", ".aiff", ".aif", ".au"};
    size_t length = strlen(name);
    for (size_t i = 0; i < S3R_ARRAY_LEN(endings); i++) {
        size_t ending = strlen(endings[i]);
        if (length > ending && is_alike(name + length - ending, endings[i]))
            return true;
    }
    return false;
}

static s3r_status walk_folder(walk *w, const char *root, const char *below,
                              unsigned depth, s3r_error *err);

static s3r_status visit(walk *w, const char *root, const char *below, const char *name,
                        unsigned depth, s3r_error *err)
{
    char *relative = *below ? s3r_path_join(below, name) : s3r_strdup(name);
    char *path = relative ? s3r_path_join(root, relative) : NULL;
    s3r_status status = path ? S3R_OK : s3r_fail_memory(err, root, strlen(name));
    if (status == S3R_OK && s3r_path_is_folder(path)) {
        status = walk_folder(w, root, relative, depth + 1, err);
    } else if (status == S3R_OK && is_audio(name)) {
        const s3r_corpus_item item = {
            .utterance = {.id = relative, .duration_s = -1, .language = w->language},
            .split = "",
            .source = "folder"};
        status = s3r_layout_add(w->corpus, &item, root, relative, err);
        w->found++;
    }
    s3r_free(path);
    s3r_free(relative);
    return status;
}

static s3r_status walk_folder(walk *w, const char *root, const char *below,
                              unsigned depth, s3r_error *err)
{
    s3r_folder_list list;
    if (depth > MAX_DEPTH)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s/%s: expected at most %u folders in each other (a link to "
                        "itself?)",
                        root, below, MAX_DEPTH);
    char *folder = *below ? s3r_path_join(root, below) : s3r_strdup(root);
    if (!folder)
        return s3r_fail_memory(err, root, 0);
    s3r_status status = s3r_folder_list_read(&list, folder, "", S3R_ERR_DATA, err);
    s3r_free(folder);
    S3R_TRY(status);
    for (size_t i = 0; i < list.count && status == S3R_OK; i++)
        status = visit(w, root, below, list.names[i], depth, err);
    s3r_folder_list_release(&list);
    return status;
}

static s3r_status read_folder(s3r_corpus *corpus, const s3r_corpus_request *request,
                              s3r_error *err)
{
    walk w = {.corpus = corpus, .language = request->language};
    S3R_TRY(walk_folder(&w, request->source, "", 0, err));
    if (w.found > 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_DATA, "%s: expected audio files below it, found none",
                    request->source);
}

const s3r_layout s3r_layout_folder = {
    .name = "folder",
    .summary = "every audio file below a folder, without texts",
    .needs_source = true,
    .read = read_folder,
};
