/*
 * Train, dev and test so that no text is on two sides, by the text alone: adding or
 * removing data moves nothing.
 */
#ifndef S3R_DATA_TEXT_SPLIT_H
#define S3R_DATA_TEXT_SPLIT_H

/*
 * "train" (8 of 10), "dev" or "test" (1 of 10 each): the MD5 of language and text, as a
 * big-endian number, modulo 10 is 0 to 7, 8 or 9.  Language may be NULL.
 */
const char *s3r_text_split(const char *language, const char *text);

#endif
