/*
 * Questions to a model of which nothing is known: they end, inside the file.
 */
#ifndef S3R_FUZZ_LM_QUERIES_H
#define S3R_FUZZ_LM_QUERIES_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "decode/lm_image.h"

static inline void s3r_fuzz_ask(const s3r_lm *lm)
{
    s3r_lm_state state = s3r_lm_begin(lm);
    size_t seen = 0;
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t word = (uint32_t)((uint64_t)i * 7919 % ((uint64_t)lm->word_count + 1));
        float prob = s3r_lm_word_score(lm, &state, word, &state);
        const char *text = s3r_lm_word(lm, word);
        if (!isfinite(prob) || state.length >= lm->order)
            abort();
        seen += text ? s3r_lm_find(lm, text, strlen(text)) : 0;
    }
    if (seen == SIZE_MAX)
        abort();
}

#endif
