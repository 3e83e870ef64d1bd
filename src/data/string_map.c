/*
 * Linear probing at a load of at most one half; the capacity is a power of two.
 */
#include "data/string_map.h"

#include <string.h>

#include "base/hash_text.h"
#include "base/memory.h"

#define FIRST_CAPACITY 64u

uint64_t s3r_string_hash(const char *text)
{
    return s3r_hash_bytes(text, strlen(text));
}

void s3r_string_map_release(s3r_string_map *map)
{
    s3r_free(map->slots);
    *map = (s3r_string_map){0};
}

/* Where key is or would be. */
static s3r_string_map_slot *slot_of(s3r_string_map_slot *slots, size_t capacity,
                                    const char *key)
{
    uint64_t hash = s3r_string_hash(key);
    size_t at = (size_t)(hash ^ hash >> 32) & (capacity - 1);
    while (slots[at].key && strcmp(slots[at].key, key) != 0)
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

size_t *s3r_string_map_find(const s3r_string_map *map, const char *key)
{
    if (map->count == 0)
        return NULL;
    s3r_string_map_slot *slot = slot_of(map->slots, map->capacity, key);
    return slot->key ? &slot->value : NULL;
}

static bool grow(s3r_string_map *map)
{
    size_t capacity = map->capacity ? 2 * map->capacity : FIRST_CAPACITY;
    s3r_string_map_slot *slots = s3r_alloc(capacity, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].key)
            *slot_of(slots, capacity, map->slots[i].key) = map->slots[i];
    s3r_free(map->slots);
    map->slots = slots;
    map->capacity = capacity;
    return true;
}

s3r_status s3r_string_map_add(s3r_string_map *map, const char *key, size_t value,
                              size_t **stored, bool *is_new, s3r_error *err)
{
    if (2 * (map->count + 1) > map->capacity && !grow(map))
        return s3r_fail_memory(err, "a table of strings",
                               2 * map->capacity * sizeof *map->slots);
    s3r_string_map_slot *slot = slot_of(map->slots, map->capacity, key);
    if (is_new)
        *is_new = !slot->key;
    if (!slot->key) {
        *slot = (s3r_string_map_slot){key, value};
        map->count++;
    }
    if (stored)
        *stored = &slot->value;
    return S3R_OK;
}
