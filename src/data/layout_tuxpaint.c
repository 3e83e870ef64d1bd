/*
 * Tux Paint's stamps: each picture NAME has NAME_desc_LANG.ogg, its description spoken by
 * a volunteer, and NAME.txt with the sentence: first the English one, then a line
 * "LANG.utf8=SENTENCE" each.  NAME_desc.ogg is English.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/folder_list.h"
#include "data/deb_package.h"
#include "data/layout_tools.h"
#include "data/layouts.h"
#include "data/package_speech.h"

#define STAMPS    "usr/share/tuxpaint/stamps"
#define MAX_DEPTH 8u

typedef struct walk {
    s3r_package_speech speech;
    const char *language; /* wanted, or NULL */
    size_t root_length;   /* of the path of the stamps with its slash */
    size_t found;         /* recordings of that language */
} walk;

/* "pt_BR" becomes "pt-BR"; an empty one is English. */
static void to_tag(char *tag, size_t size, const char *locale, size_t length)
{
    if (length == 0)
        snprintf(tag, size, "en");
    else
        snprintf(tag, size, "%.*s", (int)length, locale);
    for (char *at = tag; *at; at++)
        if (*at == '_')
            *at = '-';
}

/* The sentence of a locale in an open NAME.txt, a new string; NULL when it has none. */
static s3r_status find_sentence(char **sentence, s3r_line_reader *reader,
                                const char *locale, size_t locale_length, s3r_error *err)
{
    static const char mark[] = ".utf8=";
    bool has_line = true;
    *sentence = NULL;
    while (!*sentence) {
        S3R_TRY(s3r_line_reader_next(reader, &has_line, err));
        if (!has_line)
            return S3R_OK;
        const char *text = NULL;
        if (locale_length == 0)
            text = reader->line == 1 ? reader->text : NULL;
        else if (strncmp(reader->text, locale, locale_length) == 0 &&
                 strncmp(reader->text + locale_length, mark, sizeof mark - 1) == 0)
            text = reader->text + locale_length + sizeof mark - 1;
        if (text && !(*sentence = s3r_strdup(text)))
            return s3r_fail_memory(err, "a text", strlen(text) + 1);
        if (locale_length == 0)
            return S3R_OK;
    }
    return S3R_OK;
}

static s3r_status read_sentence(char **sentence, const char *folder, const char *name,
                                size_t stem, const char *locale, size_t locale_length,
                                s3r_error *err)
{
    char text_name[512];
    bool exists;
    *sentence = NULL;
    snprintf(text_name, sizeof text_name, "%.*s.txt", (int)S3R_MIN(stem, (size_t)500),
             name);
    S3R_TRY(s3r_layout_has(folder, text_name, &exists, err));
    if (!exists)
        return S3R_OK;
    char *path = s3r_path_join(folder, text_name);
    if (!path)
        return s3r_fail_memory(err, "a path", strlen(folder));
    s3r_line_reader reader = {0};
    s3r_status status = s3r_line_reader_open(&reader, path, err);
    if (status == S3R_OK)
        status = find_sentence(sentence, &reader, locale, locale_length, err);
    s3r_line_reader_close(&reader);
    s3r_free(path);
    return status;
}

/* name is STEM_desc.EXT or STEM_desc_LOCALE.EXT */
static s3r_status add_recording(walk *w, const char *folder, const char *name,
                                const char *path, s3r_error *err)
{
    const char *mark = NULL, *ending = strrchr(name, '.');
    for (const char *at = name; (at = strstr(at, "_desc")); at++)
        mark = at;
    if (!mark || !ending || mark > ending)
        return S3R_OK;
    const char *locale = mark + strlen("_desc");
    if (*locale != '_' && locale != ending)
        return S3R_OK;
    locale += *locale == '_';
    size_t length = locale < ending ? (size_t)(ending - locale) : 0;
    char tag[16], speaker[32], *sentence = NULL;
    if (length >= sizeof tag)
        return S3R_OK;
    to_tag(tag, sizeof tag, locale, length);
    if (!s3r_language_matches(w->language, tag))
        return S3R_OK;
    w->found++;
    snprintf(speaker, sizeof speaker, "tuxpaint-%s", tag);
    S3R_TRY(read_sentence(&sentence, folder, name, (size_t)(mark - name), locale, length,
                          err));
    const s3r_speech_pair pair = {.path = path,
                                  .id = path + w->root_length,
                                  .language = tag,
                                  .speaker = speaker,
                                  .text = sentence};
    s3r_status status = s3r_package_speech_add(&w->speech, &pair, err);
    s3r_free(sentence);
    return status;
}

static s3r_status walk_folder(walk *w, const char *folder, unsigned depth, s3r_error *err)
{
    s3r_folder_list list;
    S3R_TRY(s3r_folder_list_read(&list, folder, "", S3R_ERR_DATA, err));
    s3r_status status = S3R_OK;
    for (size_t i = 0; i < list.count && status == S3R_OK; i++) {
        const char *name = list.names[i];
        char *path = s3r_path_join(folder, name);
        if (!path)
            status = s3r_fail_memory(err, "a path", strlen(folder));
        else if (s3r_path_ends(name, ".ogg") || s3r_path_ends(name, ".wav"))
            status = add_recording(w, folder, name, path, err);
        else if (depth < MAX_DEPTH && s3r_path_is_folder(path))
            status = walk_folder(w, path, depth + 1, err);
        s3r_free(path);
    }
    s3r_folder_list_release(&list);
    return status;
}

static s3r_status read_tuxpaint(s3r_corpus *corpus, const s3r_corpus_request *request,
                                s3r_error *err)
{
    char *root;
    S3R_TRY(s3r_deb_package_find(&root, request, "tuxpaint-stamps-default", STAMPS, err));
    if (!root)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected " STAMPS " or tuxpaint-stamps-default_*.deb in it",
                        request->source);
    char *stamps = s3r_path_join(root, STAMPS);
    s3r_free(root);
    if (!stamps)
        return s3r_fail_memory(err, "a path", sizeof STAMPS);
    walk w = {.speech = {.corpus = corpus, .source = "tuxpaint"},
              .language = request->language,
              .root_length = strlen(stamps) + 1};
    s3r_status status = walk_folder(&w, stamps, 0, err);
    if (status == S3R_OK && w.found == 0)
        status = s3r_fail(err, S3R_ERR_DATA, "%s: no recording%s%s", stamps,
                          request->language ? " in the language " : "",
                          request->language ? request->language : "");
    s3r_package_speech_release(&w.speech);
    s3r_free(stamps);
    return status;
}

const s3r_layout s3r_layout_tuxpaint = {
    .name = "tuxpaint",
    .summary = "Spoken descriptions of Tux Paint's stamps (Debian: "
               "tuxpaint-stamps-default), 11 languages",
    .read = read_tuxpaint,
};
