/*
 * Opening a decoder: everything that a search needs, checked against the labels before
 * the first frame.
 */
#include "s3r/decode.h"

#include <math.h>
#include <string.h>

#include "api/decoder.h"
#include "api/handles.h"
#include "api/hot_words.h"
#include "api/options_check.h"

void s3r_decoder_options_init(s3r_decoder_options *options)
{
    s3r_search_options search;
    s3r_search_options_init(&search);
    *options = (s3r_decoder_options){.struct_size = sizeof *options,
                                     .hot_word_boost = 5,
                                     .lm_weight = search.lm_weight,
                                     .word_score = search.word_score,
                                     .unknown_score = -5,
                                     .beam = search.beam,
                                     .beam_threshold = search.threshold,
                                     .nbest = 1};
}

void s3r_decoder_close(s3r_decoder *decoder)
{
    if (!decoder)
        return;
    s3r_search_release(&decoder->search);
    s3r_lexicon_release(&decoder->lexicon);
    s3r_lexicon_release(&decoder->hot_words);
    s3r_hot_phrases_release(&decoder->hot);
    s3r_lm_close(&decoder->lm);
    s3r_free(decoder);
}

/* ---- what fits what ---- */

static const char *vocabulary_path(const s3r_decoder *decoder)
{
    return decoder->model->vocabulary.path;
}

/* Whether the labels, or else the labels in the other case, are in the language model:
 * how many of the letters are missing. */
static s3r_status check_characters(s3r_decoder *decoder, s3r_error *err)
{
    const s3r_search *search = &decoder->search;
    const s3r_vocabulary *v = &decoder->model->vocabulary;
    const char *missing = NULL;
    size_t count = 0;
    for (size_t i = 0; i < search->letter_count; i++) {
        uint32_t label = search->letters[i];
        if (search->label_words[label] != S3R_WORD_UNKNOWN)
            continue;
        missing = missing ? missing : v->labels[label];
        count++;
    }
    decoder->info.labels_unknown = count;
    if (2 * count > search->letter_count)
        return s3r_fail(
            err, S3R_ERR_DATA,
            "%s: expected the characters of %s, but %zu of %zu are not in the "
            "language model, as \"%s\" (are language and case the same?)",
            decoder->lm.path, vocabulary_path(decoder), count, search->letter_count,
            missing);
    return S3R_OK;
}

static s3r_status check_lexicon_words(s3r_decoder *decoder, s3r_error *err)
{
    const s3r_lexicon *lexicon = &decoder->lexicon;
    size_t count = lexicon->words.count, missing = 0, example = 0;
    for (size_t i = 0; i < count; i++) {
        if (decoder->search.lm_words[i] != S3R_WORD_UNKNOWN)
            continue;
        example = missing == 0 ? i : example;
        missing++;
    }
    decoder->info.lexicon_unknown = missing;
    if (missing > count / 2 + decoder->added_words)
        return s3r_fail(
            err, S3R_ERR_DATA,
            "%s: expected the words of the lexicon, but %zu of %zu are not in "
            "the language model, as \"%s\" (are language and case the same?)",
            decoder->lm.path, missing, count,
            s3r_word_table_word(&lexicon->words, (uint32_t)example));
    return S3R_OK;
}

/* A word of the language model that is no special one. */
static const char *lm_word(const s3r_lm *lm, uint32_t id)
{
    bool is_special =
        id == S3R_WORD_UNKNOWN || id == lm->begin_word || id == lm->end_word;
    return is_special ? NULL : s3r_lm_word(lm, id);
}

/* Adds the words that the labels can spell to a lexicon; counts the others. */
static s3r_status spell_lm_words(const s3r_decoder *decoder, s3r_lexicon *lexicon,
                                 size_t *spelled, size_t *left_out, const char **example,
                                 uint32_t step, s3r_error *err)
{
    *spelled = *left_out = 0;
    *example = "";
    for (uint32_t i = 0; i < decoder->lm.word_count && i <= UINT32_MAX - step;
         i += step) {
        const char *word = lm_word(&decoder->lm, i);
        bool is_spelled;
        if (!word)
            continue;
        S3R_TRY(s3r_lexicon_add(lexicon, word, &decoder->model->vocabulary, &is_spelled,
                                err));
        *spelled += is_spelled;
        if (!is_spelled && (*left_out)++ == 0)
            *example = word;
    }
    return S3R_OK;
}

static s3r_status fail_spelling(const s3r_decoder *decoder, size_t spelled,
                                size_t left_out, const char *example, s3r_error *err)
{
    return s3r_fail(err, S3R_ERR_DATA,
                    "%s: expected words in the labels of %s, but %zu of %zu cannot be "
                    "spelled, as \"%.100s\" (are letters and case the same?)",
                    decoder->lm.path, vocabulary_path(decoder), left_out,
                    spelled + left_out, example);
}

/* Words of letters against a language model of words: a sample of it is spelled. */
static s3r_status check_free_words(s3r_decoder *decoder, s3r_error *err)
{
    const uint32_t sample = 2000;
    s3r_lexicon scratch = {0};
    size_t spelled = 0, left_out = 0;
    const char *example = "";
    if (!decoder->lm.word_bytes)
        return S3R_OK;
    s3r_status status = spell_lm_words(decoder, &scratch, &spelled, &left_out, &example,
                                       S3R_MAX(decoder->lm.word_count / sample, 1u), err);
    s3r_lexicon_release(&scratch);
    if (status == S3R_OK && left_out > spelled)
        return fail_spelling(decoder, spelled, left_out, example, err);
    return status;
}

static s3r_status check_fit(s3r_decoder *decoder, s3r_error *err)
{
    if (!decoder->search.lm)
        return S3R_OK;
    if (decoder->search.label_words)
        return check_characters(decoder, err);
    if (decoder->search.lexicon)
        return check_lexicon_words(decoder, err);
    return check_free_words(decoder, err);
}

/* ---- opening ---- */

static s3r_status open_lm(s3r_decoder *decoder, const s3r_decoder_options *options,
                          s3r_error *err)
{
    if (!options->lm_path)
        return S3R_OK;
    S3R_TRY(s3r_lm_open(&decoder->lm, options->lm_path, err));
    if (options->lm_unit != S3R_DECODER_UNIT_AUTO)
        decoder->lm.has_characters = options->lm_unit == S3R_DECODER_UNIT_CHARACTERS;
    decoder->search.lm = &decoder->lm;
    return S3R_OK;
}

static s3r_status open_lm_words(s3r_decoder *decoder, s3r_error *err)
{
    size_t spelled, left_out;
    const char *example;
    if (!decoder->search.lm || decoder->lm.has_characters || !decoder->lm.word_bytes)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "lexicon: expected a language model of words to take them from");
    S3R_TRY(spell_lm_words(decoder, &decoder->lexicon, &spelled, &left_out, &example, 1,
                           err));
    decoder->info.lexicon_left_out = left_out;
    return left_out > spelled || spelled == 0
               ? fail_spelling(decoder, spelled, left_out, example, err)
               : S3R_OK;
}

static s3r_status open_words(s3r_decoder *decoder, const s3r_decoder_options *options,
                             s3r_error *err)
{
    const char *path = options->lexicon_path;
    if (path && strcmp(path, S3R_LEXICON_OF_LM) == 0)
        S3R_TRY(open_lm_words(decoder, err));
    else if (path)
        S3R_TRY(
            s3r_lexicon_open(&decoder->lexicon, path, &decoder->model->vocabulary, err));
    if (options->hot_words_path)
        S3R_TRY(s3r_hot_words_open(decoder, options->hot_words_path,
                                   options->hot_word_boost, err));
    if (path) {
        S3R_TRY(s3r_lexicon_finish(&decoder->lexicon, err));
        decoder->info.lexicon_words = decoder->lexicon.words.count;
        decoder->search.lexicon = &decoder->lexicon;
    }
    if (!options->hot_words_path)
        return S3R_OK;
    if (!path)
        S3R_TRY(s3r_lexicon_finish(&decoder->hot_words, err));
    S3R_TRY(s3r_hot_phrases_finish(&decoder->hot,
                                   path ? &decoder->lexicon : &decoder->hot_words, err));
    decoder->info.hot_words = decoder->hot.phrases.words.count;
    decoder->search.hot = &decoder->hot;
    return S3R_OK;
}

static s3r_status open_decoder(s3r_decoder *decoder, const s3r_decoder_options *options,
                               s3r_error *err)
{
    const s3r_model *model = decoder->model;
    S3R_TRY(s3r_model_check_labels(model, "there are no labels to decode", err));
    decoder->nbest = options->nbest;
    decoder->search.vocabulary = &model->vocabulary;
    decoder->search.label_count = model->config.vocab_size;
    decoder->search.options =
        (s3r_search_options){.beam = options->beam,
                             .token_beam = options->token_beam,
                             .threshold = options->beam_threshold,
                             .lm_weight = options->lm_weight,
                             .word_score = options->word_score,
                             .allows_unknown = options->allows_unknown,
                             .unknown_score = options->unknown_score};
    S3R_TRY(open_lm(decoder, options, err));
    S3R_TRY(open_words(decoder, options, err));
    S3R_TRY(s3r_search_prepare(&decoder->search, err));
    return check_fit(decoder, err);
}

s3r_status s3r_decoder_open(s3r_decoder **out, const s3r_model *model,
                            const s3r_decoder_options *options, s3r_error *err)
{
    s3r_decoder_options defaults;
    s3r_decoder_options_init(&defaults);
    options = options ? options : &defaults;
    S3R_TRY(s3r_options_check_size("decoder options", sizeof *options,
                                   options->struct_size, err));
    if (options->nbest == 0 || options->nbest > options->beam)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "n-best: expected 1 to the beam of %zu, found %zu", options->beam,
                        options->nbest);
    if (!(options->hot_word_boost >= 0 && options->hot_word_boost <= 1000))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "hot word boost: expected 0 to 1000, found %g",
                        options->hot_word_boost);
    s3r_decoder *decoder = s3r_alloc(1, sizeof *decoder);
    if (!decoder)
        return s3r_fail_memory(err, "a decoder", sizeof *decoder);
    decoder->model = model;
    s3r_status status = open_decoder(decoder, options, err);
    if (status != S3R_OK) {
        s3r_decoder_close(decoder);
        return status;
    }
    *out = decoder;
    return S3R_OK;
}

void s3r_decoder_get_info(const s3r_decoder *decoder, s3r_decoder_info *info)
{
    *info = decoder->info;
}

s3r_status s3r_decoder_set_weights(s3r_decoder *decoder, double lm_weight,
                                   double word_score, s3r_error *err)
{
    if (!s3r_search_weights_are_valid(lm_weight, word_score))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "weights: expected numbers from -1000000 to 1000000, and an LM "
                        "weight of at least 0, found %g and %g",
                        lm_weight, word_score);
    s3r_search_set_weights(&decoder->search, lm_weight, word_score);
    return S3R_OK;
}

/* ---- decoding ---- */

struct s3r_decoding {
    s3r_decodings found;
};

s3r_status s3r_decode(s3r_decoding **out, const s3r_decoder *decoder,
                      const float *log_probs, size_t frames, s3r_error *err)
{
    s3r_beam *beam;
    size_t labels = decoder->search.label_count;
    s3r_decoding *made = s3r_alloc(1, sizeof *made);
    if (!made)
        return s3r_fail_memory(err, "a result", sizeof *made);
    s3r_status status = s3r_beam_create(&beam, &decoder->search, err);
    if (status == S3R_OK) {
        status = s3r_beam_add(beam, log_probs, frames, labels, err);
        if (status == S3R_OK)
            status = s3r_beam_finish(beam, decoder->nbest, &made->found, err);
        s3r_beam_destroy(beam);
    }
    if (status != S3R_OK) {
        s3r_free(made);
        return status;
    }
    *out = made;
    return S3R_OK;
}

void s3r_decoding_free(s3r_decoding *decoding)
{
    if (!decoding)
        return;
    s3r_decodings_release(&decoding->found);
    s3r_free(decoding);
}

size_t s3r_decoding_count(const s3r_decoding *decoding)
{
    return decoding->found.count;
}

void s3r_decoding_get(const s3r_decoding *decoding, size_t index, s3r_hypothesis *out)
{
    const s3r_decoded *d = &decoding->found.items[index];
    *out = (s3r_hypothesis){.text = d->text,
                            .score = d->score,
                            .emission = d->emission,
                            .lm_log10 = d->lm,
                            .words = d->word_count};
}
