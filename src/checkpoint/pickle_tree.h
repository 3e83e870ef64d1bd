/*
 * The values that a pickle holds, as a graph of nodes.
 *
 * Nodes belong to the tree and live until its release, so that a node may appear in many
 * places and in cycles.  Classes are only names here: nothing is imported or called; what
 * a pickle would have built by a call is an OBJECT with its class, arguments, state and
 * items.  Text points into the pickle's bytes, which must outlive the tree.
 */
#ifndef S3R_CHECKPOINT_PICKLE_TREE_H
#define S3R_CHECKPOINT_PICKLE_TREE_H

#include "base/compiler.h"

typedef enum s3r_pickle_kind {
    S3R_PICKLE_NONE,
    S3R_PICKLE_BOOL,
    S3R_PICKLE_INT,
    S3R_PICKLE_LONG, /* does not fit in 64 bits: text holds its two's complement, LE */
    S3R_PICKLE_FLOAT,
    S3R_PICKLE_TEXT, /* not necessarily UTF-8 */
    S3R_PICKLE_BYTES,
    S3R_PICKLE_TUPLE,
    S3R_PICKLE_LIST,
    S3R_PICKLE_SET,
    S3R_PICKLE_DICT, /* items: key, value, key, value, ... */
    S3R_PICKLE_CLASS,
    S3R_PICKLE_OBJECT,
    S3R_PICKLE_PERSISTENT, /* id: what names an object outside of the pickle */
} s3r_pickle_kind;

typedef struct s3r_pickle_node s3r_pickle_node;

typedef struct s3r_pickle_text {
    const char *bytes; /* not NUL-terminated */
    size_t length;
} s3r_pickle_text;

typedef struct s3r_pickle_items {
    s3r_pickle_node **nodes;
    size_t count, capacity;
} s3r_pickle_items;

typedef struct s3r_pickle_object {
    s3r_pickle_node *type;  /* CLASS, or the opaque object that was called */
    s3r_pickle_node *args;  /* TUPLE */
    s3r_pickle_node *state; /* NULL when none was set */
    s3r_pickle_items items; /* list-like additions */
    s3r_pickle_items pairs; /* dict-like additions: key, value, ... */
} s3r_pickle_object;

struct s3r_pickle_node {
    s3r_pickle_kind kind;
    bool is_visited; /* for the use of walkers, which leave it false */
    union {
        bool truth;
        int64_t integer;
        double real;
        s3r_pickle_text text;
        s3r_pickle_items items; /* TUPLE, LIST, SET, DICT */
        struct {
            const char *module, *name;
            uint32_t module_length, name_length;
        } type; /* CLASS */
        s3r_pickle_object *object;
        s3r_pickle_node *id;
    } as;
};

typedef struct s3r_pickle_chunk s3r_pickle_chunk;

typedef struct s3r_pickle_tree {
    s3r_pickle_node *root;
    s3r_pickle_chunk *chunks;
    size_t node_count;
} s3r_pickle_tree;

/* More nodes than any checkpoint has; bounds the memory of a hostile file. */
#define S3R_PICKLE_MAX_NODES ((size_t)1 << 21)

/* A new node, zeroed; NULL when there is no memory or the bound is reached. */
s3r_pickle_node *s3r_pickle_node_create(s3r_pickle_tree *tree, s3r_pickle_kind kind);
/* False when there is no memory. */
bool s3r_pickle_items_append(s3r_pickle_items *items, s3r_pickle_node *node);
void s3r_pickle_tree_release(s3r_pickle_tree *tree);

/* Calls visit for each node in no useful order; stops when it returns false. */
typedef bool (*s3r_pickle_visit_fn)(void *context, const s3r_pickle_node *node);
void s3r_pickle_tree_visit(const s3r_pickle_tree *tree, s3r_pickle_visit_fn visit,
                           void *context);

/* In all of these node may be NULL. */
bool s3r_pickle_text_is(const s3r_pickle_node *node, const char *text);
bool s3r_pickle_class_is(const s3r_pickle_node *node, const char *module,
                         const char *name);
/* True when node is an OBJECT of that class. */
bool s3r_pickle_object_is(const s3r_pickle_node *node, const char *module,
                          const char *name);
/* Key and value list of a DICT or of a dict-like OBJECT (OrderedDict); else NULL. */
const s3r_pickle_items *s3r_pickle_pairs(const s3r_pickle_node *node);
/* The last value under a text key; NULL when there is none. */
s3r_pickle_node *s3r_pickle_get(const s3r_pickle_node *node, const char *key);
/* Item of a TUPLE or LIST; NULL when there is none. */
s3r_pickle_node *s3r_pickle_item(const s3r_pickle_node *node, size_t index);
/* True when the text is UTF-8 without NUL. */
bool s3r_pickle_text_is_utf8(s3r_pickle_text text);

#endif
