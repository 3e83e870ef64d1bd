/*
 * Storage of and access to the nodes of a pickle.
 *
 * Nodes come from chunks; only their item arrays and object records are separate blocks,
 * so that release is a walk over the chunks and needs no recursion.
 */
#include "checkpoint/pickle_tree.h"

#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"

#define CHUNK_NODES 256u

struct s3r_pickle_chunk {
    s3r_pickle_chunk *next;
    size_t used;
    s3r_pickle_node nodes[CHUNK_NODES];
};

s3r_pickle_node *s3r_pickle_node_create(s3r_pickle_tree *tree, s3r_pickle_kind kind)
{
    if (tree->node_count >= S3R_PICKLE_MAX_NODES)
        return NULL;
    s3r_pickle_chunk *chunk = tree->chunks;
    if (!chunk || chunk->used == CHUNK_NODES) {
        chunk = s3r_alloc(1, sizeof *chunk);
        if (!chunk)
            return NULL;
        chunk->next = tree->chunks;
        tree->chunks = chunk;
    }
    s3r_pickle_object *object = NULL;
    if (kind == S3R_PICKLE_OBJECT) {
        object = s3r_alloc(1, sizeof *object);
        if (!object)
            return NULL;
    }
    s3r_pickle_node *node = &chunk->nodes[chunk->used++];
    node->kind = kind;
    if (object)
        node->as.object = object;
    tree->node_count++;
    return node;
}

bool s3r_pickle_items_append(s3r_pickle_items *items, s3r_pickle_node *node)
{
    if (items->count == items->capacity) {
        size_t capacity = items->capacity ? 2 * items->capacity : 4;
        s3r_pickle_node **grown =
            s3r_realloc(items->nodes, items->capacity, capacity, sizeof *grown);
        if (!grown)
            return false;
        items->nodes = grown;
        items->capacity = capacity;
    }
    items->nodes[items->count++] = node;
    return true;
}

static void node_release(s3r_pickle_node *node)
{
    switch (node->kind) {
    case S3R_PICKLE_TUPLE:
    case S3R_PICKLE_LIST:
    case S3R_PICKLE_SET:
    case S3R_PICKLE_DICT:
        s3r_free(node->as.items.nodes);
        break;
    case S3R_PICKLE_OBJECT:
        s3r_free(node->as.object->items.nodes);
        s3r_free(node->as.object->pairs.nodes);
        s3r_free(node->as.object);
        break;
    default:
        break;
    }
}

void s3r_pickle_tree_release(s3r_pickle_tree *tree)
{
    for (s3r_pickle_chunk *chunk = tree->chunks; chunk;) {
        s3r_pickle_chunk *next = chunk->next;
        for (size_t i = 0; i < chunk->used; i++)
            node_release(&chunk->nodes[i]);
        s3r_free(chunk);
        chunk = next;
    }
    *tree = (s3r_pickle_tree){0};
}

void s3r_pickle_tree_visit(const s3r_pickle_tree *tree, s3r_pickle_visit_fn visit,
                           void *context)
{
    for (const s3r_pickle_chunk *chunk = tree->chunks; chunk; chunk = chunk->next) {
        for (size_t i = 0; i < chunk->used; i++) {
            if (!visit(context, &chunk->nodes[i]))
                return;
        }
    }
}

static bool bytes_are(const char *bytes, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(bytes, text, length) == 0;
}

bool s3r_pickle_text_is(const s3r_pickle_node *node, const char *text)
{
    return node && node->kind == S3R_PICKLE_TEXT &&
           bytes_are(node->as.text.bytes, node->as.text.length, text);
}

bool s3r_pickle_class_is(const s3r_pickle_node *node, const char *module,
                         const char *name)
{
    return node && node->kind == S3R_PICKLE_CLASS &&
           bytes_are(node->as.type.module, node->as.type.module_length, module) &&
           bytes_are(node->as.type.name, node->as.type.name_length, name);
}

bool s3r_pickle_object_is(const s3r_pickle_node *node, const char *module,
                          const char *name)
{
    return node && node->kind == S3R_PICKLE_OBJECT &&
           s3r_pickle_class_is(node->as.object->type, module, name);
}

const s3r_pickle_items *s3r_pickle_pairs(const s3r_pickle_node *node)
{
    if (!node)
        return NULL;
    if (node->kind == S3R_PICKLE_DICT)
        return &node->as.items;
    if (node->kind == S3R_PICKLE_OBJECT &&
        (node->as.object->pairs.count > 0 ||
         s3r_pickle_object_is(node, "collections", "OrderedDict") ||
         s3r_pickle_object_is(node, "collections", "defaultdict")))
        return &node->as.object->pairs;
    return NULL;
}

s3r_pickle_node *s3r_pickle_get(const s3r_pickle_node *node, const char *key)
{
    const s3r_pickle_items *pairs = s3r_pickle_pairs(node);
    for (size_t i = pairs ? pairs->count : 0; i >= 2; i -= 2) {
        if (s3r_pickle_text_is(pairs->nodes[i - 2], key))
            return pairs->nodes[i - 1];
    }
    return NULL;
}

s3r_pickle_node *s3r_pickle_item(const s3r_pickle_node *node, size_t index)
{
    bool is_sequence =
        node && (node->kind == S3R_PICKLE_TUPLE || node->kind == S3R_PICKLE_LIST);
    return is_sequence && index < node->as.items.count ? node->as.items.nodes[index]
                                                       : NULL;
}

bool s3r_pickle_text_is_utf8(s3r_pickle_text text)
{
    size_t at = 0;
    while (at < text.length) {
        utf8proc_int32_t codepoint;
        size_t left = S3R_MIN(text.length - at, (size_t)4);
        utf8proc_ssize_t length =
            utf8proc_iterate((const utf8proc_uint8_t *)text.bytes + at,
                             (utf8proc_ssize_t)left, &codepoint);
        if (length <= 0 || codepoint == 0)
            return false;
        at += (size_t)length;
    }
    return true;
}
