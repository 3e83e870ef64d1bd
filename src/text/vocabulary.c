/*
 * Opening a vocabulary: finding the file, the blank, and how each label is printed.
 *
 * What a label prints is decided once, here: nothing for special labels and the blank,
 * the delimiter's text for the delimiter, the (lower-cased) label for the others.
 * Decoding then only joins.
 */
#include "text/vocabulary.h"

#include <string.h>
#include <utf8proc.h>

#include "base/file.h"
#include "base/folder_list.h"
#include "base/memory.h"
#include "text/vocabulary_read.h"

s3r_status s3r_vocabulary_reserve(s3r_vocabulary *vocabulary, size_t count,
                                  s3r_error *err)
{
    vocabulary->labels = s3r_alloc(count, sizeof *vocabulary->labels);
    vocabulary->is_special = s3r_alloc(count, sizeof *vocabulary->is_special);
    if (!vocabulary->labels || !vocabulary->is_special)
        return s3r_fail_memory(err, "a vocabulary", count * sizeof *vocabulary->labels);
    vocabulary->count = count;
    return S3R_OK;
}

uint32_t s3r_vocabulary_find(const s3r_vocabulary *vocabulary, const char *label)
{
    for (size_t i = 0; i < vocabulary->count; i++)
        if (strcmp(vocabulary->labels[i], label) == 0)
            return (uint32_t)i;
    return S3R_NO_LABEL;
}

static bool is_dictionary_name(const char *name)
{
    size_t length = strlen(name);
    return length > strlen("dict..txt") && strncmp(name, "dict.", 5) == 0 &&
           strcmp(name + length - 4, ".txt") == 0;
}

/* The dictionary of a folder, chosen so that the choice is never a guess. */
static s3r_status choose_dictionary(const char **chosen, const s3r_folder_list *list,
                                    const char *folder, s3r_error *err)
{
    static const char *const preferred[] = {"dict.ltr.txt", "dict.phn.txt"};
    *chosen = NULL;
    for (size_t p = 0; p < S3R_ARRAY_LEN(preferred); p++)
        for (size_t i = 0; i < list->count; i++)
            if (strcmp(list->names[i], preferred[p]) == 0) {
                *chosen = list->names[i];
                return S3R_OK;
            }
    for (size_t i = 0; i < list->count; i++) {
        if (!is_dictionary_name(list->names[i]))
            continue;
        if (*chosen)
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: expected one vocabulary, found %s and %s", folder,
                            *chosen, list->names[i]);
        *chosen = list->names[i];
    }
    if (!*chosen)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: no vocabulary: expected vocab.json or dict.*.txt", folder);
    return S3R_OK;
}

/* Without memory the answer is yes: opening the vocabulary then says what is wrong. */
bool s3r_vocabulary_exists(const char *folder)
{
    s3r_folder_list list;
    char *path = s3r_path_join(folder, "vocab.json");
    bool exists = !path || s3r_path_exists(path);
    s3r_free(path);
    if (exists)
        return true;
    s3r_status status = s3r_folder_list_read(&list, folder, ".txt", S3R_ERR_MODEL, NULL);
    if (status != S3R_OK)
        return status == S3R_ERR_RESOURCE;
    for (size_t i = 0; i < list.count; i++)
        exists = exists || is_dictionary_name(list.names[i]);
    s3r_folder_list_release(&list);
    return exists;
}

static s3r_status read_dictionary(s3r_vocabulary *vocabulary, const char *folder,
                                  s3r_error *err)
{
    s3r_folder_list list;
    const char *name;
    S3R_TRY(s3r_folder_list_read(&list, folder, ".txt", S3R_ERR_MODEL, err));
    s3r_status status = choose_dictionary(&name, &list, folder, err);
    if (status == S3R_OK) {
        vocabulary->path = s3r_path_join(folder, name);
        if (vocabulary->path)
            status = s3r_vocabulary_read_fairseq(vocabulary, vocabulary->path, err);
        else
            status = s3r_fail_memory(err, "a path", strlen(folder) + strlen(name) + 2);
    }
    s3r_folder_list_release(&list);
    return status;
}

static s3r_status read_labels(s3r_vocabulary *vocabulary, const char *folder,
                              const json_t *config, const char *target_language,
                              s3r_error *err)
{
    char *path = s3r_path_join(folder, "vocab.json");
    if (!path)
        return s3r_fail_memory(err, "a path", strlen(folder) + sizeof "/vocab.json");
    bool is_hf = s3r_path_exists(path);
    if (!is_hf) {
        s3r_free(path);
        if (target_language)
            return s3r_fail(err, S3R_ERR_USAGE,
                            "%s: language \"%s\" was asked for, but there is no "
                            "vocab.json with languages",
                            folder, target_language);
        return read_dictionary(vocabulary, folder, err);
    }
    vocabulary->path = path;
    S3R_TRY(s3r_vocabulary_read_hf(vocabulary, folder, target_language, err));
    const json_t *pad = json_object_get(config, "pad_token_id");
    if (!pad || json_is_null(pad))
        return S3R_OK;
    if (!json_is_integer(pad))
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s/config.json: \"pad_token_id\": expected a whole number",
                        folder);
    if (json_integer_value(pad) < 0 ||
        (unsigned long long)json_integer_value(pad) >= vocabulary->count)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s/config.json: \"pad_token_id\" (the blank): expected an id "
                        "below %zu, found %lld",
                        folder, vocabulary->count, (long long)json_integer_value(pad));
    vocabulary->blank_id = (uint32_t)json_integer_value(pad);
    return S3R_OK;
}

/* More than one character as a reader sees them: "tʃ" yes, "é" in two code points no. */
static bool has_many_characters(const char *label)
{
    utf8proc_int32_t previous = -1, current, state = 0;
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)label;
    for (utf8proc_ssize_t used; *at; at += used) {
        used = utf8proc_iterate(at, -1, &current);
        if (used <= 0)
            return false;
        if (previous >= 0 && utf8proc_grapheme_break_stateful(previous, current, &state))
            return true;
        previous = current;
    }
    return false;
}

static bool looks_like_phonemes(const s3r_vocabulary *vocabulary)
{
    if (vocabulary->delimiter_id != S3R_NO_LABEL)
        return false;
    for (size_t i = 0; i < vocabulary->count; i++)
        if (!vocabulary->is_special[i] && i != vocabulary->blank_id &&
            has_many_characters(vocabulary->labels[i]))
            return true;
    return false;
}

/* Lower case by the simple one-to-one mapping of Unicode; NULL without memory. */
static char *lower_case(const char *label)
{
    char *lower = s3r_alloc(strlen(label) + 1, 4); /* a character takes at most 4 bytes */
    if (!lower)
        return NULL;
    const utf8proc_uint8_t *from = (const utf8proc_uint8_t *)label;
    utf8proc_uint8_t *to = (utf8proc_uint8_t *)lower;
    utf8proc_int32_t character;
    for (utf8proc_ssize_t used; *from; from += used) {
        used = utf8proc_iterate(from, -1, &character);
        if (used <= 0)
            break;
        to += utf8proc_encode_char(utf8proc_tolower(character), to);
    }
    return lower;
}

s3r_status s3r_vocabulary_set_printed(s3r_vocabulary *vocabulary, s3r_error *err)
{
    vocabulary->printed = s3r_alloc(vocabulary->count, sizeof *vocabulary->printed);
    if (!vocabulary->printed)
        return s3r_fail_memory(err, "a vocabulary", vocabulary->count * sizeof(char *));
    for (size_t i = 0; i < vocabulary->count; i++) {
        const char *label = vocabulary->labels[i];
        if (vocabulary->is_special[i] || i == vocabulary->blank_id)
            continue;
        if (i == vocabulary->delimiter_id && !vocabulary->is_phonemes)
            vocabulary->printed[i] = s3r_strdup(vocabulary->delimiter_text);
        else if (vocabulary->is_lower_case_output)
            vocabulary->printed[i] = lower_case(label);
        else
            vocabulary->printed[i] = s3r_strdup(label);
        if (!vocabulary->printed[i])
            return s3r_fail_memory(err, "a label", strlen(label) + 1);
    }
    return S3R_OK;
}

static s3r_status open_vocabulary(s3r_vocabulary *vocabulary, const char *folder,
                                  const json_t *config, const char *target_language,
                                  s3r_error *err)
{
    S3R_TRY(read_labels(vocabulary, folder, config, target_language, err));
    if (vocabulary->blank_id == S3R_NO_LABEL)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: no blank: expected \"pad_token_id\" in config.json or a "
                        "label \"<pad>\" or \"[PAD]\"",
                        vocabulary->path);
    if (vocabulary->delimiter_id == vocabulary->blank_id)
        return s3r_fail(
            err, S3R_ERR_MODEL,
            "%s: label \"%s\" (id %u) is both the blank and the word delimiter",
            vocabulary->path, vocabulary->labels[vocabulary->blank_id],
            (unsigned)vocabulary->blank_id);
    if (looks_like_phonemes(vocabulary))
        vocabulary->is_phonemes = true;
    return s3r_vocabulary_set_printed(vocabulary, err);
}

s3r_status s3r_vocabulary_open(s3r_vocabulary *out, const char *folder,
                               const json_t *config, const char *target_language,
                               s3r_error *err)
{
    *out = (s3r_vocabulary){.blank_id = S3R_NO_LABEL,
                            .delimiter_id = S3R_NO_LABEL,
                            .unknown_id = S3R_NO_LABEL};
    s3r_status status = open_vocabulary(out, folder, config, target_language, err);
    if (status != S3R_OK)
        s3r_vocabulary_close(out);
    return status;
}

void s3r_vocabulary_close(s3r_vocabulary *vocabulary)
{
    for (size_t i = 0; i < vocabulary->count; i++) {
        s3r_free(vocabulary->labels[i]);
        if (vocabulary->printed)
            s3r_free(vocabulary->printed[i]);
    }
    s3r_free(vocabulary->labels);
    s3r_free(vocabulary->printed);
    s3r_free(vocabulary->is_special);
    s3r_free(vocabulary->delimiter_text);
    s3r_free(vocabulary->path);
    *vocabulary = (s3r_vocabulary){0};
}

s3r_status s3r_vocabulary_check_head(const s3r_vocabulary *vocabulary, size_t head_rows,
                                     s3r_error *err)
{
    if (head_rows > vocabulary->count)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: expected %zu labels for the %zu outputs of the head, "
                        "found %zu",
                        vocabulary->path, head_rows, head_rows, vocabulary->count);
    for (size_t i = head_rows; i < vocabulary->count; i++)
        if (!vocabulary->is_special[i])
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: label \"%s\" has id %zu, but the head has only %zu "
                            "outputs",
                            vocabulary->path, vocabulary->labels[i], i, head_rows);
    if (vocabulary->blank_id >= head_rows)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: the blank has id %u, but the head has only %zu outputs",
                        vocabulary->path, (unsigned)vocabulary->blank_id, head_rows);
    return S3R_OK;
}
