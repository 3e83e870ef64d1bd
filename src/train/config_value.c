/*
 * Values of settings as text.
 *
 * Numbers are written with as few digits as read back to the same bits, and with a point
 * whatever the locale of the program says.
 */
#include "train/config_value.h"
#include "base/plain_number.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_CHARS 63

static const struct {
    const char *name;
    unsigned set;
} module_names[] = {
    {"ffn", S3R_MODULE_FFN},
    {"attention", S3R_MODULE_ATTENTION},
    {"both", S3R_MODULE_FFN | S3R_MODULE_ATTENTION},
    {"q", S3R_MODULE_Q},
    {"k", S3R_MODULE_K},
    {"v", S3R_MODULE_V},
    {"out", S3R_MODULE_OUT},
    {"fc1", S3R_MODULE_FC1},
    {"fc2", S3R_MODULE_FC2},
};

static const char *skip_digits(const char *at)
{
    while (isdigit((unsigned char)*at))
        at++;
    return at;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before the exponent. */
static bool is_number(const char *text)
{
    const char *at = text + (*text == '+' || *text == '-');
    const char *start = at;
    at = skip_digits(at);
    size_t digits = (size_t)(at - start);
    if (*at == '.') {
        start = at + 1;
        at = skip_digits(start);
        digits += (size_t)(at - start);
    }
    if (digits == 0)
        return false;
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '+' || at[1] == '-');
        if (!isdigit((unsigned char)*at))
            return false;
        at = skip_digits(at);
    }
    return *at == '\0';
}

static bool read_number(const char *text, double *out)
{
    if (strlen(text) > NUMBER_CHARS || !is_number(text))
        return false;
    *out = s3r_plain_parse(text, NULL);
    return isfinite(*out);
}

static void write_number(double value, char *text, size_t text_bytes)
{
    for (int digits = 15; digits <= 17; digits++) {
        double back;
        s3r_plain_print(text, text_bytes, "%.*g", digits, value);
        if (!read_number(text, &back) || memcmp(&back, &value, sizeof back) == 0)
            return;
    }
}

static bool is_in_range(const s3r_config_key *key, double value)
{
    bool above =
        key->open_ends & S3R_CONFIG_ABOVE_MIN ? value > key->min : value >= key->min;
    bool below =
        key->open_ends & S3R_CONFIG_BELOW_MAX ? value < key->max : value <= key->max;
    return above && below;
}

static bool read_number_in_range(const s3r_config_key *key, const char *text, double *out)
{
    return read_number(text, out) && is_in_range(key, *out);
}

static bool read_whole(const char *text, uint64_t *out)
{
    if (text[0] == '\0' || *skip_digits(text) != '\0')
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    *out = value;
    return errno == 0;
}

static bool read_choice(const s3r_config_key *key, const char *text, int *out)
{
    for (int i = 0; key->choices[i]; i++) {
        if (strcmp(key->choices[i], text) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* Copies the next part of a list, without spaces around it; false at the end. */
static bool next_part(const char **at, char part[NUMBER_CHARS + 1])
{
    if (!*at)
        return false;
    const char *start = *at + strspn(*at, " "), *end = strchr(start, ',');
    *at = end ? end + 1 : NULL;
    size_t length = end ? (size_t)(end - start) : strlen(start);
    while (length > 0 && start[length - 1] == ' ')
        length--;
    length = S3R_MIN(length, NUMBER_CHARS); /* what was longer is no number and no name */
    memcpy(part, start, length);
    part[length] = '\0';
    return true;
}

static bool read_block_numbers(const s3r_config_key *key, const char *text,
                               s3r_block_numbers *out)
{
    char part[NUMBER_CHARS + 1];
    size_t count = 0;
    memset(out, 0, sizeof *out);
    while (next_part(&text, part)) {
        if (count == S3R_CONFIG_MAX_BLOCKS ||
            !read_number_in_range(key, part, &out->values[count]))
            return false;
        count++;
    }
    out->count = count;
    return true;
}

static bool read_modules(const char *text, unsigned *out)
{
    char part[NUMBER_CHARS + 1];
    *out = 0;
    while (next_part(&text, part)) {
        size_t i = 0;
        while (i < S3R_ARRAY_LEN(module_names) && strcmp(module_names[i].name, part) != 0)
            i++;
        if (i == S3R_ARRAY_LEN(module_names))
            return false;
        *out |= module_names[i].set;
    }
    return *out != 0;
}

/* "all", "6", "6-11", "6-last" */
static bool read_block_range(const char *text, size_t range[2])
{
    char first[24];
    uint64_t from = 0, to = SIZE_MAX;
    const char *dash = strchr(text, '-');
    size_t length = dash ? (size_t)(dash - text) : strlen(text);
    if (strcmp(text, "all") != 0) {
        if (length >= sizeof first)
            return false;
        memcpy(first, text, length);
        first[length] = '\0';
        if (!read_whole(first, &from) || from >= S3R_CONFIG_MAX_BLOCKS)
            return false;
        if (!dash)
            to = from;
        else if (strcmp(dash + 1, "last") != 0 &&
                 (!read_whole(dash + 1, &to) || to >= S3R_CONFIG_MAX_BLOCKS || to < from))
            return false;
    }
    range[0] = (size_t)from;
    range[1] = (size_t)to;
    return true;
}

static bool read_language(const char *text, char out[64])
{
    size_t length = strlen(text);
    if (length >= 64)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)text[i]) && text[i] != '-')
            return false;
    }
    memset(out, 0, 64);
    memcpy(out, text, length);
    return true;
}

static bool is_text_type(s3r_config_type type)
{
    return type == S3R_CONFIG_CHOICE || type == S3R_CONFIG_NAME ||
           type == S3R_CONFIG_MODULES || type == S3R_CONFIG_BLOCK_RANGE ||
           type == S3R_CONFIG_LANGUAGE;
}

static size_t stored_size(s3r_config_type type)
{
    switch (type) {
    case S3R_CONFIG_CHOICE:
        return sizeof(int);
    case S3R_CONFIG_NAME:
        return S3R_CONFIG_NAME_BYTES;
    case S3R_CONFIG_SWITCH:
        return sizeof(bool);
    case S3R_CONFIG_SEED:
        return sizeof(uint64_t);
    case S3R_CONFIG_COUNT:
    case S3R_CONFIG_COUNT_OR_MODEL:
        return sizeof(size_t);
    case S3R_CONFIG_NUMBER:
    case S3R_CONFIG_NUMBER_OR_MODEL:
        return sizeof(double);
    case S3R_CONFIG_BLOCK_NUMBERS:
        return sizeof(s3r_block_numbers);
    case S3R_CONFIG_MODULES:
        return sizeof(unsigned);
    case S3R_CONFIG_BLOCK_RANGE:
        return 2 * sizeof(size_t);
    case S3R_CONFIG_LANGUAGE:
        return 64;
    }
    return 0;
}

/* Any value of the struct. */
typedef union stored_value {
    int choice;
    char name[S3R_CONFIG_NAME_BYTES];
    bool is_on;
    uint64_t seed;
    size_t count;
    double number;
    s3r_block_numbers numbers;
    unsigned modules;
    size_t range[2];
    char language[64];
} stored_value;

static bool read_count(const s3r_config_key *key, const char *text, size_t *out)
{
    uint64_t whole;
    if (!read_whole(text, &whole) || !is_in_range(key, (double)whole))
        return false;
    *out = (size_t)whole;
    return true;
}

static bool read_value(const s3r_config_key *key, const char *text, stored_value *value)
{
    int choice = 0;
    switch (key->type) {
    case S3R_CONFIG_CHOICE:
        return read_choice(key, text, &value->choice);
    case S3R_CONFIG_NAME:
        if (!read_choice(key, text, &choice))
            return false;
        memset(value->name, 0, sizeof value->name);
        memcpy(value->name, text, strlen(text));
        return true;
    case S3R_CONFIG_SWITCH:
        if (!read_choice(key, text, &choice))
            return false;
        value->is_on = choice == 1;
        return true;
    case S3R_CONFIG_SEED:
        return read_whole(text, &value->seed) && value->seed <= INT64_MAX;
    case S3R_CONFIG_COUNT_OR_MODEL:
        if (strcmp(text, "model") == 0) {
            value->count = SIZE_MAX;
            return true;
        }
        return read_count(key, text, &value->count);
    case S3R_CONFIG_COUNT:
        return read_count(key, text, &value->count);
    case S3R_CONFIG_NUMBER_OR_MODEL:
        if (strcmp(text, "model") == 0) {
            value->number = -1;
            return true;
        }
        return read_number_in_range(key, text, &value->number);
    case S3R_CONFIG_NUMBER:
        return read_number_in_range(key, text, &value->number);
    case S3R_CONFIG_BLOCK_NUMBERS:
        return read_block_numbers(key, text, &value->numbers);
    case S3R_CONFIG_MODULES:
        return read_modules(text, &value->modules);
    case S3R_CONFIG_BLOCK_RANGE:
        return read_block_range(text, value->range);
    case S3R_CONFIG_LANGUAGE:
        return read_language(text, value->language);
    }
    return false;
}

s3r_status s3r_config_value_read(const s3r_config_key *key, s3r_train_config *config,
                                 const char *text, bool is_quoted, s3r_error *err)
{
    stored_value value;
    bool is_named = is_text_type(key->type) ||
                    (key->type == S3R_CONFIG_SWITCH && strcmp(key->choices[1], "true"));
    if ((!is_quoted || is_named) && read_value(key, text, &value)) {
        memcpy((char *)config + key->offset, &value, stored_size(key->type));
        return S3R_OK;
    }
    char expected[512];
    s3r_config_value_expected(key, expected, sizeof expected);
    if (text[0] == '\0' && !is_quoted)
        return s3r_fail(err, S3R_ERR_USAGE, "expected %s, found nothing", expected);
    const char *quote = is_quoted ? "\"" : "";
    return s3r_fail(err, S3R_ERR_USAGE, "expected %s, found %s%.200s%s", expected, quote,
                    text, quote);
}

static void write_block_numbers(const s3r_block_numbers *numbers, char *text)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < numbers->count && i < S3R_CONFIG_MAX_BLOCKS; i++) {
        if (i > 0)
            text[used++] = ',';
        write_number(numbers->values[i], text + used, S3R_CONFIG_VALUE_BYTES - used);
        used += strlen(text + used);
    }
}

static void write_modules(unsigned set, char *text)
{
    text[0] = '\0';
    for (size_t i = 0; i < S3R_ARRAY_LEN(module_names); i++) {
        unsigned name_set = module_names[i].set;
        bool is_group = i < 3;
        if (is_group && name_set == set) {
            strcpy(text, module_names[i].name);
            return;
        }
        if (!is_group && (set & name_set)) {
            strcat(text, text[0] ? "," : "");
            strcat(text, module_names[i].name);
        }
    }
}

static void write_block_range(const size_t range[2], char *text)
{
    if (range[0] == 0 && range[1] == SIZE_MAX)
        strcpy(text, "all");
    else if (range[1] == SIZE_MAX)
        snprintf(text, S3R_CONFIG_VALUE_BYTES, "%zu-last", range[0]);
    else if (range[0] == range[1])
        snprintf(text, S3R_CONFIG_VALUE_BYTES, "%zu", range[0]);
    else
        snprintf(text, S3R_CONFIG_VALUE_BYTES, "%zu-%zu", range[0], range[1]);
}

static const char *choice_name(const s3r_config_key *key, int choice)
{
    for (int i = 0; key->choices[i]; i++) {
        if (i == choice)
            return key->choices[i];
    }
    return "?"; /* reads back as an error */
}

void s3r_config_value_write(const s3r_config_key *key, const s3r_train_config *config,
                            char *text)
{
    stored_value value;
    memcpy(&value, (const char *)config + key->offset, stored_size(key->type));
    switch (key->type) {
    case S3R_CONFIG_CHOICE:
        strcpy(text, choice_name(key, value.choice));
        break;
    case S3R_CONFIG_NAME:
        snprintf(text, S3R_CONFIG_VALUE_BYTES, "%.15s", value.name);
        break;
    case S3R_CONFIG_SWITCH:
        strcpy(text, choice_name(key, value.is_on));
        break;
    case S3R_CONFIG_SEED:
        snprintf(text, S3R_CONFIG_VALUE_BYTES, "%llu", (unsigned long long)value.seed);
        break;
    case S3R_CONFIG_COUNT_OR_MODEL:
    case S3R_CONFIG_COUNT:
        if (key->type == S3R_CONFIG_COUNT_OR_MODEL && value.count == SIZE_MAX)
            strcpy(text, "model");
        else
            snprintf(text, S3R_CONFIG_VALUE_BYTES, "%zu", value.count);
        break;
    case S3R_CONFIG_NUMBER_OR_MODEL:
    case S3R_CONFIG_NUMBER:
        if (key->type == S3R_CONFIG_NUMBER_OR_MODEL && value.number < 0)
            strcpy(text, "model");
        else
            write_number(value.number, text, S3R_CONFIG_VALUE_BYTES);
        break;
    case S3R_CONFIG_BLOCK_NUMBERS:
        write_block_numbers(&value.numbers, text);
        break;
    case S3R_CONFIG_MODULES:
        write_modules(value.modules, text);
        break;
    case S3R_CONFIG_BLOCK_RANGE:
        write_block_range(value.range, text);
        break;
    case S3R_CONFIG_LANGUAGE:
        snprintf(text, S3R_CONFIG_VALUE_BYTES, "%.63s", value.language);
        break;
    }
}

static void expected_range(const s3r_config_key *key, const char *what, char *text,
                           size_t text_bytes)
{
    char min[32], max[32];
    write_number(key->min, min, sizeof min);
    write_number(key->max, max, sizeof max);
    snprintf(text, text_bytes, "%s in %c%s, %s%c", what,
             key->open_ends & S3R_CONFIG_ABOVE_MIN ? '(' : '[', min, max,
             key->open_ends & S3R_CONFIG_BELOW_MAX ? ')' : ']');
}

static void expected_choice(const s3r_config_key *key, char *text, size_t text_bytes)
{
    size_t used = 0;
    for (size_t i = 0; key->choices[i] && used < text_bytes; i++) {
        const char *before = i == 0 ? "" : key->choices[i + 1] ? ", " : " or ";
        int length =
            snprintf(text + used, text_bytes - used, "%s%s", before, key->choices[i]);
        used += (size_t)length;
    }
}

void s3r_config_value_expected(const s3r_config_key *key, char *text, size_t text_bytes)
{
    switch (key->type) {
    case S3R_CONFIG_CHOICE:
    case S3R_CONFIG_NAME:
    case S3R_CONFIG_SWITCH:
        expected_choice(key, text, text_bytes);
        break;
    case S3R_CONFIG_SEED:
        snprintf(text, text_bytes, "a whole number below 2^63");
        break;
    case S3R_CONFIG_COUNT:
        expected_range(key, "a whole number", text, text_bytes);
        break;
    case S3R_CONFIG_COUNT_OR_MODEL:
        expected_range(key, "model or a whole number", text, text_bytes);
        break;
    case S3R_CONFIG_NUMBER:
        expected_range(key, "a number", text, text_bytes);
        break;
    case S3R_CONFIG_NUMBER_OR_MODEL:
        expected_range(key, "model or a number", text, text_bytes);
        break;
    case S3R_CONFIG_BLOCK_NUMBERS:
        expected_range(key, "a number, or a list of at most 96,", text, text_bytes);
        break;
    case S3R_CONFIG_MODULES:
        snprintf(text, text_bytes,
                 "ffn, attention, both or a list of q, k, v, out, fc1, fc2");
        break;
    case S3R_CONFIG_BLOCK_RANGE:
        snprintf(text, text_bytes, "all, 6, 6-11 or 6-last, in 0 to 95");
        break;
    case S3R_CONFIG_LANGUAGE:
        snprintf(text, text_bytes, "a language tag of letters, digits and -");
        break;
    }
}
