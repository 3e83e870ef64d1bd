/*
 * LibriSpeech, and Libri-light's folders for fine-tuning: SPEAKER/CHAPTER folders with
 * SPEAKER-CHAPTER.trans.txt, lines "ID TEXT", beside ID.flac.
 *
 * The first folder below the source is the split (train-clean-100, dev-other, ...).  In
 * Libri-light the sets nest (spec 3.3): 1h/0 is 10m, 1h/0 to 1h/5 are 1h, 1h and 9h are
 * 10h, so that an utterance is in several splits; 1h/1 to 1h/5 are also 10m-1 to 10m-5.
 */
#include <stdio.h>
#include <string.h>

#include "base/folder_list.h"
#include "data/layout_tools.h"
#include "data/layouts.h"

#define MAX_DEPTH       8u
#define MAX_MEMBERSHIPS 3u

/* The splits that the utterances of a folder are in. */
typedef struct memberships {
    char names[MAX_MEMBERSHIPS][S3R_MAX_SPLIT_NAME];
    size_t count;
} memberships;

typedef struct walk {
    s3r_corpus *corpus;
    const char *language;
    memberships splits;
    size_t found;
} walk;

static s3r_status add_line(walk *w, const s3r_line_reader *reader, const char *folder,
                           s3r_error *err)
{
    static const char *const endings[] = {".flac", ".wav", ".ogg", ".mp3"};
    char *id = reader->text, file[256], speaker[64];
    char *text = id + strcspn(id, " \t");
    bool exists = false;
    if (*text != '\0')
        *text++ = '\0';
    if (id[0] == '\0' || strlen(id) > 200 || strchr(id, '/'))
        return s3r_line_fail(reader, err, "expected \"ID TEXT\", found \"%.80s\"", id);
    for (size_t i = 0; i < S3R_ARRAY_LEN(endings) && !exists; i++) {
        snprintf(file, sizeof file, "%s%s", id, endings[i]);
        S3R_TRY(s3r_layout_has(folder, file, &exists, err));
    }
    if (!exists)
        snprintf(file, sizeof file, "%s%s", id, endings[0]);
    snprintf(speaker, sizeof speaker, "%.*s", (int)strcspn(id, "-"), id);
    for (size_t i = 0; i < w->splits.count; i++) {
        s3r_corpus_item item = {.utterance = {.id = id,
                                              .text = text,
                                              .duration_s = -1,
                                              .language = w->language,
                                              .speaker = speaker},
                                .split = w->splits.names[i],
                                .source = "librispeech"};
        S3R_TRY(s3r_layout_add(w->corpus, &item, folder, file, err));
    }
    w->found++;
    return S3R_OK;
}

static s3r_status read_transcripts(walk *w, const char *folder, const char *path,
                                   s3r_error *err)
{
    s3r_line_reader reader = {0};
    bool has_line = true;
    s3r_status status = s3r_line_reader_open(&reader, path, err);
    while (status == S3R_OK && has_line) {
        status = s3r_line_reader_next(&reader, &has_line, err);
        if (status == S3R_OK && has_line && reader.length > 0)
            status = add_line(w, &reader, folder, err);
    }
    s3r_line_reader_close(&reader);
    return status;
}

static void add_membership(memberships *splits, const char *name)
{
    snprintf(splits->names[splits->count++], S3R_MAX_SPLIT_NAME, "%.*s",
             (int)S3R_MAX_SPLIT_NAME - 1, name);
}

/* The splits of what lies in folder `name`, `depth` below the source. */
static void enter_folder(memberships *splits, const char *name, size_t depth)
{
    bool is_number = name[strspn(name, "0123456789")] == '\0';
    if (depth == 0 && !is_number) {
        splits->count = 0;
        add_membership(splits, strcmp(name, "9h") == 0 ? "10h" : name);
        if (strcmp(name, "1h") == 0)
            add_membership(splits, "10h");
    } else if (depth == 1 && is_number && strlen(name) == 1 &&
               strcmp(splits->names[0], "1h") == 0) {
        char tenth[16] = "10m";
        if (name[0] != '0')
            snprintf(tenth, sizeof tenth, "10m-%s", name);
        add_membership(splits, tenth);
    }
}

static s3r_status read_folder(walk *w, const char *folder, size_t depth, s3r_error *err);

static s3r_status read_entry(walk *w, const char *folder, const char *name, size_t depth,
                             s3r_error *err)
{
    char *path = s3r_path_join(folder, name);
    s3r_status status = S3R_OK;
    if (!path)
        return s3r_fail_memory(err, "a path", strlen(folder));
    if (s3r_path_ends(name, ".trans.txt")) {
        status = read_transcripts(w, folder, path, err);
    } else if (!strchr(name, '.') && depth < MAX_DEPTH && s3r_path_is_folder(path)) {
        memberships outside = w->splits;
        enter_folder(&w->splits, name, depth);
        status = read_folder(w, path, depth + 1, err);
        w->splits = outside;
    }
    s3r_free(path);
    return status;
}

static s3r_status read_folder(walk *w, const char *folder, size_t depth, s3r_error *err)
{
    s3r_folder_list list = {0};
    S3R_TRY(s3r_folder_list_read(&list, folder, "", S3R_ERR_DATA, err));
    s3r_status status = S3R_OK;
    for (size_t i = 0; status == S3R_OK && i < list.count; i++)
        status = read_entry(w, folder, list.names[i], depth, err);
    s3r_folder_list_release(&list);
    return status;
}

static s3r_status read_librispeech(s3r_corpus *corpus, const s3r_corpus_request *request,
                                   s3r_error *err)
{
    walk w = {.corpus = corpus, .language = request->language ? request->language : "en"};
    char name[S3R_MAX_SPLIT_NAME];
    s3r_path_name(request->source, name, sizeof name);
    /* The source may be one split itself. */
    bool is_split = strncmp(name, "train-", 6) == 0 || strncmp(name, "dev-", 4) == 0 ||
                    strncmp(name, "test-", 5) == 0;
    add_membership(&w.splits, is_split ? name : "");
    S3R_TRY(read_folder(&w, request->source, 0, err));
    if (w.found == 0)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected folders with *.trans.txt, found none",
                        request->source);
    return S3R_OK;
}

const s3r_layout s3r_layout_librispeech = {
    .name = "librispeech",
    .summary = "LibriSpeech, Libri-light's 10m, 1h and 10h: *.trans.txt beside FLAC",
    .needs_source = true,
    .read = read_librispeech,
};
