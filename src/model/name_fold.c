/*
 * Folding: names are cut at their dots; components that are numbers are wild.  A group is
 * all names with equal other components and equal details.  The list is bounded, so that
 * comparing all pairs stays cheap for a hostile file too.
 */
#include "model/name_fold.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define MAX_ITEMS  2000u
#define MAX_DIGITS 6u

bool s3r_text_create(s3r_text *text, size_t capacity)
{
    *text = (s3r_text){.bytes = s3r_alloc(capacity, 1), .capacity = capacity};
    return text->bytes != NULL;
}

void s3r_text_add(s3r_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text->bytes + text->used, text->capacity - text->used, format,
                           arguments);
    va_end(arguments);
    if (length > 0)
        text->used = S3R_MIN(text->used + (size_t)length, text->capacity - 1);
}

bool s3r_fault_list_add(s3r_fault_list *list, const char *name, const char *detail)
{
    if (list->count == MAX_ITEMS) {
        list->uncounted++;
        return true;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 16;
        s3r_named_fault *grown =
            s3r_realloc(list->items, list->capacity, capacity, sizeof *grown);
        if (!grown)
            return false;
        list->items = grown;
        list->capacity = capacity;
    }
    s3r_named_fault *item = &list->items[list->count++];
    item->name = s3r_strdup(name);
    item->detail = s3r_strdup(detail);
    return item->name && item->detail;
}

void s3r_fault_list_release(s3r_fault_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        s3r_free(list->items[i].name);
        s3r_free(list->items[i].detail);
    }
    s3r_free(list->items);
    *list = (s3r_fault_list){0};
}

/* Length of the component at `at`, up to the next dot or the end. */
static size_t component_length(const char *at)
{
    return strcspn(at, ".");
}

static bool is_number(const char *at, size_t length)
{
    return length > 0 && length <= MAX_DIGITS && strspn(at, "0123456789") >= length;
}

/* Equal but for numbers? */
static bool is_alike(const s3r_named_fault *a, const s3r_named_fault *b)
{
    const char *x = a->name, *y = b->name;
    if (strcmp(a->detail, b->detail) != 0)
        return false;
    for (;;) {
        size_t n = component_length(x), m = component_length(y);
        bool are_numbers = is_number(x, n) && is_number(y, m);
        if (!are_numbers && (n != m || memcmp(x, y, n) != 0))
            return false;
        x += n;
        y += m;
        if (*x != *y)
            return false;
        if (*x == '\0')
            return true;
        x++;
        y++;
    }
}

/* The number at component `index` of name. */
static unsigned long number_at(const char *name, size_t index)
{
    for (; index > 0; index--)
        name += component_length(name) + 1;
    return strtoul(name, NULL, 10);
}

static int compare_numbers(const void *a, const void *b)
{
    unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;
    return x < y ? -1 : x > y;
}

/* "[0-3,7]", or "5" when all are equal; sorts numbers. */
static void add_numbers(s3r_text *text, unsigned long *numbers, size_t count)
{
    qsort(numbers, count, sizeof *numbers, compare_numbers);
    if (numbers[0] == numbers[count - 1]) {
        s3r_text_add(text, "%lu", numbers[0]);
        return;
    }
    for (size_t i = 0; i < count;) {
        size_t end = i;
        while (end + 1 < count && numbers[end + 1] - numbers[end] <= 1)
            end++;
        s3r_text_add(text, "%s%lu", i == 0 ? "[" : ",", numbers[i]);
        if (numbers[end] != numbers[i])
            s3r_text_add(text, "-%lu", numbers[end]);
        i = end + 1;
    }
    s3r_text_add(text, "]");
}

/* A group by the indices of its items; numbers is scratch for count values. */
static void add_group(s3r_text *text, const s3r_fault_list *list, const size_t *group,
                      size_t count, unsigned long *numbers)
{
    const char *at = list->items[group[0]].name;
    for (size_t index = 0;; index++) {
        size_t length = component_length(at);
        if (is_number(at, length)) {
            for (size_t i = 0; i < count; i++)
                numbers[i] = number_at(list->items[group[i]].name, index);
            add_numbers(text, numbers, count);
        } else {
            s3r_text_add(text, "%.*s", (int)length, at);
        }
        at += length;
        if (*at++ == '\0')
            break;
        s3r_text_add(text, ".");
    }
    if (count > 1)
        s3r_text_add(text, " (%zu tensors)", count);
    if (list->items[group[0]].detail[0])
        s3r_text_add(text, ": %s", list->items[group[0]].detail);
}

bool s3r_fault_list_fold(const s3r_fault_list *list, s3r_text *text)
{
    bool *is_told = s3r_alloc(list->count, sizeof *is_told);
    size_t *group = s3r_alloc(list->count, sizeof *group);
    unsigned long *numbers = s3r_alloc(list->count, sizeof *numbers);
    bool has_memory = is_told && group && numbers;
    for (size_t i = 0; has_memory && i < list->count; i++) {
        size_t count = 0;
        if (is_told[i])
            continue;
        for (size_t k = i; k < list->count; k++) {
            if (!is_told[k] && is_alike(&list->items[i], &list->items[k])) {
                is_told[k] = true;
                group[count++] = k;
            }
        }
        s3r_text_add(text, "%s", i == 0 ? "" : ", ");
        add_group(text, list, group, count, numbers);
    }
    if (list->uncounted > 0)
        s3r_text_add(text, " and %zu more", list->uncounted);
    s3r_free(is_told);
    s3r_free(group);
    s3r_free(numbers);
    return has_memory;
}
