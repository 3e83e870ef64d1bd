/*
 * KenLM's probing binaries, as its build_binary makes them: read in place, or turned into
 * our own layout (the keys stay the same, only the places change).  (spec 3.5)
 */
#include <math.h>

#include "base/memory.h"
#include "decode/lm_image.h"

#define MAGIC            "mmap lm http://kheafield.com/code format version 5\n"
#define MAGIC_ANY        "mmap lm http://kheafield.com/code"
#define MAGIC_BYTES      ((size_t)56)
#define REFERENCE_BYTES  ((size_t)88) /* magic and reference values */
#define FIXED_BYTES      ((size_t)20)
#define VOCABULARY_ENTRY ((size_t)12)

typedef struct kenlm_header {
    uint8_t order;
    float multiplier;
    uint32_t type, search_version;
    bool has_words;
    uint64_t counts[S3R_LM_MAX_ORDER];
    size_t size_bytes;
} kenlm_header;

static uint32_t load_u32(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

bool s3r_lm_is_kenlm(const unsigned char *bytes, size_t size)
{
    return size >= strlen(MAGIC_ANY) && memcmp(bytes, MAGIC_ANY, strlen(MAGIC_ANY)) == 0;
}

/* The values that show another byte order or another layout. */
static bool has_reference_values(const unsigned char *bytes)
{
    static const float floats[3] = {0.0f, 1.0f, -0.5f};
    static const uint32_t words[3] = {1, UINT32_MAX, 0};
    const uint64_t one = 1;
    return memcmp(bytes + MAGIC_BYTES, floats, sizeof floats) == 0 &&
           memcmp(bytes + MAGIC_BYTES + 12, words, sizeof words) == 0 &&
           memcmp(bytes + MAGIC_BYTES + 24, &one, sizeof one) == 0;
}

static s3r_status check_start(const s3r_lm *lm, const unsigned char *bytes, size_t size,
                              s3r_error *err)
{
    if (size < strlen(MAGIC) || memcmp(bytes, MAGIC, strlen(MAGIC)) != 0)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected version 5 of KenLM's binary format, found another "
                        "(or a file that was not completed)",
                        lm->path);
    if (size < REFERENCE_BYTES + FIXED_BYTES || !has_reference_values(bytes))
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: the KenLM file is damaged, or was made on a machine of "
                        "another kind",
                        lm->path);
    return S3R_OK;
}

static s3r_status read_header(kenlm_header *h, const s3r_lm *lm,
                              const unsigned char *bytes, size_t size, s3r_error *err)
{
    static const char *const types[] = {
        "probing",        "probing with rest costs", "trie",
        "quantised trie", "array-compressed trie",   "quantised array-compressed trie"};
    const unsigned char *fixed = bytes + REFERENCE_BYTES;
    S3R_TRY(check_start(lm, bytes, size, err));
    *h = (kenlm_header){.order = fixed[0],
                        .type = load_u32(fixed + 8),
                        .has_words = fixed[12] != 0,
                        .search_version = load_u32(fixed + 16)};
    memcpy(&h->multiplier, fixed + 4, sizeof h->multiplier);
    if (h->type != 0)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected a KenLM model of the type probing, found %s "
                        "(compile the ARPA file instead)",
                        lm->path, h->type < 6 ? types[h->type] : "an unknown one");
    if (h->order < 2 || h->order > S3R_LM_MAX_ORDER || h->search_version != 0 ||
        !(h->multiplier >= 1 && h->multiplier < 100))
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected orders 2 to %u, search version 0 and a multiplier "
                        "of 1 or more, found %u, %u and %g",
                        lm->path, S3R_LM_MAX_ORDER, h->order, h->search_version,
                        (double)h->multiplier);
    h->size_bytes = REFERENCE_BYTES + FIXED_BYTES + 8 * (size_t)h->order;
    h->size_bytes = S3R_CEIL_DIV(h->size_bytes, (size_t)8) * 8;
    if (size < h->size_bytes)
        return s3r_fail(err, S3R_ERR_DATA, "%s: the KenLM file is cut", lm->path);
    memcpy(h->counts, fixed + FIXED_BYTES, 8 * (size_t)h->order);
    return S3R_OK;
}

/* ---- places ---- */

/* A part of the file; takes it from what is left. */
typedef struct cursor {
    const unsigned char *at;
    size_t left;
    bool is_short;
} cursor;

static const unsigned char *take(cursor *c, uint64_t count, size_t size)
{
    const unsigned char *at = c->at;
    if (c->is_short || count > c->left / size) {
        c->is_short = true;
        return NULL;
    }
    c->at += count * size;
    c->left -= count * size;
    return at;
}

static s3r_ngram_table take_table(cursor *c, const kenlm_header *h, uint64_t count,
                                  size_t stride)
{
    /* KenLM's own arithmetic, in float; more than fits is cut off by take() */
    float wanted = h->multiplier * (float)count;
    uint64_t buckets = wanted < 1e18f ? (uint64_t)wanted : UINT64_MAX;
    buckets = S3R_MAX(buckets, count < UINT64_MAX ? count + 1 : count);
    s3r_ngram_table table = {
        .stride = stride, .buckets = buckets, .slots = buckets, .is_modulo = true};
    table.entries = take(c, buckets, stride);
    return table;
}

/* Word strings follow each other to the end of the file. */
static s3r_status find_words(s3r_lm *lm, const cursor *c, s3r_error *err)
{
    const char *at = (const char *)c->at, *end = at + c->left;
    lm->kenlm_offsets = s3r_alloc(lm->word_count, sizeof *lm->kenlm_offsets);
    if (!lm->kenlm_offsets)
        return s3r_fail_memory(err, "words", lm->word_count * sizeof(uint64_t));
    for (uint32_t i = 0; i < lm->word_count; i++) {
        const char *stop = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;
        if (!stop || (i == 0 && strcmp(at, "<unk>") != 0))
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: expected %u words at the end, the first <unk>, found "
                            "%u (cut?)",
                            lm->path, lm->word_count, i);
        lm->kenlm_offsets[i] = (uint64_t)(at - (const char *)c->at);
        at = stop + 1;
    }
    lm->word_bytes = (const char *)c->at;
    lm->word_byte_count = (size_t)(at - lm->word_bytes);
    lm->word_offsets = (const unsigned char *)lm->kenlm_offsets;
    return S3R_OK;
}

s3r_status s3r_lm_attach_kenlm(s3r_lm *lm, const unsigned char *bytes, size_t size,
                               s3r_error *err)
{
    kenlm_header h;
    S3R_TRY(read_header(&h, lm, bytes, size, err));
    cursor c = {bytes + h.size_bytes, size - h.size_bytes, false};
    const unsigned char *vocabulary = take(&c, 1, 8);
    lm->vocabulary = take_table(&c, &h, h.counts[0], VOCABULARY_ENTRY);
    lm->unigrams = take(&c, h.counts[0] < UINT64_MAX ? h.counts[0] + 1 : h.counts[0], 8);
    for (size_t order = 2; order <= h.order; order++)
        lm->tables[order - 2] =
            take_table(&c, &h, h.counts[order - 1],
                       order == h.order ? S3R_LM_LONGEST_STRIDE : S3R_LM_MIDDLE_STRIDE);
    if (c.is_short)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: the KenLM file is shorter than its header says", lm->path);
    lm->order = h.order;
    memcpy(lm->counts, h.counts, sizeof lm->counts);
    lm->word_count = load_u32(vocabulary + 4);
    if (load_u32(vocabulary) != 0 || lm->word_count == 0 ||
        lm->word_count > h.counts[0] + 1)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected version 0 of KenLM's vocabulary and 1 to %llu "
                        "words, found version %u and %u words",
                        lm->path, (unsigned long long)h.counts[0] + 1,
                        load_u32(vocabulary), lm->word_count);
    if (h.has_words)
        S3R_TRY(find_words(lm, &c, err));
    lm->begin_word = s3r_lm_find(lm, "<s>", 3);
    lm->end_word = s3r_lm_find(lm, "</s>", 4);
    return S3R_OK;
}

/* ---- to our own layout ---- */

static s3r_table_entry *list_entries(const s3r_ngram_table *table, uint64_t *count)
{
    size_t used = 0;
    for (uint64_t i = 0; i < table->slots; i++)
        used += s3r_table_key(table, i) != 0;
    s3r_table_entry *entries = s3r_alloc(used, sizeof *entries);
    *count = used;
    used = 0;
    for (uint64_t i = 0; entries && i < table->slots; i++) {
        s3r_table_entry entry = {.key = s3r_table_key(table, i), .index = (uint32_t)used};
        if (entry.key == 0)
            continue;
        memcpy(entry.value, table->entries + i * table->stride + sizeof entry.key,
               table->stride - sizeof entry.key);
        entries[used++] = entry;
    }
    return entries;
}

static s3r_status fill_parts(s3r_lm_parts *parts, float *unigrams, const s3r_lm *lm,
                             s3r_error *err)
{
    memcpy(unigrams, lm->unigrams, lm->word_count * 2 * sizeof(float));
    for (uint32_t i = 0; i < lm->word_count; i++) {
        const char *word = s3r_lm_word(lm, i);
        parts->vocabulary[i] =
            (s3r_table_entry){s3r_word_hash(word, strlen(word)), {i, 0}, i};
    }
    parts->counts[0] = lm->word_count;
    for (size_t order = 2; order <= lm->order; order++) {
        parts->ngrams[order - 2] =
            list_entries(&lm->tables[order - 2], &parts->counts[order - 1]);
        if (!parts->ngrams[order - 2])
            return s3r_fail_memory(err, "n-grams", 0);
    }
    return S3R_OK;
}

s3r_status s3r_lm_image_from_kenlm(unsigned char **image, size_t *image_bytes,
                                   const s3r_lm *lm, s3r_error *err)
{
    size_t order;
    uint32_t twice[2];
    if (!lm->word_bytes)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: the KenLM file does not hold its words (build_binary "
                        "without -i does)",
                        lm->path);
    float *unigrams = s3r_alloc_raw(lm->word_count, 2 * sizeof(float));
    s3r_lm_parts parts = {.order = lm->order,
                          .flags = lm->has_characters ? S3R_LM_CHARACTERS : 0,
                          .begin_word = lm->begin_word,
                          .end_word = lm->end_word,
                          .word_count = lm->word_count,
                          .word_byte_count = lm->word_byte_count,
                          .word_bytes = lm->word_bytes,
                          .word_offsets = lm->kenlm_offsets,
                          .unigrams = unigrams,
                          .vocabulary =
                              s3r_alloc_raw(lm->word_count, sizeof *parts.vocabulary)};
    s3r_status status = unigrams && parts.vocabulary
                            ? fill_parts(&parts, unigrams, lm, err)
                            : s3r_fail_memory(err, "words", lm->word_count * 32);
    if (status == S3R_OK)
        status = s3r_fail_prefix(
            err, s3r_lm_image_make(image, image_bytes, &parts, &order, twice, err),
            lm->path);
    for (size_t i = 0; i + 1 < S3R_LM_MAX_ORDER; i++)
        s3r_free(parts.ngrams[i]);
    s3r_free(parts.vocabulary);
    s3r_free(unigrams);
    return status;
}
