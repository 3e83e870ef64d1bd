/*
 * Requests that name masks, as requests that have models.
 */
#include <math.h>
#include <string.h>

#include "api/router_handle.h"
#include "api/transcribe_by_segment.h"
#include "api/transcribe_run.h"

/* What a text of masks stands for; requests with one text share it. */
typedef struct mask_choice {
    const char *masks; /* the request's */
    s3r_transcribe_lane *lanes;
    s3r_error *errors; /* [lane_count] those of the lanes that have one */
    size_t lane_count;
    bool picks_surest;
    const s3r_model *identifier; /* of "auto", when the folder has one */
} mask_choice;

typedef struct mask_routing {
    s3r_router *router;
    s3r_context *context;
    mask_choice *choices; /* [request_count] at most */
    size_t choice_count;
    s3r_transcribe_request *requests;
} mask_routing;

static bool is_for_text(const s3r_router_entry *entry)
{
    const char *task = s3r_router_entry_fact(entry, "task");
    return !task || strcmp(task, "ctc") == 0;
}

/* A lane of a mask, or of the reason why there is none. */
static void add_lane(const mask_routing *routing, mask_choice *choice,
                     s3r_router_entry *entry)
{
    s3r_error *error = &choice->errors[choice->lane_count];
    s3r_transcribe_lane *lane = &choice->lanes[choice->lane_count++];
    lane->mask = entry->name;
    lane->language = s3r_router_entry_language(entry);
    s3r_status status = s3r_router_entry_open(routing->router, routing->context, entry,
                                              &lane->model, error);
    if (status == S3R_OK)
        status = s3r_model_check_labels(lane->model, "text cannot be written", error);
    if (status != S3R_OK)
        lane->error = error;
}

static void add_all(const mask_routing *routing, mask_choice *choice)
{
    s3r_router *router = routing->router;
    for (size_t i = 0; i < router->count; i++)
        if (is_for_text(&router->entries[i]))
            add_lane(routing, choice, &router->entries[i]);
}

/* The first mask of the task "lid", by name, that can be opened tells which language is
 * spoken. */
static s3r_status find_identifier(const mask_routing *routing, mask_choice *choice,
                                  s3r_error *err)
{
    s3r_router *router = routing->router;
    for (size_t i = 0; i < router->count; i++) {
        const char *task = s3r_router_entry_fact(&router->entries[i], "task");
        if (!task || strcmp(task, S3R_TASK_LID) != 0)
            continue;
        s3r_status status = s3r_router_entry_open(
            router, routing->context, &router->entries[i], &choice->identifier, err);
        if (status == S3R_OK || status == S3R_ERR_RESOURCE)
            return status;
    }
    return S3R_OK;
}

/* One lane with the error that a request has. */
static void set_failed(mask_choice *choice, const s3r_error *error)
{
    choice->errors[0] = *error;
    choice->lanes[0] = (s3r_transcribe_lane){.error = &choice->errors[0]};
    choice->lane_count = 1;
}

/* Names with commas.  A name that is not known fails the whole request. */
static s3r_status add_named(const mask_routing *routing, mask_choice *choice,
                            const char *names)
{
    s3r_error err;
    s3r_router_entry *entry;
    for (const char *at = names;; at++) {
        size_t length = strcspn(at, ",");
        char *name = s3r_strndup(at, length);
        if (!name)
            return S3R_ERR_RESOURCE;
        s3r_status status = s3r_router_find(routing->router, name, &entry, &err);
        s3r_free(name);
        if (status != S3R_OK) {
            set_failed(choice, &err);
            return S3R_OK;
        }
        add_lane(routing, choice, entry);
        at += length;
        if (*at == '\0')
            return S3R_OK;
    }
}

static size_t count_names(const char *masks)
{
    size_t count = 1;
    for (; *masks; masks++)
        count += *masks == ',';
    return count;
}

static s3r_status make_choice(const mask_routing *routing, mask_choice *choice,
                              const char *masks, s3r_error *err)
{
    size_t most = routing->router->count + count_names(masks);
    *choice = (mask_choice){.masks = masks,
                            .lanes = s3r_alloc(most, sizeof *choice->lanes),
                            .errors = s3r_alloc(most, sizeof *choice->errors)};
    if (!choice->lanes || !choice->errors)
        return s3r_fail_memory(err, "lanes", most * sizeof *choice->errors);
    choice->picks_surest =
        strcmp(masks, S3R_MASKS_AUTO) == 0 ||
        strncmp(masks, S3R_MASKS_AUTO_OF, strlen(S3R_MASKS_AUTO_OF)) == 0;
    if (strcmp(masks, S3R_MASKS_AUTO) == 0 || strcmp(masks, S3R_MASKS_ALL) == 0)
        add_all(routing, choice);
    else if (add_named(routing, choice,
                       choice->picks_surest ? masks + strlen(S3R_MASKS_AUTO_OF)
                                            : masks) != S3R_OK)
        return s3r_fail_memory(err, "a name", strlen(masks));
    s3r_error why;
    if (choice->picks_surest && find_identifier(routing, choice, &why) != S3R_OK)
        set_failed(choice, &why);
    if (choice->lane_count == 0) {
        s3r_error none;
        s3r_fail(&none, S3R_ERR_USAGE, "%s: expected masks with a vocabulary, found none",
                 routing->router->folder);
        set_failed(choice, &none);
    }
    return S3R_OK;
}

static s3r_status find_choice(mask_routing *routing, const char *masks,
                              const mask_choice **out, s3r_error *err)
{
    for (size_t i = 0; i < routing->choice_count; i++) {
        *out = &routing->choices[i];
        if (strcmp(routing->choices[i].masks, masks) == 0)
            return S3R_OK;
    }
    mask_choice *choice = &routing->choices[routing->choice_count++];
    *out = choice;
    return make_choice(routing, choice, masks, err);
}

static s3r_status make_requests(mask_routing *routing, const s3r_router_request *requests,
                                size_t count, s3r_error *err)
{
    routing->choices = s3r_alloc(count, sizeof *routing->choices);
    routing->requests = s3r_alloc(count, sizeof *routing->requests);
    if (!routing->choices || !routing->requests)
        return s3r_fail_memory(err, "the requests", count * sizeof *routing->requests);
    for (size_t i = 0; i < count; i++) {
        const mask_choice *choice;
        S3R_TRY(find_choice(routing, requests[i].masks, &choice, err));
        routing->requests[i] = (s3r_transcribe_request){
            .path = requests[i].path,
            .index = i,
            .lanes = choice->lanes,
            .lane_count = choice->lane_count,
            .picks_surest = choice->picks_surest || requests[i].by_segment,
            .identifier = choice->identifier};
    }
    return S3R_OK;
}

static void release(mask_routing *routing)
{
    for (size_t i = 0; i < routing->choice_count; i++) {
        s3r_free(routing->choices[i].lanes);
        s3r_free(routing->choices[i].errors);
    }
    s3r_free(routing->choices);
    s3r_free(routing->requests);
}

/* What is written by file needs one model a file. */
static s3r_status check_options(const s3r_router *router,
                                const s3r_router_request *requests, size_t count,
                                const s3r_transcribe_options *options, s3r_error *err)
{
    if (!router->backbone)
        return s3r_fail(err, S3R_ERR_USAGE, "%s: expected a router with a backbone",
                        router->folder);
    if (options->decoder || options->features_folder)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: expected no decoder and no features, which are of one mask",
                        router->folder);
    for (size_t i = 0; i < count && options->emissions_folder; i++) {
        if (requests[i].by_segment)
            return s3r_fail(err, S3R_ERR_USAGE,
                            "emissions: expected one array a file, found %s by segment",
                            requests[i].path);
        if (strchr(requests[i].masks, ',') ||
            strcmp(requests[i].masks, S3R_MASKS_ALL) == 0 ||
            strcmp(requests[i].masks, S3R_MASKS_AUTO) == 0)
            return s3r_fail(err, S3R_ERR_USAGE,
                            "emissions: expected one mask a file, found \"%s\" for %s",
                            requests[i].masks, requests[i].path);
    }
    return S3R_OK;
}

static s3r_status open_outputs(const s3r_router_request *requests, size_t count,
                               const s3r_transcribe_options *options, s3r_error *err)
{
    if (!options->emissions_folder)
        return S3R_OK;
    const char **paths = s3r_alloc(count, sizeof *paths);
    if (!paths)
        return s3r_fail_memory(err, "paths", count * sizeof *paths);
    for (size_t i = 0; i < count; i++)
        paths[i] = requests[i].path;
    s3r_status status = s3r_transcribe_open_outputs(paths, count, options, err);
    s3r_free(paths);
    return status;
}

/* The progress of a part of the requests as that of all. */
typedef struct run_progress {
    const s3r_transcribe_options *options;
    double before_s, total_s; /* of files: the parts that are done, all */
} run_progress;

static bool report_part(void *context, double done_s, double total_s)
{
    const run_progress *run = context;
    (void)total_s;
    return run->options->progress(run->options->progress_context, run->before_s + done_s,
                                  run->total_s);
}

static double seconds_of(const s3r_router_request *requests, size_t count)
{
    double seconds = 0;
    for (size_t i = 0; i < count; i++)
        seconds += fmax(s3r_audio_probe_seconds(requests[i].path), 0.0);
    return seconds;
}

/* Requests by segment one by one, those between them together. */
static s3r_status run_requests(const mask_routing *routing,
                               const s3r_router_request *requests, size_t count,
                               const s3r_transcribe_options *options,
                               s3r_result_fn result, void *result_context, s3r_error *err)
{
    s3r_status status = S3R_OK;
    const s3r_model *base = routing->router->backbone;
    size_t failed = 0;
    s3r_transcribe_options own = *options;
    run_progress progress = {options, 0, 0};
    if (options->progress) {
        progress.total_s = seconds_of(requests, count);
        own.progress = report_part;
        own.progress_context = &progress;
    }
    for (size_t first = 0, end; first < count; first = end) {
        size_t more = 0;
        for (end = first; end < count && !requests[end].by_segment;)
            end++;
        if (end == first) {
            if (options->progress && !report_part(&progress, 0, 0))
                return s3r_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
            status = s3r_transcribe_by_segment(routing->context, base,
                                               &routing->requests[end++], &own, result,
                                               result_context, &more, err);
        } else {
            status = s3r_transcribe_requests(routing->context, base,
                                             routing->requests + first, end - first, &own,
                                             result, result_context, &more, err);
        }
        if (status != S3R_OK)
            return status;
        if (options->progress)
            progress.before_s += seconds_of(requests + first, end - first);
        failed += more;
    }
    return s3r_transcribe_end(failed, count, err);
}

s3r_status s3r_router_transcribe(s3r_router *router, s3r_context *context,
                                 const s3r_router_request *requests, size_t count,
                                 const s3r_transcribe_options *options,
                                 s3r_result_fn result, void *result_context,
                                 s3r_error *err)
{
    s3r_transcribe_options defaults;
    mask_routing routing = {.router = router, .context = context};
    s3r_transcribe_options_init(&defaults);
    if (!options)
        options = &defaults;
    S3R_TRY(check_options(router, requests, count, options, err));
    S3R_TRY(s3r_transcribe_check_numbers(options, err));
    S3R_TRY(open_outputs(requests, count, options, err));
    s3r_status status = make_requests(&routing, requests, count, err);
    if (status == S3R_OK)
        status =
            run_requests(&routing, requests, count, options, result, result_context, err);
    release(&routing);
    return status;
}
