/*
 * An interpreter of the pickle stack machine that builds nodes and calls nothing.
 *
 * Each opcode is a small function in a table; what is not in the table is refused by name
 * of its byte.  All sizes are bounded by the bytes that are really there: a length must
 * fit in the rest, a memo index must be below the bytes read so far (picklers number from
 * 0), and the number of nodes has a fixed limit.  The machine has no recursion, so
 * nesting costs nothing here; whoever walks the tree limits the depth.  (spec 3.2)
 */
#include "checkpoint/pickle_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/plain_number.h"

#define MAX_CLASS_NAME_BYTES 4096u
#define MAX_NUMBER_TEXT      64u

typedef struct reader {
    const unsigned char *begin, *at, *end;
    s3r_pickle_tree *tree;
    s3r_pickle_items stack;
    s3r_pickle_items memo; /* nodes may be NULL */
    size_t *marks;         /* heights of the stack */
    size_t mark_count, mark_capacity;
    size_t opcode_at;
    const char *label;
    s3r_error *err;
} reader;

/* The two failures return constants, so that compilers see which outputs are set. */
static s3r_status fail(const reader *r, const char *what)
{
    s3r_fail(r->err, S3R_ERR_MODEL, "%s: pickle: byte %zu: opcode 0x%02x: %s", r->label,
             r->opcode_at, r->begin[r->opcode_at], what);
    return S3R_ERR_MODEL;
}

static s3r_status fail_memory(const reader *r)
{
    if (r->tree->node_count >= S3R_PICKLE_MAX_NODES)
        return fail(r, "the pickle has too many values");
    s3r_fail_memory(r->err, "a pickled value", sizeof(s3r_pickle_node));
    return S3R_ERR_RESOURCE;
}

/* ---- input ---- */

static s3r_status take(reader *r, const unsigned char **out, uint64_t count)
{
    if (count > (size_t)(r->end - r->at))
        return fail(r, "the pickle ends too early");
    *out = r->at;
    r->at += count;
    return S3R_OK;
}

static s3r_status take_number(reader *r, uint64_t *out, unsigned bytes)
{
    const unsigned char *at;
    S3R_TRY(take(r, &at, bytes));
    *out = 0;
    for (unsigned i = 0; i < bytes; i++)
        *out |= (uint64_t)at[i] << (8 * i);
    return S3R_OK;
}

static s3r_status take_line(reader *r, s3r_pickle_text *out)
{
    const unsigned char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    if (!newline)
        return fail(r, "the pickle ends within a line");
    out->bytes = (const char *)r->at;
    out->length = (size_t)(newline - r->at);
    r->at = newline + 1;
    return S3R_OK;
}

/* A line with a number, as a string. */
static s3r_status take_number_text(reader *r, char out[MAX_NUMBER_TEXT])
{
    s3r_pickle_text line;
    S3R_TRY(take_line(r, &line));
    if (line.length > 0 && line.bytes[line.length - 1] == 'L')
        line.length--;
    if (line.length == 0 || line.length >= MAX_NUMBER_TEXT)
        return fail(r, "expected a number");
    memcpy(out, line.bytes, line.length);
    out[line.length] = '\0';
    return S3R_OK;
}

/* ---- stack ---- */

static s3r_status push(reader *r, s3r_pickle_node *node)
{
    return node && s3r_pickle_items_append(&r->stack, node) ? S3R_OK : fail_memory(r);
}

static size_t stack_floor(const reader *r)
{
    return r->mark_count ? r->marks[r->mark_count - 1] : 0;
}

static s3r_status pop(reader *r, s3r_pickle_node **out)
{
    if (r->stack.count <= stack_floor(r))
        return fail(r, "the stack is empty");
    *out = r->stack.nodes[--r->stack.count];
    return S3R_OK;
}

/* The value on top, which stays. */
static s3r_status top(reader *r, s3r_pickle_node **out)
{
    if (r->stack.count <= stack_floor(r))
        return fail(r, "the stack is empty");
    *out = r->stack.nodes[r->stack.count - 1];
    return S3R_OK;
}

/* Removes the last mark; the values above it are stack.nodes[*height ...]. */
static s3r_status pop_mark(reader *r, size_t *height)
{
    if (r->mark_count == 0)
        return fail(r, "there is no mark");
    *height = r->marks[--r->mark_count];
    return S3R_OK;
}

/* Moves the values from height up into items. */
static s3r_status move_items(reader *r, s3r_pickle_items *items, size_t height)
{
    for (size_t i = height; i < r->stack.count; i++) {
        if (!s3r_pickle_items_append(items, r->stack.nodes[i]))
            return fail_memory(r);
    }
    r->stack.count = height;
    return S3R_OK;
}

/* Pushes a container of the values from height up. */
static s3r_status collect(reader *r, s3r_pickle_kind kind, size_t height)
{
    s3r_pickle_node *node = s3r_pickle_node_create(r->tree, kind);
    if (!node)
        return fail_memory(r);
    if (kind == S3R_PICKLE_DICT && (r->stack.count - height) % 2 != 0)
        return fail(r, "a key has no value");
    S3R_TRY(move_items(r, &node->as.items, height));
    return push(r, node);
}

/* ---- opcodes: scalars ---- */

typedef s3r_status (*opcode_fn)(reader *r, unsigned opcode);

static s3r_status push_integer(reader *r, int64_t value)
{
    s3r_pickle_node *node = s3r_pickle_node_create(r->tree, S3R_PICKLE_INT);
    if (node)
        node->as.integer = value;
    return push(r, node);
}

static s3r_status push_bytes(reader *r, s3r_pickle_kind kind, const void *bytes,
                             size_t length)
{
    s3r_pickle_node *node = s3r_pickle_node_create(r->tree, kind);
    if (node)
        node->as.text = (s3r_pickle_text){bytes, length};
    return push(r, node);
}

static s3r_status do_constant(reader *r, unsigned opcode)
{
    s3r_pickle_node *node = s3r_pickle_node_create(
        r->tree, opcode == 'N' ? S3R_PICKLE_NONE : S3R_PICKLE_BOOL);
    if (node && opcode != 'N')
        node->as.truth = opcode == 0x88;
    return push(r, node);
}

static s3r_status do_binary_integer(reader *r, unsigned opcode)
{
    uint64_t value;
    S3R_TRY(take_number(r, &value, opcode == 'J' ? 4 : opcode == 'M' ? 2 : 1));
    return push_integer(r, opcode == 'J' ? (int64_t)(int32_t)(uint32_t)value
                                         : (int64_t)value);
}

static s3r_status do_long(reader *r, unsigned opcode)
{
    uint64_t length;
    const unsigned char *bytes;
    S3R_TRY(take_number(r, &length, opcode == 0x8a ? 1 : 4));
    S3R_TRY(take(r, &bytes, length));
    if (length > 8)
        return push_bytes(r, S3R_PICKLE_LONG, bytes, (size_t)length);
    bool is_negative = length > 0 && (bytes[length - 1] & 0x80u);
    uint64_t value = is_negative ? UINT64_MAX : 0;
    for (size_t i = 0; i < length; i++) {
        value &= ~((uint64_t)0xff << (8 * i));
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return push_integer(r, (int64_t)value);
}

static s3r_status do_text_integer(reader *r, unsigned opcode)
{
    char text[MAX_NUMBER_TEXT];
    char *end;
    S3R_TRY(take_number_text(r, text));
    if (opcode == 'I' && (strcmp(text, "00") == 0 || strcmp(text, "01") == 0))
        return do_constant(r, text[1] == '1' ? 0x88 : 0x89);
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0')
        return fail(r, "expected an integer of at most 64 bits");
    return push_integer(r, value);
}

static s3r_status push_real(reader *r, double value)
{
    s3r_pickle_node *node = s3r_pickle_node_create(r->tree, S3R_PICKLE_FLOAT);
    if (node)
        node->as.real = value;
    return push(r, node);
}

static s3r_status do_text_float(reader *r, unsigned opcode)
{
    (void)opcode;
    char text[MAX_NUMBER_TEXT];
    char *end;
    S3R_TRY(take_number_text(r, text));
    double value = s3r_plain_parse(text, &end);
    if (*end != '\0')
        return fail(r, "expected a number");
    return push_real(r, value);
}

static s3r_status do_binary_float(reader *r, unsigned opcode)
{
    (void)opcode;
    const unsigned char *bytes;
    S3R_TRY(take(r, &bytes, 8));
    uint64_t bits = 0;
    for (unsigned i = 0; i < 8; i++)
        bits = bits << 8 | bytes[i]; /* the only big-endian field of the format */
    double value;
    memcpy(&value, &bits, sizeof value);
    return push_real(r, value);
}

static s3r_status do_counted_text(reader *r, unsigned opcode)
{
    static const struct {
        unsigned char opcode, length_bytes;
        s3r_pickle_kind kind;
    } forms[] = {
        {'T', 4, S3R_PICKLE_TEXT},  {'U', 1, S3R_PICKLE_TEXT},
        {'X', 4, S3R_PICKLE_TEXT},  {0x8c, 1, S3R_PICKLE_TEXT},
        {0x8d, 8, S3R_PICKLE_TEXT}, {'B', 4, S3R_PICKLE_BYTES},
        {'C', 1, S3R_PICKLE_BYTES}, {0x8e, 8, S3R_PICKLE_BYTES},
    };
    size_t form = 0;
    while (forms[form].opcode != opcode)
        form++;
    uint64_t length;
    const unsigned char *bytes;
    S3R_TRY(take_number(r, &length, forms[form].length_bytes));
    S3R_TRY(take(r, &bytes, length));
    return push_bytes(r, forms[form].kind, bytes, (size_t)length);
}

/* Protocol 0 texts, without escapes: torch never writes tensors in protocol 0. */
static s3r_status do_line_text(reader *r, unsigned opcode)
{
    s3r_pickle_text line;
    S3R_TRY(take_line(r, &line));
    if (opcode == 'S') {
        bool is_quoted = line.length >= 2 &&
                         (line.bytes[0] == '\'' || line.bytes[0] == '"') &&
                         line.bytes[line.length - 1] == line.bytes[0];
        if (!is_quoted)
            return fail(r, "expected a quoted string");
        line = (s3r_pickle_text){line.bytes + 1, line.length - 2};
    }
    if (memchr(line.bytes, '\\', line.length))
        return fail(r, "strings with escapes are not supported");
    return push_bytes(r, S3R_PICKLE_TEXT, line.bytes, line.length);
}

/* ---- opcodes: the stack and the memo ---- */

static s3r_status do_mark(reader *r, unsigned opcode)
{
    (void)opcode;
    if (r->mark_count == r->mark_capacity) {
        size_t capacity = r->mark_capacity ? 2 * r->mark_capacity : 16;
        size_t *grown = s3r_realloc(r->marks, r->mark_capacity, capacity, sizeof *grown);
        if (!grown)
            return fail_memory(r);
        r->marks = grown;
        r->mark_capacity = capacity;
    }
    r->marks[r->mark_count++] = r->stack.count;
    return S3R_OK;
}

static s3r_status do_pop(reader *r, unsigned opcode)
{
    size_t height;
    s3r_pickle_node *node;
    if (opcode == '0' && !(r->mark_count && stack_floor(r) == r->stack.count))
        return pop(r, &node);
    S3R_TRY(pop_mark(r, &height));
    r->stack.count = height;
    return S3R_OK;
}

static s3r_status do_dup(reader *r, unsigned opcode)
{
    (void)opcode;
    s3r_pickle_node *node;
    S3R_TRY(top(r, &node));
    return push(r, node);
}

static s3r_status take_memo_index(reader *r, unsigned opcode, uint64_t *out)
{
    if (opcode == 'p' || opcode == 'g') {
        char text[MAX_NUMBER_TEXT];
        char *end;
        S3R_TRY(take_number_text(r, text));
        *out = strtoull(text, &end, 10);
        if (*end != '\0')
            return fail(r, "expected a memo index");
        return S3R_OK;
    }
    return take_number(r, out, opcode == 'r' || opcode == 'j' ? 4 : 1);
}

static s3r_status do_put(reader *r, unsigned opcode)
{
    uint64_t index = r->memo.count;
    s3r_pickle_node *node;
    if (opcode != 0x94)
        S3R_TRY(take_memo_index(r, opcode, &index));
    S3R_TRY(top(r, &node));
    if (index >= (size_t)(r->at - r->begin))
        return fail(r, "the memo index is larger than the pickle so far");
    while (r->memo.count <= index) {
        if (!s3r_pickle_items_append(&r->memo, NULL))
            return fail_memory(r);
    }
    r->memo.nodes[index] = node;
    return S3R_OK;
}

static s3r_status do_get(reader *r, unsigned opcode)
{
    uint64_t index;
    S3R_TRY(take_memo_index(r, opcode, &index));
    if (index >= r->memo.count || !r->memo.nodes[index])
        return fail(r, "the memo has no such index");
    return push(r, r->memo.nodes[index]);
}

/* ---- opcodes: containers ---- */

static s3r_status do_empty(reader *r, unsigned opcode)
{
    s3r_pickle_kind kind = opcode == '}'   ? S3R_PICKLE_DICT
                           : opcode == ']' ? S3R_PICKLE_LIST
                           : opcode == ')' ? S3R_PICKLE_TUPLE
                                           : S3R_PICKLE_SET;
    return push(r, s3r_pickle_node_create(r->tree, kind));
}

static s3r_status do_marked(reader *r, unsigned opcode)
{
    size_t height;
    S3R_TRY(pop_mark(r, &height));
    return collect(r,
                   opcode == 'd'   ? S3R_PICKLE_DICT
                   : opcode == 'l' ? S3R_PICKLE_LIST
                   : opcode == 't' ? S3R_PICKLE_TUPLE
                                   : S3R_PICKLE_SET,
                   height);
}

static s3r_status do_short_tuple(reader *r, unsigned opcode)
{
    size_t count = opcode - 0x84u;
    if (r->stack.count - stack_floor(r) < count)
        return fail(r, "the stack is empty");
    return collect(r, S3R_PICKLE_TUPLE, r->stack.count - count);
}

/* Adds the values from height up to the container below them. */
static s3r_status add_to_container(reader *r, unsigned opcode, size_t height)
{
    if (height <= stack_floor(r))
        return fail(r, "there is nothing to add to");
    s3r_pickle_node *target = r->stack.nodes[height - 1];
    bool is_pairs = opcode == 's' || opcode == 'u';
    s3r_pickle_kind kind = is_pairs         ? S3R_PICKLE_DICT
                           : opcode == 0x90 ? S3R_PICKLE_SET
                                            : S3R_PICKLE_LIST;
    if (is_pairs && (r->stack.count - height) % 2 != 0)
        return fail(r, "a key has no value");
    if (target->kind == kind)
        return move_items(r, &target->as.items, height);
    if (target->kind == S3R_PICKLE_OBJECT)
        return move_items(
            r, is_pairs ? &target->as.object->pairs : &target->as.object->items, height);
    return fail(r, "items are added to a value that is no container");
}

static s3r_status do_add(reader *r, unsigned opcode)
{
    size_t count = opcode == 'a' ? 1 : 2;
    if (r->stack.count - stack_floor(r) < count)
        return fail(r, "the stack is empty");
    return add_to_container(r, opcode, r->stack.count - count);
}

static s3r_status do_add_marked(reader *r, unsigned opcode)
{
    size_t height;
    S3R_TRY(pop_mark(r, &height));
    return add_to_container(r, opcode, height);
}

/* ---- opcodes: classes and objects, which stay opaque ---- */

static s3r_status make_class(reader *r, s3r_pickle_node **out, s3r_pickle_text module,
                             s3r_pickle_text name)
{
    if (module.length > MAX_CLASS_NAME_BYTES || name.length > MAX_CLASS_NAME_BYTES)
        return fail(r, "the name of a class is too long");
    s3r_pickle_node *node = s3r_pickle_node_create(r->tree, S3R_PICKLE_CLASS);
    if (!node)
        return fail_memory(r);
    node->as.type.module = module.bytes;
    node->as.type.module_length = (uint32_t)module.length;
    node->as.type.name = name.bytes;
    node->as.type.name_length = (uint32_t)name.length;
    *out = node;
    return S3R_OK;
}

static s3r_status take_class(reader *r, s3r_pickle_node **out)
{
    s3r_pickle_text module, name;
    S3R_TRY(take_line(r, &module));
    S3R_TRY(take_line(r, &name));
    return make_class(r, out, module, name);
}

static s3r_status do_global(reader *r, unsigned opcode)
{
    s3r_pickle_node *node, *module, *name;
    if (opcode == 'c') {
        S3R_TRY(take_class(r, &node));
        return push(r, node);
    }
    S3R_TRY(pop(r, &name));
    S3R_TRY(pop(r, &module));
    if (module->kind != S3R_PICKLE_TEXT || name->kind != S3R_PICKLE_TEXT)
        return fail(r, "the name of a class is not a text");
    S3R_TRY(make_class(r, &node, module->as.text, name->as.text));
    return push(r, node);
}

static s3r_status push_object(reader *r, s3r_pickle_node *type, s3r_pickle_node *args)
{
    if (type->kind != S3R_PICKLE_CLASS && type->kind != S3R_PICKLE_OBJECT)
        return fail(r, "a value that is no class is called");
    if (args->kind != S3R_PICKLE_TUPLE)
        return fail(r, "the arguments of a call are not a tuple");
    s3r_pickle_node *node = s3r_pickle_node_create(r->tree, S3R_PICKLE_OBJECT);
    if (!node)
        return fail_memory(r);
    node->as.object->type = type;
    node->as.object->args = args;
    return push(r, node);
}

static s3r_status do_call(reader *r, unsigned opcode)
{
    s3r_pickle_node *type, *args, *keywords;
    if (opcode == 0x92)
        S3R_TRY(pop(r, &keywords));
    S3R_TRY(pop(r, &args));
    S3R_TRY(pop(r, &type));
    return push_object(r, type, args);
}

/* INST and OBJ: the arguments lie above a mark, for OBJ the class before them. */
static s3r_status do_marked_call(reader *r, unsigned opcode)
{
    size_t height;
    s3r_pickle_node *type, *args;
    if (opcode == 'i')
        S3R_TRY(take_class(r, &type));
    S3R_TRY(pop_mark(r, &height));
    if (opcode == 'o' && r->stack.count == height)
        return fail(r, "the stack is empty");
    if (opcode == 'o')
        type = r->stack.nodes[height];
    S3R_TRY(collect(r, S3R_PICKLE_TUPLE, opcode == 'o' ? height + 1 : height));
    args = r->stack.nodes[r->stack.count - 1];
    r->stack.count = height;
    return push_object(r, type, args);
}

static s3r_status do_build(reader *r, unsigned opcode)
{
    (void)opcode;
    s3r_pickle_node *state, *target;
    S3R_TRY(pop(r, &state));
    S3R_TRY(top(r, &target));
    if (target->kind != S3R_PICKLE_OBJECT)
        return fail(r, "state is given to a value that is no object");
    target->as.object->state = state;
    return S3R_OK;
}

static s3r_status do_persistent(reader *r, unsigned opcode)
{
    s3r_pickle_node *id;
    if (opcode == 'P') {
        s3r_pickle_text line;
        S3R_TRY(take_line(r, &line));
        S3R_TRY(push_bytes(r, S3R_PICKLE_TEXT, line.bytes, line.length));
    }
    S3R_TRY(pop(r, &id));
    s3r_pickle_node *node = s3r_pickle_node_create(r->tree, S3R_PICKLE_PERSISTENT);
    if (node)
        node->as.id = id;
    return push(r, node);
}

/* ---- opcodes: framing ---- */

static s3r_status do_protocol(reader *r, unsigned opcode)
{
    (void)opcode;
    uint64_t version;
    S3R_TRY(take_number(r, &version, 1));
    return version <= 5 ? S3R_OK : fail(r, "protocol: expected at most 5");
}

static s3r_status do_frame(reader *r, unsigned opcode)
{
    (void)opcode;
    uint64_t length;
    S3R_TRY(take_number(r, &length, 8));
    return length <= (size_t)(r->end - r->at) ? S3R_OK
                                              : fail(r, "the pickle ends too early");
}

/* clang-format off */
static const opcode_fn opcodes[256] = {
    ['('] = do_mark, [')'] = do_empty, ['0'] = do_pop, ['1'] = do_pop, ['2'] = do_dup,
    ['B'] = do_counted_text, ['C'] = do_counted_text, ['F'] = do_text_float,
    ['G'] = do_binary_float, ['I'] = do_text_integer, ['J'] = do_binary_integer,
    ['K'] = do_binary_integer, ['L'] = do_text_integer, ['M'] = do_binary_integer,
    ['N'] = do_constant, ['P'] = do_persistent, ['Q'] = do_persistent, ['R'] = do_call,
    ['S'] = do_line_text, ['T'] = do_counted_text, ['U'] = do_counted_text,
    ['V'] = do_line_text, ['X'] = do_counted_text, [']'] = do_empty, ['a'] = do_add,
    ['b'] = do_build, ['c'] = do_global, ['d'] = do_marked, ['e'] = do_add_marked,
    ['g'] = do_get, ['h'] = do_get, ['i'] = do_marked_call, ['j'] = do_get,
    ['l'] = do_marked, ['o'] = do_marked_call, ['p'] = do_put, ['q'] = do_put,
    ['r'] = do_put, ['s'] = do_add, ['t'] = do_marked, ['u'] = do_add_marked,
    ['}'] = do_empty, [0x80] = do_protocol, [0x81] = do_call, [0x85] = do_short_tuple,
    [0x86] = do_short_tuple, [0x87] = do_short_tuple, [0x88] = do_constant,
    [0x89] = do_constant, [0x8a] = do_long, [0x8b] = do_long, [0x8c] = do_counted_text,
    [0x8d] = do_counted_text, [0x8e] = do_counted_text, [0x8f] = do_empty,
    [0x90] = do_add_marked, [0x91] = do_marked, [0x92] = do_call, [0x93] = do_global,
    [0x94] = do_put, [0x95] = do_frame,
};
/* clang-format on */

static s3r_status run(reader *r)
{
    for (;;) {
        r->opcode_at = (size_t)(r->at - r->begin);
        if (r->at == r->end)
            return s3r_fail(r->err, S3R_ERR_MODEL, "%s: pickle: ends without STOP",
                            r->label);
        unsigned opcode = *r->at++;
        if (opcode == '.')
            return pop(r, &r->tree->root);
        if (!opcodes[opcode])
            return fail(r, "this opcode is not supported");
        S3R_TRY(opcodes[opcode](r, opcode));
    }
}

s3r_status s3r_pickle_read(s3r_pickle_tree *out, size_t *used, const void *bytes,
                           size_t size, const char *label, s3r_error *err)
{
    s3r_pickle_tree tree = {0};
    reader r = {.begin = bytes,
                .at = bytes,
                .end = size ? (const unsigned char *)bytes + size : bytes,
                .tree = &tree,
                .label = label,
                .err = err};
    s3r_status status = run(&r);
    s3r_free(r.stack.nodes);
    s3r_free(r.memo.nodes);
    s3r_free(r.marks);
    if (status != S3R_OK) {
        s3r_pickle_tree_release(&tree);
        return status;
    }
    if (used)
        *used = (size_t)(r.at - r.begin);
    *out = tree;
    return S3R_OK;
}
