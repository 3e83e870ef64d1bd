/*
 * s3r features: audio files in, hidden states as .npy out.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio_run.h"

typedef struct features_options {
    s3r_audio_verb_options audio; /* first: audio_option_list.h counts on it */
    const char *layer;
    const char *out;
} features_options;

/* "last", "all" or a number that the library checks against the model. */
static s3r_status read_layer(int *layer, const char *text, s3r_error *err)
{
    char *end = NULL;
    if (strcmp(text, "last") == 0) {
        *layer = S3R_LAYER_LAST;
        return S3R_OK;
    }
    if (strcmp(text, "all") == 0) {
        *layer = S3R_LAYER_ALL;
        return S3R_OK;
    }
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 0 || value > 1000000)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--layer: expected a number, last or all, found \"%s\"",
                            text);
    *layer = (int)value;
    return S3R_OK;
}

/* Files have no line on stdout: what they give is in their .npy. */
static s3r_status count_frames(void *context, const s3r_result *result, char **line,
                               s3r_error *err)
{
    size_t *frames = context;
    (void)line;
    (void)err;
    *frames += result->status == S3R_OK ? result->frame_count : 0;
    return S3R_OK;
}

static s3r_status run_features(const s3r_command *command, s3r_error *err)
{
    const features_options *options = command->options;
    s3r_session_options session_options = s3r_audio_verb_session(&options->audio);
    s3r_session session = {0};
    s3r_path_list paths = {0};
    size_t frames = 0;
    s3r_audio_job job = {
        .label = "encoding",
        .features_folder = options->out,
        .line = count_frames,
        .line_context = &frames,
    };
    if (!options->out)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "features: expected -o DIR (see s3r help features)");
    s3r_status status = read_layer(&job.layer, options->layer, err);
    if (status != S3R_OK)
        return status;
    status = s3r_path_list_make(&paths, command, options->audio.files_from, err);
    if (status == S3R_OK)
        status = s3r_session_open(&session, command, &session_options, err);
    if (status == S3R_OK)
        status = s3r_audio_run(command, &session, &options->audio, &paths, &job, err);
    if (status == S3R_OK)
        s3r_print_note(command->terminal, "%zu files, %zu frames in %s", paths.count,
                       frames, options->out);
    s3r_session_close(&session);
    s3r_path_list_release(&paths);
    return status;
}

static const s3r_option option_table[] = {
    {.name = "out",
     .letter = 'o',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(features_options, out),
     .argument = "DIR",
     .help = "Where the files go; made when it is not there."},
    {.name = "layer",
     .letter = 'l',
     .type = S3R_OPTION_STRING,
     .offset = offsetof(features_options, layer),
     .argument = "LAYER",
     .suggested = "last|all",
     .fallback = "last",
     .help = "The hidden state: a number from 0 (before the first block), last or all."},
#define S3R_LANGUAGE_LETTER 0 /* -l is the layer */
#define S3R_LANGUAGE_HELP                                                                \
    "The language of a multilingual vocabulary, as in \"deu\"; with --masks the mask "   \
    "of "                                                                                \
    "that name, or the one of that language."
#include "audio_option_list.h"
};

static const char *const example[] = {
    "s3r features -m hubert-base-ls960 -o features *.flac",
    "s3r features -m model --layer all -o features --files-from list.txt", NULL};

const s3r_verb s3r_verb_features = {
    .name = "features",
    .summary = "Write the hidden states of audio files",
    .description =
        "Writes the hidden states of NAME.wav as DIR/NAME.npy, float32 [frames, width]. "
        "Layer 0 is the input of the first block, layer N the output of block N. With "
        "--layer all each layer has its file, DIR/NAME.LAYER.npy. Nothing is printed on "
        "standard output."
        "\n\n"
        "Files that fail are named on standard error; the others are done, and the exit "
        "code is 6. When all files fail it is that of the first failure.",
    .usage = "[-m MODEL] -o DIR FILE...",
    .positionals =
        {{"FILE", NULL,
          "Audio or video; - is standard input: a file, or raw samples (16 bit "
          "little-endian, mono)."}},
    .max_positionals = SIZE_MAX,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(features_options),
    .example = example,
    .run = run_features,
};
