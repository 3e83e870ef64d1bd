/*
 * Preparing the data of a run.
 */
#include "train/train_set.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#include "base/hash_text.h"
#include "data/manifest_languages.h"
#include "model/extractor.h"
#include "tasks/ctc_loss.h"
#include "text/vocabulary_encode.h"

#define OWNED_CHUNK_BYTES ((size_t)1 << 18)
#define MAX_NAMED         10u
#define WARNING_BYTES     1024u

typedef struct preparer {
    s3r_train_set *set;
    const s3r_train_model *model;
    s3r_tape *tape;
    const s3r_train_config *config;
    const s3r_train_set_options *options;
    size_t total;    /* utterances that are loaded */
    size_t bad;      /* utterances with an error */
    char list[4096]; /* the first of them */
    size_t list_length;
    size_t remarks;   /* on utterances that stay, of evaluation */
    char reason[160]; /* why the last one was left out */
    size_t left_out;  /* too short ones of an unlabelled set */
    struct sha256_ctx hash;
} preparer;

static bool tell(const preparer *p, const char *text, size_t done)
{
    return !p->options->tell ||
           p->options->tell(p->options->tell_context, text, done, p->total);
}

static void tell_about(const preparer *p, const s3r_utterance *utterance,
                       const char *what, const char *reason)
{
    char text[WARNING_BYTES];
    snprintf(text, sizeof text, "%.300s:%zu: %.200s: %s%.400s", p->options->path,
             utterance->line, utterance->id, what, reason);
    (void)tell(p, text, 0);
}

static void warn(preparer *p, const s3r_utterance *utterance, const char *reason)
{
    snprintf(p->reason, sizeof p->reason, "%s", reason);
    tell_about(p, utterance, "left out: ", reason);
}

/* An utterance of evaluation that no model can get right; the first few are named. */
static void remark(preparer *p, const s3r_utterance *utterance, const char *reason)
{
    if (p->remarks++ < MAX_NAMED)
        tell_about(p, utterance, "it cannot be got right: ", reason);
}

static void end_remarks(preparer *p)
{
    char text[WARNING_BYTES];
    if (p->remarks > MAX_NAMED) {
        snprintf(text, sizeof text,
                 "%.300s: %zu more utterances cannot be got right (s3r data check lists "
                 "them)",
                 p->options->path, p->remarks - MAX_NAMED);
        (void)tell(p, text, 0);
    }
    p->remarks = 0;
}

/* Pretraining has thousands of clips of which many are short: the first few are named. */
static void leave_out(preparer *p, const s3r_utterance *utterance, const char *reason)
{
    if (p->left_out++ < MAX_NAMED)
        warn(p, utterance, reason);
}

static void end_left_out(preparer *p)
{
    char text[WARNING_BYTES];
    if (p->left_out > MAX_NAMED) {
        snprintf(text, sizeof text,
                 "%.300s: %zu more utterances are left out as too short",
                 p->options->path, p->left_out - MAX_NAMED);
        (void)tell(p, text, 0);
    }
}

/* Collects an error, so that one run names several. */
static void note_bad(preparer *p, const s3r_utterance *utterance, const s3r_error *why)
{
    if (p->bad++ >= MAX_NAMED)
        return;
    int more = snprintf(p->list + p->list_length, sizeof p->list - p->list_length,
                        "%s line %zu, %.200s: %.500s", p->bad > 1 ? ";" : "",
                        utterance->line, utterance->id, why->message);
    if (more > 0)
        p->list_length = S3R_MIN(p->list_length + (size_t)more, sizeof p->list - 1);
}

static s3r_status report_bad(const preparer *p, s3r_error *err)
{
    if (p->bad == 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_DATA,
                    "%s: %zu of %zu utterances cannot be used (s3r data check lists "
                    "all):%s",
                    p->options->path, p->bad, p->set->manifest.count, p->list);
}

/* ---- audio and features ---- */

static s3r_status load_wave(const s3r_train_set *set, const s3r_train_model *model,
                            const s3r_utterance *utterance, s3r_audio *audio,
                            s3r_error *err)
{
    s3r_audio_options options;
    s3r_audio_options_init(&options);
    options.sample_rate_hz = (uint32_t)model->config.sample_rate;
    return s3r_utterance_load_cached(audio, set->recording, utterance, &options, err);
}

/* The features of one utterance from its audio; value is in the tape's arena. */
static s3r_value *extract(const s3r_train_model *model, s3r_tape *tape,
                          const s3r_audio *audio)
{
    s3r_ragged frames;
    s3r_waveform wave =
        s3r_waveform_make(&model->config, audio->samples, audio->sample_count);
    bool was_recording = tape->is_recording;
    tape->is_recording = false;
    s3r_value *value =
        s3r_extractor_batch(tape, &model->config, &model->weights, &wave, 1, &frames);
    tape->is_recording = was_recording;
    return value;
}

static s3r_status fill_cache(preparer *p, const s3r_audio *audio, s3r_error *err)
{
    if (!p->set->cache)
        return S3R_OK;
    if (p->set->keeps_samples)
        return s3r_feature_cache_put(p->set->cache, p->set->count, audio->samples,
                                     audio->sample_count, 1, err);
    s3r_tape_reset(p->tape);
    s3r_value *value = extract(p->model, p->tape, audio);
    S3R_TRY(s3r_tape_status(p->tape, err));
    return s3r_feature_cache_put(p->set->cache, p->set->count, value->data, value->rows,
                                 value->stride, err);
}

/* ---- what is wanted ---- */

static bool is_length_wanted(preparer *p, const s3r_utterance *utterance, double seconds)
{
    char reason[128];
    if (p->options->is_evaluation)
        return true;
    bool is_long = seconds > p->config->batch.max_seconds;
    if (!is_long && seconds >= p->config->batch.min_seconds)
        return true;
    snprintf(reason, sizeof reason, "%.2f s is %s than batch.%s (%g s)", seconds,
             is_long ? "longer" : "shorter", is_long ? "max_seconds" : "min_seconds",
             is_long ? p->config->batch.max_seconds : p->config->batch.min_seconds);
    warn(p, utterance, reason);
    return false;
}

static bool is_target_possible(preparer *p, const s3r_train_item *item)
{
    char reason[160];
    size_t needed = s3r_ctc_frames_needed(item->labels, item->label_count);
    if (item->frames > 0 && needed <= item->frames)
        return true;
    if (p->options->target == S3R_TARGET_LANGUAGE) {
        warn(p, item->utterance, "it is shorter than a frame");
        return false;
    }
    snprintf(reason, sizeof reason,
             "its text needs %zu frames, its audio has %zu: is it the right text?",
             S3R_MAX(needed, (size_t)1), item->frames);
    if (item->frames > 0 && p->options->is_evaluation) {
        remark(p, item->utterance, reason);
        return true;
    }
    warn(p, item->utterance, reason);
    return false;
}

/* ---- identity ---- */

static void hash_text(struct sha256_ctx *hash, const char *text)
{
    sha256_update(hash, strlen(text) + 1, (const uint8_t *)text);
}

/* One utterance that is used. */
static void hash_item(preparer *p, const s3r_train_item *item, const s3r_audio *audio)
{
    char number[32];
    const char *target = p->options->target == S3R_TARGET_LANGUAGE
                             ? item->utterance->language
                             : item->utterance->text;
    hash_text(&p->hash, item->utterance->id);
    hash_text(&p->hash, target ? target : "");
    snprintf(number, sizeof number, "%zu", audio->sample_count);
    hash_text(&p->hash, number);
    sha256_update(&p->hash, audio->sample_count * sizeof *audio->samples,
                  (const uint8_t *)audio->samples);
}

static void finish_hash(preparer *p)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&p->hash, sizeof digest, digest);
    s3r_bytes_to_hex(p->set->hash, digest, sizeof digest);
}

/* Keeps an utterance; those before it may have been left out. */
static void keep_item(preparer *p, const s3r_train_item *item, const s3r_audio *audio)
{
    hash_item(p, item, audio);
    p->set->items[p->set->count] = *item;
    p->set->frames[p->set->count++] = item->frames;
    p->set->seconds += (double)audio->sample_count / (double)audio->sample_rate_hz;
}

/* ---- one utterance ---- */

/* Of pretraining: long audio is cropped, not left out. */
static s3r_status take_unlabelled(preparer *p, s3r_train_item *item,
                                  const s3r_audio *audio, s3r_error *err)
{
    const s3r_model_config *config = &p->model->config;
    double seconds = (double)audio->sample_count / (double)audio->sample_rate_hz;
    size_t longest = s3r_config_frames(
        config, (size_t)(p->config->batch.max_seconds * (double)config->sample_rate));
    item->frames = S3R_MIN(s3r_config_frames(config, audio->sample_count), longest);
    if (item->frames == 0 || seconds < p->config->batch.min_seconds) {
        leave_out(p, item->utterance,
                  "it is shorter than batch.min_seconds, or one frame");
        return S3R_OK;
    }
    S3R_TRY(fill_cache(p, audio, err));
    keep_item(p, item, audio);
    return S3R_OK;
}

static s3r_status take_audio(preparer *p, s3r_train_item *item, const s3r_audio *audio,
                             s3r_error *err)
{
    double seconds = (double)audio->sample_count / (double)audio->sample_rate_hz;
    item->frames = s3r_config_frames(&p->model->config, audio->sample_count);
    if (!is_length_wanted(p, item->utterance, seconds) || !is_target_possible(p, item))
        return S3R_OK;
    S3R_TRY(fill_cache(p, audio, err));
    keep_item(p, item, audio);
    return S3R_OK;
}

static s3r_status take_language(preparer *p, const s3r_utterance *utterance,
                                s3r_error *err)
{
    s3r_train_item item = {.utterance = utterance};
    S3R_TRY(s3r_utterance_language(&item.language, utterance, p->options->path,
                                   &p->model->languages, err));
    p->set->items[p->set->count++] = item;
    return S3R_OK;
}

/* Labels of the text, and a place in the list; unlabelled data has none. */
static s3r_status take_text(preparer *p, const s3r_utterance *utterance, s3r_error *err)
{
    uint32_t *labels = NULL;
    s3r_error why = {S3R_OK, ""};
    s3r_train_item item = {.utterance = utterance};
    s3r_status status = S3R_OK;
    bool has_target = p->options->target == S3R_TARGET_TEXT;
    if (has_target && !s3r_utterance_has_text(utterance)) {
        warn(p, utterance, "it has no text");
        return S3R_OK;
    }
    if (has_target)
        status = s3r_vocabulary_encode(&p->model->vocabulary, utterance->text,
                                       &p->set->owned, &labels, &item.label_count, &why);
    if (status == S3R_ERR_DATA && p->options->is_evaluation) {
        /* Texts are compared: what cannot be written is an error of the model. */
        remark(p, utterance, why.message);
        status = S3R_OK;
        labels = NULL;
        item.label_count = 0;
    }
    if (status == S3R_ERR_DATA) {
        note_bad(p, utterance, &why);
        return S3R_OK;
    }
    if (status != S3R_OK)
        return s3r_fail(err, status, "%s", why.message);
    item.labels = labels;
    p->set->items[p->set->count++] = item;
    return S3R_OK;
}

static s3r_status load_one(preparer *p, s3r_train_item item, s3r_error *err)
{
    s3r_error why = {S3R_OK, ""};
    s3r_audio audio = {0};
    s3r_status status = load_wave(p->set, p->model, item.utterance, &audio, &why);
    if (status == S3R_ERR_DATA) {
        note_bad(p, item.utterance, &why);
        return S3R_OK;
    }
    if (status != S3R_OK)
        return s3r_fail(err, status, "%s", why.message);
    item.samples = audio.sample_count;
    status = p->options->target == S3R_TARGET_NONE
                 ? take_unlabelled(p, &item, &audio, err)
                 : take_audio(p, &item, &audio, err);
    s3r_audio_release(&audio);
    return status;
}

/* ---- all ---- */

static s3r_status open_cache(preparer *p, s3r_error *err)
{
    const s3r_model_config *config = &p->model->config;
    if (!p->options->has_cache)
        return S3R_OK;
    return s3r_feature_cache_create(
        &p->set->cache, p->set->manifest.count,
        p->set->keeps_samples ? 1 : config->conv[config->conv_count - 1].dim,
        p->options->cache_dtype, p->options->cache_bytes, p->options->cache_folder, err);
}

static s3r_status check_left(const preparer *p, s3r_error *err)
{
    S3R_TRY(report_bad(p, err));
    if (p->set->count > 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_DATA,
                    "%s: no utterance of %zu is left; of the last one: %s",
                    p->options->path, p->set->manifest.count,
                    p->reason[0] ? p->reason : "nothing is known");
}

static s3r_status open_all(preparer *p, s3r_error *err)
{
    s3r_train_set *set = p->set;
    S3R_TRY(s3r_manifest_open(&set->manifest, p->options->path, err));
    set->items = s3r_alloc(set->manifest.count, sizeof *set->items);
    set->frames = s3r_alloc(set->manifest.count, sizeof *set->frames);
    set->recording = s3r_alloc(1, sizeof *set->recording);
    if (!set->items || !set->frames || !set->recording)
        return s3r_fail_memory(err, p->options->path, set->manifest.count);
    for (size_t i = 0; i < set->manifest.count; i++) {
        const s3r_utterance *utterance = &set->manifest.items[i];
        S3R_TRY(p->options->target == S3R_TARGET_LANGUAGE
                    ? take_language(p, utterance, err)
                    : take_text(p, utterance, err));
    }
    end_remarks(p);
    return check_left(p, err);
}

s3r_status s3r_train_set_open(s3r_train_set *out, const s3r_train_model *model,
                              const s3r_train_set_options *options, s3r_error *err)
{
    preparer p = {.set = out, .model = model, .options = options};
    *out = (s3r_train_set){.keeps_samples = options->keeps_samples};
    s3r_arena_init(&out->owned, OWNED_CHUNK_BYTES);
    s3r_status status = open_all(&p, err);
    if (status != S3R_OK)
        s3r_train_set_close(out);
    return status;
}

static s3r_status load_all(preparer *p, s3r_error *err)
{
    s3r_train_set *set = p->set;
    size_t count = set->count;
    S3R_TRY(open_cache(p, err));
    sha256_init(&p->hash);
    p->total = count;
    set->count = 0; /* those that stay move to the front */
    for (size_t i = 0; i < count; i++) {
        S3R_TRY(load_one(p, set->items[i], err));
        if (!tell(p, NULL, i + 1))
            return s3r_fail(err, S3R_ERR_INTERRUPTED, "interrupted");
    }
    s3r_audio_cache_release(set->recording);
    end_remarks(p);
    end_left_out(p);
    S3R_TRY(check_left(p, err));
    finish_hash(p);
    return S3R_OK;
}

s3r_status s3r_train_set_load(s3r_train_set *set, s3r_train_model *model, s3r_tape *tape,
                              const s3r_train_config *config,
                              const s3r_train_set_options *options, s3r_error *err)
{
    preparer p = {
        .set = set, .model = model, .tape = tape, .config = config, .options = options};
    bool was_recording = tape->is_recording;
    tape->is_recording = tape->is_training = false;
    s3r_status status = load_all(&p, err);
    tape->is_recording = was_recording;
    return status;
}

void s3r_train_set_close(s3r_train_set *set)
{
    s3r_feature_cache_destroy(set->cache);
    if (set->recording)
        s3r_audio_cache_release(set->recording);
    s3r_free(set->recording);
    s3r_free(set->items);
    s3r_free(set->frames);
    s3r_manifest_close(&set->manifest);
    if (set->owned.chunk_bytes > 0)
        s3r_arena_release(&set->owned);
    *set = (s3r_train_set){0};
}

/* ---- batches ---- */

size_t s3r_train_set_batch_end(const s3r_train_set *set, size_t first, size_t most)
{
    size_t end = first, filled = 0;
    while (end < set->count && (end == first || filled + set->frames[end] <= most))
        filled += set->frames[end++];
    return end;
}

static s3r_status copy_extracted(const s3r_train_set *set, const s3r_train_model *model,
                                 s3r_tape *tape, size_t index, float *rows, size_t stride,
                                 s3r_error *err)
{
    s3r_audio audio = {0};
    S3R_TRY(load_wave(set, model, set->items[index].utterance, &audio, err));
    s3r_arena_mark mark = s3r_tape_mark(tape);
    s3r_value *value = extract(model, tape, &audio);
    s3r_audio_release(&audio);
    S3R_TRY(s3r_tape_status(tape, err));
    if (value->rows != set->items[index].frames)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: the audio changed: expected %zu frames, found %zu",
                        set->items[index].utterance->audio_path, set->items[index].frames,
                        value->rows);
    for (size_t i = 0; i < value->rows; i++)
        memcpy(rows + i * stride, value->data + i * value->stride,
               value->cols * sizeof(float));
    s3r_arena_rewind(&tape->arena, mark);
    return S3R_OK;
}

s3r_status s3r_train_set_features(const s3r_train_set *set, const s3r_train_model *model,
                                  s3r_tape *tape, const size_t *indices, size_t count,
                                  s3r_value **features, s3r_ragged *ragged,
                                  s3r_error *err)
{
    const s3r_model_config *config = &model->config;
    size_t *offset = s3r_tape_alloc(tape, count + 1, sizeof *offset);
    S3R_TRY(s3r_tape_status(tape, err));
    offset[0] = 0;
    for (size_t i = 0; i < count; i++)
        offset[i + 1] = offset[i] + set->frames[indices[i]];
    *ragged = (s3r_ragged){count, offset};
    s3r_value *value =
        s3r_tape_value(tape, offset[count], config->conv[config->conv_count - 1].dim);
    S3R_TRY(s3r_tape_status(tape, err));
    for (size_t i = 0; i < count; i++) {
        float *rows = value->data + offset[i] * value->stride;
        if (set->cache)
            s3r_feature_cache_get(set->cache, tape->pool, indices[i], rows,
                                  value->stride);
        else
            S3R_TRY(
                copy_extracted(set, model, tape, indices[i], rows, value->stride, err));
    }
    *features = value;
    return S3R_OK;
}

/* Samples that give so many frames, of those that there are. */
static size_t samples_of(const s3r_model_config *config, size_t frames, size_t available)
{
    size_t needed =
        (frames - 1) * s3r_config_stride(config) + s3r_config_receptive_field(config);
    return S3R_MIN(needed, available);
}

s3r_value *s3r_train_set_extract(const s3r_train_set *set, const s3r_train_model *model,
                                 s3r_tape *tape, const size_t *indices, size_t count,
                                 const size_t *first_frame, s3r_ragged *frames)
{
    const s3r_model_config *config = &model->config;
    size_t stride = s3r_config_stride(config);
    size_t *offset = s3r_tape_alloc(tape, count + 1, sizeof *offset);
    if (!offset)
        return NULL;
    offset[0] = 0;
    for (size_t u = 0; u < count; u++) {
        const s3r_train_item *item = &set->items[indices[u]];
        size_t first = first_frame ? first_frame[u] * stride : 0;
        offset[u + 1] =
            offset[u] + samples_of(config, item->frames, item->samples - first);
    }
    float *wave = s3r_tape_alloc(tape, offset[count], sizeof *wave);
    if (!wave)
        return NULL;
    for (size_t u = 0; u < count; u++) {
        size_t length = offset[u + 1] - offset[u];
        float *to = wave + offset[u];
        s3r_feature_cache_get_some(set->cache, tape->pool, indices[u],
                                   first_frame ? first_frame[u] * stride : 0, length, to,
                                   1);
        if (config->do_normalize)
            s3r_audio_normalize(to, to, length, config->normalize_eps);
    }
    s3r_value *samples = s3r_tape_wrap(tape, wave, offset[count], 1, 1);
    return s3r_extractor_forward(tape, config, &model->weights, samples,
                                 (s3r_ragged){count, offset}, frames);
}
