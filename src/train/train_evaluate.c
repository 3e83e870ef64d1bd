/*
 * Greedy decoding of the dev set, in batches like those of training.
 */
#include "train/train_evaluate.h"

#include <math.h>
#include <string.h>

#include "model/encoder.h"
#include "tasks/ctc_loss.h"

typedef struct evaluation {
    s3r_train_score *score;
    const s3r_train_model *model;
    const s3r_train_set *set;
    s3r_tape *tape;
    s3r_error_counts words, characters, phones;
    double loss;
    size_t scored, blanks, frames;
} evaluation;

static uint32_t best_label(const float *logits, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (logits[i] > logits[best])
            best = i;
    return (uint32_t)best;
}

/* Text of rows [row, row_end) of the logits, compared with the reference. */
static s3r_status score_text(evaluation *e, const s3r_train_item *item,
                             const s3r_value *logits, size_t row, size_t row_end,
                             s3r_error *err)
{
    const s3r_vocabulary *vocabulary = &e->model->vocabulary;
    const char *reference = item->utterance->text;
    char *text = NULL;
    uint32_t *ids = s3r_tape_alloc(e->tape, row_end - row, sizeof *ids);
    S3R_TRY(s3r_tape_status(e->tape, err));
    for (size_t i = row; i < row_end; i++)
        ids[i - row] = best_label(logits->data + i * logits->stride, logits->cols);
    S3R_TRY(s3r_vocabulary_decode(vocabulary, &text, ids, row_end - row, err));
    e->score->empty += *text == '\0';
    s3r_status status =
        s3r_error_counts_add(&e->words, reference, text, S3R_UNIT_WORD, err);
    if (status == S3R_OK)
        status = s3r_error_counts_add(&e->characters, reference, text, S3R_UNIT_CHARACTER,
                                      err);
    if (status == S3R_OK && vocabulary->is_phonemes)
        status = s3r_error_counts_add(&e->phones, reference, text, S3R_UNIT_PHONE, err);
    s3r_free(text);
    return status;
}

static s3r_status score_loss(evaluation *e, size_t first, size_t count, s3r_value *logits,
                             s3r_ragged frames, s3r_error *err)
{
    size_t total = 0, blanks = 0;
    size_t *offset = s3r_tape_alloc(e->tape, count + 1, sizeof *offset);
    double *losses = s3r_tape_alloc(e->tape, count, sizeof *losses);
    S3R_TRY(s3r_tape_status(e->tape, err));
    for (size_t u = 0; u < count; u++) {
        offset[u] = total;
        total += e->set->items[first + u].label_count;
    }
    offset[count] = total;
    uint32_t *labels = s3r_tape_alloc(e->tape, total, sizeof *labels);
    S3R_TRY(s3r_tape_status(e->tape, err));
    for (size_t u = 0; u < count; u++) {
        const s3r_train_item *item = &e->set->items[first + u];
        for (size_t i = 0; i < item->label_count; i++)
            labels[offset[u] + i] = item->labels[i];
    }
    const s3r_ctc_targets targets = {
        {count, offset}, labels, e->model->vocabulary.blank_id};
    s3r_ctc_loss(e->tape, logits, frames, &targets, 1.0, losses, &blanks);
    S3R_TRY(s3r_tape_status(e->tape, err));
    e->blanks += blanks;
    for (size_t u = 0; u < count; u++) {
        bool is_scored = isfinite(losses[u]) && e->set->items[first + u].label_count > 0;
        e->loss += is_scored ? losses[u] : 0.0;
        e->scored += is_scored;
    }
    return S3R_OK;
}

static s3r_status run_batch(evaluation *e, size_t first, size_t count, s3r_error *err)
{
    size_t *indices;
    s3r_value *features = NULL;
    s3r_ragged frames;
    s3r_tape *tape = e->tape;
    const s3r_train_model *model = e->model;
    s3r_tape_reset(tape);
    tape->is_recording = tape->is_training = false;
    indices = s3r_tape_alloc(tape, count, sizeof *indices);
    S3R_TRY(s3r_tape_status(tape, err));
    for (size_t u = 0; u < count; u++)
        indices[u] = first + u;
    S3R_TRY(s3r_train_set_features(e->set, (s3r_train_model *)(uintptr_t)model, tape,
                                   indices, count, &features, &frames, err));
    s3r_value *hidden = s3r_encoder_forward(tape, &model->config, &model->weights,
                                            features, frames, NULL);
    s3r_value *logits =
        s3r_head_forward(tape, &model->config, &model->weights, hidden, frames, NULL);
    S3R_TRY(s3r_tape_status(tape, err));
    for (size_t u = 0; u < count; u++)
        S3R_TRY(score_text(e, &e->set->items[first + u], logits, frames.offset[u],
                           frames.offset[u + 1], err));
    e->frames += logits->rows;
    return score_loss(e, first, count, logits, frames, err);
}

/* Utterances [first, end) that fit a batch together; at least one. */
static size_t batch_end(const s3r_train_set *set, size_t first, size_t limit)
{
    size_t end = first, filled = 0;
    while (end < set->count && (end == first || filled + set->frames[end] <= limit))
        filled += set->frames[end++];
    return end;
}

s3r_status s3r_train_evaluate(s3r_train_score *score, s3r_train_model *model,
                              const s3r_train_set *set, s3r_tape *tape,
                              size_t batch_frames, s3r_train_watch_fn watch,
                              void *watch_context, s3r_error *err)
{
    evaluation e = {.score = score, .model = model, .set = set, .tape = tape};
    *score = (s3r_train_score){.utterances = set->count};
    for (size_t first = 0; first < set->count;) {
        size_t end = batch_end(set, first, batch_frames);
        S3R_TRY(run_batch(&e, first, end - first, err));
        first = end;
        const s3r_train_event event = {
            .kind = S3R_TRAIN_EVALUATING, .done = end, .total = set->count};
        if (watch)
            (void)watch(watch_context, &event);
    }
    score->wer = s3r_error_rate(&e.words);
    score->cer = s3r_error_rate(&e.characters);
    score->per = model->vocabulary.is_phonemes ? s3r_error_rate(&e.phones) : score->cer;
    score->loss = e.scored ? e.loss / (double)e.scored : 0.0;
    score->blank_ratio = e.frames ? (double)e.blanks / (double)e.frames : 0.0;
    return S3R_OK;
}
