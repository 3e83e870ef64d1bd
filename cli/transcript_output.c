/*
 * Formats by name, lines for stdout, files for a folder.
 */
#include "transcript_output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_error.h"
#include "line_text.h"

static size_t find_format(const char *name, size_t length)
{
    size_t format = 0;
    for (; format < S3R_TRANSCRIPT_COUNT; format++) {
        const char *known = s3r_transcript_format_name(format);
        if (strlen(known) == length && memcmp(known, name, length) == 0)
            break;
    }
    return format;
}

static s3r_status read_formats(s3r_transcript_output *out, const char *text,
                               size_t *count, s3r_error *err)
{
    *count = 0;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ","), format = find_format(at, length);
        bool is_all = length == 3 && strncmp(at, "all", 3) == 0;
        if (format == S3R_TRANSCRIPT_COUNT && !is_all)
            return s3r_cli_fail(err, S3R_ERR_USAGE,
                                "--format: expected txt, json, srt, vtt, tsv, ctm, "
                                "textgrid, stm and trn with commas, or all, found \"%s\"",
                                text);
        for (size_t i = 0; i < S3R_TRANSCRIPT_COUNT; i++)
            out->wants[i] = out->wants[i] || is_all || i == format;
        at += length;
        if (*at == '\0')
            break;
    }
    for (size_t i = 0; i < S3R_TRANSCRIPT_COUNT; i++) {
        *count += out->wants[i];
        if (out->wants[i])
            out->only = (s3r_transcript_format)i;
    }
    return S3R_OK;
}

static s3r_status check_outputs(const s3r_transcript_output *out,
                                const char *const *paths, const char *const *masks,
                                size_t count, s3r_error *err)
{
    s3r_status status = s3r_transcript_check_names(paths, masks, count, err);
    for (size_t i = 0; i < S3R_TRANSCRIPT_COUNT && status == S3R_OK; i++)
        if (out->wants[i] && out->options.keeps_files)
            status = s3r_transcript_check_new(out->folder, (s3r_transcript_format)i,
                                              paths, masks, count, err);
    return status;
}

s3r_status s3r_transcript_output_set(s3r_transcript_output *out,
                                     const s3r_transcript_verb_options *options,
                                     const char *const *paths, const char *const *masks,
                                     size_t path_count, bool is_list, bool has_masks,
                                     s3r_error *err)
{
    size_t count;
    *out = (s3r_transcript_output){.folder = options->folder,
                                   .has_path = path_count > 1 || is_list,
                                   .has_mask = has_masks};
    s3r_transcript_options_init(&out->options);
    out->options.line_width = options->line_width;
    out->options.max_lines = options->max_lines;
    out->options.max_cue_s = options->max_cue_s;
    out->options.min_cue_s = options->min_cue_s;
    out->options.pause_s = options->pause_s;
    out->options.keeps_files = !options->overwrites;
    s3r_status status = s3r_transcript_options_check(&out->options, err);
    if (status == S3R_OK)
        status = read_formats(out, options->formats, &count, err);
    if (status != S3R_OK)
        return status;
    if (!out->folder && count > 1)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--format %s: several formats go to files: expected -o DIR",
                            options->formats);
    if (!out->folder && (path_count > 1 || has_masks) &&
        !s3r_transcript_format_is_lines(out->only))
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--format %s: of several inputs or masks each has its own "
                            "file: expected -o DIR",
                            options->formats);
    if (!out->folder)
        return S3R_OK;
    if (find_format(out->folder, strlen(out->folder)) < S3R_TRANSCRIPT_COUNT)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "-o: expected a folder, found the format \"%s\" (--format %s "
                            "-o DIR; the folder of that name is ./%s)",
                            out->folder, out->folder, out->folder);
    return paths ? check_outputs(out, paths, masks, path_count, err) : S3R_OK;
}

/* The text alone, or path, tab and text, or path, tab, mask, tab and text.  NULL without
 * memory. */
static char *make_text_line(const s3r_transcript_output *output, const s3r_result *result)
{
    char *path = s3r_line_from_path(output->has_path ? result->path : ""), *line = NULL;
    char *mask = s3r_line_from_path(output->has_mask ? result->mask : "");
    char *text = s3r_line_from_text(result->text);
    if (path && mask && text) {
        size_t bytes = strlen(path) + strlen(mask) + strlen(text) + sizeof "\t\t\n";
        line = malloc(bytes);
        if (line)
            snprintf(line, bytes, "%s%s%s%s%s\n", path, output->has_path ? "\t" : "",
                     mask, output->has_mask ? "\t" : "", text);
    }
    free(path);
    free(mask);
    free(text);
    return line;
}

static s3r_status make_line(const s3r_transcript_output *output, const s3r_result *result,
                            char **line, s3r_error *err)
{
    char *text = NULL;
    if (result->status != S3R_OK && output->only != S3R_TRANSCRIPT_JSON)
        return S3R_OK;
    if (output->only == S3R_TRANSCRIPT_TXT) {
        *line = make_text_line(output, result);
    } else {
        s3r_status status =
            s3r_transcript_render(&text, result, output->only, &output->options, err);
        if (status != S3R_OK)
            return status;
        *line = malloc(strlen(text) + 1);
        if (*line)
            memcpy(*line, text, strlen(text) + 1);
        s3r_text_free(text);
    }
    if (!*line)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the results");
    return S3R_OK;
}

s3r_status s3r_transcript_output_line(void *context, const s3r_result *result,
                                      char **line, s3r_error *err)
{
    const s3r_transcript_output *output = context;
    if (!output->folder)
        return make_line(output, result, line, err);
    for (size_t i = 0; i < S3R_TRANSCRIPT_COUNT && result->status == S3R_OK; i++) {
        if (!output->wants[i])
            continue;
        s3r_status status = s3r_transcript_save(
            result, output->folder, (s3r_transcript_format)i, &output->options, err);
        if (status != S3R_OK)
            return status;
    }
    return S3R_OK;
}
