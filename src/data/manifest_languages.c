/*
 * Collecting and finding languages.
 */
#include "data/manifest_languages.h"

static s3r_status check_given(const s3r_utterance *utterance, const char *path,
                              s3r_error *err)
{
    if (utterance->language && *utterance->language)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_DATA,
                    "%s:%zu: \"lang\": expected the language that is spoken, found "
                    "nothing",
                    path, utterance->line);
}

static s3r_status collect(s3r_language_list *out, const s3r_manifest *manifest,
                          s3r_error *err)
{
    for (size_t i = 0; i < manifest->count; i++) {
        const s3r_utterance *utterance = &manifest->items[i];
        S3R_TRY(check_given(utterance, manifest->path, err));
        S3R_TRY(s3r_language_list_insert(out, utterance->language, err));
    }
    if (out->count >= 2)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_DATA,
                    "%s: \"lang\": expected two languages or more to tell apart, found "
                    "\"%.80s\" alone",
                    manifest->path, out->names[0]);
}

s3r_status s3r_manifest_languages(s3r_language_list *out, const s3r_manifest *manifest,
                                  s3r_error *err)
{
    *out = (s3r_language_list){0};
    s3r_status status = collect(out, manifest, err);
    if (status != S3R_OK)
        s3r_language_list_release(out);
    return status;
}

s3r_status s3r_utterance_language(size_t *index, const s3r_utterance *utterance,
                                  const char *path, const s3r_language_list *known,
                                  s3r_error *err)
{
    char names[512];
    S3R_TRY(check_given(utterance, path, err));
    if (s3r_language_list_find(known, utterance->language, index))
        return S3R_OK;
    s3r_language_list_text(known, names, sizeof names);
    return s3r_fail(err, S3R_ERR_DATA,
                    "%s:%zu: \"lang\": expected one of the languages that are told apart "
                    "(%s), found \"%.80s\"",
                    path, utterance->line, names, utterance->language);
}
