/*
 * The words of a lexicon on the labels of a path.
 */
#ifndef S3R_DECODE_BEAM_WORDS_H
#define S3R_DECODE_BEAM_WORDS_H

#include "decode/beam_hypothesis.h"
#include "decode/beam_search.h"

/* Text and words of a result whose spans are there, for the words of a history: those of
 * the lexicon as it writes them, unknown ones by their labels.  S3R_ERR_RESOURCE. */
s3r_status s3r_decoded_write_words(const s3r_beam *beam, s3r_decoded *out,
                                   uint32_t history, s3r_error *err);

#endif
