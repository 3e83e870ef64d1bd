/*
 * So many minutes of a manifest, drawn by seed.
 */
#ifndef S3R_DATA_MANIFEST_DRAW_H
#define S3R_DATA_MANIFEST_DRAW_H

#include "data/manifest.h"

/*
 * Every utterance has a rank that depends on the seed and its key alone; the first in
 * rank are taken until they last `seconds` together.  So the order of the manifest does
 * not matter, and of two draws with one seed the longer has all of the shorter.
 *
 *   durations   [count] of the utterances, in the file's order
 *   is_chosen   [count] receives the choice
 *   drawn_s     receives the sum
 *
 * S3R_ERR_DATA: the manifest has less; S3R_ERR_RESOURCE.
 */
s3r_status s3r_manifest_draw(const s3r_manifest *manifest, const double *durations,
                             double seconds, uint64_t seed, bool *is_chosen,
                             double *drawn_s, s3r_error *err);

#endif
