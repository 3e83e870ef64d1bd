/*
 * The task of adapting to a language: CTC on transcribed speech, scored by error rates on
 * dev, with a mask file as result.
 */
#include "base/memory.h"
#include "train/config_table.h"
#include "train/trainer_parts.h"

/* So many blanks on dev are a sign that nothing is learned. */
#define COLLAPSE_RATIO 0.999

static s3r_status run_batch(s3r_trainer *trainer, s3r_step_result *result,
                            const s3r_micro_batch *batch, s3r_error *err)
{
    return s3r_train_step_run(result, &trainer->model, &trainer->train, &trainer->tape,
                              &trainer->config, batch, err);
}

/* ---- evaluation ---- */

static double metric_of(const s3r_train_score *score, s3r_metric metric)
{
    if (metric == S3R_METRIC_WER)
        return score->wer;
    return metric == S3R_METRIC_CER ? score->cer : score->per;
}

static s3r_status evaluate(s3r_trainer *trainer, s3r_run_score *out, s3r_error *err)
{
    s3r_train_score score;
    s3r_metric metric = trainer->config.eval.metric;
    S3R_TRY(s3r_train_evaluate(&score, &trainer->model, &trainer->dev, &trainer->tape,
                               trainer->batch_frames, s3r_trainer_tell_progress, trainer,
                               err));
    *out = (s3r_run_score){
        .value = metric_of(&score, metric),
        .metric_name = s3r_config_choice_name("eval.metric", (int)metric),
        .loss = score.loss,
        .ratio = score.blank_ratio,
        .is_collapsed =
            score.blank_ratio > COLLAPSE_RATIO || score.empty == score.utterances,
        .metrics = json_pack("{sf, sf, sf, so, sf, sI}", "wer", score.wer, "cer",
                             score.cer, "per", score.per, "loss",
                             s3r_trainer_json_loss(score.loss), "blank_ratio",
                             score.blank_ratio, "empty", (json_int_t)score.empty)};
    return out->metrics ? S3R_OK : s3r_fail_memory(err, "the metrics", 0);
}

const s3r_trainer_task s3r_trainer_ctc = {
    .counted_name = "blank_ratio",
    .collapse_advice =
        "the model writes nothing but blanks on dev. Usual causes: texts that do not "
        "belong to the audio (s3r data check), too few steps, a learning rate that is "
        "too "
        "high or (for adapters, lora, bias, head) too low, masking that is too strong "
        "for "
        "short clips (augment.time_prob)",
    .run_batch = run_batch,
    .evaluate = evaluate,
    .save = s3r_trainer_save_mask,
    .finish = s3r_trainer_report_mask,
};
