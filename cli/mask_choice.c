/*
 * Masks are tried in the order of the names; what a mask is like is asked once.
 */
#include "mask_choice.h"

#include <stdlib.h>
#include <string.h>

enum { STATE_UNKNOWN, STATE_GOOD, STATE_BAD };

s3r_status s3r_mask_choices_init(s3r_mask_choices *choices, s3r_router *router,
                                 s3r_context *context, s3r_terminal *terminal,
                                 s3r_error *err)
{
    s3r_router_mask mask;
    *choices =
        (s3r_mask_choices){.router = router, .context = context, .terminal = terminal};
    while (s3r_router_get_mask(router, choices->count, &mask))
        choices->count++;
    choices->state = calloc(choices->count + 1, sizeof *choices->state);
    return choices->state
               ? S3R_OK
               : s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for a list of masks");
}

void s3r_mask_choices_release(s3r_mask_choices *choices)
{
    for (size_t i = 0; i < choices->text_count; i++)
        free(choices->texts[i]);
    free(choices->texts);
    free(choices->state);
    *choices = (s3r_mask_choices){0};
}

/* ---- one mask ---- */

static bool is_usable(s3r_mask_choices *choices, size_t index)
{
    s3r_router_mask mask;
    const s3r_model *model;
    s3r_error reason;
    if (choices->state[index] != STATE_UNKNOWN)
        return choices->state[index] == STATE_GOOD;
    choices->state[index] = STATE_GOOD;
    (void)s3r_router_get_mask(choices->router, index, &mask);
    if (s3r_router_get_model(choices->router, choices->context, mask.name, &model,
                             &reason) == S3R_OK)
        return true;
    s3r_print_error(choices->terminal, "%s", reason.message);
    choices->state[index] = STATE_BAD;
    choices->bad++;
    return false;
}

static bool has_task(const s3r_router_mask *mask, const char *task)
{
    return mask->task && strcmp(mask->task, task) == 0;
}

/* The mask of a name, or the only one of a language; false when there is none. */
static bool find(const s3r_mask_choices *choices, const char *name, size_t length,
                 size_t *out)
{
    s3r_router_mask mask;
    size_t found = 0;
    for (size_t i = 0; s3r_router_get_mask(choices->router, i, &mask); i++) {
        *out = i;
        if (strlen(mask.name) == length && memcmp(mask.name, name, length) == 0)
            return true;
    }
    for (size_t i = 0; s3r_router_get_mask(choices->router, i, &mask); i++) {
        if (!mask.language || strlen(mask.language) != length ||
            memcmp(mask.language, name, length) != 0)
            continue;
        *out = i;
        found++;
    }
    return found == 1;
}

/* ---- texts ---- */

/* A copy of text, of the choices; NULL without memory. */
static char *keep_text(s3r_mask_choices *choices, const char *text, size_t room)
{
    char **texts =
        realloc(choices->texts, (choices->text_count + 1) * sizeof *choices->texts);
    if (!texts)
        return NULL;
    choices->texts = texts;
    char *kept = malloc(room + 1);
    if (kept)
        choices->texts[choices->text_count++] = strcpy(kept, text);
    return kept;
}

static void add_name(char *list, const char *name)
{
    size_t used = strlen(list);
    if (used > 0 && list[used - 1] != ':')
        list[used++] = ',';
    strcpy(list + used, name);
}

/* Adds what can be used of all masks with a vocabulary. */
static void add_all(s3r_mask_choices *choices, char *list)
{
    s3r_router_mask mask;
    for (size_t i = 0; s3r_router_get_mask(choices->router, i, &mask); i++)
        if ((!mask.task || has_task(&mask, "ctc")) && is_usable(choices, i))
            add_name(list, mask.name);
}

/* The masks of names with commas, all or what can be used; false where one is none. */
static bool add_named(s3r_mask_choices *choices, char *list, const char *names,
                      bool only_usable)
{
    s3r_router_mask mask;
    size_t index;
    for (const char *at = names;; at++) {
        size_t length = strcspn(at, ",");
        if (!find(choices, at, length, &index))
            return false;
        (void)s3r_router_get_mask(choices->router, index, &mask);
        if (!only_usable || is_usable(choices, index))
            add_name(list, mask.name);
        at += length;
        if (*at == '\0')
            return true;
    }
}

/* Those that tell which language is spoken: a bad one is named, too. */
static void try_identifiers(s3r_mask_choices *choices)
{
    s3r_router_mask mask;
    for (size_t i = 0; s3r_router_get_mask(choices->router, i, &mask); i++)
        if (has_task(&mask, "lid"))
            (void)is_usable(choices, i);
}

/* Bytes of all names with something between. */
static size_t room_for_all(const s3r_mask_choices *choices)
{
    s3r_router_mask mask;
    size_t room = sizeof S3R_MASKS_AUTO_OF;
    for (size_t i = 0; s3r_router_get_mask(choices->router, i, &mask); i++)
        room += strlen(mask.name) + 1;
    return room;
}

/* Bytes that the masks of names with commas take at most. */
static size_t room_for(const s3r_mask_choices *choices, const char *names)
{
    s3r_router_mask mask;
    size_t longest = 0, count = 1;
    for (size_t i = 0; s3r_router_get_mask(choices->router, i, &mask); i++)
        longest = strlen(mask.name) > longest ? strlen(mask.name) : longest;
    for (; *names; names++)
        count += *names == ',';
    return sizeof S3R_MASKS_AUTO_OF + count * (longest + 1);
}

s3r_status s3r_mask_choices_resolve(s3r_mask_choices *choices, const char *names,
                                    bool is_by_segment, const char **out, s3r_error *err)
{
    bool is_auto = strcmp(names, S3R_MASKS_AUTO) == 0,
         is_all = strcmp(names, S3R_MASKS_ALL) == 0;
    bool is_auto_of = strncmp(names, S3R_MASKS_AUTO_OF, strlen(S3R_MASKS_AUTO_OF)) == 0;
    bool picks = is_auto || is_auto_of || is_by_segment;
    const char *listed = is_auto_of ? names + strlen(S3R_MASKS_AUTO_OF) : names;
    *out = names;
    if (!picks && !is_all && !strchr(names, ','))
        return S3R_OK;
    const char *prefix = is_auto || is_auto_of ? S3R_MASKS_AUTO_OF : "";
    char *list =
        keep_text(choices, prefix,
                  is_auto || is_all ? room_for_all(choices) : room_for(choices, listed));
    if (!list)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for a list of masks");
    if (is_auto || is_auto_of)
        try_identifiers(choices);
    if (is_auto || is_all)
        add_all(choices, list);
    else if (!add_named(choices, list, listed, picks))
        return S3R_OK;
    if (strlen(list) > strlen(prefix))
        *out = list;
    else if (is_auto || is_all)
        return s3r_cli_fail(err, S3R_ERR_MODEL,
                            "--masks: expected masks with a vocabulary that can be used, "
                            "found none");
    return S3R_OK;
}
