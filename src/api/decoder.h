/*
 * What an open decoder holds; for the calls that feed it.
 */
#ifndef S3R_API_DECODER_H
#define S3R_API_DECODER_H

#include "decode/beam_search.h"
#include "s3r/decode.h"

struct s3r_decoder {
    const s3r_model *model;
    s3r_lm lm;
    s3r_lexicon lexicon;
    s3r_lexicon hot_words; /* without lexicon: those of the hot phrases */
    s3r_hot_phrases hot;
    size_t added_words; /* of the hot phrases, to the lexicon */
    s3r_search search;
    size_t nbest;
    s3r_decoder_info info;
};

#endif
