/*
 * The parser behind the declarative option table.
 */
#include "option_table.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_error.h"
#include "suggest.h"

typedef struct parser {
    const s3r_option_set *sets;
    size_t set_count;
    char *const *args;
    size_t arg_count;
    size_t next; /* index of the next argument to read */
    s3r_string_list *positionals;
    s3r_error *err;
} parser;

/* An option that was found, and the struct it belongs to. */
typedef struct match {
    const s3r_option *option;
    void *target;
} match;

size_t s3r_option_next_value(const char **values, const char **value)
{
    const char *start = *values;
    size_t length = start ? strcspn(start, "|") : 0;
    *value = start;
    if (length > 0)
        *values = start + length + (start[length] == '|');
    return length;
}

static void *field(const match *where)
{
    return (char *)where->target + where->option->offset;
}

/* Digits with an optional K, M or G. */
static bool read_size(const char *text, size_t *out)
{
    char *end = NULL;
    errno = 0;
    if (!isdigit((unsigned char)text[0]))
        return false;
    unsigned long long value = strtoull(text, &end, 10);
    unsigned shift = 0;
    if (*end != '\0') {
        const char *units = "KMG", *unit = strchr(units, toupper((unsigned char)*end));
        if (!unit || end[1] != '\0')
            return false;
        shift = 10 * (unsigned)(unit - units + 1);
    }
    if (errno != 0 || value > (SIZE_MAX >> shift))
        return false;
    *out = (size_t)value << shift;
    return true;
}

static bool read_double(const char *text, double *out)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value))
        return false;
    *out = value;
    return true;
}

static bool read_enum(const char *text, const char *values, int *out)
{
    const char *value = NULL;
    size_t length = 0;
    for (int i = 0; (length = s3r_option_next_value(&values, &value)) > 0; i++) {
        if (strlen(text) == length && memcmp(text, value, length) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static s3r_status append(s3r_string_list *list, size_t capacity, const char *text,
                         s3r_error *err)
{
    if (!list->items)
        list->items = calloc(capacity + 1, sizeof *list->items);
    if (!list->items)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the arguments");
    list->items[list->count++] = text;
    return S3R_OK;
}

/* `label` is how the value was given: "--threads", "-t" or "S3R_CPU". */
static s3r_status set_value(parser *p, const match *where, const char *label,
                            const char *text)
{
    const s3r_option *option = where->option;
    const char *expected = NULL;
    switch (option->type) {
    case S3R_OPTION_FLAG:
        *(bool *)field(where) = true;
        return S3R_OK;
    case S3R_OPTION_STRING:
        if (option->is_once && *(const char **)field(where))
            return s3r_cli_fail(p->err, S3R_ERR_USAGE,
                                "%s: expected one, found \"%s\" and \"%s\"", label,
                                *(const char **)field(where), text);
        *(const char **)field(where) = text;
        return S3R_OK;
    case S3R_OPTION_LIST:
        return append(field(where), p->arg_count, text, p->err);
    case S3R_OPTION_SIZE:
        expected = read_size(text, field(where)) ? NULL : "a whole number, 0 or more";
        break;
    case S3R_OPTION_DOUBLE:
        expected = read_double(text, field(where)) ? NULL : "a number";
        break;
    case S3R_OPTION_ENUM:
        expected = read_enum(text, option->values, field(where)) ? NULL : option->values;
        break;
    }
    if (!expected)
        return S3R_OK;
    return s3r_cli_fail(p->err, S3R_ERR_USAGE, "%s: expected %s, found \"%s\"", label,
                        expected, text);
}

static s3r_status apply_defaults(parser *p)
{
    for (size_t s = 0; s < p->set_count; s++) {
        for (size_t i = 0; i < p->sets[s].count; i++) {
            match where = {&p->sets[s].options[i], p->sets[s].target};
            const char *label = where.option->name, *text = where.option->fallback;
            const char *variable = where.option->environment;
            if (variable && getenv(variable) && getenv(variable)[0] != '\0') {
                label = variable;
                text = getenv(variable);
            }
            if (text) {
                s3r_status status = set_value(p, &where, label, text);
                if (status != S3R_OK)
                    return status;
            }
        }
    }
    return S3R_OK;
}

static bool is_named(const char *option_name, const char *name, size_t length)
{
    return option_name && strlen(option_name) == length &&
           memcmp(option_name, name, length) == 0;
}

static bool find_long(const parser *p, const char *name, size_t length, match *out)
{
    for (size_t s = 0; s < p->set_count; s++) {
        for (size_t i = 0; i < p->sets[s].count; i++) {
            const s3r_option *option = &p->sets[s].options[i];
            if (is_named(option->name, name, length) ||
                is_named(option->alias, name, length)) {
                *out = (match){option, p->sets[s].target};
                return true;
            }
        }
    }
    return false;
}

static bool find_short(const parser *p, char letter, match *out)
{
    for (size_t s = 0; s < p->set_count; s++) {
        for (size_t i = 0; i < p->sets[s].count; i++) {
            if (p->sets[s].options[i].letter == letter) {
                *out = (match){&p->sets[s].options[i], p->sets[s].target};
                return true;
            }
        }
    }
    return false;
}

static s3r_status unknown_long(parser *p, const char *name, size_t length)
{
    char typed[64];
    const char *best = NULL;
    snprintf(typed, sizeof typed, "%.*s", (int)(length < 63 ? length : 63), name);
    for (size_t s = 0; s < p->set_count; s++)
        for (size_t i = 0; i < p->sets[s].count; i++)
            best = s3r_suggest(typed, best, p->sets[s].options[i].name);
    if (!best)
        return s3r_cli_fail(p->err, S3R_ERR_USAGE, "unknown option \"--%s\"", typed);
    return s3r_cli_fail(p->err, S3R_ERR_USAGE,
                        "unknown option \"--%s\"; did you mean \"--%s\"?", typed, best);
}

static s3r_status missing_value(parser *p, const char *label, const s3r_option *option)
{
    return s3r_cli_fail(p->err, S3R_ERR_USAGE, "%s: expected a value: %s", label,
                        option->argument ? option->argument : option->values);
}

/* text is the argument behind "--". */
static s3r_status parse_long(parser *p, const char *text)
{
    size_t length = strcspn(text, "=");
    match found;
    char label[64];
    if (!find_long(p, text, length, &found))
        return unknown_long(p, text, length);
    snprintf(label, sizeof label, "--%s", found.option->name);
    bool has_value = text[length] == '=', is_flag = found.option->type == S3R_OPTION_FLAG;
    if (has_value && is_flag)
        return s3r_cli_fail(p->err, S3R_ERR_USAGE, "%s: takes no value, found \"%s\"",
                            label, text + length + 1);
    if (has_value || is_flag)
        return set_value(p, &found, label, is_flag ? "" : text + length + 1);
    if (p->next == p->arg_count)
        return missing_value(p, label, found.option);
    return set_value(p, &found, label, p->args[p->next++]);
}

/* text is the argument behind "-": flags, of which the last option may take a value. */
static s3r_status parse_short(parser *p, const char *text)
{
    for (; *text != '\0'; text++) {
        char label[3] = {'-', *text, '\0'};
        match found;
        if (!find_short(p, *text, &found))
            return s3r_cli_fail(p->err, S3R_ERR_USAGE, "unknown option \"%s\"", label);
        if (found.option->type == S3R_OPTION_FLAG) {
            set_value(p, &found, label, "");
            continue;
        }
        if (text[1] != '\0')
            return set_value(p, &found, label, text + 1 + (text[1] == '='));
        if (p->next == p->arg_count)
            return missing_value(p, label, found.option);
        return set_value(p, &found, label, p->args[p->next++]);
    }
    return S3R_OK;
}

s3r_status s3r_options_parse(const s3r_option_set *sets, size_t set_count,
                             char *const *args, size_t arg_count,
                             s3r_string_list *positionals, s3r_error *err)
{
    parser p = {sets, set_count, args, arg_count, 0, positionals, err};
    bool only_positionals = false;
    s3r_status status = apply_defaults(&p);
    while (status == S3R_OK && p.next < arg_count) {
        const char *text = args[p.next++];
        if (only_positionals || text[0] != '-' || text[1] == '\0')
            status = append(positionals, arg_count, text, err);
        else if (strcmp(text, "--") == 0)
            only_positionals = true;
        else if (text[1] == '-')
            status = parse_long(&p, text + 2);
        else
            status = parse_short(&p, text + 1);
    }
    return status;
}

void s3r_options_release(const s3r_option_set *sets, size_t set_count,
                         s3r_string_list *positionals)
{
    for (size_t s = 0; s < set_count; s++) {
        for (size_t i = 0; i < sets[s].count; i++) {
            match where = {&sets[s].options[i], sets[s].target};
            if (where.option->type == S3R_OPTION_LIST) {
                s3r_string_list *list = field(&where);
                free(list->items);
                *list = (s3r_string_list){0};
            }
        }
    }
    free(positionals->items);
    *positionals = (s3r_string_list){0};
}
