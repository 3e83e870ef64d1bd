/*
 * PyTorch checkpoint files: from container and pickle to named tensors.
 *
 * The pickle is read into a graph of opaque nodes; this file knows what PyTorch means by
 * a few of them (torch._utils._rebuild_tensor_v2 and its relatives).  Strides and offsets
 * are data of a stranger: the farthest element they reach must lie in the storage.
 */
#include "checkpoint/torch_file.h"

#include <string.h>

#include "base/memory.h"
#include "checkpoint/pickle_json.h"
#include "checkpoint/pickle_read.h"
#include "checkpoint/torch_storage.h"

#define MAX_NAME_BYTES 4096u
#define MAX_PAIRS      ((size_t)1 << 20)  /* of a state dict: a pair may take 4 bytes */
#define ALL_NAME_BYTES ((size_t)64 << 20) /* names may be one text many times */
#define MAX_WRAPPERS   8u                 /* Parameters around a tensor */
/* Copies of views may together be this much larger than the file: an expanded view of one
 * element could otherwise ask for any amount. */
#define MAX_COPY_RATIO 2u
#define MIN_COPY_BOUND ((size_t)64 << 20)

typedef struct builder {
    s3r_torch_file *file;
    s3r_torch_storages storages;
    size_t copy_bytes_left, name_bytes_left;
    const char *label;
    s3r_error *err;
} builder;

/* A tensor as pickled, not yet checked. */
typedef struct tensor_record {
    const s3r_pickle_node *storage, *offset, *shape, *strides, *dtype;
} tensor_record;

bool s3r_torch_file_is_likely(const void *bytes, size_t size)
{
    const unsigned char *first = bytes;
    return s3r_zip_is_likely(bytes, size) ||
           (size > 2 && first[0] == 0x80 && first[1] >= 2 && first[1] <= 5);
}

/* ---- one tensor ---- */

static bool class_begins(const s3r_pickle_node *type, const char *module,
                         const char *prefix)
{
    size_t module_length = strlen(module), length = strlen(prefix);
    return type->kind == S3R_PICKLE_CLASS &&
           type->as.type.module_length == module_length &&
           type->as.type.name_length >= length &&
           memcmp(type->as.type.module, module, module_length) == 0 &&
           memcmp(type->as.type.name, prefix, length) == 0;
}

/*
 * Looks through Parameters and subclasses of Tensor.  *is_tensor is false for any other
 * value; a kind of tensor that we do not know is an error, since it would be lost.
 */
static s3r_status find_record(const builder *b, tensor_record *out, bool *is_tensor,
                              const s3r_pickle_node *node, const char *name)
{
    *is_tensor = false;
    const s3r_pickle_node *type = NULL, *args = NULL;
    for (unsigned depth = 0; depth < MAX_WRAPPERS; depth++) {
        if (!node || node->kind != S3R_PICKLE_OBJECT)
            return S3R_OK;
        type = node->as.object->type;
        args = node->as.object->args;
        if (s3r_pickle_class_is(type, "torch._tensor", "_rebuild_from_type_v2")) {
            type = s3r_pickle_item(args, 0);
            args = s3r_pickle_item(args, 2);
        }
        if (!type || !args || !class_begins(type, "torch._utils", "_rebuild_parameter"))
            break;
        node = s3r_pickle_item(args, 0);
    }
    if (!type || !class_begins(type, "torch._utils", "_rebuild"))
        return S3R_OK;
    bool is_untyped = s3r_pickle_class_is(type, "torch._utils", "_rebuild_tensor_v3");
    if (!is_untyped && !s3r_pickle_class_is(type, "torch._utils", "_rebuild_tensor_v2") &&
        !s3r_pickle_class_is(type, "torch._utils", "_rebuild_tensor"))
        return s3r_fail(b->err, S3R_ERR_MODEL,
                        "%s: \"%s\": expected a dense tensor, found torch._utils.%.*s",
                        b->label, name, (int)S3R_MIN(type->as.type.name_length, 64u),
                        type->as.type.name);
    *out = (tensor_record){.storage = s3r_pickle_item(args, 0),
                           .offset = s3r_pickle_item(args, 1),
                           .shape = s3r_pickle_item(args, 2),
                           .strides = s3r_pickle_item(args, 3),
                           .dtype = is_untyped ? s3r_pickle_item(args, 6) : NULL};
    *is_tensor = true;
    return S3R_OK;
}

static s3r_status fail_tensor(const builder *b, const char *name, const char *what)
{
    return s3r_fail(b->err, S3R_ERR_MODEL, "%s: \"%s\": %s", b->label, name, what);
}

static bool read_count(size_t *out, const s3r_pickle_node *node)
{
    if (!node || node->kind != S3R_PICKLE_INT || node->as.integer < 0)
        return false;
    *out = (size_t)node->as.integer;
    return true;
}

static s3r_status read_geometry(const builder *b, const tensor_record *record,
                                s3r_tensor *tensor, size_t strides[S3R_MAX_RANK])
{
    const s3r_pickle_node *shape = record->shape;
    if (!shape || shape->kind != S3R_PICKLE_TUPLE || !record->strides ||
        record->strides->kind != S3R_PICKLE_TUPLE ||
        shape->as.items.count != record->strides->as.items.count)
        return fail_tensor(b, tensor->name, "expected a shape and as many strides");
    if (shape->as.items.count > S3R_MAX_RANK)
        return fail_tensor(b, tensor->name, "expected at most 8 dimensions");
    tensor->rank = (unsigned)shape->as.items.count;
    size_t bytes = s3r_dtype_size(tensor->dtype);
    for (unsigned i = 0; i < tensor->rank; i++) {
        if (!read_count(&tensor->shape[i], shape->as.items.nodes[i]) ||
            !read_count(&strides[i], record->strides->as.items.nodes[i]))
            return fail_tensor(b, tensor->name,
                               "shape and strides: expected non-negative integers");
        if (!s3r_size_mul(bytes, tensor->shape[i], &bytes))
            return fail_tensor(b, tensor->name,
                               "shape: the product of the sizes overflows");
    }
    tensor->size_bytes = bytes;
    return S3R_OK;
}

/* True when the farthest element lies within size bytes. */
static bool is_within(const s3r_tensor *tensor, const size_t *strides, size_t offset,
                      size_t size)
{
    size_t last = offset, reach;
    for (unsigned i = 0; i < tensor->rank; i++) {
        if (!s3r_size_mul(tensor->shape[i] - 1, strides[i], &reach) ||
            !s3r_size_add(last, reach, &last))
            return false;
    }
    return last < size / s3r_dtype_size(tensor->dtype);
}

static bool is_contiguous(const s3r_tensor *tensor, const size_t *strides)
{
    size_t expected = 1;
    for (unsigned i = tensor->rank; i-- > 0;) {
        if (tensor->shape[i] != 1 && strides[i] != expected)
            return false;
        expected *= tensor->shape[i];
    }
    return true;
}

static void copy_strided(unsigned char *out, const unsigned char *in,
                         const s3r_tensor *tensor, const size_t *strides)
{
    size_t element_size = s3r_dtype_size(tensor->dtype);
    size_t index[S3R_MAX_RANK] = {0};
    for (size_t done = 0; done < tensor->size_bytes; done += element_size) {
        size_t at = 0;
        for (unsigned i = 0; i < tensor->rank; i++)
            at += index[i] * strides[i];
        memcpy(out + done, in + at * element_size, element_size);
        for (unsigned i = tensor->rank; i-- > 0 && ++index[i] == tensor->shape[i];)
            index[i] = 0;
    }
}

static s3r_status copy_view(builder *b, s3r_tensor *tensor, const unsigned char *in,
                            const size_t *strides)
{
    if (tensor->size_bytes > b->copy_bytes_left)
        return fail_tensor(b, tensor->name,
                           "the views in this file are too large to be unfolded");
    b->copy_bytes_left -= tensor->size_bytes;
    unsigned char *copy = s3r_alloc_raw(tensor->size_bytes, 1);
    if (!copy)
        return s3r_fail_memory(b->err, tensor->name, tensor->size_bytes);
    copy_strided(copy, in, tensor, strides);
    b->file->copies[b->file->copy_count++] = copy;
    tensor->data = copy;
    return S3R_OK;
}

/* Fills tensor, whose name is set, from its record. */
static s3r_status build_tensor(builder *b, s3r_tensor *tensor,
                               const tensor_record *record)
{
    s3r_torch_storage_id id;
    s3r_torch_storage storage;
    size_t strides[S3R_MAX_RANK], offset;
    if (!record->storage || !s3r_torch_storage_id_read(&id, record->storage))
        return fail_tensor(b, tensor->name, "expected a storage of a known type");
    tensor->dtype = id.dtype;
    if (record->dtype &&
        (!id.is_untyped || !s3r_torch_dtype_from_class(record->dtype, &tensor->dtype)))
        return fail_tensor(b, tensor->name, "expected a known element type");
    if (!read_count(&offset, record->offset))
        return fail_tensor(b, tensor->name, "offset: expected a non-negative integer");
    S3R_TRY(read_geometry(b, record, tensor, strides));
    S3R_TRY(s3r_torch_storages_find(&b->storages, &storage, &id));
    if (tensor->size_bytes == 0) {
        tensor->data = storage.bytes;
        return S3R_OK;
    }
    if (!is_within(tensor, strides, offset, storage.size))
        return fail_tensor(b, tensor->name, "its elements lie outside of its storage");
    const unsigned char *data = storage.bytes + offset * s3r_dtype_size(tensor->dtype);
    if (!is_contiguous(tensor, strides))
        return copy_view(b, tensor, data, strides);
    tensor->data = data;
    return S3R_OK;
}

/* ---- the state dict ---- */

static s3r_status read_name(builder *b, const char **out, const s3r_pickle_node *key)
{
    if (key->as.text.length > MAX_NAME_BYTES || !s3r_pickle_text_is_utf8(key->as.text))
        return s3r_fail(b->err, S3R_ERR_MODEL,
                        "%s: a tensor name is not UTF-8 or longer than %u bytes",
                        b->label, MAX_NAME_BYTES);
    if (key->as.text.length >= b->name_bytes_left)
        return s3r_fail(b->err, S3R_ERR_MODEL,
                        "%s: expected tensor names of at most %zu bytes, found more",
                        b->label, ALL_NAME_BYTES);
    b->name_bytes_left -= key->as.text.length + 1;
    *out = s3r_strndup(key->as.text.bytes, key->as.text.length);
    return *out ? S3R_OK : s3r_fail_memory(b->err, "a tensor name", key->as.text.length);
}

static s3r_status read_pair(builder *b, const s3r_pickle_node *key,
                            const s3r_pickle_node *value)
{
    tensor_record record;
    bool is_tensor;
    if (key->kind != S3R_PICKLE_TEXT)
        return S3R_OK;
    s3r_tensor *tensor = &b->file->tensors[b->file->tensor_count];
    S3R_TRY(read_name(b, &tensor->name, key));
    s3r_status status = find_record(b, &record, &is_tensor, value, tensor->name);
    if (status != S3R_OK || !is_tensor) {
        s3r_free((void *)(uintptr_t)tensor->name);
        tensor->name = NULL;
        return status;
    }
    b->file->tensor_count++;
    return build_tensor(b, tensor, &record);
}

static s3r_status read_state_dict(builder *b, const s3r_pickle_items *pairs)
{
    size_t count = pairs->count / 2;
    if (count > MAX_PAIRS)
        return s3r_fail(b->err, S3R_ERR_MODEL,
                        "%s: expected at most %zu entries, found %zu", b->label,
                        MAX_PAIRS, count);
    b->name_bytes_left = ALL_NAME_BYTES;
    b->file->tensors = s3r_alloc(count, sizeof *b->file->tensors);
    b->file->copies = s3r_alloc(count, sizeof *b->file->copies);
    if (!b->file->tensors || !b->file->copies)
        return s3r_fail_memory(b->err, "the list of tensors",
                               count * sizeof *b->file->tensors);
    for (size_t i = 0; i < count; i++)
        S3R_TRY(read_pair(b, pairs->nodes[2 * i], pairs->nodes[2 * i + 1]));
    if (b->file->tensor_count == 0)
        return s3r_fail(b->err, S3R_ERR_MODEL,
                        "%s: expected a state dict of tensors, found none", b->label);
    return S3R_OK;
}

static s3r_status read_config(builder *b, const s3r_pickle_node *root)
{
    static const char *const keys[] = {"cfg", "args"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(keys); i++) {
        s3r_pickle_node *node = s3r_pickle_get(root, keys[i]);
        if (!node)
            continue;
        b->file->is_fairseq = true;
        if (node->kind == S3R_PICKLE_NONE)
            continue;
        S3R_TRY(s3r_pickle_to_json(&b->file->config, node, b->label, b->err));
        if (json_is_object(b->file->config))
            return S3R_OK;
        json_decref(b->file->config);
        b->file->config = NULL;
    }
    return S3R_OK;
}

static s3r_status read_root(builder *b, const s3r_pickle_node *root)
{
    static const char *const keys[] = {"model", "state_dict"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(keys); i++) {
        const s3r_pickle_items *pairs = s3r_pickle_pairs(s3r_pickle_get(root, keys[i]));
        if (!pairs)
            continue;
        if (i == 0)
            S3R_TRY(read_config(b, root));
        return read_state_dict(b, pairs);
    }
    const s3r_pickle_items *pairs = s3r_pickle_pairs(root);
    if (!pairs)
        return s3r_fail(
            b->err, S3R_ERR_MODEL,
            "%s: expected a state dict (names and tensors), found %s", b->label,
            root->kind == S3R_PICKLE_OBJECT ? "a pickled object" : "another value");
    return read_state_dict(b, pairs);
}

/* ---- the zip container ---- */

/* The entry NAME/data.pkl; *prefix becomes "NAME/". */
static s3r_status find_data_pickle(builder *b, s3r_zip_entry **out)
{
    static const char suffix[] = "/data.pkl";
    const s3r_zip *zip = &b->file->zip;
    *out = NULL;
    for (size_t i = 0; i < zip->entry_count; i++) {
        const char *slash = strchr(zip->entries[i].name, '/');
        if (!slash || strcmp(slash, suffix) != 0)
            continue;
        if (*out)
            return s3r_fail(b->err, S3R_ERR_MODEL,
                            "%s: zip: expected one data.pkl, found several", b->label);
        *out = &zip->entries[i];
    }
    if (!*out)
        return s3r_fail(b->err, S3R_ERR_MODEL,
                        "%s: zip: expected the entry NAME/data.pkl of a PyTorch file",
                        b->label);
    const char *name = (*out)->name;
    b->storages.prefix = (s3r_pickle_text){name, strlen(name) - strlen("data.pkl")};
    return S3R_OK;
}

/* The entry NAME/name, or NULL. */
static s3r_zip_entry *find_beside(const builder *b, const char *name)
{
    char path[MAX_NAME_BYTES + 64];
    s3r_pickle_text prefix = b->storages.prefix;
    size_t length = strlen(name);
    if (prefix.length + length > sizeof path)
        return NULL;
    memcpy(path, prefix.bytes, prefix.length);
    memcpy(path + prefix.length, name, length);
    return s3r_zip_find(&b->file->zip, path, prefix.length + length);
}

static s3r_status check_byte_order(const builder *b)
{
    const unsigned char *bytes;
    s3r_zip_entry *entry = find_beside(b, "byteorder");
    if (!entry)
        return S3R_OK;
    S3R_TRY(s3r_zip_read(&b->file->zip, entry, true, &bytes, b->err));
    if (entry->size != 6 || memcmp(bytes, "little", 6) != 0)
        return s3r_fail(b->err, S3R_ERR_MODEL,
                        "%s: byteorder: expected \"little\": the file was written on a "
                        "big-endian machine",
                        b->label);
    return S3R_OK;
}

static s3r_status parse_zip(builder *b, const void *bytes, size_t size)
{
    s3r_zip_entry *entry;
    const unsigned char *pickle;
    s3r_pickle_tree tree;
    S3R_TRY(s3r_zip_open(&b->file->zip, bytes, size, b->label, b->err));
    S3R_TRY(find_data_pickle(b, &entry));
    if (find_beside(b, "constants.pkl"))
        return s3r_fail(b->err, S3R_ERR_MODEL,
                        "%s: this is a TorchScript program, expected a state dict "
                        "(torch.save of model.state_dict())",
                        b->label);
    S3R_TRY(check_byte_order(b));
    S3R_TRY(s3r_zip_read(&b->file->zip, entry, true, &pickle, b->err));
    S3R_TRY(s3r_pickle_read(&tree, NULL, pickle, entry->size, b->label, b->err));
    b->storages.zip = &b->file->zip;
    s3r_status status = read_root(b, tree.root);
    s3r_pickle_tree_release(&tree);
    return status;
}

/* ---- the legacy container ---- */

/* Reads one of the pickles before the objects and compares its value. */
static s3r_status check_header_pickle(const builder *b, const unsigned char *bytes,
                                      size_t size, size_t *at, unsigned which)
{
    static const unsigned char magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9,
                                            0x20, 0x6a, 0xa8, 0x50, 0x19};
    s3r_pickle_tree tree;
    size_t used;
    const char *wrong = NULL;
    S3R_TRY(s3r_pickle_read(&tree, &used, bytes + *at, size - *at, b->label, b->err));
    const s3r_pickle_node *root = tree.root;
    const s3r_pickle_node *order = s3r_pickle_get(root, "little_endian");
    if (which == 0 &&
        (root->kind != S3R_PICKLE_LONG || root->as.text.length != sizeof magic ||
         memcmp(root->as.text.bytes, magic, sizeof magic) != 0))
        wrong = "a pickle, but not of PyTorch: its magic number is missing";
    else if (which == 1 && (root->kind != S3R_PICKLE_INT || root->as.integer != 1001))
        wrong = "expected version 1001 of the legacy PyTorch format";
    else if (which == 2 && order && order->kind == S3R_PICKLE_BOOL && !order->as.truth)
        wrong = "the file was written on a big-endian machine";
    s3r_pickle_tree_release(&tree);
    *at += used;
    return wrong ? s3r_fail(b->err, S3R_ERR_MODEL, "%s: %s", b->label, wrong) : S3R_OK;
}

static s3r_status parse_legacy(builder *b, const unsigned char *bytes, size_t size)
{
    size_t at = 0, used;
    s3r_pickle_tree objects, keys;
    b->file->is_legacy = true;
    for (unsigned which = 0; which < 3; which++)
        S3R_TRY(check_header_pickle(b, bytes, size, &at, which));
    S3R_TRY(s3r_pickle_read(&objects, &used, bytes + at, size - at, b->label, b->err));
    at += used;
    s3r_status status =
        s3r_pickle_read(&keys, &used, bytes + at, size - at, b->label, b->err);
    if (status == S3R_OK) {
        status = s3r_torch_storages_read_legacy(&b->storages, &objects, keys.root, bytes,
                                                size, at + used);
        if (status == S3R_OK)
            status = read_root(b, objects.root);
        s3r_pickle_tree_release(&keys);
    }
    s3r_free(b->storages.legacy);
    s3r_pickle_tree_release(&objects);
    return status;
}

s3r_status s3r_torch_file_parse(s3r_torch_file *out, const void *bytes, size_t size,
                                const char *label, s3r_error *err)
{
    s3r_torch_file file = {0};
    builder b = {.file = &file,
                 .storages = {.label = label, .err = err},
                 .copy_bytes_left = MIN_COPY_BOUND,
                 .label = label,
                 .err = err};
    size_t ratio_bytes;
    if (s3r_size_mul(size, MAX_COPY_RATIO, &ratio_bytes))
        b.copy_bytes_left = S3R_MAX(b.copy_bytes_left, ratio_bytes);
    s3r_status status = s3r_zip_is_likely(bytes, size) ? parse_zip(&b, bytes, size)
                                                       : parse_legacy(&b, bytes, size);
    if (status == S3R_OK)
        *out = file;
    else
        s3r_torch_file_release(&file);
    return status;
}

void s3r_torch_file_release(s3r_torch_file *file)
{
    for (size_t i = 0; i < file->tensor_count; i++)
        s3r_free((void *)(uintptr_t)file->tensors[i].name);
    for (size_t i = 0; i < file->copy_count; i++)
        s3r_free(file->copies[i]);
    s3r_free(file->tensors);
    s3r_free(file->copies);
    json_decref(file->config);
    s3r_zip_release(&file->zip);
    *file = (s3r_torch_file){0};
}
