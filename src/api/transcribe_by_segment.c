/*
 * A recording is cut where nobody speaks; the pieces are requests of their own, and their
 * results become one.
 */
#include "api/transcribe_by_segment.h"

#include <string.h>

#include "api/transcribe_files.h"
#include "audio/voice_activity.h"
#include "base/text_buffer.h"

#define SHORTEST_S 1.5 /* of a piece, where there is speech enough around */
#define WIDEST_S   1.0 /* gap within a piece */

/* A result in the making; labels and words grow with the pieces. */
typedef struct merged {
    const s3r_model *base;
    const s3r_voice_segment *pieces;
    s3r_label *labels;
    size_t label_count, label_room;
    s3r_word *words;
    size_t word_count, word_room;
    s3r_segment *segments; /* [pieces] */
    size_t segment_count;
    s3r_text_buffer text, masks;
    s3r_arena owned;   /* texts of words */
    double confidence; /* summed over frames */
    size_t frames;
    s3r_error failure; /* of the first piece that failed */
} merged;

/* ---- pieces ---- */

static bool is_near(const s3r_voice_segment *one, const s3r_voice_segment *next,
                    double rate)
{
    return (double)(next->start - one->end) <= WIDEST_S * rate;
}

static bool is_short(const s3r_voice_segment *piece, double rate)
{
    return (double)(piece->end - piece->start) < SHORTEST_S * rate;
}

/* A short piece joins what follows near it, or else what is near before it; returns how
 * many are left. */
static size_t join_pieces(s3r_voice_segment *items, size_t count, double rate)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const s3r_voice_segment *piece = &items[i];
        s3r_voice_segment *last = kept > 0 ? &items[kept - 1] : NULL;
        bool may_follow = i + 1 < count && is_near(piece, piece + 1, rate);
        if (last && is_near(last, piece, rate) &&
            (is_short(last, rate) || (is_short(piece, rate) && !may_follow)))
            last->end = piece->end;
        else
            items[kept++] = *piece;
    }
    return kept;
}

/* Pieces begin with a frame, so that times of frames are those of the recording. */
static void align_pieces(s3r_voice_segment *items, size_t count, size_t stride)
{
    for (size_t i = 0; i < count; i++)
        items[i].start -= items[i].start % stride;
}

/* ---- results ---- */

static bool make_room(void **items, size_t *room, size_t wanted, size_t size)
{
    size_t larger = S3R_MAX(wanted, 2 * *room);
    if (wanted <= *room)
        return true;
    void *grown = s3r_realloc(*items, *room, larger, size);
    if (!grown)
        return false;
    *items = grown;
    *room = larger;
    return true;
}

static bool add_labels(merged *all, const s3r_result *piece, size_t first_frame)
{
    size_t count = all->label_count + piece->label_count;
    void *items = all->labels;
    bool has_room = make_room(&items, &all->label_room, count, sizeof *all->labels);
    all->labels = items;
    for (size_t i = 0; has_room && i < piece->label_count; i++) {
        s3r_label *label = &all->labels[all->label_count++];
        *label = piece->labels[i]; /* its text is the vocabulary's */
        label->start_frame += first_frame;
        label->end_frame += first_frame;
    }
    return has_room;
}

static bool add_words(merged *all, const s3r_result *piece, size_t first_frame,
                      size_t first_label)
{
    void *items = all->words;
    bool has_room = make_room(&items, &all->word_room,
                              all->word_count + piece->word_count, sizeof *all->words);
    all->words = items;
    for (size_t i = 0; has_room && i < piece->word_count; i++) {
        const char *text = piece->words[i].text;
        char *copy = s3r_arena_alloc(&all->owned, strlen(text) + 1, 1);
        if (!copy)
            return false;
        s3r_word *word = &all->words[all->word_count++];
        *word = piece->words[i];
        word->text = strcpy(copy, text);
        word->first_label += first_label;
        word->start_frame += first_frame;
        word->end_frame += first_frame;
    }
    return has_room;
}

static void add_segment(merged *all, const s3r_result *piece)
{
    const s3r_voice_segment *voice = &all->pieces[piece->index];
    double rate = (double)all->base->config.sample_rate;
    const char *before =
        all->segment_count > 0 ? all->segments[all->segment_count - 1].mask : NULL;
    all->segments[all->segment_count++] = (s3r_segment){
        (double)voice->start / rate, (double)voice->end / rate, piece->mask};
    if (all->text.length > 0)
        s3r_buffer_add_string(&all->text, " ");
    s3r_buffer_add_string(&all->text, piece->text);
    if (before && strcmp(before, piece->mask) == 0)
        return;
    if (before)
        s3r_buffer_add_string(&all->masks, ",");
    s3r_buffer_add_string(&all->masks, piece->mask);
}

/* A piece in its surest model; index is the piece's. */
static s3r_status take_piece(void *context, const s3r_result *piece)
{
    merged *all = context;
    size_t first_frame =
        all->pieces[piece->index].start / s3r_config_stride(&all->base->config);
    size_t first_label = all->label_count;
    if (piece->status != S3R_OK) {
        if (all->failure.code == S3R_OK)
            s3r_fail(&all->failure, piece->status, "%s", piece->message);
        return S3R_OK;
    }
    all->confidence += piece->confidence * (double)piece->frame_count;
    all->frames += piece->frame_count;
    if (piece->word_count == 0)
        return S3R_OK;
    add_segment(all, piece);
    return add_labels(all, piece, first_frame) &&
                   add_words(all, piece, first_frame, first_label) &&
                   !all->text.has_failed && !all->masks.has_failed
               ? S3R_OK
               : S3R_ERR_RESOURCE;
}

static s3r_status report(const merged *all, const s3r_heard_file *file,
                         s3r_result_fn result, void *result_context, s3r_error *err)
{
    const s3r_model_config *config = &all->base->config;
    double rate = (double)config->sample_rate;
    bool is_ok = all->failure.code == S3R_OK;
    const s3r_result whole = {.index = file->index,
                              .path = file->path,
                              .part_count = 1,
                              .mask = !is_ok            ? NULL
                                      : all->masks.text ? all->masks.text
                                                        : "",
                              .status = all->failure.code,
                              .message = is_ok ? "" : all->failure.message,
                              .duration_s = (double)file->audio.sample_count / rate,
                              .frame_count = file->frames,
                              .frame_s = (double)s3r_config_stride(config) / rate,
                              .text = !is_ok           ? NULL
                                      : all->text.text ? all->text.text
                                                       : "",
                              .labels = is_ok ? all->labels : NULL,
                              .label_count = is_ok ? all->label_count : 0,
                              .words = is_ok ? all->words : NULL,
                              .word_count = is_ok ? all->word_count : 0,
                              .segments = is_ok ? all->segments : NULL,
                              .segment_count = is_ok ? all->segment_count : 0,
                              .confidence = is_ok && all->frames > 0
                                                ? all->confidence / (double)all->frames
                                                : 1};
    s3r_status status = result(result_context, &whole);
    if (status != S3R_OK)
        s3r_fail(err, status, "%s: the result was not taken", file->path);
    return status;
}

/* ---- a recording ---- */

/* The progress of the pieces as that of the recording. */
typedef struct file_progress {
    const s3r_transcribe_options *options;
    double file_s;
} file_progress;

static bool report_pieces(void *context, double done_s, double total_s)
{
    const file_progress *file = context;
    const s3r_transcribe_options *options = file->options;
    double part = total_s > 0 ? done_s / total_s : 0;
    return !options->progress || options->progress(options->progress_context,
                                                   file->file_s * part, file->file_s);
}

static s3r_status run_pieces(merged *all, s3r_context *context,
                             const s3r_transcribe_request *whole, const s3r_audio *audio,
                             size_t count, const s3r_transcribe_options *options,
                             s3r_error *err)
{
    size_t failed;
    s3r_transcribe_options own = *options;
    file_progress progress = {options, (double)audio->sample_count /
                                           (double)all->base->config.sample_rate};
    own.progress = report_pieces;
    own.progress_context = &progress;
    own.voice_only = false;
    s3r_transcribe_request *requests = s3r_alloc(count, sizeof *requests);
    s3r_audio *pieces = s3r_alloc(count, sizeof *pieces);
    all->segments = s3r_alloc(count, sizeof *all->segments);
    s3r_status status = S3R_OK;
    if (!requests || !pieces || !all->segments)
        status = s3r_fail_memory(err, "segments", count * sizeof *requests);
    for (size_t i = 0; status == S3R_OK && i < count; i++) {
        const s3r_voice_segment *piece = &all->pieces[i];
        pieces[i] = *audio;
        pieces[i].samples += piece->start;
        pieces[i].sample_count = piece->end - piece->start;
        requests[i] = *whole;
        requests[i].index = i;
        requests[i].audio = &pieces[i];
        requests[i].picks_surest = true;
    }
    if (status == S3R_OK)
        status = s3r_transcribe_requests(context, all->base, requests, count, &own,
                                         take_piece, all, &failed, err);
    s3r_free(requests);
    s3r_free(pieces);
    return status;
}

static s3r_status run_file(merged *all, s3r_context *context,
                           const s3r_transcribe_request *request, s3r_heard_file *file,
                           const s3r_transcribe_options *options, s3r_error *err)
{
    const s3r_model_config *config = &all->base->config;
    s3r_voice_activity activity = {0};
    s3r_heard_file_load(file, all->base, options);
    if (file->status != S3R_OK) {
        all->failure = file->error;
        return S3R_OK;
    }
    s3r_status status =
        s3r_voice_activity_find(&activity, file->audio.samples, file->audio.sample_count,
                                (uint32_t)config->sample_rate, err);
    if (status == S3R_OK) {
        size_t count =
            join_pieces(activity.items, activity.count, (double)config->sample_rate);
        align_pieces(activity.items, count, s3r_config_stride(config));
        all->pieces = activity.items;
        status = run_pieces(all, context, request, &file->audio, count, options, err);
    }
    s3r_voice_activity_release(&activity);
    return status;
}

s3r_status s3r_transcribe_by_segment(s3r_context *context, const s3r_model *base,
                                     const s3r_transcribe_request *request,
                                     const s3r_transcribe_options *options,
                                     s3r_result_fn result, void *result_context,
                                     size_t *failed, s3r_error *err)
{
    merged all = {.base = base};
    s3r_heard_file file = {.path = request->path, .index = request->index};
    s3r_arena_init(&all.owned, (size_t)1 << 12);
    s3r_status status = run_file(&all, context, request, &file, options, err);
    if (status == S3R_OK)
        status = report(&all, &file, result, result_context, err);
    *failed = all.failure.code != S3R_OK;
    s3r_heard_file_release(&file);
    s3r_arena_release(&all.owned);
    s3r_buffer_release(&all.text);
    s3r_buffer_release(&all.masks);
    s3r_free(all.labels);
    s3r_free(all.words);
    s3r_free(all.segments);
    return status;
}
