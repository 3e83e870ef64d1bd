/*
 * Emissions of an hour in a model of thousands of labels would fill the memory, so only
 * the columns that the text needs are kept, and above a bound they lie in a file.
 */
#include "api/align_job.h"

#include <math.h>
#include <string.h>

#include "api/result_words.h"
#include "base/text_buffer.h"

#define ARENA_CHUNK_BYTES ((size_t)1 << 16)
#define EMISSIONS_BYTES   ((size_t)64 << 20) /* in memory */
#define ALIGNMENT_BYTES   ((size_t)2 << 30)  /* at most */
#define NO_COLUMN         UINT32_MAX

/* ---- text ---- */

/* A column for each label of the text, in the order in which they come. */
static s3r_status choose_columns(s3r_align_job *job, s3r_error *err)
{
    size_t label_count = job->model->vocabulary.count, count = job->text.count;
    uint32_t *columns = s3r_arena_alloc(&job->arena, label_count, sizeof *columns);
    job->column_labels = s3r_arena_alloc(&job->arena, label_count, sizeof *columns);
    job->targets = s3r_arena_alloc(&job->arena, count, sizeof *columns);
    if (!columns || !job->column_labels || !job->targets)
        return s3r_fail_memory(err, "labels", count * sizeof *columns);
    for (size_t i = 0; i < label_count; i++)
        columns[i] = NO_COLUMN;
    uint32_t used = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t label = job->text.labels[i];
        if (label == S3R_STAR_LABEL || columns[label] != NO_COLUMN)
            continue;
        job->column_labels[used] = label;
        columns[label] = used++;
    }
    job->cols = used + 2;
    for (size_t i = 0; i < count; i++) {
        uint32_t label = job->text.labels[i];
        job->targets[i] = label == S3R_STAR_LABEL ? used + 1 : columns[label];
    }
    return S3R_OK;
}

static s3r_status check_lengths(const s3r_align_job *job, s3r_error *err)
{
    size_t least = s3r_align_least_frames(job->targets, job->text.count);
    if (job->frames < least)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: the text is longer than the audio: its %zu labels need at "
                        "least %zu frames, found %zu",
                        job->path, job->text.count, least, job->frames);
    size_t bytes = s3r_align_bytes(job->frames, job->text.count);
    if (bytes > ALIGNMENT_BYTES)
        return s3r_fail(err, S3R_ERR_RESOURCE,
                        "%s: aligning %zu labels to %zu frames would take %zu MB, more "
                        "than %zu MB; cut the recording",
                        job->path, job->text.count, job->frames, bytes >> 20,
                        ALIGNMENT_BYTES >> 20);
    return S3R_OK;
}

s3r_status s3r_align_job_start(s3r_align_job *job, const s3r_model *model,
                               const char *path, size_t frames, const char *text,
                               s3r_align_missing missing, s3r_error *err)
{
    static const s3r_missing_policy policies[] = {[S3R_ALIGN_REFUSE] = S3R_MISSING_REFUSE,
                                                  [S3R_ALIGN_SKIP] = S3R_MISSING_SKIP,
                                                  [S3R_ALIGN_STAR] = S3R_MISSING_STAR};
    *job = (s3r_align_job){.model = model, .path = path, .frames = frames};
    s3r_arena_init(&job->arena, ARENA_CHUNK_BYTES);
    s3r_audio_spool_init(&job->emissions, EMISSIONS_BYTES);
    s3r_status status = s3r_vocabulary_encode_words(
        &model->vocabulary, text, policies[missing], &job->arena, &job->text, err);
    if (status != S3R_OK)
        return s3r_fail_prefix(err, status, path);
    if (job->text.count == 0 && job->text.missing_count > 0)
        return s3r_fail(err, S3R_ERR_DATA, "%s: nothing of the text has a label: %s",
                        path, job->text.missing);
    if (job->text.count == 0)
        return s3r_fail(err, S3R_ERR_DATA, "%s: expected a text, found none", path);
    S3R_TRY(choose_columns(job, err));
    S3R_TRY(check_lengths(job, err));
    job->row = s3r_alloc(job->cols, sizeof *job->row);
    return job->row ? S3R_OK : s3r_fail_memory(err, "emissions", job->cols * 4);
}

/* ---- emissions ---- */

static s3r_status take_row(s3r_align_job *job, const float *row, size_t count,
                           size_t frame, s3r_error *err)
{
    float best = row[0];
    bool is_number = true;
    for (size_t i = 0; i < count; i++) {
        best = S3R_MAX(best, row[i]);
        is_number = is_number && !isnan(row[i]);
    }
    if (!is_number || !isfinite(best))
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: frame %zu: expected finite log-probabilities (damaged audio "
                        "or weights)",
                        job->path, frame);
    for (size_t i = 0; i + 2 < job->cols; i++)
        job->row[i] = row[job->column_labels[i]];
    job->row[job->cols - 2] = row[job->model->vocabulary.blank_id];
    job->row[job->cols - 1] = best;
    return s3r_audio_spool_append(&job->emissions, job->row, job->cols * sizeof *row,
                                  err);
}

s3r_status s3r_align_job_rows(s3r_align_job *job, const s3r_frame_rows *rows,
                              s3r_error *err)
{
    const s3r_value *value = rows->value;
    for (size_t i = 0; i < rows->count; i++)
        S3R_TRY(take_row(job, value->data + (rows->row + i) * value->stride, value->cols,
                         rows->first_frame + i, err));
    return S3R_OK;
}

/* ---- result ---- */

static const float *emissions_of(const s3r_align_job *job, size_t frame)
{
    return (const float *)job->block.storage + frame * job->cols;
}

static void set_labels(s3r_align_job *job)
{
    const s3r_vocabulary *vocabulary = &job->model->vocabulary;
    for (size_t i = 0; i < job->text.count; i++) {
        uint32_t label = job->text.labels[i];
        const s3r_align_span *span = &job->spans[i];
        double sum = 0;
        for (size_t t = span->start_frame; t < span->end_frame; t++)
            sum += exp((double)emissions_of(job, t)[job->targets[i]]);
        bool is_star = label == S3R_STAR_LABEL;
        job->labels[i] =
            (s3r_label){.text = is_star ? "*" : vocabulary->labels[label],
                        .id = is_star ? SIZE_MAX : label,
                        .start_frame = span->start_frame,
                        .end_frame = span->end_frame,
                        .confidence = (float)fmin(
                            sum / (double)(span->end_frame - span->start_frame), 1)};
    }
}

/* Over frames [start, end): the sum of the column's probabilities, or of what its
 * log-probabilities lose against the best labels'. */
static double sum_of(const s3r_align_job *job, size_t column, size_t start, size_t end,
                     bool is_loss)
{
    double sum = 0;
    for (size_t t = start; t < end; t++) {
        const float *row = emissions_of(job, t);
        sum += is_loss ? (double)row[column] - (double)row[job->cols - 1]
                       : exp((double)row[column]);
    }
    return sum;
}

/* The same along the path, from the end of span `first - 1` (or frame 0) over targets
 * [first, end). */
static double path_sum(const s3r_align_job *job, size_t first, size_t end, bool is_loss)
{
    double sum = 0;
    size_t at = first > 0 ? job->spans[first - 1].end_frame : 0;
    for (size_t i = first; i < end; i++) {
        const s3r_align_span *span = &job->spans[i];
        sum += sum_of(job, job->cols - 2, at, span->start_frame, is_loss);
        sum += sum_of(job, job->targets[i], span->start_frame, span->end_frame, is_loss);
        at = span->end_frame;
    }
    return sum;
}

static void set_confidence(s3r_align_job *job)
{
    size_t count = job->text.count, at = job->spans[count - 1].end_frame;
    double sum = path_sum(job, 0, count, false) +
                 sum_of(job, job->cols - 2, at, job->frames, false);
    job->confidence = fmin(sum / (double)job->frames, 1);
}

/* A word without labels lies where the word before it ends; before the first that has
 * some, where that one begins. */
static void set_words(s3r_align_job *job, double doubt)
{
    size_t at = job->text.count > 0 ? job->spans[0].start_frame : 0;
    for (size_t i = 0; i < job->text.word_count; i++) {
        const s3r_encoded_word *given = &job->text.words[i];
        size_t first = given->first_label, count = given->label_count;
        s3r_word *word = &job->words[i];
        *word = (s3r_word){.text = given->text,
                           .first_label = first,
                           .label_count = count,
                           .start_frame = at,
                           .end_frame = at,
                           .is_doubtful = true};
        if (count == 0)
            continue;
        const s3r_align_span *span = &job->spans[first];
        double loss =
            sum_of(job, job->targets[first], span->start_frame, span->end_frame, true) +
            path_sum(job, first + 1, first + count, true);
        at = job->spans[first + count - 1].end_frame;
        word->start_frame = span->start_frame;
        word->end_frame = at;
        word->confidence = s3r_word_confidence(job->labels + first, count);
        word->score = (float)(loss / (double)count);
        word->is_doubtful = (double)word->score < doubt;
    }
}

static s3r_status join_words(s3r_align_job *job, s3r_error *err)
{
    s3r_text_buffer text = {0};
    for (size_t i = 0; i < job->text.word_count; i++) {
        s3r_buffer_add_string(&text, i > 0 ? " " : "");
        s3r_buffer_add_string(&text, job->text.words[i].text);
    }
    return s3r_buffer_take(&text, &job->joined, "a text", err);
}

s3r_status s3r_align_job_finish(s3r_align_job *job, double doubt,
                                bool (*goes_on)(void *context), void *goes_on_context,
                                s3r_error *err)
{
    double score;
    size_t count = job->text.count;
    S3R_TRY(s3r_audio_spool_finish(&job->emissions, &job->block, err));
    job->spans = s3r_alloc(count, sizeof *job->spans);
    job->labels = s3r_alloc(count, sizeof *job->labels);
    job->words = s3r_alloc(job->text.word_count, sizeof *job->words);
    if (!job->spans || !job->labels || !job->words)
        return s3r_fail_memory(err, "labels", count * sizeof *job->labels);
    const s3r_align_input input = {.log_probs = job->block.storage,
                                   .frames = job->frames,
                                   .cols = job->cols,
                                   .targets = job->targets,
                                   .target_count = count,
                                   .blank = (uint32_t)(job->cols - 2),
                                   .goes_on = goes_on,
                                   .goes_on_context = goes_on_context};
    S3R_TRY(s3r_forced_align(&input, 0, job->spans, &score, err));
    set_labels(job);
    set_words(job, doubt);
    set_confidence(job);
    return join_words(job, err);
}

void s3r_align_job_release(s3r_align_job *job)
{
    s3r_arena_release(&job->arena);
    s3r_audio_spool_release(&job->emissions);
    s3r_audio_block_release(&job->block);
    s3r_free(job->row);
    s3r_free(job->spans);
    s3r_free(job->labels);
    s3r_free(job->words);
    s3r_free(job->joined);
    *job = (s3r_align_job){0};
    s3r_audio_spool_init(&job->emissions, 0);
}
