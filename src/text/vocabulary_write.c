/*
 * vocab.json {label: id} in the order of ids, and the two files that name the special
 * labels.  A special label that the vocabulary lacks is null: transformers would
 * otherwise add its own after the last row of the head.
 */
#include "text/vocabulary_write.h"

#include <string.h>

#include "base/json_write.h"

/* The label that is written for id. */
static const char *written_label(const s3r_vocabulary *vocabulary, uint32_t id)
{
    uint32_t pad = s3r_vocabulary_find(vocabulary, "<pad>");
    bool is_swapped = pad != S3R_NO_LABEL && pad != vocabulary->blank_id &&
                      strcmp(vocabulary->labels[vocabulary->blank_id], "<s>") == 0;
    if (is_swapped && id == vocabulary->blank_id)
        return "<pad>";
    if (is_swapped && id == pad)
        return "<s>";
    return vocabulary->labels[id];
}

static json_t *label_or_null(const s3r_vocabulary *vocabulary, uint32_t id)
{
    return id == S3R_NO_LABEL ? json_null() : json_string(written_label(vocabulary, id));
}

static json_t *named_or_null(const s3r_vocabulary *vocabulary, const char *label)
{
    bool is_there = s3r_vocabulary_find(vocabulary, label) != S3R_NO_LABEL;
    return is_there ? json_string(label) : json_null();
}

static s3r_status add_labels(json_t *labels, const s3r_vocabulary *vocabulary,
                             s3r_error *err)
{
    for (uint32_t i = 0; i < vocabulary->count; i++) {
        const char *label = written_label(vocabulary, i);
        const json_t *before = json_object_get(labels, label);
        if (before)
            return s3r_fail(
                err, S3R_ERR_MODEL,
                "%s: label \"%s\" has the ids %lld and %u, which a vocab.json "
                "cannot say",
                vocabulary->path, label, (long long)json_integer_value(before),
                (unsigned)i);
        if (json_object_set_new(labels, label, json_integer(i)) != 0)
            return s3r_fail_memory(err, "a vocabulary", vocabulary->count);
    }
    return S3R_OK;
}

/* Whether a label is special and none of the keys of make_special names it. */
static bool is_other_special(const s3r_vocabulary *vocabulary, uint32_t id)
{
    const char *label = written_label(vocabulary, id);
    return vocabulary->is_special[id] && id != vocabulary->blank_id &&
           id != vocabulary->unknown_id && strcmp(label, "<s>") != 0 &&
           strcmp(label, "</s>") != 0;
}

/* Adds the labels that would else be printed; nothing where there are none. */
static bool add_other_special(json_t *special, const s3r_vocabulary *vocabulary)
{
    json_t *others = json_array();
    bool is_complete = others != NULL;
    for (uint32_t i = 0; is_complete && i < vocabulary->count; i++)
        if (is_other_special(vocabulary, i))
            is_complete = json_array_append_new(
                              others, json_string(written_label(vocabulary, i))) == 0;
    if (is_complete && json_array_size(others) > 0)
        is_complete = json_object_set(special, "additional_special_tokens", others) == 0;
    json_decref(others);
    return is_complete;
}

static json_t *make_special(const s3r_vocabulary *vocabulary)
{
    json_t *special = json_object();
    bool is_complete =
        special &&
        json_object_set_new(special, "bos_token", named_or_null(vocabulary, "<s>")) ==
            0 &&
        json_object_set_new(special, "eos_token", named_or_null(vocabulary, "</s>")) ==
            0 &&
        json_object_set_new(special, "unk_token",
                            label_or_null(vocabulary, vocabulary->unknown_id)) == 0 &&
        json_object_set_new(special, "pad_token",
                            label_or_null(vocabulary, vocabulary->blank_id)) == 0 &&
        add_other_special(special, vocabulary);
    if (!is_complete) {
        json_decref(special);
        return NULL;
    }
    return special;
}

static json_t *make_tokenizer(const s3r_vocabulary *vocabulary, const json_t *special)
{
    json_t *out = json_copy((json_t *)(uintptr_t)special);
    const char *class_name =
        vocabulary->is_phonemes ? "Wav2Vec2PhonemeCTCTokenizer" : "Wav2Vec2CTCTokenizer";
    json_t *settings =
        json_pack("{s:s, s:b, s:s, s:o}", "tokenizer_class", class_name, "do_lower_case",
                  vocabulary->is_lower_case_output, "replace_word_delimiter_char",
                  vocabulary->delimiter_text, "word_delimiter_token",
                  label_or_null(vocabulary, vocabulary->delimiter_id));
    bool is_complete = out && settings && json_object_update(out, settings) == 0;
    /* The labels are phonemes already: transformers must not look for a phonemizer. */
    if (is_complete && vocabulary->is_phonemes)
        is_complete = json_object_set_new(out, "do_phonemize", json_false()) == 0;
    json_decref(settings);
    if (!is_complete) {
        json_decref(out);
        return NULL;
    }
    return out;
}

s3r_status s3r_vocabulary_save(const s3r_vocabulary *vocabulary, const char *folder,
                               s3r_error *err)
{
    json_t *labels = json_object(), *special = make_special(vocabulary);
    json_t *tokenizer = special ? make_tokenizer(vocabulary, special) : NULL;
    s3r_status status = labels && tokenizer
                            ? add_labels(labels, vocabulary, err)
                            : s3r_fail_memory(err, "a vocabulary", vocabulary->count);
    if (status == S3R_OK)
        status = s3r_json_write(labels, folder, "vocab.json", 0, err);
    if (status == S3R_OK)
        status = s3r_json_write(tokenizer, folder, "tokenizer_config.json", 0, err);
    if (status == S3R_OK)
        status = s3r_json_write(special, folder, "special_tokens_map.json", 0, err);
    json_decref(labels);
    json_decref(special);
    json_decref(tokenizer);
    return status;
}
