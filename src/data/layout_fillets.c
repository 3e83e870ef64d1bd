/*
 * The dialogues of Fish Fillets in Czech and Dutch: sound/LEVEL/LANG/ID.ogg, and the text
 * in script/LEVEL/dialogs_LANG.lua,
 *
 *   dialogId("ID", "FONT", "ENGLISH")
 *   dialogStr("TEXT")
 *
 * where the font tells who speaks.  sound/share/SET/LANG/ID.ogg belongs to
 * script/share/SET_dialogs_LANG.lua; identifiers are unique over these files.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/folder_list.h"
#include "data/deb_package.h"
#include "data/layout_tools.h"
#include "data/layouts.h"
#include "data/package_speech.h"

#define GAME             "usr/share/games/fillets-ng"
#define MAX_SCRIPT_BYTES ((size_t)4 << 20)

static const char *const languages[] = {"cs", "nl"};

typedef struct line {
    const char *text, *font;
} line;

typedef struct dialogs {
    s3r_package_speech speech;
    const char *language;
    size_t root_length; /* of the folder of sounds with its slash */
    /* Of the level that is read. */
    s3r_string_map ids; /* to index of lines */
    line *lines;
    size_t count, capacity;
    s3r_arena owned;
} dialogs;

static void forget_lines(dialogs *d)
{
    s3r_free(d->lines);
    s3r_string_map_release(&d->ids);
    s3r_arena_release(&d->owned);
    d->lines = NULL;
    d->count = d->capacity = 0;
    s3r_arena_init(&d->owned, 1 << 14);
}

static void skip_space(const char **at, const char *end)
{
    while (*at < end && strchr(" \t\r\n", **at) && **at)
        (*at)++;
}

static bool skip_word(const char **at, const char *end, const char *word)
{
    size_t length = strlen(word);
    skip_space(at, end);
    if ((size_t)(end - *at) < length || memcmp(*at, word, length) != 0)
        return false;
    *at += length;
    return true;
}

/* A Lua string in double quotes, without escapes, in the arena; *text NULL when there is
 * none. */
static s3r_status read_string(const char **text, dialogs *d, const char **at,
                              const char *end, s3r_error *err)
{
    *text = NULL;
    if (!skip_word(at, end, "\""))
        return S3R_OK;
    const char *close = *at;
    while (close < end && *close != '"')
        close += *close == '\\' && close + 1 < end ? 2 : 1;
    if (close >= end)
        return S3R_OK;
    char *copy = s3r_arena_alloc(&d->owned, (size_t)(close - *at) + 1, 1), *to = copy;
    if (!copy)
        return s3r_fail_memory(err, "a text", (size_t)(close - *at) + 1);
    for (const char *from = *at; from < close; from++) {
        if (*from == '\\' && from + 1 < close) {
            from++;
            *to++ = *from == 'n' || *from == 't' ? ' ' : *from;
        } else if (*from != '\0') {
            *to++ = *from;
        }
    }
    *to = '\0';
    *at = close + 1;
    *text = copy;
    return S3R_OK;
}

static s3r_status add_line(dialogs *d, const char *id, const char *font, const char *text,
                           s3r_error *err)
{
    size_t *stored;
    if (d->count == d->capacity) {
        size_t larger = d->capacity ? 2 * d->capacity : 64;
        line *grown = s3r_realloc(d->lines, d->capacity, larger, sizeof *grown);
        if (!grown)
            return s3r_fail_memory(err, "dialogues", larger * sizeof *grown);
        d->lines = grown;
        d->capacity = larger;
    }
    S3R_TRY(s3r_string_map_add(&d->ids, id, d->count, &stored, NULL, err));
    *stored = d->count;
    d->lines[d->count++] = (line){text, font};
    return S3R_OK;
}

/* What follows "dialogId"; something else than a dialogue is passed over. */
static s3r_status parse_dialog(dialogs *d, const char **at, const char *end,
                               s3r_error *err)
{
    const char *id = NULL, *font = NULL, *english = NULL, *text = NULL;
    if (!skip_word(at, end, "("))
        return S3R_OK;
    S3R_TRY(read_string(&id, d, at, end, err));
    if (!id || !skip_word(at, end, ","))
        return S3R_OK;
    S3R_TRY(read_string(&font, d, at, end, err));
    if (!font || !skip_word(at, end, ","))
        return S3R_OK;
    S3R_TRY(read_string(&english, d, at, end, err));
    if (!english || !skip_word(at, end, ")") || !skip_word(at, end, "dialogStr") ||
        !skip_word(at, end, "("))
        return S3R_OK;
    S3R_TRY(read_string(&text, d, at, end, err));
    return text ? add_line(d, id, font, text, err) : S3R_OK;
}

static s3r_status parse_script(dialogs *d, const char *path, s3r_error *err)
{
    static const char mark[] = "dialogId";
    s3r_file_map map;
    S3R_TRY(s3r_file_map_open(&map, path, S3R_ERR_DATA, err));
    s3r_status status = S3R_OK;
    if (map.size > MAX_SCRIPT_BYTES)
        status = s3r_fail(err, S3R_ERR_DATA, "%s: expected at most %zu bytes, found %zu",
                          path, MAX_SCRIPT_BYTES, map.size);
    const char *at = (const char *)map.data, *end = map.size ? at + map.size : at;
    while (status == S3R_OK && (size_t)(end - at) >= sizeof mark) {
        if (memcmp(at, mark, sizeof mark - 1) != 0) {
            at++;
            continue;
        }
        at += sizeof mark - 1;
        status = parse_dialog(d, &at, end, err);
    }
    s3r_file_map_close(&map);
    return status;
}

/* The scripts of a level: dialogs_LANG.lua, and for "share" all *_dialogs_LANG.lua. */
static s3r_status load_level(dialogs *d, const char *scripts, const char *level,
                             s3r_error *err)
{
    char ending[32];
    s3r_folder_list list = {0};
    char *folder = s3r_path_join(scripts, level);
    forget_lines(d);
    if (!folder)
        return s3r_fail_memory(err, "a path", strlen(scripts));
    if (!s3r_path_is_folder(folder)) {
        s3r_free(folder);
        return S3R_OK;
    }
    bool is_shared = strcmp(level, "share") == 0;
    snprintf(ending, sizeof ending, "%sdialogs_%s.lua", is_shared ? "_" : "",
             d->language);
    s3r_status status = s3r_folder_list_read(&list, folder, ending, S3R_ERR_DATA, err);
    for (size_t i = 0; status == S3R_OK && i < list.count; i++) {
        if (!is_shared && strcmp(list.names[i], ending) != 0)
            continue;
        char *path = s3r_path_join(folder, list.names[i]);
        status = path ? parse_script(d, path, err)
                      : s3r_fail_memory(err, "a path", strlen(folder));
        s3r_free(path);
    }
    s3r_folder_list_release(&list);
    s3r_free(folder);
    return status;
}

static s3r_status add_recording(dialogs *d, const char *path, const char *name,
                                s3r_error *err)
{
    char id[256], speaker[64];
    const char *text = NULL, *font = "";
    snprintf(id, sizeof id, "%.*s", (int)(strlen(name) - strlen(".ogg")), name);
    const size_t *index = s3r_string_map_find(&d->ids, id);
    if (index) {
        text = d->lines[*index].text;
        font = d->lines[*index].font;
    }
    if (strncmp(font, "font_", 5) == 0)
        font += 5;
    snprintf(speaker, sizeof speaker, "fillets-%s-%.40s", d->language, font);
    const s3r_speech_pair pair = {.path = path,
                                  .id = path + d->root_length,
                                  .language = d->language,
                                  .speaker = speaker,
                                  .text = text};
    return s3r_package_speech_add(&d->speech, &pair, err);
}

/* FOLDER/LANG/ID.ogg */
static s3r_status add_recordings(dialogs *d, const char *folder, s3r_error *err)
{
    s3r_folder_list list;
    char *inner = s3r_path_join(folder, d->language);
    if (!inner)
        return s3r_fail_memory(err, "a path", strlen(folder));
    if (!s3r_path_is_folder(inner)) {
        s3r_free(inner);
        return S3R_OK;
    }
    s3r_status status = s3r_folder_list_read(&list, inner, ".ogg", S3R_ERR_DATA, err);
    if (status != S3R_OK) {
        s3r_free(inner);
        return status;
    }
    for (size_t i = 0; i < list.count && status == S3R_OK; i++) {
        char *path = s3r_path_join(inner, list.names[i]);
        status = path ? add_recording(d, path, list.names[i], err)
                      : s3r_fail_memory(err, "a path", strlen(inner));
        s3r_free(path);
    }
    s3r_folder_list_release(&list);
    s3r_free(inner);
    return status;
}

static s3r_status add_shared(dialogs *d, const char *folder, s3r_error *err)
{
    s3r_folder_list sets;
    S3R_TRY(s3r_folder_list_read(&sets, folder, "", S3R_ERR_DATA, err));
    s3r_status status = S3R_OK;
    for (size_t i = 0; i < sets.count && status == S3R_OK; i++) {
        char *path = s3r_path_join(folder, sets.names[i]);
        status = path ? add_recordings(d, path, err)
                      : s3r_fail_memory(err, "a path", strlen(folder));
        s3r_free(path);
    }
    s3r_folder_list_release(&sets);
    return status;
}

static s3r_status read_levels(dialogs *d, const char *scripts, const char *sounds,
                              s3r_error *err)
{
    s3r_folder_list levels;
    S3R_TRY(s3r_folder_list_read(&levels, sounds, "", S3R_ERR_DATA, err));
    s3r_status status = S3R_OK;
    for (size_t i = 0; i < levels.count && status == S3R_OK; i++) {
        const char *level = levels.names[i];
        char *path = s3r_path_join(sounds, level);
        if (!path)
            status = s3r_fail_memory(err, "a path", strlen(sounds));
        else if (s3r_path_is_folder(path)) {
            status = load_level(d, scripts, level, err);
            if (status == S3R_OK)
                status = strcmp(level, "share") == 0 ? add_shared(d, path, err)
                                                     : add_recordings(d, path, err);
        }
        s3r_free(path);
    }
    s3r_folder_list_release(&levels);
    return status;
}

/* Both folders, or NULL where the source lacks one. */
static s3r_status find_folders(char **scripts, char **sounds,
                               const s3r_corpus_request *request, const char *language,
                               s3r_error *err)
{
    char name[64], probe[128], *script_root = NULL, *sound_root = NULL;
    snprintf(name, sizeof name, "fillets-ng-data-%s", language);
    snprintf(probe, sizeof probe, GAME "/sound/airplane/%s", language);
    *scripts = *sounds = NULL;
    S3R_TRY(s3r_deb_package_find(&script_root, request, "fillets-ng-data", GAME "/script",
                                 err));
    s3r_status status = s3r_deb_package_find(&sound_root, request, name, probe, err);
    if (status == S3R_OK && script_root && sound_root) {
        *scripts = s3r_path_join(script_root, GAME "/script");
        *sounds = s3r_path_join(sound_root, GAME "/sound");
        if (!*scripts || !*sounds)
            status = s3r_fail_memory(err, "a path", sizeof GAME);
    }
    s3r_free(script_root);
    s3r_free(sound_root);
    return status;
}

static s3r_status read_language(s3r_corpus *corpus, const s3r_corpus_request *request,
                                const char *language, bool *is_there, s3r_error *err)
{
    char *scripts, *sounds;
    dialogs d = {.speech = {.corpus = corpus, .source = "fillets"}, .language = language};
    s3r_status status = find_folders(&scripts, &sounds, request, language, err);
    *is_there = status == S3R_OK && scripts && sounds;
    s3r_arena_init(&d.owned, 1 << 14);
    if (*is_there) {
        d.root_length = strlen(sounds) + 1;
        status = read_levels(&d, scripts, sounds, err);
    }
    forget_lines(&d);
    s3r_arena_release(&d.owned);
    s3r_package_speech_release(&d.speech);
    s3r_free(scripts);
    s3r_free(sounds);
    return status;
}

static s3r_status read_fillets(s3r_corpus *corpus, const s3r_corpus_request *request,
                               s3r_error *err)
{
    bool is_known = false, has_any = false;
    for (size_t i = 0; i < S3R_ARRAY_LEN(languages); i++) {
        bool is_there;
        if (!s3r_language_matches(request->language, languages[i]))
            continue;
        is_known = true;
        S3R_TRY(read_language(corpus, request, languages[i], &is_there, err));
        has_any = has_any || is_there;
    }
    if (!is_known)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "fillets: expected the language cs or nl, found \"%s\"",
                        request->language);
    if (!has_any)
        return s3r_fail(
            err, S3R_ERR_DATA,
            "%s: expected fillets-ng-data_*.deb and fillets-ng-data-LANG_*.deb "
            "in it, or their files",
            request->source);
    return S3R_OK;
}

const s3r_layout s3r_layout_fillets = {
    .name = "fillets",
    .summary = "The dialogues of Fish Fillets (Debian: fillets-ng-data-cs, -nl), cs nl",
    .read = read_fillets,
};
