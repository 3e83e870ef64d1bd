/*
 * Hugging Face vocabularies: vocab.json and the files that extend it.
 *
 * All sources are merged into one object label -> id first (vocab.json, the labels added
 * in added_tokens.json and in tokenizer_config.json's added_tokens_decoder), which finds
 * labels with two ids; then the ids are laid out, which finds the rest: ids repeated,
 * negative or missing.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json_read.h"
#include "base/memory.h"
#include "text/vocabulary_read.h"

typedef struct hf_files {
    const char *folder;
    const char *path;  /* of vocab.json */
    json_t *vocab;     /* as in the file */
    json_t *added;     /* added_tokens.json; NULL when absent, like the next two */
    json_t *tokenizer; /* tokenizer_config.json */
    json_t *special;   /* special_tokens_map.json */
    json_t *merged;    /* label -> id */
} hf_files;

/* *out stays NULL when folder/name does not exist. */
static s3r_status load_if_present(json_t **out, const char *folder, const char *name,
                                  s3r_error *err)
{
    char *path = s3r_path_join(folder, name);
    if (!path)
        return s3r_fail_memory(err, "a path", strlen(folder) + strlen(name) + 2);
    s3r_status status =
        s3r_path_exists(path) ? s3r_json_file_load(out, path, err) : S3R_OK;
    s3r_free(path);
    return status;
}

/* "eng, fra, spa" in a new string; NULL without memory. */
static char *list_keys(const json_t *object)
{
    const char *key;
    const json_t *value;
    size_t size = 1;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) size += strlen(key) + 2;
    char *text = s3r_alloc(size, 1);
    if (!text)
        return NULL;
    char *at = text;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        size_t length = strlen(key);
        if (at != text) {
            memcpy(at, ", ", 2);
            at += 2;
        }
        memcpy(at, key, length);
        at += length;
    }
    return text;
}

static s3r_status fail_language(const hf_files *files, const char *target_language,
                                s3r_error *err)
{
    char *languages = list_keys(files->vocab);
    if (!languages)
        return s3r_fail_memory(err, "a list of languages", 0);
    s3r_status status =
        target_language
            ? s3r_fail(err, S3R_ERR_USAGE, "%s: no language \"%s\"; it has: %s",
                       files->path, target_language, languages)
            : s3r_fail(err, S3R_ERR_USAGE,
                       "%s: one vocabulary a language; choose a target language of: %s",
                       files->path, languages);
    s3r_free(languages);
    return status;
}

/* The object label -> id inside vocab.json (borrowed). */
static s3r_status choose_language(json_t **labels, const hf_files *files,
                                  const char *target_language, s3r_error *err)
{
    const char *key;
    json_t *value;
    size_t language_count = 0;
    json_object_foreach(files->vocab, key, value) if (json_is_object(value))
        language_count++;
    if (language_count == 0) {
        *labels = files->vocab;
        if (target_language)
            return s3r_fail(err, S3R_ERR_USAGE,
                            "%s: language \"%s\" was asked for, but this is one "
                            "vocabulary without languages",
                            files->path, target_language);
        return S3R_OK;
    }
    if (language_count != json_object_size(files->vocab))
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s: expected ids or languages, found a mixture", files->path);
    *labels = target_language ? json_object_get(files->vocab, target_language) : NULL;
    if (!*labels)
        return fail_language(files, target_language, err);
    return S3R_OK;
}

static s3r_status merge_label(hf_files *files, const char *label, const json_t *id,
                              const char *file, s3r_error *err)
{
    if (!json_is_integer(id))
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s/%s: \"%s\": expected a whole number as id, found something "
                        "else",
                        files->folder, file, label);
    json_int_t number = json_integer_value(id);
    if (number < 0)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s/%s: \"%s\": expected an id of at least 0, found %lld",
                        files->folder, file, label, (long long)number);
    const json_t *known = json_object_get(files->merged, label);
    if (known && json_integer_value(known) != number)
        return s3r_fail(err, S3R_ERR_MODEL,
                        "%s/%s: \"%s\" has id %lld here and id %lld in another file",
                        files->folder, file, label, (long long)number,
                        (long long)json_integer_value(known));
    if (!known &&
        json_object_set_new_nocheck(files->merged, label, json_integer(number)) != 0)
        return s3r_fail_memory(err, "a vocabulary", strlen(label));
    return S3R_OK;
}

static s3r_status merge_object(hf_files *files, json_t *labels, const char *file,
                               s3r_error *err)
{
    const char *label;
    json_t *id;
    json_object_foreach(labels, label, id)
        S3R_TRY(merge_label(files, label, id, file, err));
    return S3R_OK;
}

/* {"28": {"content": "[UNK]", ...}}: ids are keys there. */
static s3r_status merge_decoder(hf_files *files, s3r_error *err)
{
    const char *key;
    json_t *token;
    json_object_foreach(json_object_get(files->tokenizer, "added_tokens_decoder"), key,
                        token)
    {
        const char *label = json_string_value(json_object_get(token, "content"));
        char *end;
        long long number = strtoll(key, &end, 10);
        if (!label || end == key || *end)
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s/tokenizer_config.json: added_tokens_decoder: \"%s\": "
                            "expected an id with a \"content\"",
                            files->folder, key);
        json_t *id = json_integer(number);
        if (!id)
            return s3r_fail_memory(err, "a vocabulary", sizeof number);
        s3r_status status = merge_label(files, label, id, "tokenizer_config.json", err);
        json_decref(id);
        S3R_TRY(status);
    }
    return S3R_OK;
}

static s3r_status merge_all(hf_files *files, const char *target_language, s3r_error *err)
{
    json_t *labels = NULL;
    S3R_TRY(choose_language(&labels, files, target_language, err));
    files->merged = json_object();
    if (!files->merged)
        return s3r_fail_memory(err, "a vocabulary", 0);
    S3R_TRY(merge_object(files, labels, "vocab.json", err));
    S3R_TRY(merge_object(files, files->added, "added_tokens.json", err));
    return merge_decoder(files, err);
}

static s3r_status lay_out_ids(s3r_vocabulary *vocabulary, const hf_files *files,
                              s3r_error *err)
{
    const char *label;
    json_t *id;
    size_t count = json_object_size(files->merged);
    if (count == 0)
        return s3r_fail(err, S3R_ERR_MODEL, "%s: expected labels, found none",
                        files->path);
    S3R_TRY(s3r_vocabulary_reserve(vocabulary, count, err));
    json_object_foreach(files->merged, label, id)
    {
        size_t at = (size_t)json_integer_value(id);
        if (at >= count) /* some smaller id is then missing: found below */
            continue;
        if (vocabulary->labels[at])
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: labels \"%s\" and \"%s\" have the same id %zu",
                            files->path, vocabulary->labels[at], label, at);
        vocabulary->labels[at] = s3r_strdup(label);
        if (!vocabulary->labels[at])
            return s3r_fail_memory(err, "a label", strlen(label) + 1);
    }
    for (size_t i = 0; i < count; i++)
        if (!vocabulary->labels[i])
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: no label has id %zu: expected the ids of %zu labels to "
                            "be 0 to %zu",
                            files->path, i, count, count - 1);
    return S3R_OK;
}

/* Of a token field: its text, written plainly or as {"content": text}; NULL if neither.
 */
static const char *token_text(const json_t *token)
{
    return json_string_value(json_is_object(token) ? json_object_get(token, "content")
                                                   : token);
}

/* The text of a token field; `otherwise` when no file has the field, NULL for null. */
static const char *token_field(const hf_files *files, const char *field,
                               const char *otherwise)
{
    const json_t *token = json_object_get(files->tokenizer, field);
    if (!token)
        token = json_object_get(files->special, field);
    return token ? token_text(token) : otherwise;
}

/* The id of the label of a token field; S3R_NO_LABEL for a NULL or unknown label. */
static uint32_t find_token(const s3r_vocabulary *vocabulary, const char *label)
{
    return label ? s3r_vocabulary_find(vocabulary, label) : S3R_NO_LABEL;
}

static void mark_special(s3r_vocabulary *vocabulary, const char *label)
{
    uint32_t id = find_token(vocabulary, label);
    if (id != S3R_NO_LABEL)
        vocabulary->is_special[id] = true;
}

static void mark_all_special(s3r_vocabulary *vocabulary, const hf_files *files)
{
    static const char *const always[] = {"<s>",   "</s>",  "<unk>",
                                         "<pad>", "[UNK]", "[PAD]"};
    static const char *const fields[] = {"bos_token", "eos_token", "unk_token",
                                         "pad_token", "cls_token", "sep_token",
                                         "mask_token"};
    const json_t *sources[] = {files->tokenizer, files->special};
    for (size_t i = 0; i < S3R_ARRAY_LEN(always); i++)
        mark_special(vocabulary, always[i]);
    for (size_t s = 0; s < S3R_ARRAY_LEN(sources); s++) {
        for (size_t i = 0; i < S3R_ARRAY_LEN(fields); i++)
            mark_special(vocabulary, token_text(json_object_get(sources[s], fields[i])));
        const json_t *more = json_object_get(sources[s], "additional_special_tokens");
        for (size_t i = 0; i < json_array_size(more); i++)
            mark_special(vocabulary, token_text(json_array_get(more, i)));
    }
    const char *key;
    json_t *token;
    json_object_foreach(json_object_get(files->tokenizer, "added_tokens_decoder"), key,
                        token)
    {
        if (json_is_true(json_object_get(token, "special")))
            mark_special(vocabulary, token_text(token));
    }
}

static s3r_status apply_tokenizer(s3r_vocabulary *vocabulary, const hf_files *files,
                                  s3r_error *err)
{
    const char *class_name =
        json_string_value(json_object_get(files->tokenizer, "tokenizer_class"));
    vocabulary->is_phonemes =
        class_name && strstr(class_name, "PhonemeCTCTokenizer") != NULL;
    mark_all_special(vocabulary, files);

    /* Phoneme tokenizers have no delimiter unless they name one. */
    const char *usual = vocabulary->is_phonemes ? NULL : "|";
    const char *delimiter = token_field(files, "word_delimiter_token", usual);
    vocabulary->delimiter_id = find_token(vocabulary, delimiter);
    if (vocabulary->delimiter_id == S3R_NO_LABEL && delimiter)
        vocabulary->delimiter_id = s3r_vocabulary_find(vocabulary, " ");
    if (vocabulary->delimiter_id != S3R_NO_LABEL)
        vocabulary->is_special[vocabulary->delimiter_id] = false;

    const char *text = token_field(files, "replace_word_delimiter_char", " ");
    vocabulary->delimiter_text = s3r_strdup(text ? text : " ");
    if (!vocabulary->delimiter_text)
        return s3r_fail_memory(err, "a label", 2);
    vocabulary->is_lower_case_output =
        json_is_true(json_object_get(files->tokenizer, "do_lower_case"));

    vocabulary->unknown_id =
        find_token(vocabulary, token_field(files, "unk_token", NULL));
    static const char *const unknown[] = {"<unk>", "[UNK]"}, *const pad[] = {"[PAD]",
                                                                             "<pad>"};
    vocabulary->blank_id = find_token(vocabulary, token_field(files, "pad_token", NULL));
    for (size_t i = 0; i < 2; i++) {
        if (vocabulary->unknown_id == S3R_NO_LABEL)
            vocabulary->unknown_id = s3r_vocabulary_find(vocabulary, unknown[i]);
        if (vocabulary->blank_id == S3R_NO_LABEL)
            vocabulary->blank_id = s3r_vocabulary_find(vocabulary, pad[i]);
    }
    return S3R_OK;
}

static s3r_status load_all(hf_files *files, s3r_error *err)
{
    S3R_TRY(load_if_present(&files->vocab, files->folder, "vocab.json", err));
    S3R_TRY(load_if_present(&files->added, files->folder, "added_tokens.json", err));
    S3R_TRY(
        load_if_present(&files->tokenizer, files->folder, "tokenizer_config.json", err));
    return load_if_present(&files->special, files->folder, "special_tokens_map.json",
                           err);
}

s3r_status s3r_vocabulary_read_hf(s3r_vocabulary *vocabulary, const char *folder,
                                  const char *target_language, s3r_error *err)
{
    hf_files files = {.folder = folder, .path = vocabulary->path};
    s3r_status status = load_all(&files, err);
    if (status == S3R_OK)
        status = merge_all(&files, target_language, err);
    if (status == S3R_OK)
        status = lay_out_ids(vocabulary, &files, err);
    if (status == S3R_OK)
        status = apply_tokenizer(vocabulary, &files, err);
    json_decref(files.vocab);
    json_decref(files.added);
    json_decref(files.tokenizer);
    json_decref(files.special);
    json_decref(files.merged);
    return status;
}
