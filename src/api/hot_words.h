/*
 * Files of hot words.
 */
#ifndef S3R_API_HOT_WORDS_H
#define S3R_API_HOT_WORDS_H

#include "api/decoder.h"

/*
 * Adds the phrases of the file to decoder->hot, and words that the decoder's lexicon (or,
 * without one, decoder->hot_words) lacks to that; fallback is the boost of lines without
 * one.  S3R_ERR_DATA: letters without a label, a boost that is no number of at least 0, a
 * phrase of several words that cannot be told apart; S3R_ERR_RESOURCE.
 */
s3r_status s3r_hot_words_open(s3r_decoder *decoder, const char *path, double fallback,
                              s3r_error *err);

#endif
