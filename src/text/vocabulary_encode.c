/*
 * Text to labels: a hash table of the labels, and the longest match at each place.
 *
 * Labels are compared in NFC, whatever form the file has them in.  Special labels and the
 * delimiter never match text.  Phoneme labels are taken as they are written: case means
 * something there (X-SAMPA), so nothing is folded.
 */
#include "text/vocabulary_encode.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "base/hash_text.h"
#include "text/unicode_text.h"

typedef struct indexed_label {
    const char *text; /* NFC; NULL = a free slot */
    size_t length;
    uint32_t id;
} indexed_label;

typedef struct label_index {
    indexed_label *slots;
    size_t slot_count; /* a power of two, at least twice the labels */
    size_t longest;    /* bytes */
    bool has_upper, has_lower;
} label_index;

typedef struct encoder {
    const s3r_vocabulary *vocabulary;
    label_index index;
    s3r_missing_policy policy;
    bool passes_silent;    /* over punctuation without a label */
    bool *is_token_silent; /* of tokens that are nothing else, in their order */
    size_t token_count;
    uint32_t *labels;
    size_t count;
    s3r_encoded_word *words;
    size_t word_count;
    bool is_in_word;
    /* What has no label, for the message. */
    size_t missing_count; /* different ones in `missing` */
    bool is_missing_full;
    char missing[2048];
} encoder;

static size_t hash_bytes(const char *text, size_t length)
{
    uint64_t hash = s3r_hash_bytes(text, length);
    return (size_t)(hash ^ hash >> 32);
}

/* The slot that holds the label, or the free one where it belongs. */
static indexed_label *find_slot(const label_index *index, const char *text, size_t length)
{
    size_t at = hash_bytes(text, length) & (index->slot_count - 1);
    for (;; at = (at + 1) & (index->slot_count - 1)) {
        indexed_label *slot = &index->slots[at];
        if (!slot->text ||
            (slot->length == length && memcmp(slot->text, text, length) == 0))
            return slot;
    }
}

static void note_case(label_index *index, const char *label)
{
    for (int32_t character; (character = s3r_character_next(&label)) > 0;) {
        if (utf8proc_tolower(character) != character)
            index->has_upper = true;
        if (utf8proc_toupper(character) != character)
            index->has_lower = true;
    }
}

/* A label that comes twice keeps its first id. */
static s3r_status index_labels(label_index *index, const s3r_vocabulary *vocabulary,
                               s3r_arena *arena, s3r_error *err)
{
    for (index->slot_count = 16; index->slot_count / 2 < vocabulary->count;)
        index->slot_count *= 2;
    index->slots = s3r_arena_alloc(arena, index->slot_count, sizeof *index->slots);
    if (!index->slots)
        return s3r_fail_memory(err, "labels", index->slot_count * sizeof *index->slots);
    memset(index->slots, 0, index->slot_count * sizeof *index->slots);
    for (uint32_t id = 0; id < vocabulary->count; id++) {
        const char *label = vocabulary->labels[id];
        if (vocabulary->is_special[id] || id == vocabulary->blank_id || !label[0] ||
            (id == vocabulary->delimiter_id && !vocabulary->is_phonemes))
            continue;
        char *composed = NULL;
        if (!s3r_text_is_ascii(label))
            S3R_TRY(s3r_text_normalize(&composed, arena, label, S3R_CASE_KEEP, err));
        const char *text = composed ? composed : label;
        size_t length = strlen(text);
        indexed_label *slot = find_slot(index, text, length);
        if (!slot->text)
            *slot = (indexed_label){text, length, id};
        index->longest = S3R_MAX(index->longest, length);
        note_case(index, text);
    }
    return S3R_OK;
}

/* Remembers what has no label, once each, while there is room for it. */
static void note_missing(encoder *state, const char *text, size_t length, bool is_phone)
{
    char one[160];
    const char *at = text;
    int32_t character = s3r_character_next(&at);
    int shown = (int)S3R_MIN(length, (size_t)80), size;
    if (is_phone)
        size = snprintf(one, sizeof one, "\"%.*s\"", shown, text);
    else if (utf8proc_charwidth(character) > 0)
        size = snprintf(one, sizeof one, "\"%.*s\" (U+%04X)", shown, text,
                        (unsigned)character);
    else /* a lone mark, or what a terminal could take as a command */
        size = snprintf(one, sizeof one, "U+%04X", (unsigned)character);
    const char *known = strstr(state->missing, one);
    size_t used = strlen(state->missing);
    if (size <= 0 || known || state->is_missing_full)
        return;
    /* Others could not be told from those that are not listed. */
    state->is_missing_full = used + (size_t)size + sizeof ", " > sizeof state->missing;
    if (state->is_missing_full)
        return;
    state->missing_count++;
    snprintf(state->missing + used, sizeof state->missing - used, "%s%s",
             used > 0 ? ", " : "", one);
}

static const indexed_label *longest_match(const label_index *index, const char *text,
                                          size_t word_left)
{
    for (size_t length = S3R_MIN(index->longest, word_left); length > 0; length--) {
        /* Only whole characters: the next byte begins one. */
        if (length < word_left && ((unsigned char)text[length] & 0xC0) == 0x80)
            continue;
        const indexed_label *slot = find_slot(index, text, length);
        if (slot->text)
            return slot;
    }
    return NULL;
}

/* ---- tokens ---- */

typedef struct token {
    const char *text;
    size_t length;
} token;

/* The next piece between white space; false at the end. */
static bool next_token(const char **text, token *out)
{
    out->text = *text;
    out->length = 0;
    while (**text) {
        if (!s3r_character_is_space(s3r_character_next(text))) {
            out->length = (size_t)(*text - out->text);
            continue;
        }
        if (out->length > 0)
            return true;
        out->text = *text;
    }
    return out->length > 0;
}

static bool is_bar(const token *piece)
{
    return piece->length == 1 && piece->text[0] == '|';
}

/* ---- labels ---- */

static void begin_word(encoder *state)
{
    state->words[state->word_count++] = (s3r_encoded_word){.first_label = state->count};
    state->is_in_word = true;
}

/* Adds a label to the last word; before its first one comes the delimiter. */
static void add_label(encoder *state, uint32_t label)
{
    const s3r_vocabulary *vocabulary = state->vocabulary;
    s3r_encoded_word *word = &state->words[state->word_count - 1];
    bool is_repeated_star = label == S3R_STAR_LABEL && word->label_count > 0 &&
                            state->labels[state->count - 1] == label;
    if (is_repeated_star)
        return;
    if (word->label_count == 0) {
        if (!vocabulary->is_phonemes && state->count > 0 &&
            vocabulary->delimiter_id != S3R_NO_LABEL)
            state->labels[state->count++] = vocabulary->delimiter_id;
        word->first_label = state->count;
    }
    state->labels[state->count++] = label;
    word->label_count++;
}

/* Whether a token has nothing that could be said: no word. */
static bool is_silent(const encoder *state, const token *piece)
{
    if (!state->passes_silent || state->vocabulary->is_phonemes)
        return false;
    for (const char *at = piece->text, *end = at + piece->length; at < end;) {
        if (longest_match(&state->index, at, (size_t)(end - at)) ||
            !s3r_character_is_silent(s3r_character_next(&at)))
            return false;
    }
    return true;
}

static void add_missing(encoder *state, const char *text, size_t length, bool is_phone)
{
    note_missing(state, text, length, is_phone);
    if (state->policy == S3R_MISSING_STAR)
        add_label(state, S3R_STAR_LABEL);
}

static void encode_word(encoder *state, const token *word)
{
    for (const char *at = word->text, *end = at + word->length; at < end;) {
        const indexed_label *match = longest_match(&state->index, at, (size_t)(end - at));
        if (match) {
            add_label(state, match->id);
            at += match->length;
            continue;
        }
        const char *start = at;
        int32_t character = s3r_character_next(&at);
        if (!state->passes_silent || !s3r_character_is_silent(character))
            add_missing(state, start, (size_t)(at - start), false);
    }
}

static void encode_phone(encoder *state, const token *phone)
{
    const indexed_label *slot = find_slot(&state->index, phone->text, phone->length);
    if (is_bar(phone)) { /* a boundary, which the labels need not know */
        if (slot->text)
            state->labels[state->count++] = slot->id;
        state->is_in_word = false;
        return;
    }
    if (!state->is_in_word)
        begin_word(state);
    if (slot->text)
        add_label(state, slot->id);
    else
        add_missing(state, phone->text, phone->length, true);
}

static void encode_tokens(encoder *state, const char *text)
{
    for (token piece; next_token(&text, &piece);) {
        if (state->vocabulary->is_phonemes) {
            encode_phone(state, &piece);
            continue;
        }
        bool is_word = !is_silent(state, &piece);
        state->is_token_silent[state->token_count++] = !is_word;
        if (!is_word)
            continue;
        begin_word(state);
        encode_word(state, &piece);
    }
}

/* Gives the words their texts as they were written: white space is where it was, so the
 * tokens of the original are those of the folded text. */
static s3r_status copy_words(const encoder *state, const char *text, s3r_arena *arena,
                             s3r_error *err)
{
    char *copy = s3r_arena_alloc(arena, strlen(text) + 1, 1);
    if (!copy)
        return s3r_fail_memory(err, "words", strlen(text));
    bool is_in_word = false;
    size_t count = 0, number = 0;
    for (token piece; next_token(&text, &piece);) {
        bool is_phonemes = state->vocabulary->is_phonemes;
        if (is_phonemes && is_bar(&piece)) {
            is_in_word = false;
            continue;
        }
        if (!is_phonemes && state->is_token_silent[number++])
            continue;
        if (is_phonemes && is_in_word)
            copy[-1] = ' '; /* in place of the NUL */
        else if (count < state->word_count)
            state->words[count++].text = copy;
        memcpy(copy, piece.text, piece.length);
        copy[piece.length] = '\0';
        copy += piece.length + 1;
        is_in_word = true;
    }
    return S3R_OK;
}

static s3r_text_case folding(const s3r_vocabulary *vocabulary, const label_index *index)
{
    if (vocabulary->is_phonemes || index->has_upper == index->has_lower)
        return S3R_CASE_KEEP;
    return index->has_upper ? S3R_CASE_UPPER : S3R_CASE_LOWER;
}

static s3r_status fold(char **out, label_index *index, const s3r_vocabulary *vocabulary,
                       const char *text, s3r_arena *arena, s3r_error *err)
{
    S3R_TRY(index_labels(index, vocabulary, arena, err));
    return s3r_text_normalize(out, arena, text, folding(vocabulary, index), err);
}

s3r_status s3r_vocabulary_fold(const s3r_vocabulary *vocabulary, const char *text,
                               s3r_arena *arena, char **out, s3r_error *err)
{
    label_index index = {0};
    return fold(out, &index, vocabulary, text, arena, err);
}

static s3r_status encode(encoder *state, const char *text, s3r_arena *arena,
                         s3r_error *err)
{
    const s3r_vocabulary *vocabulary = state->vocabulary;
    char *folded;
    S3R_TRY(fold(&folded, &state->index, vocabulary, text, arena, err));
    /* A label takes at least a byte, a delimiter stands for one; so does a word. */
    state->labels = s3r_arena_alloc(arena, strlen(folded) + 1, sizeof *state->labels);
    state->words = s3r_arena_alloc(arena, strlen(folded) / 2 + 1, sizeof *state->words);
    state->is_token_silent = s3r_arena_alloc(arena, strlen(folded) / 2 + 1, 1);
    if (!state->labels || !state->words || !state->is_token_silent)
        return s3r_fail_memory(err, "labels", strlen(folded) * sizeof *state->labels);
    encode_tokens(state, folded);
    if (state->missing_count == 0 || state->policy != S3R_MISSING_REFUSE)
        return S3R_OK;
    return s3r_fail(
        err, S3R_ERR_DATA,
        "%s%zu %s without a label in %s: %s; s3r vocab build writes texts that "
        "fit its labels: DIR/NAME.%s.jsonl",
        state->is_missing_full ? "more than " : "", state->missing_count,
        vocabulary->is_phonemes ? "phones" : "characters", vocabulary->path,
        state->missing, vocabulary->is_phonemes ? "phones" : "text");
}

s3r_status s3r_vocabulary_encode(const s3r_vocabulary *vocabulary, const char *text,
                                 s3r_arena *arena, uint32_t **labels, size_t *count,
                                 s3r_error *err)
{
    encoder state = {.vocabulary = vocabulary};
    s3r_arena_mark mark = s3r_arena_get_mark(arena);
    s3r_status status = encode(&state, text, arena, err);
    if (status != S3R_OK) {
        s3r_arena_rewind(arena, mark);
        return status;
    }
    uint32_t *kept =
        s3r_arena_keep(arena, mark, state.labels, state.count * sizeof *kept);
    if (!kept)
        return s3r_fail_memory(err, "labels", state.count * sizeof *kept);
    *labels = kept;
    *count = state.count;
    return S3R_OK;
}

s3r_status s3r_vocabulary_encode_words(const s3r_vocabulary *vocabulary, const char *text,
                                       s3r_missing_policy policy, s3r_arena *arena,
                                       s3r_encoded_text *out, s3r_error *err)
{
    encoder state = {.vocabulary = vocabulary, .policy = policy, .passes_silent = true};
    S3R_TRY(encode(&state, text, arena, err));
    S3R_TRY(copy_words(&state, text, arena, err));
    size_t bytes = strlen(state.missing) + 1;
    char *missing = s3r_arena_alloc(arena, bytes, 1);
    if (!missing)
        return s3r_fail_memory(err, "a list", bytes);
    memcpy(missing, state.missing, bytes);
    *out = (s3r_encoded_text){state.labels,     state.count,         state.words,
                              state.word_count, state.missing_count, missing};
    return S3R_OK;
}
