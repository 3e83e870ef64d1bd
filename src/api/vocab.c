/*
 * The public call on vocabularies: options checked, manifests opened.
 */
#include "s3r/vocab.h"

#include <string.h>

#include "api/options_check.h"
#include "base/memory.h"
#include "data/vocabulary_build.h"

void s3r_vocab_options_init(s3r_vocab_options *options)
{
    *options = (s3r_vocab_options){.struct_size = sizeof *options};
}

static s3r_status to_request(s3r_vocabulary_request *request,
                             const s3r_vocab_options *options, s3r_error *err)
{
    static const s3r_vocabulary_unit units[] = {
        S3R_UNIT_OF_CHARACTERS, S3R_UNIT_OF_GRAPHEMES, S3R_UNIT_OF_PHONES};
    static const s3r_text_case cases[] = {S3R_CASE_LOWER, S3R_CASE_UPPER, S3R_CASE_KEEP};
    S3R_TRY(s3r_options_check_size("vocabulary options", sizeof *options,
                                   options->struct_size, err));
    if ((size_t)options->unit >= S3R_ARRAY_LEN(units) ||
        (size_t)options->text_case >= S3R_ARRAY_LEN(cases))
        return s3r_fail(err, S3R_ERR_USAGE, "vocabulary options: no such unit or case");
    *request = (s3r_vocabulary_request){.unit = units[options->unit],
                                        .text_case = cases[options->text_case],
                                        .language = options->language,
                                        .voice = options->voice,
                                        .keeps_punctuation = options->keeps_punctuation,
                                        .is_forced = options->is_forced};
    return S3R_OK;
}

static s3r_status build(s3r_vocabulary_report *made, s3r_manifest *manifests,
                        const char *const *paths, size_t count, const char *folder,
                        const s3r_vocabulary_request *request, s3r_error *err)
{
    for (size_t i = 0; i < count; i++)
        S3R_TRY(s3r_manifest_open(&manifests[i], paths[i], err));
    return s3r_vocabulary_build(made, folder, manifests, count, request, err);
}

s3r_status s3r_vocab_build(const char *const *manifests, size_t count, const char *folder,
                           const s3r_vocab_options *options, s3r_vocab_report *report,
                           s3r_error *err)
{
    s3r_vocab_options defaults;
    s3r_vocabulary_request request;
    s3r_vocabulary_report made = {0};
    s3r_vocab_options_init(&defaults);
    S3R_TRY(to_request(&request, options ? options : &defaults, err));
    if (count == 0)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "a vocabulary: expected manifests, found none");
    s3r_manifest *opened = s3r_alloc(count, sizeof *opened);
    if (!opened)
        return s3r_fail_memory(err, "manifests", count * sizeof *opened);
    s3r_status status = build(&made, opened, manifests, count, folder, &request, err);
    for (size_t i = 0; i < count; i++)
        s3r_manifest_close(&opened[i]);
    s3r_free(opened);
    if (status != S3R_OK || !report)
        return status;
    *report = (s3r_vocab_report){.utterance_count = made.utterance_count,
                                 .without_text = made.without_text,
                                 .with_digits = made.with_digits,
                                 .label_count = made.label_count};
    _Static_assert(sizeof report->digit_example == sizeof made.digit_example, "one size");
    memcpy(report->digit_example, made.digit_example, sizeof made.digit_example);
    return S3R_OK;
}
