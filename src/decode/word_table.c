/*
 * Open addressing with linear probing, at most two thirds full.
 */
#include "decode/word_table.h"

#include "base/memory.h"

#define FIRST_SLOTS ((size_t)256)
#define FIRST_BYTES ((size_t)4096)

void s3r_word_table_release(s3r_word_table *table)
{
    s3r_free(table->bytes);
    s3r_free(table->offsets);
    s3r_free(table->slots);
    *table = (s3r_word_table){0};
}

/* The slot that has the word, or the free one where it belongs. */
static s3r_word_slot *find_slot(const s3r_word_table *table, uint64_t hash,
                                const char *bytes, size_t size)
{
    for (size_t at = hash & (table->slot_count - 1);;
         at = (at + 1) & (table->slot_count - 1)) {
        s3r_word_slot *slot = &table->slots[at];
        if (slot->id == S3R_NO_WORD)
            return slot;
        const char *word = table->bytes + table->offsets[slot->id];
        if (slot->hash == hash && strncmp(word, bytes, size) == 0 && word[size] == '\0')
            return slot;
    }
}

uint32_t s3r_word_table_find(const s3r_word_table *table, const char *bytes, size_t size)
{
    if (!table->slots)
        return S3R_NO_WORD;
    return find_slot(table, s3r_word_hash(bytes, size), bytes, size)->id;
}

static s3r_status grow_slots(s3r_word_table *table, s3r_error *err)
{
    size_t count = S3R_MAX(2 * table->slot_count, FIRST_SLOTS);
    s3r_word_slot *slots = s3r_alloc_raw(count, sizeof *slots);
    if (!slots)
        return s3r_fail_memory(err, "a table of words", count * sizeof *slots);
    for (size_t i = 0; i < count; i++)
        slots[i].id = S3R_NO_WORD;
    for (size_t i = 0; i < table->slot_count; i++) {
        const s3r_word_slot *old = &table->slots[i];
        size_t at = old->hash & (count - 1);
        if (old->id == S3R_NO_WORD)
            continue;
        while (slots[at].id != S3R_NO_WORD)
            at = (at + 1) & (count - 1);
        slots[at] = *old;
    }
    s3r_free(table->slots);
    table->slots = slots;
    table->slot_count = count;
    return S3R_OK;
}

/* Room for one more word of that size. */
static s3r_status make_room(s3r_word_table *table, size_t size, s3r_error *err)
{
    if (3 * (table->count + 1) > 2 * table->slot_count)
        S3R_TRY(grow_slots(table, err));
    if (table->count == table->capacity) {
        size_t capacity = S3R_MAX(2 * table->capacity, FIRST_SLOTS);
        uint64_t *offsets =
            s3r_realloc(table->offsets, table->capacity, capacity, sizeof *offsets);
        if (!offsets)
            return s3r_fail_memory(err, "words", capacity * sizeof *offsets);
        table->offsets = offsets;
        table->capacity = capacity;
    }
    if (size + 1 > table->byte_capacity - table->byte_count) {
        size_t capacity = S3R_MAX(2 * table->byte_capacity, FIRST_BYTES) + size + 1;
        char *bytes = s3r_realloc(table->bytes, table->byte_capacity, capacity, 1);
        if (!bytes)
            return s3r_fail_memory(err, "words", capacity);
        table->bytes = bytes;
        table->byte_capacity = capacity;
    }
    return S3R_OK;
}

s3r_status s3r_word_table_add(s3r_word_table *table, uint32_t *id, const char *bytes,
                              size_t size, s3r_error *err)
{
    uint64_t hash = s3r_word_hash(bytes, size);
    if (table->count > 0) {
        *id = find_slot(table, hash, bytes, size)->id;
        if (*id != S3R_NO_WORD)
            return S3R_OK;
    }
    if (table->count >= S3R_NO_WORD)
        return s3r_fail(err, S3R_ERR_RESOURCE, "expected fewer than %u different words",
                        S3R_NO_WORD);
    S3R_TRY(make_room(table, size, err));
    *id = (uint32_t)table->count;
    table->offsets[table->count++] = table->byte_count;
    memcpy(table->bytes + table->byte_count, bytes, size);
    table->bytes[table->byte_count + size] = '\0';
    table->byte_count += size + 1;
    *find_slot(table, hash, bytes, size) = (s3r_word_slot){hash, *id};
    return S3R_OK;
}

void s3r_word_table_freeze(s3r_word_table *table)
{
    uint64_t *offsets =
        s3r_realloc(table->offsets, table->count, table->count, sizeof *offsets);
    if (offsets) {
        table->offsets = offsets;
        table->capacity = table->count;
    }
    char *bytes = s3r_realloc(table->bytes, table->byte_count, table->byte_count, 1);
    if (bytes) {
        table->bytes = bytes;
        table->byte_capacity = table->byte_count;
    }
    s3r_free(table->slots);
    table->slots = NULL;
    table->slot_count = 0;
}
