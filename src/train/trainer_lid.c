/*
 * The task of telling languages apart: the mean of the last hidden state, a linear layer
 * and softmax cross-entropy; scored by how often the dev set is named wrong, with a mask
 * file as result.
 *
 * Languages are those of the training manifest, sorted.  A loss counts as much as its
 * language is rare, so that each language has the same say however much data it has: the
 * weight is utterances / (languages x utterances of the language), 1 on average.
 */
#include <float.h>
#include <math.h>

#include "base/memory.h"
#include "data/manifest_languages.h"
#include "tasks/ctc_inference.h"
#include "tasks/language_head.h"
#include "train/trainer_parts.h"

/* Of dev utterances, as everywhere else. */
#define WINDOW_S  40.0
#define CONTEXT_S 4.0

/* ---- languages ---- */

/* The head has a row a language, so they must be known before it is made. */
static s3r_status open_task(s3r_trainer *trainer, s3r_error *err)
{
    s3r_manifest manifest;
    s3r_train_model *model = &trainer->model;
    if (trainer->options.vocabulary)
        return s3r_fail(
            err, S3R_ERR_USAGE,
            "vocabulary (--vocab): the task lid has no use for %s: its labels "
            "are the languages of the training data",
            trainer->options.vocabulary);
    S3R_TRY(s3r_manifest_open(&manifest, trainer->options.train, err));
    s3r_status status = s3r_manifest_languages(&model->languages, &manifest, err);
    s3r_manifest_close(&manifest);
    model->config.has_head = true;
    model->config.vocab_size = model->languages.count;
    return status;
}

static s3r_status weigh_languages(s3r_trainer *trainer, s3r_error *err)
{
    const s3r_train_set *set = &trainer->train;
    const s3r_language_list *languages = &trainer->model.languages;
    double *weights = s3r_alloc(languages->count, sizeof *weights);
    trainer->language_weights = weights;
    if (!weights)
        return s3r_fail_memory(err, "the weights of languages", languages->count);
    for (size_t i = 0; i < set->count; i++)
        weights[set->items[i].language] += 1;
    for (size_t c = 0; c < languages->count; c++) {
        if (weights[c] == 0)
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: no utterance of the language \"%s\" is left",
                            set->manifest.path, languages->names[c]);
        weights[c] = (double)set->count / ((double)languages->count * weights[c]);
    }
    return S3R_OK;
}

static void close_task(s3r_trainer *trainer)
{
    s3r_free(trainer->language_weights);
}

static s3r_status run_batch(s3r_trainer *trainer, s3r_step_result *result,
                            const s3r_micro_batch *batch, s3r_error *err)
{
    return s3r_lid_step_run(result, &trainer->model, &trainer->train,
                            trainer->language_weights, &trainer->tape, &trainer->config,
                            batch, err);
}

/* ---- evaluation ---- */

typedef struct dev_run {
    s3r_trainer *trainer;
    s3r_inference inference;
    s3r_language_pool pool;
    double *probabilities; /* [languages] */
    size_t *order;         /* [dev utterances] */
    size_t first;          /* dev utterance of the batch */
    size_t named, wrong;   /* utterances; of them named wrong */
    size_t first_name;     /* what the first one was named */
    bool has_other_name;   /* and another one something else */
    double loss;
} dev_run;

static void judge(dev_run *run, const s3r_train_item *item)
{
    const s3r_model_weights *weights = &run->trainer->model.weights;
    size_t best = 0;
    bool is_finite =
        s3r_language_pool_judge(&run->pool, &weights->lm_head, run->probabilities);
    for (size_t c = 1; is_finite && c < run->trainer->model.languages.count; c++)
        if (run->probabilities[c] > run->probabilities[best])
            best = c;
    run->wrong += !is_finite || best != item->language;
    run->loss -=
        log(is_finite ? fmax(run->probabilities[item->language], DBL_MIN) : DBL_MIN);
    if (run->named++ == 0)
        run->first_name = best;
    run->has_other_name = run->has_other_name || best != run->first_name;
}

/* An utterance comes as a whole, or window by window. */
static s3r_status take_hidden(void *context, size_t layer, const s3r_frame_rows *rows,
                              s3r_error *err)
{
    dev_run *run = context;
    const s3r_value *value = rows->value;
    const s3r_train_item *item = &run->trainer->dev.items[run->first + rows->utterance];
    (void)err;
    if (layer != run->trainer->model.config.block_count)
        return S3R_OK;
    if (rows->first_frame == 0)
        s3r_language_pool_clear(&run->pool);
    s3r_language_pool_add(&run->pool, value->data + rows->row * value->stride,
                          value->stride, rows->count);
    if (rows->first_frame + rows->count == item->frames)
        judge(run, item);
    return S3R_OK;
}

/* Utterances [first, end), which is one that is long or several that are not. */
static s3r_status run_some(dev_run *run, size_t end, bool is_long, s3r_error *err)
{
    s3r_trainer *trainer = run->trainer;
    s3r_value *features;
    s3r_ragged frames;
    s3r_tape_reset(&trainer->tape);
    S3R_TRY(s3r_train_set_features(&trainer->dev, &trainer->model, &trainer->tape,
                                   run->order + run->first, end - run->first, &features,
                                   &frames, err));
    return is_long ? s3r_inference_long_features(&run->inference, features, 0, err)
                   : s3r_inference_features(&run->inference, features, frames, err);
}

static s3r_status run_dev(dev_run *run, s3r_error *err)
{
    s3r_trainer *trainer = run->trainer;
    const s3r_train_set *dev = &trainer->dev;
    for (size_t i = 0; i < dev->count; i++)
        run->order[i] = i;
    trainer->tape.is_recording = trainer->tape.is_training = false;
    while (run->first < dev->count) {
        size_t end = run->first + 1;
        bool is_long = s3r_inference_is_long(&run->inference, dev->frames[run->first]);
        if (!is_long)
            end = s3r_train_set_batch_end(dev, run->first, trainer->batch_frames);
        for (size_t i = run->first + 1; i < end; i++)
            if (s3r_inference_is_long(&run->inference, dev->frames[i]))
                end = i;
        S3R_TRY(run_some(run, end, is_long, err));
        run->first = end;
        s3r_trainer_tell(trainer, &(s3r_train_event){.kind = S3R_TRAIN_EVALUATING,
                                                     .done = end,
                                                     .total = dev->count});
    }
    return S3R_OK;
}

static s3r_status open_run(dev_run *run, s3r_error *err)
{
    s3r_trainer *trainer = run->trainer;
    const s3r_train_model *model = &trainer->model;
    double rate =
        (double)model->config.sample_rate / (double)s3r_config_stride(&model->config);
    run->inference = (s3r_inference){.tape = &trainer->tape,
                                     .config = &model->config,
                                     .weights = &model->weights,
                                     .window_frames = (size_t)(WINDOW_S * rate),
                                     .context_frames = (size_t)(CONTEXT_S * rate),
                                     .hidden = take_hidden,
                                     .sink_context = run};
    run->order = s3r_alloc(trainer->dev.count, sizeof *run->order);
    run->probabilities = s3r_alloc(model->languages.count, sizeof *run->probabilities);
    if (!run->order || !run->probabilities)
        return s3r_fail_memory(err, "the evaluation", trainer->dev.count);
    return s3r_language_pool_init(&run->pool, model->config.hidden_size, err);
}

static s3r_status evaluate(s3r_trainer *trainer, s3r_run_score *out, s3r_error *err)
{
    dev_run run = {.trainer = trainer};
    s3r_status status = open_run(&run, err);
    if (status == S3R_OK)
        status = run_dev(&run, err);
    s3r_language_pool_release(&run.pool);
    s3r_free(run.probabilities);
    s3r_free(run.order);
    S3R_TRY(status);
    double count = (double)S3R_MAX(run.named, (size_t)1);
    double error = (double)run.wrong / count, loss = run.loss / count;
    *out = (s3r_run_score){.value = error,
                           .metric_name = "error",
                           .loss = loss,
                           .ratio = 1.0 - error,
                           .is_collapsed = !run.has_other_name && run.wrong > 0,
                           .metrics = json_pack("{sf, sf, so}", "error", error,
                                                "accuracy", 1.0 - error, "loss",
                                                s3r_trainer_json_loss(loss))};
    return out->metrics ? S3R_OK : s3r_fail_memory(err, "the metrics", 0);
}

const s3r_trainer_task s3r_trainer_lid = {
    .target = S3R_TARGET_LANGUAGE,
    .counted_name = "accuracy",
    .collapse_advice =
        "the model names one language for all of dev. Usual causes: too few steps, a "
        "learning rate that is too high or (for adapters, lora, bias, head) too low, "
        "masking that is too strong for short clips (augment.time_prob)",
    .open = open_task,
    .match_data = weigh_languages,
    .close = close_task,
    .run_batch = run_batch,
    .evaluate = evaluate,
    .save = s3r_trainer_save_mask,
    .finish = s3r_trainer_report_mask,
};
