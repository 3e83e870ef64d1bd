/*
 * YAML by libyaml's events.  The grammar of settings is small: a mapping whose values are
 * scalars, lists of scalars or, one level down, a section of the same.  Everything else
 * that YAML can say is refused when its event comes, so depth and aliases cost nothing.
 */
#include "train/config_yaml.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/memory.h"
#include "train/config_value.h"

#define MAX_TEXT_BYTES ((size_t)1 << 20)
#define MAX_KEY_BYTES  128u

typedef struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    const char *label;
    s3r_config_settings *out;
    size_t section_line[S3R_CONFIG_MAX_SECTIONS];
    s3r_error *err;
} reader;

static size_t line_of(const reader *r)
{
    return r->event.start_mark.line + 1;
}

static s3r_status fail_yaml(reader *r)
{
    if (r->parser.error == YAML_MEMORY_ERROR)
        return s3r_fail_memory(r->err, r->label, 0);
    const char *problem = r->parser.problem ? r->parser.problem : "not YAML";
    if (r->parser.error == YAML_READER_ERROR)
        return s3r_fail(r->err, S3R_ERR_USAGE, "%s: byte %zu: expected YAML, found: %s",
                        r->label, r->parser.problem_offset, problem);
    return s3r_fail(r->err, S3R_ERR_USAGE, "%s:%zu: expected YAML, found: %s", r->label,
                    r->parser.problem_mark.line + 1, problem);
}

static const char *forbidden_part(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return "an alias";
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor ? "an anchor"
               : event->data.scalar.tag  ? "a tag"
                                         : NULL;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor ? "an anchor"
               : event->data.sequence_start.tag  ? "a tag"
                                                 : NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor ? "an anchor"
               : event->data.mapping_start.tag  ? "a tag"
                                                : NULL;
    default:
        return NULL;
    }
}

static s3r_status next_event(reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = yaml_parser_parse(&r->parser, &r->event) != 0;
    if (!r->has_event)
        return fail_yaml(r);
    const char *forbidden = forbidden_part(&r->event);
    if (forbidden)
        return s3r_fail(
            r->err, S3R_ERR_USAGE,
            "%s:%zu: expected plain settings, found %s; write the value itself", r->label,
            line_of(r), forbidden);
    return S3R_OK;
}

static const char *kind_of(yaml_event_type_t type)
{
    return type == YAML_SEQUENCE_START_EVENT  ? "a list"
           : type == YAML_MAPPING_START_EVENT ? "a mapping"
           : type == YAML_SCALAR_EVENT        ? "a single value"
                                              : "nothing";
}

/* The event's scalar as a C string that lives as long as the event. */
static s3r_status scalar_text(reader *r, const char **text)
{
    size_t length = r->event.data.scalar.length;
    *text = (const char *)r->event.data.scalar.value;
    if (memchr(*text, '\0', length))
        return s3r_fail(r->err, S3R_ERR_USAGE, "%s:%zu: expected text, found a NUL byte",
                        r->label, line_of(r));
    if (length >= S3R_CONFIG_VALUE_BYTES)
        return s3r_fail(r->err, S3R_ERR_USAGE,
                        "%s:%zu: expected less than %u bytes a value, found %zu",
                        r->label, line_of(r), S3R_CONFIG_VALUE_BYTES, length);
    return S3R_OK;
}

/* The scalars of a list, up to its end, joined by commas. */
static s3r_status read_list(reader *r, const char *key, char *joined)
{
    size_t used = 0;
    joined[0] = '\0';
    for (bool is_first = true;; is_first = false) {
        const char *text;
        S3R_TRY(next_event(r));
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return S3R_OK;
        if (r->event.type != YAML_SCALAR_EVENT)
            return s3r_fail(r->err, S3R_ERR_USAGE,
                            "%s:%zu: \"%s\": expected a list of single values, found %s "
                            "in it",
                            r->label, line_of(r), key, kind_of(r->event.type));
        S3R_TRY(scalar_text(r, &text));
        size_t length = strlen(text);
        if (used + length + 2 > S3R_CONFIG_VALUE_BYTES || strchr(text, ','))
            return s3r_fail(r->err, S3R_ERR_USAGE,
                            "%s:%zu: \"%s\": expected a short list of plain values, "
                            "found \"%.40s\" in it",
                            r->label, line_of(r), key, text);
        if (!is_first)
            joined[used++] = ',';
        memcpy(joined + used, text, length + 1);
        used += length;
    }
}

/* The value of a key whose event is there. */
static s3r_status read_setting(reader *r, size_t index, size_t key_line)
{
    const s3r_config_key *key = s3r_config_key_at(index);
    s3r_config_setting *setting = &r->out->items[index];
    char joined[S3R_CONFIG_VALUE_BYTES];
    const char *text = joined;
    bool is_list = r->event.type == YAML_SEQUENCE_START_EVENT;
    bool is_quoted = false;
    if (is_list &&
        (key->type == S3R_CONFIG_BLOCK_NUMBERS || key->type == S3R_CONFIG_MODULES)) {
        S3R_TRY(read_list(r, key->key, joined));
    } else if (r->event.type == YAML_SCALAR_EVENT) {
        S3R_TRY(scalar_text(r, &text));
        is_quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    } else {
        char expected[512];
        s3r_config_value_expected(key, expected, sizeof expected);
        return s3r_fail(r->err, S3R_ERR_USAGE, "%s:%zu: \"%s\": expected %s, found %s",
                        r->label, line_of(r), key->key, expected, kind_of(r->event.type));
    }
    setting->text = s3r_strdup(text);
    if (!setting->text)
        return s3r_fail_memory(r->err, key->key, strlen(text));
    setting->line = key_line;
    setting->is_quoted = is_quoted;
    return S3R_OK;
}

static size_t find_section(const char *name)
{
    size_t i = 0;
    while (s3r_config_section_at(i) && strcmp(s3r_config_section_at(i), name) != 0)
        i++;
    return i;
}

static s3r_status fail_twice(reader *r, size_t line, const char *key, size_t first)
{
    return s3r_fail(r->err, S3R_ERR_USAGE,
                    "%s:%zu: \"%s\": expected once, found again (first in line %zu)",
                    r->label, line, key, first);
}

static s3r_status fail_unknown(reader *r, size_t line, const char *key)
{
    const char *near = s3r_config_closest(key);
    return s3r_fail(r->err, S3R_ERR_USAGE, "%s:%zu: \"%s\": unknown key%s%s%s", r->label,
                    line, key, near ? "; did you mean \"" : "", near ? near : "",
                    near ? "\"?" : "");
}

/* The full name of the key whose event is there: "section.key" or "key". */
static s3r_status read_key(reader *r, const char *section, char key[MAX_KEY_BYTES])
{
    const char *text;
    if (r->event.type != YAML_SCALAR_EVENT)
        return s3r_fail(r->err, S3R_ERR_USAGE, "%s:%zu: expected a key, found %s",
                        r->label, line_of(r), kind_of(r->event.type));
    S3R_TRY(scalar_text(r, &text));
    snprintf(key, MAX_KEY_BYTES, "%s%s%.80s", section ? section : "", section ? "." : "",
             text);
    return S3R_OK;
}

/* The settings of a section, up to its end; or those of the text when section is NULL:
 * then a mapping opens a section. */
static s3r_status read_mapping(reader *r, const char *section)
{
    for (;;) {
        char key[MAX_KEY_BYTES];
        S3R_TRY(next_event(r));
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return S3R_OK;
        S3R_TRY(read_key(r, section, key));
        size_t line = line_of(r), index = s3r_config_key_find(key);
        if (index < s3r_config_key_count()) {
            if (r->out->items[index].line)
                return fail_twice(r, line, key, r->out->items[index].line);
            S3R_TRY(next_event(r));
            S3R_TRY(read_setting(r, index, line));
            continue;
        }
        size_t found = section ? S3R_CONFIG_MAX_SECTIONS : find_section(key);
        const char *name = section ? NULL : s3r_config_section_at(found);
        if (!name)
            return fail_unknown(r, line, key);
        if (r->section_line[found])
            return fail_twice(r, line, key, r->section_line[found]);
        r->section_line[found] = line;
        S3R_TRY(next_event(r));
        if (r->event.type != YAML_MAPPING_START_EVENT)
            return s3r_fail(r->err, S3R_ERR_USAGE,
                            "%s:%zu: \"%s\": expected settings below it, found %s",
                            r->label, line, key, kind_of(r->event.type));
        S3R_TRY(read_mapping(r, name));
    }
}

static bool is_nothing(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 0 &&
           event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static s3r_status read_text(reader *r)
{
    S3R_TRY(next_event(r)); /* the stream's start */
    S3R_TRY(next_event(r));
    if (r->event.type == YAML_STREAM_END_EVENT)
        return S3R_OK;
    S3R_TRY(next_event(r));
    if (r->event.type == YAML_MAPPING_START_EVENT)
        S3R_TRY(read_mapping(r, NULL));
    else if (!is_nothing(&r->event))
        return s3r_fail(r->err, S3R_ERR_USAGE,
                        "%s:%zu: expected settings (\"key: value\"), found %s", r->label,
                        line_of(r), kind_of(r->event.type));
    S3R_TRY(next_event(r)); /* the document's end */
    S3R_TRY(next_event(r));
    if (r->event.type != YAML_STREAM_END_EVENT)
        return s3r_fail(r->err, S3R_ERR_USAGE,
                        "%s:%zu: expected one document, found another", r->label,
                        line_of(r));
    return S3R_OK;
}

s3r_status s3r_config_settings_parse(s3r_config_settings *out, const char *text,
                                     size_t size, const char *label, s3r_error *err)
{
    reader r = {.label = label, .out = out, .err = err};
    memset(out, 0, sizeof *out);
    if (size > MAX_TEXT_BYTES)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: expected at most %zu bytes of settings, found %zu", label,
                        MAX_TEXT_BYTES, size);
    if (!yaml_parser_initialize(&r.parser))
        return s3r_fail_memory(err, label, size);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(size ? text : ""),
                                 size);
    s3r_status status = read_text(&r);
    if (r.has_event)
        yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    if (status != S3R_OK)
        s3r_config_settings_release(out);
    return status;
}

void s3r_config_settings_release(s3r_config_settings *settings)
{
    for (size_t i = 0; i < S3R_CONFIG_MAX_KEYS; i++)
        s3r_free(settings->items[i].text);
    memset(settings, 0, sizeof *settings);
}
