/*
 * A table from strings to numbers: open addressing, strings borrowed.
 */
#ifndef S3R_DATA_STRING_MAP_H
#define S3R_DATA_STRING_MAP_H

#include "base/compiler.h"
#include "base/error.h"

typedef struct s3r_string_map_slot {
    const char *key; /* NULL = free */
    size_t value;
} s3r_string_map_slot;

/* Zeroed before use. */
typedef struct s3r_string_map {
    s3r_string_map_slot *slots;
    size_t capacity, count;
} s3r_string_map;

void s3r_string_map_release(s3r_string_map *map);
/* The value of key, or NULL; valid until the next add. */
size_t *s3r_string_map_find(const s3r_string_map *map, const char *key);
/* Adds key, which must live as long as the map, with this value; a key that is there
 * keeps its value.  *stored receives where the value is; *is_new may be NULL.
 * S3R_ERR_RESOURCE. */
s3r_status s3r_string_map_add(s3r_string_map *map, const char *key, size_t value,
                              size_t **stored, bool *is_new, s3r_error *err);

/* FNV-1a, 64 bits: the same on every machine and for ever. */
uint64_t s3r_string_hash(const char *text);

#endif
