/*
 * Opening by content, closing, checking, saving.
 */
#include "decode/language_model.h"

#include "base/memory.h"
#include "decode/arpa_file.h"
#include "decode/lm_image.h"
#include "text/unicode_text.h"

static s3r_status set_path(s3r_lm *lm, const char *path, s3r_error *err)
{
    *lm = (s3r_lm){.path = s3r_strdup(path)};
    return lm->path ? S3R_OK : s3r_fail_memory(err, "a path", strlen(path));
}

void s3r_lm_close(s3r_lm *lm)
{
    s3r_file_map_close(&lm->map);
    s3r_free(lm->image);
    s3r_free(lm->kenlm_offsets);
    s3r_free(lm->path);
    *lm = (s3r_lm){0};
}

static bool is_own(const unsigned char *bytes, size_t size)
{
    return size >= strlen(S3R_LM_MAGIC) &&
           memcmp(bytes, S3R_LM_MAGIC, strlen(S3R_LM_MAGIC)) == 0;
}

static const char *binary_word(const void *lm, uint32_t id)
{
    return s3r_lm_word(lm, id);
}

static const char *arpa_word(const void *words, uint32_t id)
{
    return s3r_word_table_word(words, id);
}

/* Whether every word is one character: formats of others do not say it.  A word like
 * "<s>" does not count. */
static bool are_characters(const char *(*word_of)(const void *, uint32_t),
                           const void *words, size_t count)
{
    uint32_t characters = 0;
    for (uint32_t i = 0; i < count; i++) {
        const char *word = word_of(words, i), *at = word;
        if (!word || (word[0] == '<' && word[1] != '\0'))
            continue;
        if (s3r_character_next(&at) <= 0 || *at != '\0')
            return false;
        characters++;
    }
    return characters > 0;
}

static s3r_status attach(s3r_lm *lm, const unsigned char *bytes, size_t size,
                         s3r_error *err)
{
    if (s3r_lm_is_kenlm(bytes, size)) {
        lm->format = S3R_LM_KENLM;
        S3R_TRY(s3r_lm_attach_kenlm(lm, bytes, size, err));
        lm->has_characters = are_characters(binary_word, lm, lm->word_count);
        return S3R_OK;
    }
    lm->format = S3R_LM_OWN;
    return s3r_lm_attach_image(lm, bytes, size, err);
}

s3r_status s3r_lm_from_bytes(s3r_lm *out, const unsigned char *bytes, size_t size,
                             const char *label, s3r_error *err)
{
    s3r_status status = set_path(out, label, err);
    if (status == S3R_OK)
        status = attach(out, bytes, size, err);
    if (status != S3R_OK)
        s3r_lm_close(out);
    return status;
}

static s3r_status take_ngrams(s3r_lm *lm, s3r_ngrams *ngrams, s3r_error *err)
{
    lm->format = S3R_LM_ARPA;
    S3R_TRY(s3r_fail_prefix(
        err, s3r_lm_image_from_ngrams(&lm->image, &lm->image_bytes, ngrams, err),
        lm->path));
    return s3r_lm_attach_image(lm, lm->image, lm->image_bytes, err);
}

s3r_status s3r_lm_from_ngrams(s3r_lm *out, s3r_ngrams *ngrams, const char *label,
                              s3r_error *err)
{
    s3r_status status = set_path(out, label, err);
    if (status == S3R_OK)
        status = take_ngrams(out, ngrams, err);
    if (status != S3R_OK)
        s3r_lm_close(out);
    return status;
}

static s3r_status open_arpa(s3r_lm *lm, const char *path, s3r_error *err)
{
    s3r_ngrams ngrams;
    S3R_TRY(s3r_arpa_open(&ngrams, path, err));
    ngrams.has_characters = are_characters(arpa_word, &ngrams.words, ngrams.words.count);
    s3r_status status = take_ngrams(lm, &ngrams, err);
    s3r_ngrams_release(&ngrams);
    return status;
}

static s3r_status open_file(s3r_lm *lm, const char *path, s3r_error *err)
{
    if (strcmp(path, "-") == 0)
        return open_arpa(lm, path, err);
    S3R_TRY(s3r_file_map_open(&lm->map, path, S3R_ERR_DATA, err));
    if (is_own(lm->map.data, lm->map.size) || s3r_lm_is_kenlm(lm->map.data, lm->map.size))
        return attach(lm, lm->map.data, lm->map.size, err);
    s3r_file_map_close(&lm->map);
    return open_arpa(lm, path, err);
}

s3r_status s3r_lm_open(s3r_lm *out, const char *path, s3r_error *err)
{
    s3r_status status = set_path(out, path, err);
    if (status == S3R_OK)
        status = open_file(out, path, err);
    if (status != S3R_OK)
        s3r_lm_close(out);
    return status;
}

/* The bytes of a model of our own layout. */
static const unsigned char *image_of(const s3r_lm *lm, size_t *size)
{
    *size = lm->image ? lm->image_bytes : lm->map.size;
    return lm->image ? lm->image : lm->map.data;
}

s3r_status s3r_lm_check(const s3r_lm *lm, s3r_error *err)
{
    static const char *const names[] = {"words are", "word offsets are", "vocabulary is"};
    size_t size;
    const unsigned char *bytes = image_of(lm, &size);
    s3r_lm_header header;
    if (lm->format == S3R_LM_KENLM || size == 0)
        return S3R_OK;
    memcpy(&header, bytes, sizeof header);
    for (size_t i = 0; i < S3R_LM_SECTION_COUNT; i++) {
        const s3r_lm_section *section = &header.sections[i];
        uint32_t found = s3r_lm_crc(bytes + section->offset, section->size_bytes);
        if (found == section->crc)
            continue;
        if (i < S3R_LM_SECTION_UNIGRAMS)
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: the %s damaged: expected the checksum %08x, found "
                            "%08x",
                            lm->path, names[i], section->crc, found);
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: the %zu-grams are damaged: expected the checksum %08x, "
                        "found %08x",
                        lm->path, i - S3R_LM_SECTION_UNIGRAMS + 1, section->crc, found);
    }
    return S3R_OK;
}

s3r_status s3r_lm_save(const s3r_lm *lm, const char *path, s3r_error *err)
{
    size_t size;
    unsigned char *made = NULL;
    const unsigned char *bytes = image_of(lm, &size);
    if (lm->format == S3R_LM_KENLM) {
        S3R_TRY(s3r_lm_image_from_kenlm(&made, &size, lm, err));
        bytes = made;
    }
    s3r_status status = s3r_file_write_all(path, bytes, size, err);
    s3r_free(made);
    return status;
}
