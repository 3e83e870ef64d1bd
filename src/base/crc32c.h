/*
 * CRC-32C (Castagnoli; RFC 3720, appendix B.4), as TFRecord files use it.
 */
#ifndef S3R_BASE_CRC32C_H
#define S3R_BASE_CRC32C_H

#include "base/compiler.h"

uint32_t s3r_crc32c(const void *bytes, size_t size);

#endif
