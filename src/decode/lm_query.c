/*
 * The query.  Flags are in signs, as in KenLM's files: a positive log-probability says
 * that longer n-grams end with this one, a back-off of -0 that none begins with it.
 */
#include "decode/language_model.h"

#include <math.h>

#define LARGEST 1e6f /* of a score */

typedef struct weights {
    float prob, backoff;
} weights;

static weights load_weights(const unsigned char *at)
{
    weights w;
    memcpy(&w, at, sizeof w);
    return w;
}

static bool has_extension(float backoff)
{
    return !(backoff == 0 && signbit(backoff));
}

uint32_t s3r_lm_find(const s3r_lm *lm, const char *word, size_t size)
{
    const unsigned char *value =
        s3r_table_find(&lm->vocabulary, s3r_word_hash(word, size));
    uint32_t id = S3R_WORD_UNKNOWN;
    if (value)
        memcpy(&id, value, sizeof id);
    if (id >= lm->word_count)
        return S3R_WORD_UNKNOWN;
    const char *found = lm->word_bytes ? s3r_lm_word(lm, id) : NULL;
    bool is_other = found && (strncmp(found, word, size) != 0 || found[size] != '\0');
    return is_other ? S3R_WORD_UNKNOWN : id;
}

const char *s3r_lm_word(const s3r_lm *lm, uint32_t id)
{
    uint64_t offset;
    if (!lm->word_bytes || id >= lm->word_count)
        return NULL;
    memcpy(&offset, lm->word_offsets + (size_t)id * sizeof offset, sizeof offset);
    return offset < lm->word_byte_count ? lm->word_bytes + offset : NULL;
}

s3r_lm_state s3r_lm_begin(const s3r_lm *lm)
{
    s3r_lm_state state = {.words = {lm->begin_word}, .length = lm->order > 1};
    state.backoff[0] =
        load_weights(lm->unigrams + (size_t)lm->begin_word * sizeof(weights)).backoff;
    return state;
}

/* All places are asked for before the first is looked at: their memory comes at once. */
static void find_keys(const s3r_lm *lm, const s3r_lm_state *from, uint32_t word,
                      uint64_t *keys)
{
    uint64_t key = word;
    for (size_t i = 0; i < from->length; i++) {
        key = s3r_ngram_key_extend(key, from->words[i]);
        keys[i] = key;
        s3r_table_prefetch(&lm->tables[i], key);
    }
}

float s3r_lm_word_score(const s3r_lm *lm, const s3r_lm_state *from, uint32_t word,
                        s3r_lm_state *to)
{
    uint64_t keys[S3R_LM_MAX_ORDER - 1];
    word = word < lm->word_count ? word : S3R_WORD_UNKNOWN;
    const unsigned char *unigram = lm->unigrams + (size_t)word * sizeof(weights);
    S3R_PREFETCH(unigram);
    find_keys(lm, from, word, keys);
    weights found = load_weights(unigram);
    float prob = -fabsf(found.prob);
    size_t matched = 1, kept = lm->order > 1 && has_extension(found.backoff);
    s3r_lm_state next = {.words = {word}, .backoff = {found.backoff}};
    for (size_t i = 0; i < from->length && !signbit(found.prob); i++) {
        const unsigned char *value = s3r_table_find(&lm->tables[i], keys[i]);
        if (!value)
            break;
        matched = i + 2;
        if (matched == lm->order) {
            memcpy(&prob, value, sizeof prob);
            prob = -fabsf(prob);
            break;
        }
        found = load_weights(value);
        prob = -fabsf(found.prob);
        next.words[i + 1] = from->words[i];
        next.backoff[i + 1] = found.backoff;
        if (has_extension(found.backoff))
            kept = matched;
    }
    for (size_t i = matched - 1; i < from->length; i++)
        prob += from->backoff[i];
    next.length = (uint32_t)kept;
    *to = next;
    /* damaged files hold anything, also NaN */
    return prob > -LARGEST && prob < LARGEST ? prob : -LARGEST;
}
