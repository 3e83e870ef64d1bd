/*
 * A reader by recursive descent for three rules:
 *
 *   sum    = term { "+" term }
 *   term   = list { "*" number } | number "*" list
 *   list   = "[" [ triple { "," triple } [","] ] "]"
 *   triple = "(" number "," number "," number [","] ")", or with square brackets
 */
#include "model/conv_layers_text.h"

#include <string.h>

#define MAX_NUMBER 65536u

typedef struct reader {
    const char *at;
    s3r_conv_config *layers;
    size_t count;
} reader;

static void skip_space(reader *r)
{
    r->at += strspn(r->at, " \t\r\n");
}

static bool take(reader *r, char c)
{
    skip_space(r);
    if (*r->at != c)
        return false;
    r->at++;
    return true;
}

static bool take_number(reader *r, size_t *number)
{
    skip_space(r);
    size_t digits = strspn(r->at, "0123456789");
    *number = 0;
    for (size_t i = 0; i < digits && *number <= MAX_NUMBER; i++)
        *number = *number * 10 + (size_t)(r->at[i] - '0');
    r->at += digits;
    return digits > 0 && *number <= MAX_NUMBER;
}

static bool take_triple(reader *r)
{
    s3r_conv_config layer;
    char close = ')';
    if (!take(r, '(')) {
        if (!take(r, '['))
            return false;
        close = ']';
    }
    bool is_read = take_number(r, &layer.dim) && take(r, ',') &&
                   take_number(r, &layer.kernel) && take(r, ',') &&
                   take_number(r, &layer.stride);
    if (!is_read || layer.dim == 0 || layer.kernel == 0 || layer.stride == 0)
        return false;
    (void)take(r, ',');
    if (!take(r, close) || r->count == S3R_MAX_CONV_LAYERS)
        return false;
    r->layers[r->count++] = layer;
    return true;
}

static bool take_list(reader *r)
{
    if (!take(r, '['))
        return false;
    while (!take(r, ']')) {
        if (!take_triple(r))
            return false;
        if (!take(r, ',')) {
            if (!take(r, ']'))
                return false;
            break;
        }
    }
    return true;
}

/* The layers from `first` on become `factor` times as many. */
static bool repeat(reader *r, size_t first, size_t factor)
{
    size_t length = r->count - first;
    if (length > 0 && factor > (S3R_MAX_CONV_LAYERS - first) / length)
        return false;
    for (size_t i = 1; i < factor; i++)
        memcpy(r->layers + first + i * length, r->layers + first,
               length * sizeof *r->layers);
    r->count = first + factor * length;
    return true;
}

static bool take_term(reader *r)
{
    size_t first = r->count, factor;
    skip_space(r);
    if (*r->at >= '0' && *r->at <= '9')
        return take_number(r, &factor) && take(r, '*') && take_list(r) &&
               repeat(r, first, factor);
    if (!take_list(r))
        return false;
    while (take(r, '*')) {
        if (!take_number(r, &factor) || !repeat(r, first, factor))
            return false;
    }
    return true;
}

bool s3r_conv_layers_from_text(s3r_conv_config *layers, size_t *count, const char *text)
{
    reader r = {.at = text, .layers = layers};
    do {
        if (!take_term(&r))
            return false;
    } while (take(&r, '+'));
    skip_space(&r);
    *count = r.count;
    return *r.at == '\0' && r.count > 0;
}
