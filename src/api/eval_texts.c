/*
 * Scoring texts against texts.
 */
#include "api/eval_tally.h"
#include "api/output_name.h"
#include "tasks/trn_file.h"
#include "text/text_normalize.h"

/* Both sides, matched. */
static s3r_status check_sides(const s3r_transcripts *reference,
                              const s3r_transcripts *hypothesis, const char *const *paths,
                              s3r_error *err)
{
    if (reference->count > 0 && hypothesis->count > 0 &&
        reference->has_ids != hypothesis->has_ids)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s and %s: expected two trn files or two plain ones, found %s "
                        "of them to be trn (each line ends in \"(ID)\")",
                        paths[0], paths[1],
                        reference->has_ids ? "the first" : "the second");
    if (reference->count != hypothesis->count)
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s and %s: expected as many lines in both, found %zu and %zu",
                        paths[0], paths[1], reference->count, hypothesis->count);
    if (reference->count == 0)
        return s3r_fail(err, S3R_ERR_DATA, "%s: expected texts, found none", paths[0]);
    return S3R_OK;
}

static s3r_status score_texts(s3r_eval_utterance *utterance,
                              const s3r_eval_options *options, s3r_error *err)
{
    for (size_t i = 0; i < S3R_METRIC_COUNT; i++) {
        s3r_error_counts counts = {0};
        if (!options->metrics[i])
            continue;
        S3R_TRY(s3r_error_counts_add(&counts, utterance->reference, utterance->hypothesis,
                                     (s3r_token_unit)i, err));
        utterance->counts[i] = (s3r_eval_counts){counts.substitutions, counts.deletions,
                                                 counts.insertions, counts.reference};
    }
    return S3R_OK;
}

static s3r_status score_pair(s3r_eval_tally *tally, size_t index,
                             const s3r_transcript *reference,
                             const s3r_transcript *hypothesis, s3r_error *err)
{
    s3r_normalization normalization = (s3r_normalization)tally->options->normalization;
    char *texts[2] = {NULL, NULL};
    s3r_eval_utterance utterance = {.index = index, .id = reference->id, .message = ""};
    s3r_status status =
        s3r_text_make_comparable(&texts[0], reference->text, normalization, err);
    if (status == S3R_OK)
        status =
            s3r_text_make_comparable(&texts[1], hypothesis->text, normalization, err);
    utterance.reference = texts[0];
    utterance.hypothesis = texts[1];
    if (status == S3R_OK)
        status = score_texts(&utterance, tally->options, err);
    if (status == S3R_OK)
        status = s3r_eval_tally_add(tally, &utterance, err);
    s3r_free(texts[0]);
    s3r_free(texts[1]);
    return status;
}

static s3r_status score_all(s3r_eval_tally *tally, const s3r_transcripts *reference,
                            const s3r_transcripts *hypothesis, const char *const *paths,
                            s3r_error *err)
{
    S3R_TRY(check_sides(reference, hypothesis, paths, err));
    if (tally->options->table_path)
        S3R_TRY(s3r_output_check_inputs(tally->options->table_path, paths, 2, err));
    S3R_TRY(s3r_eval_tally_open(tally, reference->count, err));
    for (size_t i = 0; i < reference->count; i++) {
        const s3r_transcript *item = &reference->items[i];
        const s3r_transcript *other = &hypothesis->items[i];
        if (reference->has_ids)
            other = s3r_transcripts_find(hypothesis, item->id);
        if (!other)
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: line %zu: \"%.200s\": expected this id in %s too",
                            paths[0], item->line, item->id, paths[1]);
        S3R_TRY(score_pair(tally, i, item, other, err));
    }
    return s3r_eval_tally_finish(tally, err);
}

s3r_status s3r_eval_texts(const char *reference_path, const char *hypothesis_path,
                          const s3r_eval_options *options, s3r_eval_fn result,
                          void *result_context, s3r_eval_summary *summary, s3r_error *err)
{
    const char *const paths[2] = {reference_path, hypothesis_path};
    s3r_transcripts reference, hypothesis = {0};
    s3r_eval_options defaults;
    s3r_eval_options_init(&defaults);
    s3r_eval_tally tally = {.options = options ? options : &defaults,
                            .result = result,
                            .result_context = result_context,
                            .summary = summary};
    S3R_TRY(s3r_eval_options_check(tally.options, err));
    S3R_TRY(s3r_transcripts_open(&reference, reference_path, err));
    s3r_status status = s3r_transcripts_open(&hypothesis, hypothesis_path, err);
    if (status == S3R_OK)
        status = score_all(&tally, &reference, &hypothesis, paths, err);
    s3r_eval_tally_release(&tally);
    s3r_transcripts_close(&reference);
    s3r_transcripts_close(&hypothesis);
    return status;
}
