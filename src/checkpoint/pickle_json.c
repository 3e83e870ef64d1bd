/*
 * From pickled values to JSON values.
 *
 * The graph may have cycles (omegaconf nodes know their parents) and shared parts that
 * would unfold to exponential size, so that the walk marks the nodes it is inside of,
 * limits the depth and counts what it makes.
 */
#include "checkpoint/pickle_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define MAX_DEPTH      64u
#define MAX_VALUES     ((size_t)1 << 20)
#define MAX_TEXT_BYTES ((size_t)64 << 20)
#define MAX_KEY        1024u
/* A wrapper has about five fields; keeps the search for them short. */
#define MAX_OMEGACONF_FIELDS 128u

typedef struct converter {
    size_t value_count, text_bytes;
    unsigned depth;
    const char *label;
    s3r_error *err;
} converter;

static s3r_status convert(converter *c, json_t **out, s3r_pickle_node *node);

static s3r_status fail_memory(const converter *c)
{
    return s3r_fail_memory(c->err, "a JSON value", 0);
}

static s3r_status checked(const converter *c, json_t **out, json_t *value)
{
    *out = value;
    return value ? S3R_OK : fail_memory(c);
}

/* The key as a C string; false when the pair cannot be held by JSON. */
static bool read_key(char *out, const s3r_pickle_node *key)
{
    if (key->kind == S3R_PICKLE_INT) {
        snprintf(out, MAX_KEY, "%lld", (long long)key->as.integer);
        return true;
    }
    if (key->kind != S3R_PICKLE_TEXT || key->as.text.length >= MAX_KEY ||
        !s3r_pickle_text_is_utf8(key->as.text))
        return false;
    memcpy(out, key->as.text.bytes, key->as.text.length);
    out[key->as.text.length] = '\0';
    return true;
}

/* One text may stand in many places, and is copied in each. */
static s3r_status take_bytes(converter *c, size_t count)
{
    c->text_bytes += count;
    if (c->text_bytes > MAX_TEXT_BYTES)
        return s3r_fail(c->err, S3R_ERR_MODEL,
                        "%s: the pickled configuration has more than %zu bytes of text",
                        c->label, MAX_TEXT_BYTES);
    return S3R_OK;
}

static s3r_status add_pairs(converter *c, json_t *object, const s3r_pickle_items *pairs)
{
    char key[MAX_KEY];
    for (size_t i = 0; i + 1 < pairs->count; i += 2) {
        json_t *value;
        if (!read_key(key, pairs->nodes[i]))
            continue;
        S3R_TRY(take_bytes(c, strlen(key)));
        S3R_TRY(convert(c, &value, pairs->nodes[i + 1]));
        if (json_object_set_new(object, key, value) != 0)
            return fail_memory(c);
    }
    return S3R_OK;
}

static s3r_status convert_pairs(converter *c, json_t **out, const s3r_pickle_items *pairs)
{
    json_t *object;
    S3R_TRY(checked(c, &object, json_object()));
    s3r_status status = add_pairs(c, object, pairs);
    if (status == S3R_OK)
        *out = object;
    else
        json_decref(object);
    return status;
}

static s3r_status convert_items(converter *c, json_t **out, const s3r_pickle_items *items)
{
    json_t *array, *value;
    S3R_TRY(checked(c, &array, json_array()));
    s3r_status status = S3R_OK;
    for (size_t i = 0; status == S3R_OK && i < items->count; i++) {
        status = convert(c, &value, items->nodes[i]);
        if (status == S3R_OK && json_array_append_new(array, value) != 0)
            status = fail_memory(c);
    }
    if (status == S3R_OK)
        *out = array;
    else
        json_decref(array);
    return status;
}

/* What an omegaconf node wraps; NULL when node is none. */
static s3r_pickle_node *unwrap_omegaconf(const s3r_pickle_object *object)
{
    static const char package[] = "omegaconf";
    static const char *const fields[] = {"_content", "_val", "content"};
    if (object->type->kind != S3R_PICKLE_CLASS ||
        object->type->as.type.module_length < sizeof package - 1 ||
        memcmp(object->type->as.type.module, package, sizeof package - 1) != 0)
        return NULL;
    const s3r_pickle_items *pairs = s3r_pickle_pairs(object->state);
    if (!pairs || pairs->count > MAX_OMEGACONF_FIELDS)
        return NULL;
    for (size_t i = 0; i < S3R_ARRAY_LEN(fields); i++) {
        s3r_pickle_node *content = s3r_pickle_get(object->state, fields[i]);
        if (content)
            return content;
    }
    return NULL;
}

/* The only argument of an object that has nothing else, as an enum or torch.Size.  Newer
 * Pythons write an enum as getattr(Class, name). */
static s3r_pickle_node *only_argument(const s3r_pickle_object *object)
{
    if (s3r_pickle_class_is(object->type, "__builtin__", "getattr") ||
        s3r_pickle_class_is(object->type, "builtins", "getattr"))
        return s3r_pickle_item(object->args, 1);
    if (object->state || object->items.count > 0 || object->args->as.items.count != 1)
        return NULL;
    s3r_pickle_node *argument = object->args->as.items.nodes[0];
    return argument->kind == S3R_PICKLE_CLASS || argument->kind == S3R_PICKLE_PERSISTENT
               ? NULL
               : argument;
}

/* State as (dict, slots): each of the two may be None. */
static s3r_status convert_slots(converter *c, json_t **out, const s3r_pickle_node *state)
{
    json_t *object;
    S3R_TRY(checked(c, &object, json_object()));
    s3r_status status = S3R_OK;
    for (size_t i = 0; status == S3R_OK && i < 2; i++) {
        const s3r_pickle_items *pairs = s3r_pickle_pairs(s3r_pickle_item(state, i));
        if (pairs)
            status = add_pairs(c, object, pairs);
    }
    if (status == S3R_OK)
        *out = object;
    else
        json_decref(object);
    return status;
}

static s3r_status convert_object(converter *c, json_t **out, s3r_pickle_node *node)
{
    const s3r_pickle_object *object = node->as.object;
    const s3r_pickle_items *pairs = s3r_pickle_pairs(node);
    s3r_pickle_node *content = unwrap_omegaconf(object);
    if (content)
        return convert(c, out, content);
    if (pairs)
        return convert_pairs(c, out, pairs);
    if (object->items.count > 0)
        return convert_items(c, out, &object->items);
    if (s3r_pickle_pairs(object->state))
        return convert_pairs(c, out, s3r_pickle_pairs(object->state));
    if (object->state && object->state->kind == S3R_PICKLE_TUPLE &&
        object->state->as.items.count == 2)
        return convert_slots(c, out, object->state);
    content = only_argument(object);
    return content ? convert(c, out, content) : checked(c, out, json_null());
}

static s3r_status convert_composite(converter *c, json_t **out, s3r_pickle_node *node)
{
    if (node->kind == S3R_PICKLE_OBJECT)
        return convert_object(c, out, node);
    if (node->kind == S3R_PICKLE_DICT)
        return convert_pairs(c, out, &node->as.items);
    return convert_items(c, out, &node->as.items);
}

static s3r_status convert(converter *c, json_t **out, s3r_pickle_node *node)
{
    if (++c->value_count > MAX_VALUES)
        return s3r_fail(c->err, S3R_ERR_MODEL,
                        "%s: the pickled configuration has more than %zu values",
                        c->label, MAX_VALUES);
    switch (node->kind) {
    case S3R_PICKLE_BOOL:
        return checked(c, out, json_boolean(node->as.truth));
    case S3R_PICKLE_INT:
        return checked(c, out, json_integer(node->as.integer));
    case S3R_PICKLE_FLOAT:
        return checked(c, out,
                       isfinite(node->as.real) ? json_real(node->as.real) : json_null());
    case S3R_PICKLE_TEXT:
        S3R_TRY(take_bytes(c, node->as.text.length));
        if (!s3r_pickle_text_is_utf8(node->as.text))
            return checked(c, out, json_null());
        return checked(c, out, json_stringn(node->as.text.bytes, node->as.text.length));
    case S3R_PICKLE_TUPLE:
    case S3R_PICKLE_LIST:
    case S3R_PICKLE_SET:
    case S3R_PICKLE_DICT:
    case S3R_PICKLE_OBJECT:
        break;
    default:
        return checked(c, out, json_null());
    }
    if (node->is_visited)
        return checked(c, out, json_null());
    if (c->depth == MAX_DEPTH)
        return s3r_fail(c->err, S3R_ERR_MODEL,
                        "%s: the pickled configuration is nested deeper than %u",
                        c->label, MAX_DEPTH);
    c->depth++;
    node->is_visited = true;
    s3r_status status = convert_composite(c, out, node);
    node->is_visited = false;
    c->depth--;
    return status;
}

s3r_status s3r_pickle_to_json(json_t **out, s3r_pickle_node *node, const char *label,
                              s3r_error *err)
{
    converter c = {.label = label, .err = err};
    return convert(&c, out, node);
}
