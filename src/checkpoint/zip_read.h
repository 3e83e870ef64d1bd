/*
 * Entries of a zip archive that lies in memory, by its central directory: PyTorch's
 * container.  (spec 3.2)
 *
 * Stored entries are used in place.  Deflated ones, which some tools produce, are
 * inflated once, and only when their declared sizes are believable for the archive as a
 * whole.
 */
#ifndef S3R_CHECKPOINT_ZIP_READ_H
#define S3R_CHECKPOINT_ZIP_READ_H

#include "base/error.h"

typedef struct s3r_zip_entry {
    char *name;
    const unsigned char *packed; /* as it lies in the archive */
    size_t packed_size;
    size_t size;
    uint64_t header_offset;
    uint32_t crc;
    bool is_deflated;
    unsigned char *inflated; /* NULL until read */
} s3r_zip_entry;

typedef struct s3r_zip {
    s3r_zip_entry *entries; /* sorted by name */
    size_t entry_count;
    const char *label;
} s3r_zip;

/* True when the bytes begin like a zip archive. */
bool s3r_zip_is_likely(const void *bytes, size_t size);

/*
 * Reads the directory; bytes and label must outlive the archive.  Rejected: entries that
 * overlap, repeat a name, leave the archive, are encrypted or packed by another method.
 * S3R_ERR_MODEL, S3R_ERR_RESOURCE.
 */
s3r_status s3r_zip_open(s3r_zip *out, const void *bytes, size_t size, const char *label,
                        s3r_error *err);
void s3r_zip_release(s3r_zip *zip);

/* NULL when there is no such entry.  name need not end in NUL. */
s3r_zip_entry *s3r_zip_find(const s3r_zip *zip, const char *name, size_t name_length);

/*
 * The bytes of an entry, entry->size of them; valid until release.  A deflated entry's
 * checksum is always verified, a stored one's when is_verified is true (it touches all of
 * the entry).
 */
s3r_status s3r_zip_read(const s3r_zip *zip, s3r_zip_entry *entry, bool is_verified,
                        const unsigned char **out, s3r_error *err);

#endif
