/*
 * Hashing text and writing hashes as text.
 */
#ifndef S3R_BASE_HASH_TEXT_H
#define S3R_BASE_HASH_TEXT_H

#include "base/compiler.h"

/* FNV-1a, 64 bits (Fowler, Noll, Vo): for tables and for naming streams, not against
 * people who mean harm. */
uint64_t s3r_hash_bytes(const char *text, size_t size);

/* Lower-case hexadecimal digits of bytes, with NUL: hex has 2 * size + 1 bytes. */
void s3r_bytes_to_hex(char *hex, const uint8_t *bytes, size_t size);

#endif
