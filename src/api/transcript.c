/*
 * The table of formats, and text made safe for all of them.
 */
#include "api/transcript_write.h"

#include <string.h>

#include "api/options_check.h"
#include "api/output_name.h"
#include "base/file.h"
#include "base/memory.h"
#include "text/unicode_text.h"

static const struct {
    const char *name, *extension;
    bool is_lines;   /* outputs may follow each other in one file */
    bool wants_cues; /* words as subtitles */
    s3r_transcript_write_fn write;
} formats[S3R_TRANSCRIPT_COUNT] = {
    {"txt", "txt", true, false, s3r_transcript_write_txt},
    {"json", "json", true, false, s3r_transcript_write_json},
    {"srt", "srt", false, true, s3r_transcript_write_srt},
    {"vtt", "vtt", false, true, s3r_transcript_write_vtt},
    {"tsv", "tsv", false, true, s3r_transcript_write_tsv},
    {"ctm", "ctm", true, false, s3r_transcript_write_ctm},
    {"textgrid", "TextGrid", false, false, s3r_transcript_write_textgrid},
    {"stm", "stm", true, true, s3r_transcript_write_stm},
    {"trn", "trn", true, false, s3r_transcript_write_trn},
};

const char *s3r_transcript_format_name(size_t format)
{
    return format < S3R_TRANSCRIPT_COUNT ? formats[format].name : NULL;
}

bool s3r_transcript_format_is_lines(size_t format)
{
    return format < S3R_TRANSCRIPT_COUNT && formats[format].is_lines;
}

void s3r_transcript_options_init(s3r_transcript_options *options)
{
    *options = (s3r_transcript_options){.struct_size = sizeof *options,
                                        .line_width = 42,
                                        .max_lines = 2,
                                        .max_cue_s = 7,
                                        .min_cue_s = 1,
                                        .pause_s = 0.6};
}

s3r_status s3r_transcript_options_check(const s3r_transcript_options *options,
                                        s3r_error *err)
{
    S3R_TRY(s3r_options_check_size("transcript options", sizeof *options,
                                   options ? options->struct_size : 0, err));
    if (options->line_width > 0 && options->max_lines > 0 && options->max_cue_s > 0 &&
        options->min_cue_s >= 0 && options->min_cue_s <= options->max_cue_s &&
        options->pause_s > 0)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_USAGE,
                    "subtitles: expected lines and their width above 0, a pause above "
                    "0 s, a longest time above 0 s and no less than the shortest; found "
                    "%zu, %zu, %g, %g and %g",
                    options->max_lines, options->line_width, options->pause_s,
                    options->max_cue_s, options->min_cue_s);
}

static char *name_of(const s3r_result *result)
{
    return result->name ? s3r_strdup(result->name) : s3r_output_name(result->path);
}

static s3r_status render(char **text, s3r_transcript_source *source,
                         s3r_transcript_format format,
                         const s3r_transcript_options *options, s3r_error *err)
{
    s3r_text_buffer out = {0};
    bool is_ok = source->result->status == S3R_OK;
    if (is_ok && formats[format].wants_cues)
        S3R_TRY(s3r_cues_make(&source->cues, source->result, options, err));
    if (is_ok || format == S3R_TRANSCRIPT_JSON)
        formats[format].write(&out, source);
    return s3r_buffer_take(&out, text, "a transcript", err);
}

s3r_status s3r_transcript_render(char **text, const s3r_result *result,
                                 s3r_transcript_format format,
                                 const s3r_transcript_options *options, s3r_error *err)
{
    s3r_transcript_options defaults;
    s3r_transcript_options_init(&defaults);
    options = options ? options : &defaults;
    S3R_TRY(s3r_transcript_options_check(options, err));
    if ((size_t)format >= S3R_TRANSCRIPT_COUNT)
        return s3r_fail(err, S3R_ERR_USAGE, "transcript: expected a format below %d",
                        (int)S3R_TRANSCRIPT_COUNT);
    char *name = name_of(result);
    if (!name)
        return s3r_fail_memory(err, "a name", strlen(result->path));
    s3r_transcript_source source = {.result = result,
                                    .id = result->id ? result->id : name};
    s3r_status status = render(text, &source, format, options, err);
    s3r_cues_release(&source.cues);
    s3r_free(name);
    return status;
}

void s3r_text_free(char *text)
{
    s3r_free(text);
}

static s3r_status output_file(char **path, const s3r_result *result, const char *folder,
                              s3r_transcript_format format, s3r_error *err)
{
    char *name = name_of(result);
    if (!name)
        return s3r_fail_memory(err, "a name", strlen(result->path));
    s3r_status status =
        s3r_output_file(path, folder, name, formats[format].extension, err);
    s3r_free(name);
    return status;
}

s3r_status s3r_transcript_save(const s3r_result *result, const char *folder,
                               s3r_transcript_format format,
                               const s3r_transcript_options *options, s3r_error *err)
{
    char *text = NULL, *path = NULL;
    S3R_TRY(s3r_transcript_render(&text, result, format, options, err));
    s3r_status status = output_file(&path, result, folder, format, err);
    if (status == S3R_OK && options && options->keeps_files)
        status = s3r_output_check_new(path, err);
    if (status == S3R_OK)
        status = s3r_folder_create(folder, err);
    if (status == S3R_OK)
        status = s3r_file_write_all(path, text, strlen(text), err);
    s3r_free(text);
    s3r_free(path);
    return status;
}

s3r_status s3r_transcript_check_names(const char *const *paths, const char *const *masks,
                                      size_t count, s3r_error *err)
{
    return s3r_output_names_check(paths, masks, count, "", err);
}

/* ---- text ---- */

void s3r_transcript_add_text(s3r_text_buffer *out, const char *text, size_t length,
                             bool keeps_controls)
{
    for (const char *at = text, *end = text + length; at < end;) {
        const char *start = at;
        int32_t character = s3r_character_next(&at);
        if (character == 0)
            return;
        if (character < 0)
            s3r_buffer_add_string(out, "\xef\xbf\xbd");
        else if (!keeps_controls && (character < 0x20 || character == 0x7f))
            s3r_buffer_add_bytes(out, " ", 1);
        else
            s3r_buffer_add_bytes(out, start, (size_t)(at - start));
    }
}

void s3r_transcript_write_txt(s3r_text_buffer *out, const s3r_transcript_source *source)
{
    const char *text = source->result->text ? source->result->text : "";
    s3r_transcript_add_text(out, text, strlen(text), false);
    s3r_buffer_add_string(out, "\n");
}

s3r_status s3r_transcript_check_new(const char *folder, s3r_transcript_format format,
                                    const char *const *paths, const char *const *masks,
                                    size_t count, s3r_error *err)
{
    if ((size_t)format >= S3R_TRANSCRIPT_COUNT)
        return s3r_fail(err, S3R_ERR_USAGE, "transcript: expected a format below %d",
                        (int)S3R_TRANSCRIPT_COUNT);
    return s3r_output_names_check_new(paths, masks, count, folder,
                                      formats[format].extension, err);
}
