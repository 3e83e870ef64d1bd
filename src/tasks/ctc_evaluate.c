/*
 * Batches of items through the network; then texts and counts of the batch in parallel,
 * its losses, and the results in order.
 */
#include "tasks/ctc_evaluate.h"

#include <math.h>
#include <string.h>

#include "tasks/ctc_loss.h"

#define MAX_BATCH_ITEMS   256u
#define ARENA_CHUNK_BYTES ((size_t)1 << 20)

/* One item on its way. */
typedef struct slot {
    s3r_utterance_score score;
    uint32_t *best;   /* [frames] */
    float *log_probs; /* [frames, labels]; NULL without loss and search */
    bool is_long;
    char *decoded, *reference, *hypothesis;
    s3r_status status;
    s3r_error error;
} slot;

typedef struct evaluation_run {
    const s3r_evaluation *evaluation;
    const s3r_evaluation_item *items;
    size_t item_count;
    s3r_inference inference;
    slot *slots;         /* of the batch */
    size_t count;        /* slots in use */
    size_t *sink_slots;  /* [batch] slot of each utterance that runs */
    size_t *sink_items;  /* [batch] its item */
    s3r_waveform *waves; /* [batch] */
    s3r_arena arena;     /* of the batch */
} evaluation_run;

void s3r_evaluation_set_seconds(s3r_evaluation *evaluation, double batch_s,
                                double window_s, double context_s)
{
    const s3r_model_config *config = evaluation->config;
    double rate = (double)config->sample_rate / (double)s3r_config_stride(config);
    double most = 1e9;
    evaluation->batch_frames = (size_t)fmin(fmax(batch_s * rate, 1), most);
    evaluation->window_frames = (size_t)fmin(fmax(window_s * rate, 2), most);
    evaluation->context_frames = (size_t)fmin(fmax(context_s * rate, 0), most);
}

/* ---- the network ---- */

/* The best label of each frame, the first of equals. */
static s3r_status take_rows(void *context, const s3r_frame_rows *rows, s3r_error *err)
{
    evaluation_run *run = context;
    slot *s = &run->slots[run->sink_slots[rows->utterance]];
    const s3r_value *value = rows->value;
    uint32_t blank_id = run->evaluation->vocabulary->blank_id;
    (void)err;
    for (size_t i = 0; i < rows->count; i++) {
        const float *row = value->data + (rows->row + i) * value->stride;
        size_t frame = rows->first_frame + i;
        uint32_t best = s3r_best_label(row, value->cols);
        s->score.is_finite = s->score.is_finite && isfinite(row[best]);
        s->score.blank_frames += row[blank_id] >= row[best];
        s->best[frame] = best;
        if (s->log_probs)
            memcpy(s->log_probs + frame * value->cols, row, value->cols * sizeof(float));
    }
    return S3R_OK;
}

static size_t item_frames(const evaluation_run *run, size_t item)
{
    const s3r_evaluation_item *it = &run->items[item];
    return run->evaluation->features
               ? it->frames
               : s3r_config_frames(run->evaluation->config, it->wave.count);
}

/* The features of chosen slots; they have as many frames as their items said. */
static s3r_status get_features(const evaluation_run *run, size_t count,
                               s3r_value **features, s3r_ragged *frames, s3r_error *err)
{
    const s3r_evaluation *evaluation = run->evaluation;
    s3r_tape_reset(evaluation->tape);
    *features = NULL;
    S3R_TRY(evaluation->features(evaluation->features_context, run->sink_items, count,
                                 features, frames, err));
    for (size_t i = 0; *features && i < count; i++) {
        size_t found = frames->offset[i + 1] - frames->offset[i];
        size_t expected = run->slots[run->sink_slots[i]].score.frames;
        if (found != expected)
            return s3r_fail(err, S3R_ERR_DATA,
                            "utterance %zu: expected features of %zu frames, found %zu",
                            run->sink_items[i], expected, found);
    }
    return S3R_OK;
}

/* Runs the first `count` of the sink's slots together. */
static s3r_status run_together(evaluation_run *run, size_t count, s3r_error *err)
{
    if (!run->evaluation->features)
        return s3r_inference_batch(&run->inference, run->waves, count, err);
    s3r_value *features;
    s3r_ragged frames;
    S3R_TRY(get_features(run, count, &features, &frames, err));
    return s3r_inference_features(&run->inference, features, frames, err);
}

static s3r_status run_long(evaluation_run *run, size_t index, s3r_error *err)
{
    size_t item = run->slots[index].score.item;
    run->sink_slots[0] = index;
    run->sink_items[0] = item;
    if (!run->evaluation->features)
        return s3r_inference_long(&run->inference, &run->items[item].wave, 0, err);
    s3r_value *features;
    s3r_ragged frames;
    S3R_TRY(get_features(run, 1, &features, &frames, err));
    return s3r_inference_long_features(&run->inference, features, 0, err);
}

static s3r_status run_network(evaluation_run *run, s3r_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < run->count; i++) {
        size_t item = run->slots[i].score.item;
        if (run->slots[i].is_long || run->slots[i].score.frames == 0)
            continue;
        run->sink_slots[count] = i;
        run->sink_items[count] = item;
        run->waves[count++] = run->items[item].wave;
    }
    if (count > 0)
        S3R_TRY(run_together(run, count, err));
    for (size_t i = 0; i < run->count; i++)
        if (run->slots[i].is_long)
            S3R_TRY(run_long(run, i, err));
    return S3R_OK;
}

/* ---- scores ---- */

/* Phones are the labels of a phoneme vocabulary; where labels are letters, those are
 * counted, the one between words too. (spec 2.7: the unit error rate) */
static s3r_token_unit unit_of(const s3r_evaluation *evaluation, size_t unit)
{
    bool is_letters = unit == S3R_UNIT_PHONE && !evaluation->vocabulary->is_phonemes;
    return is_letters ? S3R_UNIT_CHARACTER : (s3r_token_unit)unit;
}

/* What is in the emissions, by search. */
static s3r_status search_text(const evaluation_run *run, slot *s, size_t frames,
                              s3r_error *err)
{
    const s3r_search *search = run->evaluation->search;
    s3r_beam *beam;
    s3r_decodings found;
    S3R_TRY(s3r_beam_create(&beam, search, err));
    s3r_status status = s3r_beam_add(beam, s->log_probs, frames,
                                     run->evaluation->config->vocab_size, err);
    if (status == S3R_OK)
        status = s3r_beam_finish(beam, 1, &found, err);
    s3r_beam_destroy(beam);
    if (status != S3R_OK)
        return status;
    s->decoded = found.items[0].text;
    found.items[0].text = NULL;
    s3r_decodings_release(&found);
    return S3R_OK;
}

static s3r_status score_slot(const evaluation_run *run, slot *s, s3r_error *err)
{
    const s3r_evaluation *evaluation = run->evaluation;
    s3r_utterance_score *score = &s->score;
    size_t frames = score->is_finite ? score->frames : 0;
    if (evaluation->search)
        S3R_TRY(search_text(run, s, frames, err));
    else
        S3R_TRY(s3r_vocabulary_decode(evaluation->vocabulary, &s->decoded, s->best,
                                      frames, err));
    S3R_TRY(s3r_text_make_comparable(&s->hypothesis, s->decoded,
                                     evaluation->normalization, err));
    S3R_TRY(s3r_text_make_comparable(&s->reference, run->items[score->item].reference,
                                     evaluation->normalization, err));
    for (size_t unit = 0; unit < S3R_UNIT_COUNT; unit++)
        if (evaluation->wants_unit[unit])
            S3R_TRY(s3r_error_counts_add(&score->counts[unit], s->reference,
                                         s->hypothesis, unit_of(evaluation, unit), err));
    score->decoded = s->decoded;
    score->reference = s->reference;
    score->hypothesis = s->hypothesis;
    score->log_probs = evaluation->keeps_emissions ? s->log_probs : NULL;
    return S3R_OK;
}

static void run_score(void *context, size_t task, size_t worker)
{
    const evaluation_run *run = context;
    slot *s = &run->slots[task];
    (void)worker;
    s->status = score_slot(run, s, &s->error);
}

/* The loss of one slot; log-probabilities are as good as logits. */
static s3r_status find_loss(const evaluation_run *run, slot *s, s3r_error *err)
{
    s3r_tape *tape = run->evaluation->tape;
    const s3r_evaluation_item *item = &run->items[s->score.item];
    size_t cols = run->evaluation->config->vocab_size;
    const size_t frames[2] = {0, s->score.frames}, lengths[2] = {0, item->label_count};
    const s3r_ctc_targets targets = {
        {1, lengths}, item->labels, run->evaluation->vocabulary->blank_id};
    s3r_tape_reset(tape);
    s3r_value *logits = s3r_tape_wrap(tape, s->log_probs, s->score.frames, cols, cols);
    s3r_ctc_loss(tape, logits, (s3r_ragged){1, frames}, &targets, 1.0, &s->score.loss,
                 NULL);
    return s3r_tape_status(tape, err);
}

static s3r_status score_batch(evaluation_run *run, s3r_error *err)
{
    s3r_pool_run(run->evaluation->tape->pool, run->count, run_score, run);
    for (size_t i = 0; i < run->count; i++) {
        slot *s = &run->slots[i];
        if (s->status != S3R_OK)
            return s3r_fail(err, s->status, "%s", s->error.message);
        if (run->items[s->score.item].labels)
            S3R_TRY(find_loss(run, s, err));
    }
    for (size_t i = 0; i < run->count; i++)
        S3R_TRY(run->evaluation->score(run->evaluation->score_context,
                                       &run->slots[i].score, err));
    return S3R_OK;
}

/* ---- batches ---- */

static s3r_status start_slot(evaluation_run *run, slot *s, size_t item, s3r_error *err)
{
    size_t frames = item_frames(run, item), values = 0;
    s->score = (s3r_utterance_score){
        .item = item, .frames = frames, .loss = (double)NAN, .is_finite = true};
    s->is_long = s3r_inference_is_long(&run->inference, frames);
    s->status = S3R_OK;
    s->decoded = s->reference = s->hypothesis = NULL;
    s->best = s3r_arena_alloc(&run->arena, frames, sizeof *s->best);
    s->log_probs = NULL;
    if (!s->best)
        return s3r_fail_memory(err, "the labels", frames * sizeof *s->best);
    if (!run->items[item].labels && !run->evaluation->search &&
        !run->evaluation->keeps_emissions)
        return S3R_OK;
    if (s3r_size_mul(frames, run->evaluation->config->vocab_size, &values))
        s->log_probs = s3r_arena_alloc(&run->arena, values, sizeof(float));
    return s->log_probs ? S3R_OK : s3r_fail_memory(err, "the emissions", values);
}

/* Fills slots from item `first` on: at least one, then while they fit together. */
static s3r_status start_batch(evaluation_run *run, size_t first, s3r_error *err)
{
    size_t total = 0;
    s3r_arena_rewind(&run->arena, (s3r_arena_mark){0});
    run->count = 0;
    while (first + run->count < run->item_count && run->count < MAX_BATCH_ITEMS) {
        size_t frames = item_frames(run, first + run->count);
        if (run->count > 0 && frames > run->evaluation->batch_frames - total)
            break;
        S3R_TRY(start_slot(run, &run->slots[run->count], first + run->count, err));
        run->count++;
        if (frames >= run->evaluation->batch_frames - total)
            break;
        total += frames;
    }
    return S3R_OK;
}

static void release_batch(evaluation_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        s3r_free(run->slots[i].decoded);
        s3r_free(run->slots[i].reference);
        s3r_free(run->slots[i].hypothesis);
    }
    run->count = 0;
}

static s3r_status run_batches(evaluation_run *run, s3r_error *err)
{
    const s3r_evaluation *evaluation = run->evaluation;
    s3r_status status = S3R_OK;
    for (size_t first = 0; first < run->item_count && status == S3R_OK;) {
        if (evaluation->goes_on && !evaluation->goes_on(evaluation->goes_on_context))
            return s3r_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
        status = start_batch(run, first, err);
        first += run->count;
        if (status == S3R_OK)
            status = run_network(run, err);
        if (status == S3R_OK)
            status = score_batch(run, err);
        release_batch(run);
    }
    return status;
}

s3r_status s3r_ctc_evaluate(const s3r_evaluation *evaluation,
                            const s3r_evaluation_item *items, size_t count,
                            s3r_error *err)
{
    evaluation_run run = {.evaluation = evaluation, .items = items, .item_count = count};
    run.inference = (s3r_inference){.tape = evaluation->tape,
                                    .config = evaluation->config,
                                    .weights = evaluation->weights,
                                    .window_frames = evaluation->window_frames,
                                    .context_frames = evaluation->context_frames,
                                    .log_probs = take_rows,
                                    .sink_context = &run,
                                    .goes_on = evaluation->goes_on,
                                    .goes_on_context = evaluation->goes_on_context};
    s3r_arena_init(&run.arena, ARENA_CHUNK_BYTES);
    run.slots = s3r_alloc(MAX_BATCH_ITEMS, sizeof *run.slots);
    run.sink_slots = s3r_alloc(MAX_BATCH_ITEMS, sizeof *run.sink_slots);
    run.sink_items = s3r_alloc(MAX_BATCH_ITEMS, sizeof *run.sink_items);
    run.waves = s3r_alloc(MAX_BATCH_ITEMS, sizeof *run.waves);
    s3r_status status;
    if (run.slots && run.sink_slots && run.sink_items && run.waves)
        status = run_batches(&run, err);
    else
        status = s3r_fail_memory(err, "a batch", MAX_BATCH_ITEMS * sizeof *run.slots);
    s3r_free(run.slots);
    s3r_free(run.sink_slots);
    s3r_free(run.sink_items);
    s3r_free(run.waves);
    s3r_arena_release(&run.arena);
    s3r_tape_reset(evaluation->tape);
    return status;
}
