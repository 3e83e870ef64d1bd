/*
 * Any bytes as an ARPA file: an error, or a model that answers and whose compiled form
 * can be opened.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decode/arpa_file.h"
#include "decode/language_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int is_true)
{
    if (!is_true)
        abort();
}

static void ask(const s3r_lm *lm)
{
    s3r_lm_state state = s3r_lm_begin(lm);
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t word = i * 7 % (lm->word_count + 1);
        float prob = s3r_lm_word_score(lm, &state, word, &state);
        require(isfinite(prob) && state.length < lm->order);
        const char *text = s3r_lm_word(lm, word);
        require(!text || s3r_lm_find(lm, text, strlen(text)) == word);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3r_ngrams ngrams;
    s3r_lm lm;
    s3r_error err = {.message = ""};
    s3r_status status = s3r_arpa_parse(&ngrams, (const char *)data, size, "fuzz", &err);
    if (status != S3R_OK) {
        require(err.message[0] != '\0');
        return 0;
    }
    if (s3r_lm_from_ngrams(&lm, &ngrams, "fuzz", &err) == S3R_OK) {
        require(s3r_lm_check(&lm, &err) == S3R_OK);
        ask(&lm);
        s3r_lm_close(&lm);
    }
    s3r_ngrams_release(&ngrams);
    return 0;
}
