/*
 * The public calls on data: options checked, manifests opened, the work done below.
 */
#include "s3r/data.h"

#include <string.h>

#include "api/handles.h"
#include "api/options_check.h"
#include "data/manifest_check.h"
#include "data/manifest_draw.h"
#include "data/manifest_place.h"
#include "data/manifest_stats.h"
#include "data/prepare.h"

_Static_assert(S3R_DATA_BINS == S3R_DURATION_BINS, "one histogram");
_Static_assert((int)S3R_DATA_SPLIT_TEXT == (int)S3R_SPLIT_TEXT, "one order of modes");

/* ---- prepare ---- */

bool s3r_data_layout(size_t index, s3r_data_layout_info *out)
{
    const s3r_layout *layout = s3r_layout_at(index);
    if (layout)
        *out =
            (s3r_data_layout_info){layout->name, layout->summary, layout->needs_source};
    return layout != NULL;
}

void s3r_prepare_data_options_init(s3r_prepare_data_options *options)
{
    *options = (s3r_prepare_data_options){
        .struct_size = sizeof *options, .max_rate = 26, .min_seconds = 0.4};
}

static void report_prepared(const s3r_prepare_report *report,
                            const s3r_prepare_data_result *result)
{
    for (size_t i = 0; result->row && i < report->row_count; i++) {
        const s3r_prepare_row *from = &report->rows[i];
        s3r_data_row row = {.language = from->language,
                            .split = from->split,
                            .clips = from->clips,
                            .words = from->words,
                            .seconds = from->seconds};
        result->row(result->context, &row);
    }
    for (const s3r_drop_count *drop = report->corpus.dropped_reasons;
         result->dropped && drop; drop = drop->next)
        result->dropped(result->context, drop->reason, drop->count);
    if (result->other_length && report->other_length > 0)
        result->other_length(result->context, report->other_length,
                             report->other_length_id);
}

s3r_status s3r_data_prepare(s3r_context *context, const s3r_prepare_data_options *options,
                            const s3r_prepare_data_result *result, s3r_error *err)
{
    S3R_TRY(s3r_options_check_size("data options", sizeof *options,
                                   options ? options->struct_size : 0, err));
    if (!options->layouts || options->layouts[0] == '\0' || !options->folder)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "data options: expected a layout and a folder, found none");
    s3r_prepare_options below = {.layouts = options->layouts,
                                 .source = options->source,
                                 .language = options->language,
                                 .folder = options->folder,
                                 .split = (s3r_split_mode)options->split,
                                 .is_cleaned = options->is_cleaned,
                                 .is_by_language = options->is_by_language,
                                 .is_decoded = options->is_decoded,
                                 .max_rate = options->max_rate,
                                 .min_seconds = options->min_seconds,
                                 .max_seconds = options->max_seconds,
                                 .progress = options->progress,
                                 .progress_context = options->progress_context};
    s3r_prepare_report report;
    s3r_status status = s3r_prepare(&report, context->pool, &below, err);
    if (status == S3R_OK && result)
        report_prepared(&report, result);
    s3r_prepare_report_release(&report);
    return status;
}

/* ---- check ---- */

void s3r_check_data_options_init(s3r_check_data_options *options)
{
    *options = (s3r_check_data_options){
        .struct_size = sizeof *options, .max_rate = 26, .min_rate = 1};
}

typedef struct checking {
    s3r_manifest *manifests; /* [count] */
    size_t count;
    s3r_vocabulary vocabulary; /* of a folder */
    s3r_data_problem_fn problem;
    void *problem_context;
} checking;

static s3r_status report_problem(void *context, size_t manifest,
                                 const s3r_utterance *utterance, s3r_problem problem,
                                 const char *message)
{
    const checking *c = context;
    s3r_data_problem report = {.manifest = c->manifests[manifest].path,
                               .line = utterance->line,
                               .id = utterance->id,
                               .audio_path = utterance->audio_path,
                               .reason = s3r_problem_name(problem),
                               .message = message};
    return c->problem(c->problem_context, &report);
}

static s3r_status read_ignored(const char *names, bool is_ignored[S3R_PROBLEM_COUNT],
                               s3r_error *err)
{
    while (names && *names != '\0') {
        size_t length = strcspn(names, ","), i = 0;
        for (; i < S3R_PROBLEM_COUNT; i++) {
            const char *name = s3r_problem_name((s3r_problem)i);
            if (strlen(name) == length && strncmp(name, names, length) == 0)
                break;
        }
        if (i == S3R_PROBLEM_COUNT)
            return s3r_fail(err, S3R_ERR_USAGE,
                            "reason to ignore: expected unreadable, beyond-end, no-text, "
                            "too-short, too-long, vocabulary, same-text or same-audio, "
                            "found \"%.*s\"",
                            (int)S3R_MIN(length, (size_t)80), names);
        is_ignored[i] = true;
        names += length + (names[length] == ',');
    }
    return S3R_OK;
}

static s3r_status choose_vocabulary(checking *c, const s3r_check_data_options *options,
                                    s3r_check_options *below, s3r_error *err)
{
    below->frame_s = 0.02;
    if (options->model) {
        const s3r_model_config *config = &options->model->config;
        S3R_TRY(s3r_model_check_labels(options->model, "texts have no labels", err));
        below->vocabulary = &options->model->vocabulary;
        below->frame_s = (double)s3r_config_stride(config) / (double)config->sample_rate;
    } else if (options->vocabulary_folder) {
        S3R_TRY(s3r_vocabulary_open(&c->vocabulary, options->vocabulary_folder, NULL,
                                    options->language, err));
        below->vocabulary = &c->vocabulary;
    }
    return S3R_OK;
}

static s3r_status run_check(checking *c, s3r_context *context, const char *const *paths,
                            size_t path_count, const s3r_check_data_options *options,
                            size_t *clip_count, size_t *failed_count, s3r_error *err)
{
    s3r_check_options below = {.max_rate = options->max_rate,
                               .min_rate = options->min_rate,
                               .believes_headers = options->believes_headers,
                               .progress = options->progress,
                               .progress_context = options->progress_context};
    S3R_TRY(read_ignored(options->ignored, below.is_ignored, err));
    S3R_TRY(choose_vocabulary(c, options, &below, err));
    for (; c->count < path_count; c->count++) {
        S3R_TRY(s3r_manifest_open(&c->manifests[c->count], paths[c->count], err));
        *clip_count += c->manifests[c->count].count;
    }
    S3R_TRY(s3r_manifest_check(c->manifests, c->count, context->pool, &below,
                               report_problem, c, failed_count, err));
    if (*failed_count > 0)
        return s3r_fail(err, S3R_ERR_PARTIAL, "%zu of %zu utterances have problems",
                        *failed_count, *clip_count);
    return S3R_OK;
}

s3r_status s3r_data_check(s3r_context *context, const char *const *paths,
                          size_t path_count, const s3r_check_data_options *options,
                          s3r_data_problem_fn problem, void *problem_context,
                          size_t *clip_count, size_t *failed_count, s3r_error *err)
{
    s3r_check_data_options defaults;
    s3r_check_data_options_init(&defaults);
    options = options ? options : &defaults;
    S3R_TRY(s3r_options_check_size("data options", sizeof *options,
                                   options ? options->struct_size : 0, err));
    checking c = {.problem = problem, .problem_context = problem_context};
    *clip_count = *failed_count = 0;
    c.manifests = s3r_alloc(path_count, sizeof *c.manifests);
    if (!c.manifests)
        return s3r_fail_memory(err, "manifests", path_count * sizeof *c.manifests);
    s3r_status status =
        run_check(&c, context, paths, path_count, options, clip_count, failed_count, err);
    for (size_t i = 0; i < c.count; i++)
        s3r_manifest_close(&c.manifests[i]);
    s3r_free(c.manifests);
    s3r_vocabulary_close(&c.vocabulary);
    return status;
}

/* ---- durations ---- */

static s3r_status measure_files(const s3r_manifest *manifest, s3r_pool *pool,
                                s3r_audio_facts *facts, double *durations, s3r_error *err)
{
    s3r_facts_options options = {0};
    for (size_t i = 0; i < manifest->count; i++)
        if (manifest->items[i].duration_s < 0)
            S3R_TRY(s3r_audio_facts_add(facts, manifest->items[i].audio_path, err));
    S3R_TRY(s3r_audio_facts_measure(facts, pool, &options, err));
    for (size_t i = 0; i < manifest->count; i++) {
        const s3r_utterance *item = &manifest->items[i];
        durations[i] = item->duration_s;
        if (durations[i] < 0)
            durations[i] = s3r_utterance_seconds(
                item, s3r_audio_facts_get(facts, item->audio_path)->seconds);
    }
    return S3R_OK;
}

/* As the manifest says, or measured; negative: cannot be read.  *out is to be freed. */
static s3r_status measure(const s3r_manifest *manifest, s3r_pool *pool, double **out,
                          s3r_error *err)
{
    s3r_audio_facts facts = {0};
    double *durations = s3r_alloc(manifest->count, sizeof *durations);
    if (!durations)
        return s3r_fail_memory(err, "durations", manifest->count * sizeof *durations);
    s3r_status status = measure_files(manifest, pool, &facts, durations, err);
    s3r_audio_facts_release(&facts);
    if (status == S3R_OK)
        *out = durations;
    else
        s3r_free(durations);
    return status;
}

/* ---- stats ---- */

typedef struct stats_storage {
    size_t count;
    int32_t *characters;
    size_t *uses;
} stats_storage;

static void storage_free(stats_storage *storage)
{
    if (!storage)
        return;
    s3r_free(storage->characters);
    s3r_free(storage->uses);
    s3r_free(storage);
}

static s3r_status publish_inventory(s3r_data_stats *out, const s3r_manifest_stats *stats,
                                    s3r_error *err)
{
    size_t count = stats->inventory_count;
    stats_storage *storage = s3r_alloc(1, sizeof *storage);
    if (storage) {
        storage->characters = s3r_alloc(count, sizeof *storage->characters);
        storage->uses = s3r_alloc(count, sizeof *storage->uses);
    }
    if (!storage || !storage->characters || !storage->uses) {
        storage_free(storage);
        return s3r_fail_memory(err, "characters", count * sizeof(size_t));
    }
    for (size_t i = 0; i < count; i++) {
        storage->characters[i] = stats->inventory[i].character;
        storage->uses[i] = stats->inventory[i].count;
    }
    out->character_count = count;
    out->character = storage->characters;
    out->uses = storage->uses;
    out->storage = storage;
    return S3R_OK;
}

static s3r_status publish(s3r_data_stats *out, const s3r_manifest_stats *stats,
                          s3r_error *err)
{
    *out = (s3r_data_stats){.clips = stats->clips,
                            .clips_with_text = stats->clips_with_text,
                            .clips_unreadable = stats->unmeasured,
                            .seconds = stats->seconds,
                            .min_seconds = stats->least_s,
                            .median_seconds = stats->median_s,
                            .max_seconds = stats->greatest_s,
                            .speakers = stats->speakers,
                            .clips_with_speaker = stats->clips_with_speaker,
                            .words = stats->words,
                            .distinct_words = stats->distinct_words,
                            .characters = stats->characters,
                            .min_rate = stats->rate_least,
                            .median_rate = stats->rate_median,
                            .max_rate = stats->rate_greatest};
    for (size_t i = 0; i < S3R_DATA_BINS; i++) {
        out->bin_edges[i] = s3r_duration_edges[i];
        out->bins[i] = stats->bins[i];
    }
    return publish_inventory(out, stats, err);
}

s3r_status s3r_data_stats_make(s3r_context *context, const char *path,
                               s3r_data_stats *out, s3r_error *err)
{
    s3r_manifest manifest;
    s3r_manifest_stats stats = {0};
    double *durations = NULL;
    S3R_TRY(s3r_manifest_open(&manifest, path, err));
    s3r_status status = measure(&manifest, context->pool, &durations, err);
    if (status == S3R_OK)
        status = s3r_manifest_stats_make(&stats, &manifest, durations, err);
    if (status == S3R_OK)
        status = publish(out, &stats, err);
    s3r_manifest_stats_release(&stats);
    s3r_free(durations);
    s3r_manifest_close(&manifest);
    return status;
}

void s3r_data_stats_release(s3r_data_stats *stats)
{
    storage_free(stats->storage);
    *stats = (s3r_data_stats){0};
}

/* ---- split ---- */

void s3r_split_data_options_init(s3r_split_data_options *options)
{
    *options = (s3r_split_data_options){.struct_size = sizeof *options};
}

/* Writes the utterances whose choice is `wanted`. */
static s3r_status write_chosen(const s3r_manifest *manifest, const double *durations,
                               const bool *is_chosen, bool wanted, const char *path,
                               size_t *count, s3r_error *err)
{
    size_t found = 0;
    s3r_utterance *items = s3r_alloc(manifest->count, sizeof *items);
    if (!items)
        return s3r_fail_memory(err, "a manifest", manifest->count * sizeof *items);
    for (size_t i = 0; i < manifest->count; i++) {
        if (is_chosen[i] != wanted)
            continue;
        items[found] = manifest->items[i];
        items[found++].duration_s = durations[i];
    }
    s3r_status status = s3r_manifest_place(path, items, found, err);
    s3r_free(items);
    if (count)
        *count = found;
    return status;
}

/* A file of unknown length can neither be drawn nor left. */
static s3r_status check_durations(const s3r_manifest *manifest, const double *durations,
                                  s3r_error *err)
{
    for (size_t i = 0; i < manifest->count; i++)
        if (durations[i] < 0)
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: line %zu: %s: expected audio of known duration, found "
                            "none (s3r data check says why)",
                            manifest->path, manifest->items[i].line,
                            manifest->items[i].audio_path);
    return S3R_OK;
}

static s3r_status split(const s3r_manifest *manifest, const double *durations,
                        const s3r_split_data_options *options, size_t *clip_count,
                        double *seconds, s3r_error *err)
{
    S3R_TRY(check_durations(manifest, durations, err));
    bool *is_chosen = s3r_alloc(manifest->count, sizeof *is_chosen);
    if (!is_chosen)
        return s3r_fail_memory(err, "a draw", manifest->count);
    s3r_status status = s3r_manifest_draw(manifest, durations, 60 * options->minutes,
                                          options->seed, is_chosen, seconds, err);
    if (status == S3R_OK)
        status = write_chosen(manifest, durations, is_chosen, true, options->out,
                              clip_count, err);
    /* Two names of a file that was not there before. */
    if (status == S3R_OK && options->rest &&
        s3r_path_is_same(options->out, options->rest))
        status = s3r_fail(err, S3R_ERR_USAGE,
                          "data split: expected another file for the rest, found %s, "
                          "which is %s",
                          options->rest, options->out);
    if (status == S3R_OK && options->rest)
        status =
            write_chosen(manifest, durations, is_chosen, false, options->rest, NULL, err);
    s3r_free(is_chosen);
    return status;
}

static bool is_one_file(const char *a, const char *b)
{
    return a && b && (strcmp(a, b) == 0 || s3r_path_is_same(a, b));
}

/* Each file would overwrite the other, or what is split. */
static s3r_status check_outputs(const char *path, const s3r_split_data_options *options,
                                s3r_error *err)
{
    bool takes_input =
        is_one_file(path, options->out) || is_one_file(path, options->rest);
    if (takes_input || is_one_file(options->out, options->rest))
        return s3r_fail(err, S3R_ERR_USAGE,
                        "data split: expected another file for %s, found %s twice",
                        takes_input ? "the result" : "the rest",
                        takes_input ? path : options->out);
    return S3R_OK;
}

s3r_status s3r_data_split(s3r_context *context, const char *path,
                          const s3r_split_data_options *options, size_t *clip_count,
                          double *seconds, s3r_error *err)
{
    s3r_manifest manifest;
    double *durations = NULL;
    S3R_TRY(s3r_options_check_size("data options", sizeof *options,
                                   options ? options->struct_size : 0, err));
    if (!(options->minutes > 0) || !options->out)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "data options: expected minutes above 0 and a file to write, "
                        "found %g and %s",
                        options->minutes, options->out ? options->out : "none");
    S3R_TRY(check_outputs(path, options, err));
    S3R_TRY(s3r_manifest_open(&manifest, path, err));
    s3r_status status = measure(&manifest, context->pool, &durations, err);
    if (status == S3R_OK)
        status = split(&manifest, durations, options, clip_count, seconds, err);
    s3r_free(durations);
    s3r_manifest_close(&manifest);
    return status;
}
