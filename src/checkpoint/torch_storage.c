/*
 * Storage ids, and where the bytes of a storage lie in either container.
 *
 * In a zip each storage is the entry NAME/data/KEY.  In a legacy file they follow the
 * pickles in the order of a pickled list of keys, each as an int64 count of elements and
 * the data; how large an element is, only the persistent ids tell, which are collected
 * from all nodes of the object pickle.
 */
#include "checkpoint/torch_storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define MAX_KEY_BYTES 256u

bool s3r_torch_dtype_from_class(const s3r_pickle_node *type, s3r_dtype *out)
{
    static const struct {
        const char *storage, *name;
        s3r_dtype dtype;
    } names[] = {
        {"FloatStorage", "float32", S3R_DTYPE_F32},
        {"HalfStorage", "float16", S3R_DTYPE_F16},
        {"BFloat16Storage", "bfloat16", S3R_DTYPE_BF16},
        {"DoubleStorage", "float64", S3R_DTYPE_F64},
        {"LongStorage", "int64", S3R_DTYPE_I64},
        {"IntStorage", "int32", S3R_DTYPE_I32},
        {"ShortStorage", "int16", S3R_DTYPE_I16},
        {"CharStorage", "int8", S3R_DTYPE_I8},
        {"ByteStorage", "uint8", S3R_DTYPE_U8},
        {"BoolStorage", "bool", S3R_DTYPE_BOOL},
        {"UInt16Storage", "uint16", S3R_DTYPE_U16},
        {"UInt32Storage", "uint32", S3R_DTYPE_U32},
        {"UInt64Storage", "uint64", S3R_DTYPE_U64},
        {"Float8_e4m3fnStorage", "float8_e4m3fn", S3R_DTYPE_F8_E4M3},
        {"Float8_e5m2Storage", "float8_e5m2", S3R_DTYPE_F8_E5M2},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(names); i++) {
        if (s3r_pickle_class_is(type, "torch", names[i].storage) ||
            s3r_pickle_class_is(type, "torch.cuda", names[i].storage) ||
            s3r_pickle_class_is(type, "torch", names[i].name)) {
            *out = names[i].dtype;
            return true;
        }
    }
    return false;
}

static bool read_count(size_t *out, const s3r_pickle_node *node)
{
    if (!node || node->kind != S3R_PICKLE_INT || node->as.integer < 0)
        return false;
    *out = (size_t)node->as.integer;
    return true;
}

static bool is_untyped_class(const s3r_pickle_node *type)
{
    return s3r_pickle_class_is(type, "torch.storage", "UntypedStorage") ||
           s3r_pickle_class_is(type, "torch.storage", "_UntypedStorage") ||
           s3r_pickle_class_is(type, "torch", "UntypedStorage");
}

bool s3r_torch_storage_id_read(s3r_torch_storage_id *out, const s3r_pickle_node *node)
{
    *out = (s3r_torch_storage_id){0};
    const s3r_pickle_node *id = node->kind == S3R_PICKLE_PERSISTENT ? node->as.id : NULL;
    const s3r_pickle_node *type = s3r_pickle_item(id, 1), *key = s3r_pickle_item(id, 2);
    const s3r_pickle_node *view = s3r_pickle_item(id, 5);
    if (!s3r_pickle_text_is(s3r_pickle_item(id, 0), "storage") || !key ||
        key->kind != S3R_PICKLE_TEXT || key->as.text.length > MAX_KEY_BYTES ||
        !read_count(&out->numel, s3r_pickle_item(id, 4)))
        return false;
    out->key = key->as.text;
    out->is_untyped = is_untyped_class(type);
    out->dtype = S3R_DTYPE_U8;
    if (!out->is_untyped && !s3r_torch_dtype_from_class(type, &out->dtype))
        return false;
    if (!view || view->kind == S3R_PICKLE_NONE)
        return true;
    out->has_view = true;
    return read_count(&out->view_offset, s3r_pickle_item(view, 1)) &&
           read_count(&out->view_numel, s3r_pickle_item(view, 2));
}

static int compare_texts(s3r_pickle_text a, s3r_pickle_text b)
{
    size_t shorter = S3R_MIN(a.length, b.length);
    int order = shorter ? memcmp(a.bytes, b.bytes, shorter) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_keys(const void *a, const void *b)
{
    const struct s3r_torch_legacy_entry *left = a, *right = b;
    return compare_texts(left->key, right->key);
}

static struct s3r_torch_legacy_entry *find_legacy(const s3r_torch_storages *storages,
                                                  s3r_pickle_text key)
{
    struct s3r_torch_legacy_entry wanted = {.key = key};
    return storages->legacy_count
               ? bsearch(&wanted, storages->legacy, storages->legacy_count, sizeof wanted,
                         compare_keys)
               : NULL;
}

/* Lets a storage id tell the element size and count of its storage. */
static bool note_storage_id(void *context, const s3r_pickle_node *node)
{
    s3r_torch_storage_id id;
    struct s3r_torch_legacy_entry *entry;
    if (s3r_torch_storage_id_read(&id, node) && (entry = find_legacy(context, id.key))) {
        entry->element_size = s3r_dtype_size(id.dtype);
        entry->numel = id.numel;
    }
    return true;
}

static s3r_status fail_storage(const s3r_torch_storages *storages, s3r_pickle_text key,
                               const char *what)
{
    return s3r_fail(storages->err, S3R_ERR_MODEL, "%s: storage \"%.*s\": %s",
                    storages->label, (int)S3R_MIN(key.length, (size_t)MAX_KEY_BYTES),
                    key.bytes, what);
}

static s3r_status make_legacy_table(s3r_torch_storages *storages,
                                    const s3r_pickle_node *keys)
{
    if (!keys || keys->kind != S3R_PICKLE_LIST)
        return s3r_fail(storages->err, S3R_ERR_MODEL,
                        "%s: expected a list of storage keys after the objects",
                        storages->label);
    size_t count = keys->as.items.count;
    storages->legacy = s3r_alloc(count, sizeof *storages->legacy);
    if (!storages->legacy)
        return s3r_fail_memory(storages->err, "the list of storages",
                               count * sizeof *storages->legacy);
    for (size_t i = 0; i < count; i++) {
        const s3r_pickle_node *key = keys->as.items.nodes[i];
        if (key->kind != S3R_PICKLE_TEXT)
            return s3r_fail(storages->err, S3R_ERR_MODEL,
                            "%s: a storage key is not a text", storages->label);
        storages->legacy[i].key = key->as.text;
    }
    storages->legacy_count = count;
    if (count > 0)
        qsort(storages->legacy, count, sizeof *storages->legacy, compare_keys);
    for (size_t i = 1; i < count; i++) {
        if (compare_keys(&storages->legacy[i - 1], &storages->legacy[i]) == 0)
            return fail_storage(storages, storages->legacy[i].key,
                                "the key occurs twice");
    }
    return S3R_OK;
}

/* Reads the count and takes the data at *at for one storage. */
static s3r_status read_legacy_data(const s3r_torch_storages *storages,
                                   struct s3r_torch_legacy_entry *entry,
                                   const unsigned char *bytes, size_t size, size_t *at)
{
    uint64_t numel = 0;
    size_t data_bytes;
    if (entry->element_size == 0)
        return fail_storage(storages, entry->key, "no tensor tells its type");
    if (size - *at < 8)
        return fail_storage(storages, entry->key,
                            "the file ends before it (an incomplete download?)");
    for (unsigned i = 0; i < 8; i++)
        numel |= (uint64_t)bytes[*at + i] << (8 * i);
    *at += 8;
    if (numel != entry->numel)
        return fail_storage(storages, entry->key,
                            "its number of elements differs from the pickled one");
    if (!s3r_size_mul((size_t)numel, entry->element_size, &data_bytes) ||
        data_bytes > size - *at)
        return fail_storage(storages, entry->key,
                            "the file ends within it (an incomplete download?)");
    entry->storage = (s3r_torch_storage){bytes + *at, data_bytes};
    *at += data_bytes;
    return S3R_OK;
}

s3r_status s3r_torch_storages_read_legacy(s3r_torch_storages *storages,
                                          const s3r_pickle_tree *objects,
                                          const s3r_pickle_node *keys,
                                          const unsigned char *bytes, size_t size,
                                          size_t at)
{
    S3R_TRY(make_legacy_table(storages, keys));
    s3r_pickle_tree_visit(objects, note_storage_id, storages);
    for (size_t i = 0; i < keys->as.items.count; i++) {
        s3r_pickle_text key = keys->as.items.nodes[i]->as.text;
        S3R_TRY(read_legacy_data(storages, find_legacy(storages, key), bytes, size, &at));
    }
    return S3R_OK;
}

static s3r_status find_zip_storage(s3r_torch_storages *storages, s3r_torch_storage *out,
                                   s3r_pickle_text key)
{
    char name[4096 + 2 * MAX_KEY_BYTES];
    int length =
        snprintf(name, sizeof name, "%.*sdata/%.*s", (int)storages->prefix.length,
                 storages->prefix.bytes, (int)key.length, key.bytes);
    s3r_zip_entry *entry = length > 0 && (size_t)length < sizeof name
                               ? s3r_zip_find(storages->zip, name, (size_t)length)
                               : NULL;
    if (!entry)
        return fail_storage(storages, key, "the archive has no entry for it");
    S3R_TRY(s3r_zip_read(storages->zip, entry, false, &out->bytes, storages->err));
    out->size = entry->size;
    return S3R_OK;
}

s3r_status s3r_torch_storages_find(s3r_torch_storages *storages, s3r_torch_storage *out,
                                   const s3r_torch_storage_id *id)
{
    size_t element_size = s3r_dtype_size(id->dtype), needed;
    if (storages->zip) {
        S3R_TRY(find_zip_storage(storages, out, id->key));
    } else {
        struct s3r_torch_legacy_entry *entry = find_legacy(storages, id->key);
        if (!entry)
            return fail_storage(storages, id->key, "the file has no data for it");
        *out = entry->storage;
    }
    if (!s3r_size_mul(id->numel, element_size, &needed) || needed > out->size)
        return s3r_fail(storages->err, S3R_ERR_MODEL,
                        "%s: storage \"%.*s\": expected %zu elements of %zu bytes, "
                        "found %zu bytes",
                        storages->label, (int)id->key.length, id->key.bytes, id->numel,
                        element_size, out->size);
    out->size = needed;
    if (!id->has_view)
        return S3R_OK;
    if (id->view_offset > id->numel || id->view_numel > id->numel - id->view_offset)
        return fail_storage(storages, id->key, "a view of it lies outside of it");
    out->bytes += id->view_offset * element_size;
    out->size = id->view_numel * element_size;
    return S3R_OK;
}
