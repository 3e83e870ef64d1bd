/*
 * Files of hot words.
 */
#ifndef S3R_API_HOT_WORDS_H
#define S3R_API_HOT_WORDS_H

#include "api/decoder.h"

/*
 * Adds the words of the file to the lexicon (that of the decoder, when it has one, else
 * its hot words) and their boosts to decoder->boosts; fallback is the boost of lines
 * without one.  S3R_ERR_DATA: several words a line, letters without a label, a boost that
 * is no number of at least 0; S3R_ERR_RESOURCE.
 */
s3r_status s3r_hot_words_open(s3r_decoder *decoder, const char *path, double fallback,
                              s3r_error *err);

#endif
