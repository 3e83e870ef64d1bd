/*
 * Laying out sections, and checking the header of what others laid out.
 */
#include "decode/lm_image.h"

#include <zlib.h>

#include "base/memory.h"

#define DIGIT_BITS 11u

uint32_t s3r_lm_crc(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    uLong crc = crc32(0, NULL, 0);
    while (size > 0) {
        size_t part = S3R_MIN(size, (size_t)1 << 30);
        crc = crc32(crc, at, (unsigned)part);
        at += part;
        size -= part;
    }
    return (uint32_t)crc;
}

/* ---- tables ---- */

/* A quarter more places than entries: a hit looks at three entries on average, most of
 * the time in one cache line. */
static uint64_t buckets_for(uint64_t count)
{
    return count + count / 4 + 1;
}

/* By key, the last of equals last; radix sort through `spare`. */
static void sort_entries(s3r_table_entry *entries, s3r_table_entry *spare, size_t count)
{
    s3r_table_entry *from = entries, *to = spare;
    for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS) {
        size_t starts[1u << DIGIT_BITS] = {0}, sum = 0;
        const uint64_t mask = (1u << DIGIT_BITS) - 1;
        for (size_t i = 0; i < count; i++)
            starts[(from[i].key >> shift) & mask]++;
        for (size_t digit = 0; digit <= mask; digit++) {
            size_t here = starts[digit];
            starts[digit] = sum;
            sum += here;
        }
        for (size_t i = 0; i < count; i++)
            to[starts[(from[i].key >> shift) & mask]++] = from[i];
        s3r_table_entry *swap = from;
        from = to;
        to = swap;
    }
    if (from != entries)
        memcpy(entries, from, count * sizeof *from);
}

/* How many slots the sorted entries take: the last may stand behind all buckets. */
static uint64_t count_slots(const s3r_table_entry *entries, size_t count,
                            const s3r_ngram_table *table)
{
    uint64_t next = 0;
    for (size_t i = 0; i < count; i++)
        next = S3R_MAX(next, s3r_table_place(table, entries[i].key)) + 1;
    return S3R_MAX(next, table->buckets);
}

static void fill_slots(unsigned char *slots, const s3r_table_entry *entries, size_t count,
                       const s3r_ngram_table *table)
{
    uint64_t next = 0;
    for (size_t i = 0; i < count; i++) {
        next = S3R_MAX(next, s3r_table_place(table, entries[i].key));
        unsigned char *slot = slots + next++ * table->stride;
        memcpy(slot, &entries[i].key, sizeof entries[i].key);
        memcpy(slot + sizeof entries[i].key, entries[i].value,
               table->stride - sizeof entries[i].key);
    }
}

static s3r_status sort_table(s3r_table_entry *entries, size_t count, uint32_t twice[2],
                             s3r_error *err)
{
    s3r_table_entry *spare = s3r_alloc_raw(count, sizeof *spare);
    if (!spare)
        return s3r_fail_memory(err, "sorting n-grams", count * sizeof *spare);
    for (size_t i = 0; i < count; i++)
        entries[i].key += entries[i].key == 0;
    sort_entries(entries, spare, count);
    s3r_free(spare);
    for (size_t i = 1; i < count; i++)
        if (entries[i].key == entries[i - 1].key) {
            twice[0] = entries[i - 1].index;
            twice[1] = entries[i].index;
            return s3r_fail(err, S3R_ERR_DATA, "an n-gram is there twice");
        }
    return S3R_OK;
}

/* ---- the image ---- */

/* One section on its way: plain bytes, or a table with its entries. */
typedef struct section_plan {
    const void *bytes;
    size_t size_bytes;
    const s3r_table_entry *entries;
    size_t entry_count;
    s3r_ngram_table table; /* of entries */
} section_plan;

static s3r_status plan_table(section_plan *plan, s3r_table_entry *entries, size_t count,
                             size_t stride, uint32_t twice[2], s3r_error *err)
{
    if (buckets_for(count) > UINT32_MAX)
        return s3r_fail(err, S3R_ERR_RESOURCE,
                        "expected at most 3 billion n-grams of an order, found %zu",
                        count);
    S3R_TRY(sort_table(entries, count, twice, err));
    plan->entries = entries;
    plan->entry_count = count;
    plan->table = (s3r_ngram_table){.stride = stride, .buckets = buckets_for(count)};
    plan->size_bytes = count_slots(entries, count, &plan->table) * stride;
    return S3R_OK;
}

static s3r_status plan_sections(section_plan *plans, const s3r_lm_parts *parts,
                                size_t *duplicate_order, uint32_t twice[2],
                                s3r_error *err)
{
    plans[S3R_LM_SECTION_BYTES] =
        (section_plan){.bytes = parts->word_bytes, .size_bytes = parts->word_byte_count};
    plans[S3R_LM_SECTION_OFFSETS] = (section_plan){
        .bytes = parts->word_offsets, .size_bytes = parts->word_count * sizeof(uint64_t)};
    plans[S3R_LM_SECTION_UNIGRAMS] = (section_plan){
        .bytes = parts->unigrams, .size_bytes = parts->word_count * 2 * sizeof(float)};
    *duplicate_order = 0;
    S3R_TRY(plan_table(&plans[S3R_LM_SECTION_VOCABULARY], parts->vocabulary,
                       parts->word_count, S3R_LM_VOCABULARY_STRIDE, twice, err));
    for (size_t order = 2; order <= parts->order; order++) {
        *duplicate_order = order;
        S3R_TRY(plan_table(&plans[S3R_LM_SECTION_NGRAMS + order - 2],
                           parts->ngrams[order - 2], (size_t)parts->counts[order - 1],
                           order == parts->order ? S3R_LM_LONGEST_STRIDE
                                                 : S3R_LM_MIDDLE_STRIDE,
                           twice, err));
    }
    return S3R_OK;
}

static size_t align_up(size_t size)
{
    return S3R_CEIL_DIV(size, S3R_LM_ALIGNMENT) * S3R_LM_ALIGNMENT;
}

static void fill_image(unsigned char *image, s3r_lm_header *header,
                       const section_plan *plans)
{
    for (size_t i = 0; i < S3R_LM_SECTION_COUNT; i++) {
        s3r_lm_section *section = &header->sections[i];
        unsigned char *bytes = image + section->offset;
        if (plans[i].entries)
            fill_slots(bytes, plans[i].entries, plans[i].entry_count, &plans[i].table);
        else if (section->size_bytes > 0)
            memcpy(bytes, plans[i].bytes, section->size_bytes);
        section->crc = s3r_lm_crc(bytes, section->size_bytes);
    }
    header->crc = s3r_lm_crc(header, offsetof(s3r_lm_header, crc));
    memcpy(image, header, sizeof *header);
}

s3r_status s3r_lm_image_make(unsigned char **image, size_t *image_bytes,
                             const s3r_lm_parts *parts, size_t *duplicate_order,
                             uint32_t duplicates[2], s3r_error *err)
{
    section_plan plans[S3R_LM_SECTION_COUNT] = {0};
    s3r_lm_header header = {.version = S3R_LM_VERSION,
                            .byte_order = S3R_LM_BYTE_ORDER,
                            .order = (uint32_t)parts->order,
                            .flags = parts->flags,
                            .word_count = parts->word_count,
                            .begin_word = parts->begin_word,
                            .end_word = parts->end_word};
    size_t at = align_up(sizeof header);
    memcpy(header.magic, S3R_LM_MAGIC, sizeof header.magic);
    memcpy(header.counts, parts->counts, sizeof header.counts);
    S3R_TRY(plan_sections(plans, parts, duplicate_order, duplicates, err));
    for (size_t i = 0; i < S3R_LM_SECTION_COUNT; i++) {
        header.sections[i] = (s3r_lm_section){.offset = at,
                                              .size_bytes = plans[i].size_bytes,
                                              .buckets = plans[i].table.buckets};
        at += align_up(plans[i].size_bytes);
    }
    header.file_bytes = at;
    *image_bytes = at;
    *image = s3r_alloc(at, 1);
    if (!*image)
        return s3r_fail_memory(err, "the language model", at);
    fill_image(*image, &header, plans);
    return S3R_OK;
}

/* ---- opening ---- */

static s3r_status check_header(const s3r_lm_header *header, size_t size, const char *path,
                               s3r_error *err)
{
    if (header->byte_order != S3R_LM_BYTE_ORDER)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected a language model of this machine's byte order",
                        path);
    if (header->version != S3R_LM_VERSION)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected version %u of the language model file, found %u "
                        "(compile it again)",
                        path, S3R_LM_VERSION, header->version);
    if (header->crc != s3r_lm_crc(header, offsetof(s3r_lm_header, crc)))
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: the header is damaged (its checksum differs)", path);
    if (header->file_bytes != size)
        return s3r_fail(err, S3R_ERR_DATA, "%s: expected %llu bytes, found %zu (cut?)",
                        path, (unsigned long long)header->file_bytes, size);
    return S3R_OK;
}

static bool is_sound_table(const s3r_lm_section *section, size_t stride)
{
    return section->size_bytes % stride == 0 && section->buckets > 0 &&
           section->buckets <= UINT32_MAX &&
           section->buckets <= section->size_bytes / stride;
}

/* What a right checksum does not say: whoever writes a file can sum it up. */
static bool is_sound(const s3r_lm_header *header, size_t size)
{
    const s3r_lm_section *sections = header->sections;
    uint64_t words = header->word_count;
    if (header->order == 0 || header->order > S3R_LM_MAX_ORDER || words == 0 ||
        words >= S3R_NO_WORD || header->begin_word >= words || header->end_word >= words)
        return false;
    for (size_t i = 0; i < S3R_LM_SECTION_COUNT; i++)
        if (sections[i].offset > size ||
            sections[i].size_bytes > size - sections[i].offset)
            return false;
    if (sections[S3R_LM_SECTION_OFFSETS].size_bytes != words * sizeof(uint64_t) ||
        sections[S3R_LM_SECTION_UNIGRAMS].size_bytes != words * 2 * sizeof(float) ||
        !is_sound_table(&sections[S3R_LM_SECTION_VOCABULARY], S3R_LM_VOCABULARY_STRIDE))
        return false;
    for (size_t order = 2; order <= header->order; order++)
        if (!is_sound_table(&sections[S3R_LM_SECTION_NGRAMS + order - 2],
                            order == header->order ? S3R_LM_LONGEST_STRIDE
                                                   : S3R_LM_MIDDLE_STRIDE))
            return false;
    return true;
}

static s3r_ngram_table table_of(const unsigned char *bytes, const s3r_lm_section *section,
                                size_t stride)
{
    return (s3r_ngram_table){.entries = bytes + section->offset,
                             .stride = stride,
                             .buckets = section->buckets,
                             .slots = section->size_bytes / stride};
}

s3r_status s3r_lm_attach_image(s3r_lm *lm, const unsigned char *bytes, size_t size,
                               s3r_error *err)
{
    s3r_lm_header header;
    if (size < sizeof header || memcmp(bytes, S3R_LM_MAGIC, sizeof header.magic) != 0)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: expected a language model, found something else or a part "
                        "of one",
                        lm->path);
    memcpy(&header, bytes, sizeof header);
    S3R_TRY(check_header(&header, size, lm->path, err));
    const s3r_lm_section *sections = header.sections;
    const s3r_lm_section *words = &sections[S3R_LM_SECTION_BYTES];
    if (!is_sound(&header, size) || words->size_bytes == 0 ||
        bytes[words->offset + words->size_bytes - 1] != '\0')
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: the sizes in the header contradict each other", lm->path);
    lm->order = header.order;
    lm->has_characters = header.flags & S3R_LM_CHARACTERS;
    lm->word_count = (uint32_t)header.word_count;
    lm->begin_word = header.begin_word;
    lm->end_word = header.end_word;
    memcpy(lm->counts, header.counts, sizeof lm->counts);
    lm->word_bytes = (const char *)bytes + words->offset;
    lm->word_byte_count = words->size_bytes;
    lm->word_offsets = bytes + sections[S3R_LM_SECTION_OFFSETS].offset;
    lm->unigrams = bytes + sections[S3R_LM_SECTION_UNIGRAMS].offset;
    lm->vocabulary =
        table_of(bytes, &sections[S3R_LM_SECTION_VOCABULARY], S3R_LM_VOCABULARY_STRIDE);
    for (size_t order = 2; order <= lm->order; order++)
        lm->tables[order - 2] =
            table_of(bytes, &sections[S3R_LM_SECTION_NGRAMS + order - 2],
                     order == lm->order ? S3R_LM_LONGEST_STRIDE : S3R_LM_MIDDLE_STRIDE);
    return S3R_OK;
}
