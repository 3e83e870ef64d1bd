/*
 * Asterisk's prompts: sounds/VOICE/KEY.g722 and a list of texts, "KEY: TEXT" a line.
 * Lines that begin with ";" are comments.
 *
 * The Italian list has lost accents: " ? " stands for "è", which is put back; a "?" that
 * ends a word inside a sentence may be any vowel, and the line is left out.
 */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/folder_list.h"
#include "data/deb_package.h"
#include "data/layout_tools.h"
#include "data/layouts.h"
#include "data/package_speech.h"
#include "text/unicode_text.h"

#define MAX_LIST_BYTES ((size_t)4 << 20)
#define MAX_DEPTH      4u

typedef struct voice {
    const char *language;
    const char *sounds; /* below the root of the package with the sounds */
    const char *speaker;
    bool has_lost_accents;
} voice;

static const voice voices[] = {
    {"en", "usr/share/asterisk/sounds/en_US_f_Allison", "asterisk-allison", false},
    {"es", "usr/share/asterisk/sounds/es_MX_f_Allison", "asterisk-allison", false},
    {"fr", "usr/share/asterisk/sounds/fr_CA_f_June", "asterisk-june", false},
    {"it", "usr/share/asterisk/sounds/it_IT_m_Carlo", "asterisk-carlo", true},
    {"ru", "usr/share/asterisk/sounds/ru_RU_f_IvrvoiceRU", "asterisk-ivrvoice", false},
};

typedef struct prompts {
    s3r_package_speech speech;
    const voice *voice;
    s3r_string_map texts; /* key to index of sentences */
    const char **sentences;
    size_t count, capacity;
    s3r_arena owned;
    size_t root_length; /* of the folder of sounds with its slash */
} prompts;

/* The whole of a file that may be gzip, a new string. */
static s3r_status read_list(char **bytes, size_t *size, const char *path, s3r_error *err)
{
    gzFile file = gzopen(path, "rb");
    char *buffer = s3r_alloc(MAX_LIST_BYTES, 1);
    if (!file || !buffer) {
        if (file)
            gzclose(file);
        s3r_free(buffer);
        return file ? s3r_fail_memory(err, path, MAX_LIST_BYTES)
                    : s3r_fail(err, S3R_ERR_DATA, "%s: cannot be read", path);
    }
    int got = gzread(file, buffer, (unsigned)MAX_LIST_BYTES);
    bool is_complete = got >= 0 && (size_t)got < MAX_LIST_BYTES && gzeof(file);
    /* A cut-off stream ends without an error before this. */
    is_complete = gzclose(file) == Z_OK && is_complete;
    if (!is_complete) {
        s3r_free(buffer);
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected a complete gzip file below %zu bytes", path,
                        MAX_LIST_BYTES);
    }
    *bytes = buffer;
    *size = (size_t)got;
    return S3R_OK;
}

static char *keep(prompts *p, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = s3r_arena_alloc(&p->owned, bytes, 1);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

/* Of a key that comes twice the last text counts. */
static s3r_status add_sentence(prompts *p, const char *key, const char *text,
                               s3r_error *err)
{
    if (p->count == p->capacity) {
        size_t larger = p->capacity ? 2 * p->capacity : 256;
        const char **grown =
            s3r_realloc(p->sentences, p->capacity, larger, sizeof *grown);
        if (!grown)
            return s3r_fail_memory(err, "a list of texts", larger * sizeof *grown);
        p->sentences = grown;
        p->capacity = larger;
    }
    char *own_key = keep(p, key), *own_text = keep(p, text);
    size_t *stored;
    if (!own_key || !own_text)
        return s3r_fail_memory(err, "a list of texts", strlen(text));
    S3R_TRY(s3r_string_map_add(&p->texts, own_key, p->count, &stored, NULL, err));
    *stored = p->count;
    p->sentences[p->count++] = own_text;
    return S3R_OK;
}

static s3r_status parse_list(prompts *p, s3r_line_reader *reader, s3r_error *err)
{
    for (bool has_line = true;;) {
        S3R_TRY(s3r_line_reader_next(reader, &has_line, err));
        if (!has_line)
            return S3R_OK;
        char *colon = strchr(reader->text, ':');
        if (reader->text[0] == ';' || !colon)
            continue;
        *colon = '\0';
        S3R_TRY(add_sentence(p, reader->text, colon + 1 + strspn(colon + 1, " \t"), err));
    }
}

static s3r_status load_list(prompts *p, const char *path, s3r_error *err)
{
    char *bytes = NULL;
    size_t size = 0;
    s3r_line_reader reader = {0};
    S3R_TRY(read_list(&bytes, &size, path, err));
    s3r_status status = s3r_line_reader_from_bytes(&reader, bytes, size, path, err);
    if (status == S3R_OK)
        status = parse_list(p, &reader, err);
    s3r_line_reader_close(&reader);
    s3r_free(bytes);
    return status;
}

/* A word that ends in "?" before a word in lower case: an accented letter was there. */
static bool has_lost_letter(const char *text)
{
    for (const char *at = text; (at = strchr(at, '?')); at++)
        if (at > text && at[-1] != ' ' && at[1] == ' ' && at[2] >= 'a' && at[2] <= 'z')
            return true;
    return false;
}

/* " ? " becomes " è "; NULL without memory. */
static char *restore_accents(s3r_arena *arena, const char *text)
{
    char *restored = s3r_arena_alloc(arena, strlen(text) + 1, 2), *to = restored;
    for (; restored && *text; text++) {
        if (strncmp(text, " ? ", 3) == 0) {
            memcpy(to, " \xC3\xA8", 3);
            to += 3;
            text++;
        } else {
            *to++ = *text;
        }
    }
    if (restored)
        *to = '\0';
    return restored;
}

static s3r_status add_prompt(prompts *p, const char *path, s3r_error *err)
{
    char key[256];
    const char *name = path + p->root_length;
    snprintf(key, sizeof key, "%.*s", (int)(strlen(name) - strlen(".g722")), name);
    if (strncmp(key, "silence/", 8) == 0)
        return s3r_corpus_drop(p->speech.corpus, "silence", err);
    const size_t *index = s3r_string_map_find(&p->texts, key);
    const char *text = index ? p->sentences[*index] : NULL, *restored = text;
    if (text && p->voice->has_lost_accents) {
        if (has_lost_letter(text))
            return s3r_corpus_drop(p->speech.corpus, "a lost letter in the text", err);
        restored = restore_accents(&p->owned, text);
        if (!restored)
            return s3r_fail_memory(err, "a text", strlen(text));
    }
    char id[280];
    snprintf(id, sizeof id, "%s/%s", p->voice->language, key);
    const s3r_speech_pair pair = {.path = path,
                                  .id = id,
                                  .language = p->voice->language,
                                  .speaker = p->voice->speaker,
                                  .text = restored,
                                  .split_text = text};
    return s3r_package_speech_add(&p->speech, &pair, err);
}

static s3r_status walk_sounds(prompts *p, const char *folder, unsigned depth,
                              s3r_error *err)
{
    s3r_folder_list list;
    S3R_TRY(s3r_folder_list_read(&list, folder, "", S3R_ERR_DATA, err));
    s3r_status status = S3R_OK;
    for (size_t i = 0; i < list.count && status == S3R_OK; i++) {
        char *path = s3r_path_join(folder, list.names[i]);
        if (!path)
            status = s3r_fail_memory(err, "a path", strlen(folder));
        else if (s3r_path_ends(list.names[i], ".g722"))
            status = add_prompt(p, path, err);
        else if (depth < MAX_DEPTH && s3r_path_is_folder(path))
            status = walk_sounds(p, path, depth + 1, err);
        s3r_free(path);
    }
    s3r_folder_list_release(&list);
    return status;
}

/* The list of texts and the folder of sounds; NULL where the source lacks one. */
static s3r_status find_files(char **list, char **sounds,
                             const s3r_corpus_request *request, const voice *v,
                             s3r_error *err)
{
    char texts[64], recordings[80], probe[128], *list_root = NULL, *sounds_root = NULL;
    snprintf(texts, sizeof texts, "asterisk-core-sounds-%s", v->language);
    snprintf(recordings, sizeof recordings, "%s-g722", texts);
    snprintf(probe, sizeof probe, "usr/share/doc/%s/core-sounds-%s.txt.gz", texts,
             v->language);
    *list = *sounds = NULL;
    S3R_TRY(s3r_deb_package_find(&list_root, request, texts, probe, err));
    s3r_status status =
        s3r_deb_package_find(&sounds_root, request, recordings, v->sounds, err);
    if (status == S3R_OK && list_root && sounds_root) {
        *list = s3r_path_join(list_root, probe);
        *sounds = s3r_path_join(sounds_root, v->sounds);
        if (!*list || !*sounds)
            status = s3r_fail_memory(err, "a path", strlen(probe));
    }
    s3r_free(list_root);
    s3r_free(sounds_root);
    return status;
}

static s3r_status read_voice(s3r_corpus *corpus, const s3r_corpus_request *request,
                             const voice *v, bool *is_there, s3r_error *err)
{
    char *list, *sounds;
    prompts p = {.speech = {.corpus = corpus, .source = "asterisk"}, .voice = v};
    s3r_arena_init(&p.owned, 1 << 16);
    s3r_status status = find_files(&list, &sounds, request, v, err);
    *is_there = status == S3R_OK && list && sounds;
    if (*is_there) {
        p.root_length = strlen(sounds) + 1;
        status = load_list(&p, list, err);
        if (status == S3R_OK)
            status = walk_sounds(&p, sounds, 0, err);
    }
    s3r_free(list);
    s3r_free(sounds);
    s3r_free(p.sentences);
    s3r_string_map_release(&p.texts);
    s3r_arena_release(&p.owned);
    s3r_package_speech_release(&p.speech);
    return status;
}

static s3r_status read_asterisk(s3r_corpus *corpus, const s3r_corpus_request *request,
                                s3r_error *err)
{
    bool is_known = false, has_any = false;
    for (size_t i = 0; i < S3R_ARRAY_LEN(voices); i++) {
        bool is_there;
        if (!s3r_language_matches(request->language, voices[i].language))
            continue;
        is_known = true;
        S3R_TRY(read_voice(corpus, request, &voices[i], &is_there, err));
        has_any = has_any || is_there;
    }
    if (!is_known)
        return s3r_fail(
            err, S3R_ERR_USAGE,
            "asterisk: expected a language of en, es, fr, it, ru, found \"%s\"",
            request->language);
    if (!has_any)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected asterisk-core-sounds-LANG_*.deb and "
                        "asterisk-core-sounds-LANG-g722_*.deb in it, or their files",
                        request->source);
    return S3R_OK;
}

const s3r_layout s3r_layout_asterisk = {
    .name = "asterisk",
    .summary =
        "Asterisk's telephone prompts (Debian: asterisk-core-sounds-*-g722), en es "
        "fr it ru",
    .read = read_asterisk,
};
