/*
 * Train, dev and test so that no text is on two sides, by the text alone: adding or
 * removing data moves nothing.
 */
#ifndef S3R_DATA_TEXT_SPLIT_H
#define S3R_DATA_TEXT_SPLIT_H

/*
 * "test", "dev" (1 of 10 each) or "train": the MD5 of "LANGUAGE|TEXT", as a big-endian
 * number, modulo 10 is 0, 1 or more.  A NULL language is empty.
 */
const char *s3r_text_split(const char *language, const char *text);

#endif
