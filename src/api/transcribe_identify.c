/*
 * Identification within a run: the files of an identifier run as a batch, long ones in
 * windows; the mean of each one's last hidden state is judged.
 */
#include "api/transcribe_identify.h"

#include <string.h>

#include "api/windowed_inference.h"
#include "tasks/language_head.h"

typedef struct chooser {
    s3r_context *context;
    const s3r_transcribe_request *requests;
    s3r_heard_file *files;
    size_t count;
    const s3r_transcribe_options *options;
    bool (*goes_on)(void *);
    void *goes_on_context;
    const s3r_model *identifier; /* that runs */
    s3r_language_pool *pools;    /* [count] */
    size_t *running;             /* [count] file of each utterance that runs */
    s3r_waveform *waves;         /* [count] */
    bool *is_done;               /* [count] */
} chooser;

static s3r_status take_hidden(void *context, size_t layer, const s3r_frame_rows *rows,
                              s3r_error *err)
{
    const chooser *c = context;
    const s3r_value *value = rows->value;
    (void)err;
    if (layer == c->identifier->config.block_count)
        s3r_language_pool_add(&c->pools[c->running[rows->utterance]],
                              value->data + rows->row * value->stride, value->stride,
                              rows->count);
    return S3R_OK;
}

/* The files that go through the identifier. */
static s3r_status run_identifier(chooser *c, s3r_error *err)
{
    const s3r_model *model = c->identifier;
    s3r_inference inference = s3r_windowed_inference(
        c->context, model, c->options->window_s, c->options->context_s);
    inference.hidden = take_hidden;
    inference.sink_context = c;
    inference.goes_on = c->goes_on;
    inference.goes_on_context = c->goes_on_context;
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++) {
        const s3r_heard_file *file = &c->files[i];
        if (c->requests[i].identifier != model)
            continue;
        c->is_done[i] = true;
        S3R_TRY(s3r_language_pool_init(&c->pools[i], model->config.hidden_size, err));
        s3r_waveform wave = s3r_waveform_make(&model->config, file->audio.samples,
                                              file->audio.sample_count);
        if (file->status != S3R_OK)
            continue;
        if (!s3r_inference_is_long(&inference, file->frames)) {
            c->running[count] = i;
            c->waves[count++] = wave;
            continue;
        }
        size_t kept = c->running[0];
        c->running[0] = i;
        S3R_TRY(s3r_inference_long(&inference, &wave, 0, err));
        c->running[0] = kept;
    }
    return s3r_inference_batch(&inference, c->waves, count, err);
}

/* The lane of the likeliest language that has one. */
static s3r_status choose(chooser *c, size_t file, size_t *chosen, s3r_error *err)
{
    const s3r_transcribe_request *request = &c->requests[file];
    const s3r_language_list *languages = &request->identifier->route.languages;
    double *probabilities = s3r_alloc(languages->count, sizeof *probabilities), best = -1;
    if (!probabilities)
        return s3r_fail_memory(err, "languages", languages->count);
    bool is_known = s3r_language_pool_judge(
        &c->pools[file], &request->identifier->weights.lm_head, probabilities);
    size_t likeliest = 0;
    for (size_t i = 1; is_known && i < languages->count; i++)
        if (probabilities[i] > probabilities[likeliest])
            likeliest = i;
    c->files[file].is_other_language = is_known;
    if (is_known)
        c->files[file].language =
            (s3r_language){languages->names[likeliest], probabilities[likeliest]};
    for (size_t i = 0; is_known && i < request->lane_count; i++) {
        const s3r_transcribe_lane *lane = &request->lanes[i];
        size_t language;
        if (lane->error || !lane->language ||
            !s3r_language_list_find(languages, lane->language, &language) ||
            !(probabilities[language] > best))
            continue;
        *chosen = i;
        c->files[file].is_other_language = language != likeliest;
        best = probabilities[language];
    }
    s3r_free(probabilities);
    return S3R_OK;
}

static s3r_status choose_all(chooser *c, size_t *chosen, s3r_error *err)
{
    for (size_t i = 0; i < c->count; i++) {
        c->identifier = c->requests[i].identifier;
        if (c->identifier && !c->is_done[i])
            S3R_TRY(run_identifier(c, err));
    }
    for (size_t i = 0; i < c->count; i++)
        if (c->requests[i].identifier && c->files[i].status == S3R_OK)
            S3R_TRY(choose(c, i, &chosen[i], err));
    return S3R_OK;
}

s3r_status s3r_choose_lanes(s3r_context *context, const s3r_transcribe_request *requests,
                            s3r_heard_file *files, size_t count,
                            const s3r_transcribe_options *options,
                            bool (*goes_on)(void *), void *goes_on_context,
                            size_t *chosen, s3r_error *err)
{
    bool has_any = false;
    for (size_t i = 0; i < count; i++) {
        chosen[i] = S3R_NO_LANE;
        has_any = has_any || requests[i].identifier;
    }
    if (!has_any)
        return S3R_OK;
    chooser c = {.context = context,
                 .requests = requests,
                 .files = files,
                 .count = count,
                 .options = options,
                 .goes_on = goes_on,
                 .goes_on_context = goes_on_context,
                 .pools = s3r_alloc(count, sizeof *c.pools),
                 .running = s3r_alloc(count, sizeof *c.running),
                 .waves = s3r_alloc(count, sizeof *c.waves),
                 .is_done = s3r_alloc(count, sizeof *c.is_done)};
    bool has_memory = c.pools && c.running && c.waves && c.is_done;
    s3r_status status =
        has_memory ? choose_all(&c, chosen, err)
                   : s3r_fail_memory(err, "identification", count * sizeof *c.pools);
    for (size_t i = 0; c.pools && i < count; i++)
        s3r_language_pool_release(&c.pools[i]);
    s3r_free(c.pools);
    s3r_free(c.running);
    s3r_free(c.waves);
    s3r_free(c.is_done);
    return status;
}
