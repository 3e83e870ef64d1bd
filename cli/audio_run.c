/*
 * Running a model over many audio files.  The library calls back in the caller's thread,
 * so that nothing here is shared between threads.
 */
#define _POSIX_C_SOURCE 200809L
#include "audio_run.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "interrupt.h"
#include "ordered_lines.h"

typedef struct run {
    const s3r_audio_job *job;
    const s3r_path_list *paths;
    s3r_terminal *terminal;
    s3r_progress progress;
    s3r_ordered_lines lines;
    char *parts;      /* lines of a file whose results are not all there; NULL = none */
    bool *has_failed; /* [paths->count] */
    bool has_success; /* a result of any file */
    size_t failure_count;
    s3r_error first_failure; /* of the first path that failed */
    size_t first_failure_index;
    s3r_error last_failure;
    bool is_stdout_broken, is_out_of_memory;
    s3r_status line_status; /* of the line that could not be made */
    s3r_error line_error;
} run;

s3r_session_options s3r_audio_verb_session(const s3r_audio_verb_options *options)
{
    return (s3r_session_options){
        .model = options->model,
        .mask = options->mask,
        .masks = options->masks,
        .language = options->language,
        .threads = options->jobs,
        .is_bf16 = options->dtype == S3R_DTYPE_CHOICE_BF16,
    };
}

static void note_failure(run *r, const s3r_result *result)
{
    static const char stream[] = "standard input";
    const char *path = r->paths->items[result->index], *message = result->message;
    if (strcmp(path, "-") == 0)
        path = stream;
    bool names_path = strncmp(message, path, strlen(path)) == 0;
    bool is_known = r->has_failed[result->index] && /* what fails one mask fails all */
                    strcmp(r->last_failure.message, message) == 0;
    s3r_cli_fail(&r->last_failure, result->status, "%s", message);
    if (r->failure_count == 0 || result->index < r->first_failure_index) {
        s3r_cli_fail(&r->first_failure, result->status, "%s%s%s", names_path ? "" : path,
                     names_path ? "" : ": ", message);
        r->first_failure_index = result->index;
    }
    r->failure_count += !r->has_failed[result->index];
    r->has_failed[result->index] = true;
    /* A single failure is the message of the whole run. */
    if (!is_known && (r->paths->count > 1 || result->part_count > 1))
        s3r_print_error(r->terminal, "%s%s%s", names_path ? "" : path,
                        names_path ? "" : ": ", message);
}

/* Puts line behind what there is of the file; takes it.  False without memory. */
static bool add_part(run *r, char *line)
{
    size_t used = r->parts ? strlen(r->parts) : 0;
    if (!line)
        return true;
    char *longer = realloc(r->parts, used + strlen(line) + 1);
    if (longer)
        strcpy(longer + used, line);
    free(line);
    if (longer)
        r->parts = longer;
    return longer != NULL;
}

static s3r_status on_result(void *context, const s3r_result *result)
{
    run *r = context;
    char *line = NULL;
    if (isatty(STDOUT_FILENO)) /* where the bar stands too */
        s3r_progress_end(&r->progress);
    r->has_success = r->has_success || result->status == S3R_OK;
    if (result->status != S3R_OK)
        note_failure(r, result);
    if (result->is_other_language)
        s3r_print_warning(
            r->terminal,
            "%s: sounds like %s (%.4f), of which no mask was asked; this is "
            "what mask %s makes of it",
            result->path, result->languages[0].name, result->languages[0].probability,
            result->mask);
    r->line_status = r->job->line(r->job->line_context, result, &line, &r->line_error);
    if (r->line_status != S3R_OK)
        return r->line_status;
    if (!add_part(r, line)) {
        r->is_out_of_memory = true;
        return S3R_ERR_RESOURCE;
    }
    if (result->part + 1 < result->part_count)
        return S3R_OK;
    line = r->parts;
    r->parts = NULL;
    if (!s3r_ordered_lines_put(&r->lines, result->index, line)) {
        r->is_stdout_broken = true;
        return S3R_ERR_RUNTIME;
    }
    return S3R_OK;
}

/* "2 of 5 files failed: a.wav, b.wav" with as many names as fit. */
static s3r_status fail_partial(const run *r, s3r_status status, s3r_error *err)
{
    char names[S3R_ERROR_MESSAGE_BYTES / 2];
    size_t used = 0, named = 0;
    names[0] = '\0';
    for (size_t i = 0; i < r->paths->count; i++) {
        if (!r->has_failed[i])
            continue;
        size_t bytes = strlen(r->paths->items[i]) + 2;
        if (used + bytes >= sizeof names)
            break;
        used +=
            (size_t)sprintf(names + used, "%s%s", named ? ", " : "", r->paths->items[i]);
        named++;
    }
    size_t unnamed = r->failure_count - named;
    if (unnamed > 0)
        return s3r_cli_fail(err, status, "%zu of %zu files failed: %s and %zu more",
                            r->failure_count, r->paths->count, names, unnamed);
    return s3r_cli_fail(err, status, "%zu of %zu files failed: %s", r->failure_count,
                        r->paths->count, names);
}

/* From the library's status to the verb's. */
static s3r_status conclude(const run *r, s3r_status status, s3r_error *err)
{
    if (r->is_stdout_broken)
        return S3R_OK;
    if (r->is_out_of_memory)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the results");
    if (r->line_status != S3R_OK) {
        *err = r->line_error;
        return r->line_status;
    }
    if (status != S3R_OK && status != S3R_ERR_PARTIAL)
        return status;
    if (r->failure_count == 0)
        return S3R_OK;
    if (r->paths->count == 1 && !r->has_success) {
        *err = r->first_failure;
        return err->code;
    }
    bool all_failed = r->failure_count == r->paths->count && !r->has_success;
    return fail_partial(r, all_failed ? r->first_failure.code : S3R_ERR_PARTIAL, err);
}

s3r_status s3r_audio_verb_check(const s3r_audio_verb_options *options, s3r_error *err)
{
    if (options->raw_rate_hz == 0 || options->raw_rate_hz > UINT32_MAX)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--raw-rate: expected a rate in Hz, found %zu",
                            options->raw_rate_hz);
    return S3R_OK;
}

/* A request a file, with its own masks or those of all. */
static s3r_status run_router(const s3r_session *session, const s3r_path_list *paths,
                             const s3r_transcribe_options *options, run *r,
                             s3r_error *err)
{
    s3r_router_request *requests = calloc(paths->count, sizeof *requests);
    if (!requests)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the requests");
    for (size_t i = 0; i < paths->count; i++)
        requests[i] = (s3r_router_request){.path = paths->items[i],
                                           .masks = paths->masks[i],
                                           .by_segment = r->job->is_by_segment};
    s3r_status status = s3r_router_transcribe(session->router, session->context, requests,
                                              paths->count, options, on_result, r, err);
    free(requests);
    return status;
}

static s3r_status transcribe(run *r, const s3r_session *session,
                             const s3r_audio_verb_options *options, s3r_error *err)
{
    s3r_transcribe_options out;
    const s3r_audio_job *job = r->job;
    s3r_transcribe_options_init(&out);
    out.raw_rate_hz = (uint32_t)options->raw_rate_hz;
    out.window_s = options->window_s;
    out.context_s = options->context_s;
    out.batch_s = options->batch_s;
    out.allow_ffmpeg = !options->is_without_ffmpeg;
    out.emissions_folder = job->emissions_folder;
    out.features_folder = job->features_folder;
    out.layer = job->layer;
    out.decoder = job->decoder;
    out.voice_only = job->is_voice_only;
    if (job->temperature != 0)
        out.temperature = job->temperature;
    out.progress = s3r_progress_take;
    out.progress_context = &r->progress;
    if (session->several)
        return run_router(session, r->paths, &out, r, err);
    return s3r_transcribe(session->context, session->model, r->paths->items,
                          r->paths->count, &out, on_result, r, err);
}

static s3r_status identify(run *r, const s3r_session *session,
                           const s3r_audio_verb_options *options, s3r_error *err)
{
    s3r_identify_options out;
    s3r_audio_verb_identify(&out, options);
    out.progress = s3r_progress_take;
    out.progress_context = &r->progress;
    return s3r_identify(session->context, session->model, r->paths->items,
                        r->paths->count, &out, on_result, r, err);
}

void s3r_audio_verb_identify(s3r_identify_options *out,
                             const s3r_audio_verb_options *options)
{
    s3r_identify_options_init(out);
    out->raw_rate_hz = (uint32_t)options->raw_rate_hz;
    out->window_s = options->window_s;
    out->context_s = options->context_s;
    out->batch_s = options->batch_s;
    out->allow_ffmpeg = !options->is_without_ffmpeg;
}

/* What was left out at the start makes a success a partial one. */
static s3r_status note_bad_masks(const s3r_session *session, s3r_status status,
                                 s3r_error *err)
{
    size_t bad = session->choices.bad;
    if (status != S3R_OK || bad == 0)
        return status;
    return s3r_cli_fail(err, S3R_ERR_PARTIAL, "%zu mask%s could not be used", bad,
                        bad > 1 ? "s" : "");
}

s3r_status s3r_audio_run(const s3r_command *command, const s3r_session *session,
                         const s3r_audio_verb_options *options,
                         const s3r_path_list *paths, const s3r_audio_job *job,
                         s3r_error *err)
{
    run r = {.job = job, .paths = paths, .terminal = command->terminal};
    s3r_status status = s3r_audio_verb_check(options, err);
    if (status != S3R_OK)
        return status;
    r.has_failed = calloc(paths->count, sizeof *r.has_failed);
    if (s3r_ordered_lines_init(&r.lines, stdout, paths->count) && r.has_failed) {
        s3r_interrupt_defer();
        s3r_progress_start(&r.progress, command->terminal, job->label, 1);
        status = job->identifies_languages ? identify(&r, session, options, err)
                                           : transcribe(&r, session, options, err);
        s3r_progress_end(&r.progress);
        if (!r.is_stdout_broken)
            r.is_stdout_broken = !s3r_ordered_lines_finish(&r.lines);
    } else {
        r.is_out_of_memory = true;
    }
    status = note_bad_masks(session, conclude(&r, status, err), err);
    free(r.parts);
    s3r_ordered_lines_release(&r.lines);
    free(r.has_failed);
    return status;
}
