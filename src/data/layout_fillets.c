/*
 * The dialogues of Fish Fillets in Czech and Dutch: sound/LEVEL/LANG/ID.ogg, and the text
 * of ID in script/LEVEL/dialogs_LANG.lua.  sound/share/SET/LANG/ID.ogg belongs to
 * script/share/SET_dialogs_LANG.lua; identifiers are unique over these files.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/folder_list.h"
#include "data/deb_package.h"
#include "data/layout_tools.h"
#include "data/layouts.h"
#include "data/lua_dialogs.h"
#include "data/package_speech.h"

#define GAME             "usr/share/games/fillets-ng"
#define MAX_SCRIPT_BYTES ((size_t)4 << 20)

static const char *const languages[] = {"cs", "nl"};

typedef struct dialogs {
    s3r_package_speech speech;
    const char *language;
    size_t root_length;    /* of the folder of sounds with its slash */
    s3r_lua_dialogs level; /* those of the level that is read */
} dialogs;

static s3r_status parse_script(dialogs *d, const char *path, s3r_error *err)
{
    s3r_file_map map;
    S3R_TRY(s3r_file_map_open(&map, path, S3R_ERR_DATA, err));
    s3r_status status =
        map.size > MAX_SCRIPT_BYTES
            ? s3r_fail(err, S3R_ERR_DATA, "%s: expected at most %zu bytes, found %zu",
                       path, MAX_SCRIPT_BYTES, map.size)
            : s3r_lua_dialogs_parse(&d->level, (const char *)map.data, map.size, err);
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
    s3r_lua_dialogs_release(&d->level);
    s3r_lua_dialogs_init(&d->level);
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
    snprintf(id, sizeof id, "%.*s", (int)(strlen(name) - strlen(".ogg")), name);
    const s3r_lua_dialog *dialog = s3r_lua_dialogs_find(&d->level, id);
    const char *text = dialog ? dialog->text : NULL, *font = dialog ? dialog->font : "";
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
    s3r_lua_dialogs_init(&d.level);
    if (*is_there) {
        d.root_length = strlen(sounds) + 1;
        status = read_levels(&d, scripts, sounds, err);
    }
    s3r_lua_dialogs_release(&d.level);
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
