/*
 * Each manifest's texts become plain (and phones), are written beside the vocabulary, and
 * their units are collected in one set.
 */
#include "data/vocabulary_build.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/file.h"
#include "data/corpus.h"
#include "data/manifest_place.h"
#include "data/phones.h"
#include "data/string_map.h"
#include "text/plain_text.h"
#include "text/vocabulary_encode.h"
#include "text/vocabulary_write.h"

static const char *const special_labels[] = {"<pad>", "<s>", "</s>", "<unk>", "|"};

typedef struct builder {
    const s3r_vocabulary_request *request;
    const char *folder;
    s3r_vocabulary_report *report;
    s3r_arena owned; /* texts and units */
    s3r_string_map known;
    const char **units;
    size_t unit_count, unit_capacity;
} builder;

/* The utterances of one manifest that are used, with their new texts. */
typedef struct selection {
    s3r_utterance *items;
    size_t count;
} selection;

/* ---- texts ---- */

static s3r_status make_text(builder *b, char **text, const char *from, s3r_error *err)
{
    const s3r_plain_text_options options = {
        .text_case = b->request->text_case, .keeps_hyphens = true, .keeps_symbols = true};
    S3R_TRY(b->request->keeps_punctuation
                ? s3r_text_normalize(text, &b->owned, from, options.text_case, err)
                : s3r_text_make_plain(text, &b->owned, from, &options, err));
    /* "|" is the label between words. */
    for (char *at = *text; (at = strchr(at, '|'));)
        *at = ' ';
    return S3R_OK;
}

static void note_digits(builder *b, const char *text)
{
    s3r_vocabulary_report *report = b->report;
    for (const char *at = text; *at;) {
        if (!s3r_character_is_digit(s3r_character_next(&at)))
            continue;
        if (report->with_digits++ == 0)
            snprintf(report->digit_example, sizeof report->digit_example, "%.200s", text);
        return;
    }
}

static bool is_blank(const char *text)
{
    for (int32_t character; (character = s3r_character_next(&text)) != 0;)
        if (!s3r_character_is_space(character))
            return false;
    return true;
}

static s3r_status select_texts(builder *b, selection *out, const s3r_manifest *manifest,
                               s3r_error *err)
{
    *out = (selection){
        .items = s3r_arena_alloc(&b->owned, manifest->count, sizeof *out->items)};
    if (!out->items)
        return s3r_fail_memory(err, "a manifest", manifest->count * sizeof *out->items);
    for (size_t i = 0; i < manifest->count; i++) {
        s3r_utterance item = manifest->items[i];
        char *text = NULL;
        if (!s3r_language_matches(b->request->language, item.language))
            continue;
        if (item.text)
            S3R_TRY(make_text(b, &text, item.text, err));
        if (!text || is_blank(text)) {
            b->report->without_text++;
            continue;
        }
        note_digits(b, text);
        item.text = text;
        out->items[out->count++] = item;
    }
    return S3R_OK;
}

/* ---- phones ---- */

static const char *voice_of(const builder *b, const s3r_utterance *item)
{
    if (b->request->voice)
        return b->request->voice;
    return item->language ? item->language : b->request->language;
}

/* Phones of the items of one voice, given by their indices. */
static s3r_status speak_group(builder *b, selection *s, const size_t *indices,
                              size_t count, const char *voice, s3r_error *err)
{
    const char **texts = s3r_arena_alloc(&b->owned, count, 2 * sizeof *texts);
    if (!texts)
        return s3r_fail_memory(err, "texts", count * sizeof *texts);
    const char **phones = texts + count;
    for (size_t i = 0; i < count; i++)
        texts[i] = s->items[indices[i]].text;
    S3R_TRY(s3r_phones_make(phones, &b->owned, texts, count, voice, err));
    for (size_t i = 0; i < count; i++)
        s->items[indices[i]].text = phones[i];
    return S3R_OK;
}

static void drop_silent(builder *b, selection *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].text[0] != '\0')
            s->items[kept++] = s->items[i];
    b->report->without_text += s->count - kept;
    s->count = kept;
}

static s3r_status make_phones(builder *b, selection *s, s3r_error *err)
{
    size_t *group = s3r_arena_alloc(&b->owned, s->count, sizeof *group);
    bool *is_done = s3r_arena_alloc(&b->owned, s->count, sizeof *is_done);
    if (!group || !is_done)
        return s3r_fail_memory(err, "texts", s->count * sizeof *group);
    memset(is_done, 0, s->count * sizeof *is_done);
    for (size_t first = 0; first < s->count; first++) {
        const char *voice = voice_of(b, &s->items[first]);
        size_t count = 0;
        if (is_done[first])
            continue;
        if (!voice)
            return s3r_fail(err, S3R_ERR_USAGE,
                            "utterance \"%.200s\": phones need a language: its manifest "
                            "has none, name it with --lang",
                            s->items[first].id);
        for (size_t i = first; i < s->count; i++) {
            const char *other = voice_of(b, &s->items[i]);
            if (is_done[i] || !other || strcmp(other, voice) != 0)
                continue;
            is_done[i] = true;
            group[count++] = i;
        }
        S3R_TRY(speak_group(b, s, group, count, voice, err));
    }
    drop_silent(b, s);
    return S3R_OK;
}

/* ---- units ---- */

static s3r_status add_unit(builder *b, const char *unit, size_t length, s3r_error *err)
{
    char stack[256];
    bool is_new;
    if (length >= sizeof stack)
        return s3r_fail(err, S3R_ERR_DATA, "a unit of %zu bytes: expected less than %zu",
                        length, sizeof stack);
    memcpy(stack, unit, length);
    stack[length] = '\0';
    if (s3r_string_map_find(&b->known, stack))
        return S3R_OK;
    if (b->unit_count == b->unit_capacity) {
        size_t larger = b->unit_capacity ? 2 * b->unit_capacity : 128;
        const char **grown =
            s3r_realloc(b->units, b->unit_capacity, larger, sizeof *grown);
        if (!grown)
            return s3r_fail_memory(err, "a vocabulary", larger * sizeof *grown);
        b->units = grown;
        b->unit_capacity = larger;
    }
    char *copy = s3r_arena_alloc(&b->owned, length + 1, 1);
    if (!copy)
        return s3r_fail_memory(err, "a vocabulary", length + 1);
    memcpy(copy, stack, length + 1);
    S3R_TRY(s3r_string_map_add(&b->known, copy, 1, NULL, &is_new, err));
    b->units[b->unit_count++] = copy;
    return S3R_OK;
}

/* Where the unit that begins at `at` ends. */
static const char *unit_end(s3r_vocabulary_unit unit, const char *at)
{
    if (unit == S3R_UNIT_OF_PHONES)
        return at + strcspn(at, " ");
    utf8proc_int32_t previous = s3r_character_next(&at), state = 0;
    while (unit == S3R_UNIT_OF_GRAPHEMES && *at) {
        const char *ahead = at;
        utf8proc_int32_t next = s3r_character_next(&ahead);
        if (utf8proc_grapheme_break_stateful(previous, next, &state))
            break;
        previous = next;
        at = ahead;
    }
    return at;
}

static s3r_status collect_units(builder *b, const char *text, s3r_error *err)
{
    while (*text) {
        const char *start = text, *end = unit_end(b->request->unit, text);
        if (!s3r_character_is_space(s3r_character_next(&text)))
            S3R_TRY(add_unit(b, start, (size_t)(end - start), err));
        text = end > start ? end : text;
    }
    return S3R_OK;
}

/* ---- files ---- */

/* "a/b/train.jsonl" gives "train" and its length. */
static const char *manifest_name(const char *path, size_t *length)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    *length = dot && dot > name ? (size_t)(dot - name) : strlen(name);
    return name;
}

static s3r_status check_names(const s3r_manifest *manifests, size_t count, s3r_error *err)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++) {
            size_t a_length, b_length;
            const char *a = manifest_name(manifests[i].path, &a_length);
            const char *b = manifest_name(manifests[j].path, &b_length);
            if (a_length == b_length && memcmp(a, b, a_length) == 0)
                return s3r_fail(err, S3R_ERR_USAGE,
                                "%s and %s: expected manifests of different names",
                                manifests[j].path, manifests[i].path);
        }
    return S3R_OK;
}

static s3r_status write_manifest(const builder *b, const selection *s, const char *path,
                                 s3r_error *err)
{
    bool is_phones = b->request->unit == S3R_UNIT_OF_PHONES;
    char name[256];
    size_t length;
    const char *stem = manifest_name(path, &length);
    if (s->count == 0)
        return S3R_OK;
    snprintf(name, sizeof name, "%.*s.%s.jsonl", (int)S3R_MIN(length, (size_t)200), stem,
             is_phones ? "phones" : "text");
    char *to = s3r_path_join(b->folder, name);
    if (!to)
        return s3r_fail_memory(err, "a path", strlen(b->folder));
    s3r_status status = s3r_manifest_place(to, s->items, s->count, err);
    s3r_free(to);
    return status;
}

static int compare_units(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *describe(const builder *b)
{
    bool is_phones = b->request->unit == S3R_UNIT_OF_PHONES;
    json_t *labels = json_array();
    bool is_complete = labels != NULL;
    for (size_t i = 0; is_complete && i < S3R_ARRAY_LEN(special_labels); i++)
        is_complete = json_array_append_new(labels, json_string(special_labels[i])) == 0;
    for (size_t i = 0; is_complete && i < b->unit_count; i++)
        is_complete = json_array_append_new(labels, json_string(b->units[i])) == 0;
    if (!is_complete) {
        json_decref(labels);
        return NULL;
    }
    return json_pack("{s:o, s:[i,i,i,i], s:i, s:i, s:i, s:s, s:b, s:b}", "labels", labels,
                     "special", 0, 1, 2, 3, "blank", 0, "delimiter", 4, "unknown", 3,
                     "delimiter_text", " ", "lower_case_output", 0, "phonemes",
                     is_phones);
}

static s3r_status write_vocabulary(builder *b, s3r_error *err)
{
    s3r_vocabulary vocabulary = {0};
    if (b->unit_count == 0)
        return s3r_fail(err, S3R_ERR_DATA, "expected texts, found none%s%s",
                        b->request->language ? " of the language " : "",
                        b->request->language ? b->request->language : "");
    /* Bytes of UTF-8 are in the order of code points. */
    qsort(b->units, b->unit_count, sizeof *b->units, compare_units);
    json_t *object = describe(b);
    if (!object)
        return s3r_fail_memory(err, "a vocabulary", b->unit_count);
    s3r_status status = s3r_vocabulary_from_json(&vocabulary, object, b->folder, err);
    json_decref(object);
    if (status == S3R_OK)
        status = s3r_vocabulary_save(&vocabulary, b->folder, err);
    b->report->label_count = vocabulary.count;
    s3r_vocabulary_close(&vocabulary);
    return status;
}

static s3r_status add_manifest(builder *b, const s3r_manifest *manifest, s3r_error *err)
{
    selection selected;
    S3R_TRY(select_texts(b, &selected, manifest, err));
    if (b->request->unit == S3R_UNIT_OF_PHONES)
        S3R_TRY(make_phones(b, &selected, err));
    for (size_t i = 0; i < selected.count; i++)
        S3R_TRY(collect_units(b, selected.items[i].text, err));
    b->report->utterance_count += selected.count;
    return write_manifest(b, &selected, manifest->path, err);
}

static s3r_status check_folder(const builder *b, s3r_error *err)
{
    char *path = s3r_path_join(b->folder, "vocab.json");
    if (!path)
        return s3r_fail_memory(err, "a path", strlen(b->folder));
    bool is_taken = s3r_path_exists(path);
    s3r_free(path);
    if (is_taken && !b->request->is_forced)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: expected a folder without a vocabulary, found vocab.json",
                        b->folder);
    return s3r_folder_create(b->folder, err);
}

s3r_status s3r_vocabulary_build(s3r_vocabulary_report *report, const char *folder,
                                const s3r_manifest *manifests, size_t count,
                                const s3r_vocabulary_request *request, s3r_error *err)
{
    builder b = {.request = request, .folder = folder, .report = report};
    *report = (s3r_vocabulary_report){0};
    S3R_TRY(check_names(manifests, count, err));
    S3R_TRY(check_folder(&b, err));
    s3r_arena_init(&b.owned, (size_t)256 << 10);
    s3r_status status = S3R_OK;
    for (size_t i = 0; i < count && status == S3R_OK; i++)
        status = add_manifest(&b, &manifests[i], err);
    if (status == S3R_OK)
        status = write_vocabulary(&b, err);
    s3r_free(b.units);
    s3r_string_map_release(&b.known);
    s3r_arena_release(&b.owned);
    return status;
}
