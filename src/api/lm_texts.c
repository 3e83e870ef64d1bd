/*
 * By the name: manifests, or text.
 */
#include "api/lm_texts.h"

#include <stdio.h>
#include <string.h>

#include "data/manifest.h"
#include "text/line_stream.h"
#include "text/plain_text.h"

typedef struct reader {
    const s3r_lm_text_options *options;
    s3r_sentence_fn take;
    void *context;
    s3r_arena arena; /* of a sentence */
} reader;

static s3r_text_case case_of(const s3r_lm_text_options *options)
{
    static const s3r_text_case cases[] = {S3R_CASE_KEEP, S3R_CASE_LOWER, S3R_CASE_UPPER};
    return cases[options->text_case];
}

static s3r_status take_sentence(reader *r, const char *sentence, s3r_error *err)
{
    char *text;
    bool is_kept =
        !r->options || (!r->options->is_plain && r->options->text_case == S3R_LM_KEEP);
    if (is_kept)
        return r->take(r->context, sentence, err);
    s3r_arena_rewind(&r->arena, (s3r_arena_mark){0});
    if (r->options->is_plain) {
        const s3r_plain_text_options plain = {.text_case = case_of(r->options),
                                              .keeps_hyphens = true};
        S3R_TRY(s3r_text_make_plain(&text, &r->arena, sentence, &plain, err));
    } else {
        S3R_TRY(s3r_text_normalize(&text, &r->arena, sentence, case_of(r->options), err));
    }
    return r->take(r->context, text, err);
}

static s3r_status fail_place(s3r_status status, const char *path, size_t line,
                             s3r_error *err)
{
    char place[4096 + 32];
    snprintf(place, sizeof place, "%s: line %zu", path, line);
    return s3r_fail_prefix(err, status, place);
}

static s3r_status read_manifest(reader *r, const char *path, s3r_error *err)
{
    s3r_manifest manifest;
    S3R_TRY(s3r_manifest_open(&manifest, path, err));
    s3r_status status = S3R_OK;
    for (size_t i = 0; status == S3R_OK && i < manifest.count; i++) {
        const s3r_utterance *item = &manifest.items[i];
        if (item->text)
            status = fail_place(take_sentence(r, item->text, err), path, item->line, err);
    }
    s3r_manifest_close(&manifest);
    return status;
}

static s3r_status read_text(reader *r, const char *path, s3r_error *err)
{
    s3r_line_stream lines;
    bool has_line = true;
    S3R_TRY(s3r_line_stream_open(&lines, path, err));
    s3r_status status = S3R_OK;
    while (status == S3R_OK) {
        status = s3r_line_stream_next(&lines, &has_line, err);
        if (status != S3R_OK || !has_line)
            break;
        status =
            fail_place(take_sentence(r, lines.text, err), lines.path, lines.line, err);
    }
    s3r_line_stream_close(&lines);
    return status;
}

static bool is_manifest(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && strcmp(dot, ".jsonl") == 0;
}

s3r_status s3r_lm_texts_read(const char *const *paths, size_t count,
                             const s3r_lm_text_options *options, s3r_sentence_fn take,
                             void *context, s3r_error *err)
{
    reader r = {.options = options, .take = take, .context = context};
    s3r_status status = S3R_OK;
    if (count == 0)
        return s3r_fail(err, S3R_ERR_USAGE, "expected texts, found none");
    if (options && (size_t)options->text_case > S3R_LM_UPPER)
        return s3r_fail(err, S3R_ERR_USAGE, "texts: no such case");
    s3r_arena_init(&r.arena, 1u << 16);
    for (size_t i = 0; status == S3R_OK && i < count; i++)
        status = is_manifest(paths[i]) ? read_manifest(&r, paths[i], err)
                                       : read_text(&r, paths[i], err);
    s3r_arena_release(&r.arena);
    return status;
}
