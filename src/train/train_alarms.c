/*
 * When numbers go wrong: steps that are skipped because something is not finite, and runs
 * that learn nothing.
 */
#include <stdio.h>

#include "train/trainer_parts.h"

/* A sign of it in so many evaluations in a row, after this part of the run, is a
 * collapse; at the end one is enough. */
#define COLLAPSE_EVALUATIONS 2u
#define COLLAPSE_PART        0.15

void s3r_trainer_warn(s3r_trainer *trainer, const char *text)
{
    s3r_trainer_tell(trainer,
                     &(s3r_train_event){.kind = S3R_TRAIN_WARNING,
                                        .text = text,
                                        .step = trainer->state.step,
                                        .steps = trainer->config.schedule.steps});
}

/* ---- skipped steps ---- */

/* The utterances that made a step wrong, or among which they are. */
typedef struct suspects {
    const size_t *items; /* [named] indices in the set */
    size_t named, count;
    bool is_loss; /* else a gradient, which could be that of any */
} suspects;

static suspects suspects_of(const s3r_trainer *trainer, const s3r_step_result *result)
{
    bool is_loss = result->bad > 0;
    size_t count = is_loss ? result->bad : trainer->step_count;
    return (suspects){.items = is_loss ? result->bad_items : trainer->step_items,
                      .named = S3R_MIN(count, (size_t)S3R_STEP_NAMED),
                      .count = count,
                      .is_loss = is_loss};
}

static const char *id_of(const s3r_trainer *trainer, size_t item)
{
    return trainer->train.items[item].utterance->id;
}

/* "of a, b" or "among a, b, c and 7 more" */
static void name_suspects(const s3r_trainer *trainer, const suspects *who, char *text,
                          size_t text_bytes)
{
    size_t used = (size_t)snprintf(text, text_bytes, "%s", who->is_loss ? "" : "among ");
    size_t named = 0;
    while (named < who->named) {
        int more = snprintf(text + used, text_bytes - used, "%s%s", named > 0 ? ", " : "",
                            id_of(trainer, who->items[named]));
        if (more < 0 || used + (size_t)more + 32 >= text_bytes)
            break;
        used += (size_t)more;
        named++;
    }
    text[used] = '\0';
    if (named < who->count)
        snprintf(text + used, text_bytes - used, " and %zu more", who->count - named);
}

static s3r_status log_skipped(const s3r_trainer *trainer, s3r_run_log *log,
                              const suspects *who, s3r_error *err)
{
    json_t *ids = json_array();
    for (size_t i = 0; ids && i < who->named; i++)
        if (json_array_append_new(ids, json_string(id_of(trainer, who->items[i]))) != 0) {
            json_decref(ids);
            ids = NULL;
        }
    json_t *line =
        ids ? json_pack("{sI, s{ss, sI, so}}", "step", (json_int_t)trainer->state.step,
                        "skipped", "because", who->is_loss ? "loss" : "gradient",
                        "utterances", (json_int_t)who->count, "ids", ids)
            : NULL;
    if (!line)
        return s3r_fail_memory(err, "metrics.jsonl", 0);
    s3r_status status = s3r_run_log_write(log, line, err);
    json_decref(line);
    return status;
}

s3r_status s3r_trainer_skip_step(s3r_trainer *trainer, s3r_run_log *log,
                                 const s3r_step_result *result, s3r_error *err)
{
    char names[1024], text[1536];
    s3r_train_state *state = &trainer->state;
    const suspects who = suspects_of(trainer, result);
    name_suspects(trainer, &who, names, sizeof names);
    state->step++;
    snprintf(text, sizeof text,
             "step %zu skipped: %s not finite (%s). Look at that audio; a lower "
             "optimizer.lr or optimizer.clip_norm=1 helps when it goes on",
             state->step, who.is_loss ? "the loss is" : "a gradient is", names);
    s3r_trainer_warn(trainer, text);
    S3R_TRY(log_skipped(trainer, log, &who, err));
    if (++state->skipped < trainer->config.run.max_skipped)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_DIVERGED,
                    "diverged: %zu steps in a row were not finite, the last with %s",
                    state->skipped, names);
}

/* ---- collapse ---- */

void s3r_trainer_check_collapse(s3r_trainer *trainer, const s3r_run_score *score,
                                bool is_last)
{
    s3r_train_state *state = &trainer->state;
    double part = (double)state->step / (double)trainer->config.schedule.steps;
    bool counts = score->is_collapsed && (part >= COLLAPSE_PART || is_last);
    state->collapsed = counts ? state->collapsed + 1 : 0;
    if (state->collapsed == COLLAPSE_EVALUATIONS ||
        (is_last && state->collapsed > 0 && state->collapsed < COLLAPSE_EVALUATIONS))
        s3r_trainer_warn(trainer, trainer->task->collapse_advice);
}
