/*
 * The dev set through tasks/ctc_evaluate.h, from the features that the run has kept.
 */
#include "train/train_evaluate.h"

#include <math.h>

#include "base/memory.h"
#include "tasks/ctc_evaluate.h"

typedef struct dev_run {
    s3r_train_model *model;
    const s3r_train_set *set;
    s3r_tape *tape;
    s3r_train_tell_fn tell;
    void *tell_context;
    s3r_train_score *score;
    s3r_error_counts counts[S3R_UNIT_COUNT];
    double loss;
    size_t scored, frames, blanks;
} dev_run;

static s3r_status get_features(void *context, const size_t *items, size_t count,
                               s3r_value **features, s3r_ragged *frames, s3r_error *err)
{
    const dev_run *run = context;
    return s3r_train_set_features(run->set, run->model, run->tape, items, count, features,
                                  frames, err);
}

static s3r_status take_score(void *context, const s3r_utterance_score *one,
                             s3r_error *err)
{
    dev_run *run = context;
    (void)err;
    for (size_t unit = 0; unit < S3R_UNIT_COUNT; unit++) {
        run->counts[unit].substitutions += one->counts[unit].substitutions;
        run->counts[unit].deletions += one->counts[unit].deletions;
        run->counts[unit].insertions += one->counts[unit].insertions;
        run->counts[unit].reference += one->counts[unit].reference;
    }
    run->frames += one->frames;
    run->blanks += one->blank_frames;
    run->score->empty += *one->decoded == '\0';
    if (isfinite(one->loss)) {
        run->loss += one->loss;
        run->scored++;
    }
    const s3r_train_event event = {
        .kind = S3R_TRAIN_EVALUATING, .done = one->item + 1, .total = run->set->count};
    if (run->tell)
        run->tell(run->tell_context, &event);
    return S3R_OK;
}

static s3r_status run_items(dev_run *run, const s3r_evaluation_item *items,
                            size_t batch_frames, s3r_error *err)
{
    s3r_evaluation evaluation = {.tape = run->tape,
                                 .config = &run->model->config,
                                 .weights = &run->model->weights,
                                 .vocabulary = &run->model->vocabulary,
                                 /* As s3r eval does: both give the same numbers, but for
                                    audio shorter than a frame, which dev leaves out. */
                                 .normalization = S3R_NORMALIZE_CASE,
                                 .wants_unit = {[S3R_UNIT_WORD] = true,
                                                [S3R_UNIT_CHARACTER] = true,
                                                [S3R_UNIT_PHONE] = true},
                                 .features = get_features,
                                 .features_context = run,
                                 .score = take_score,
                                 .score_context = run};
    s3r_evaluation_set_seconds(&evaluation, 40.0, 40.0, 4.0);
    evaluation.batch_frames = batch_frames;
    run->tape->is_recording = run->tape->is_training = false;
    return s3r_ctc_evaluate(&evaluation, items, run->set->count, err);
}

s3r_status s3r_train_evaluate(s3r_train_score *score, s3r_train_model *model,
                              const s3r_train_set *set, s3r_tape *tape,
                              size_t batch_frames, s3r_train_tell_fn tell,
                              void *tell_context, s3r_error *err)
{
    dev_run run = {.model = model,
                   .set = set,
                   .tape = tape,
                   .tell = tell,
                   .tell_context = tell_context,
                   .score = score};
    *score = (s3r_train_score){.utterances = set->count};
    s3r_evaluation_item *items = s3r_alloc(set->count, sizeof *items);
    if (!items)
        return s3r_fail_memory(err, "the evaluation", set->count * sizeof *items);
    for (size_t i = 0; i < set->count; i++)
        items[i] = (s3r_evaluation_item){.frames = set->items[i].frames,
                                         .reference = set->items[i].utterance->text,
                                         .labels = set->items[i].labels,
                                         .label_count = set->items[i].label_count};
    s3r_status status = run_items(&run, items, batch_frames, err);
    s3r_free(items);
    score->wer = s3r_error_rate(&run.counts[S3R_UNIT_WORD]);
    score->cer = s3r_error_rate(&run.counts[S3R_UNIT_CHARACTER]);
    score->per = s3r_error_rate(&run.counts[S3R_UNIT_PHONE]);
    score->loss = run.scored ? run.loss / (double)run.scored : NAN;
    score->blank_ratio = run.frames ? (double)run.blanks / (double)run.frames : 0.0;
    return status;
}
