/*
 * s3r transcribe: audio files in; a line of text a file out, or subtitles and word times.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "audio_run.h"
#include "decode_options.h"
#include "stream_run.h"
#include "transcript_output.h"

typedef struct transcribe_options {
    s3r_audio_verb_options audio; /* first: audio_option_list.h counts on it */
    s3r_transcript_verb_options transcript;
    const char *emissions;
    double temperature;
    bool is_voice_only;
    bool is_by_segment;
    bool is_stream;
    double chunk_s, left_s, right_s;
    s3r_decode_choice decode;
} transcribe_options;

#define S3R_DECODE_OFFSET(member) offsetof(transcribe_options, decode.member)

/* --stream has its own inputs and outputs. */
static s3r_status check_stream(const s3r_command *command, s3r_error *err)
{
    const transcribe_options *options = command->options;
    bool is_stdin =
        command->positional_count == 0 ||
        (command->positional_count == 1 && strcmp(command->positionals[0], "-") == 0);
    if (!is_stdin || options->audio.files_from)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--stream: reads standard input and no files");
    if (options->transcript.folder || options->emissions || options->is_voice_only ||
        options->is_by_segment)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--stream: goes to standard output, without -o, --emissions, "
                            "--vad and --by-segment");
    if (s3r_decode_is_wanted(&options->decode))
        return s3r_cli_fail(
            err, S3R_ERR_USAGE,
            "--stream: expected no --lm, --lexicon, --hot-words, --beam and "
            "--nbest, which look at a whole recording");
    if (strcmp(options->transcript.formats, "txt") != 0 &&
        strcmp(options->transcript.formats, "json") != 0)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--stream: expected --format txt or json, found \"%s\"",
                            options->transcript.formats);
    return S3R_OK;
}

static s3r_status run_stream(const s3r_command *command, s3r_error *err)
{
    const transcribe_options *options = command->options;
    s3r_session_options session_options = s3r_audio_verb_session(&options->audio);
    s3r_session session;
    s3r_stream_run_options stream = {.is_json =
                                         strcmp(options->transcript.formats, "json") == 0,
                                     .pause_s = options->transcript.pause_s};
    s3r_stream_options_init(&stream.library);
    stream.library.chunk_s = options->chunk_s;
    stream.library.left_s = options->left_s;
    stream.library.right_s = options->right_s;
    stream.library.temperature = options->temperature;
    s3r_status status = check_stream(command, err);
    if (status == S3R_OK)
        status = s3r_audio_verb_check(&options->audio, err);
    stream.library.sample_rate_hz = (uint32_t)options->audio.raw_rate_hz;
    if (status == S3R_OK)
        status = s3r_session_open(&session, command, &session_options, err);
    if (status != S3R_OK)
        return status;
    status = s3r_stream_run(&session, &stream, err);
    s3r_session_close(&session);
    return status;
}

/* The masks of each path, as its request has them. */
static s3r_status resolve_masks(s3r_session *session, s3r_path_list *paths,
                                bool is_by_segment, s3r_error *err)
{
    s3r_status status = S3R_OK;
    const char *usual = NULL;
    if (!paths->masks)
        paths->masks = calloc(paths->count, sizeof *paths->masks);
    if (!paths->masks)
        return s3r_cli_fail(err, S3R_ERR_RESOURCE, "no memory for the masks");
    for (size_t i = 0; status == S3R_OK && i < paths->count; i++) {
        if (paths->masks[i])
            status = s3r_mask_choices_resolve(&session->choices, paths->masks[i],
                                              is_by_segment, &paths->masks[i], err);
        else if (!usual)
            status = s3r_mask_choices_resolve(&session->choices, session->several,
                                              is_by_segment, &usual, err);
        if (!paths->masks[i])
            paths->masks[i] = usual;
    }
    return status;
}

static s3r_status run_transcribe(const s3r_command *command, s3r_error *err)
{
    const transcribe_options *options = command->options;
    s3r_session_options session_options = s3r_audio_verb_session(&options->audio);
    s3r_session session = {0};
    s3r_path_list paths;
    s3r_transcript_output output;
    if (options->temperature <= 0)
        return s3r_cli_fail(err, S3R_ERR_USAGE,
                            "--temperature: expected a number above 0, found %g",
                            options->temperature);
    if (options->is_by_segment && !options->audio.masks)
        return s3r_cli_fail(err, S3R_ERR_USAGE, "--by-segment: expected --masks");
    if (options->is_stream)
        return run_stream(command, err);
    s3r_status status =
        s3r_path_list_make(&paths, command, options->audio.files_from, err);
    if (status == S3R_OK && options->audio.masks)
        status = s3r_path_list_part_masks(&paths, command, err);
    session_options.allows_several = true;
    session_options.is_by_file = paths.masks != NULL;
    session_options.is_by_segment = options->is_by_segment;
    if (status == S3R_OK)
        status = s3r_session_open(&session, command, &session_options, err);
    if (status == S3R_OK && session.several)
        status = resolve_masks(&session, &paths, options->is_by_segment, err);
    if (status == S3R_OK)
        status = s3r_transcript_output_set(&output, &options->transcript, paths.items,
                                           options->is_by_segment ? NULL : paths.masks,
                                           paths.count, options->audio.files_from,
                                           session.several != NULL, err);
    s3r_audio_job job = {
        .label = "transcribing",
        .emissions_folder = options->emissions,
        .layer = S3R_LAYER_LAST,
        .temperature = options->temperature,
        .is_voice_only = options->is_voice_only,
        .is_by_segment = options->is_by_segment,
        .line = s3r_transcript_output_line,
        .line_context = &output,
    };
    s3r_decoder *decoder = NULL;
    if (status == S3R_OK && options->decode.nbest > 1 &&
        !strstr(options->transcript.formats, "json") &&
        strcmp(options->transcript.formats, "all") != 0)
        status = s3r_cli_fail(err, S3R_ERR_USAGE,
                              "--nbest: more than one text needs --format json");
    if (status == S3R_OK && session.several && s3r_decode_is_wanted(&options->decode))
        status = s3r_cli_fail(err, S3R_ERR_USAGE,
                              "--language %s: expected one mask with --lm, --lexicon, "
                              "--hot-words, --beam and --nbest",
                              session.several);
    if (status == S3R_OK)
        status = s3r_decode_choice_open(&decoder, &options->decode, session.model,
                                        command->terminal, err);
    job.decoder = decoder;
    if (status == S3R_OK)
        status = s3r_audio_run(command, &session, &options->audio, &paths, &job, err);
    s3r_decoder_close(decoder);
    s3r_session_close(&session);
    s3r_path_list_release(&paths);
    return status;
}

static const s3r_option option_table[] = {
#define S3R_VERB_OPTIONS   transcribe_options
#define S3R_DEFAULT_FORMAT "txt"
#include "transcript_option_list.h"
    {.name = "emissions",
     .type = S3R_OPTION_STRING,
     .offset = offsetof(transcribe_options, emissions),
     .argument = "DIR",
     .help = "Also write the log-probabilities of NAME.wav as DIR/NAME.npy, float32 "
             "[frames, labels]."},
#include "decode_option_list.h"
    {.name = "nbest",
     .type = S3R_OPTION_SIZE,
     .offset = S3R_DECODE_OFFSET(nbest),
     .argument = "N",
     .fallback = "1",
     .help = "Texts that JSON has of each file, the best first."},
    {.name = "vad",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(transcribe_options, is_voice_only),
     .help = "Write nothing where nobody speaks, to go by the sound: silence, noise, "
             "tones. JSON has the segments of speech."},
    {.name = "by-segment",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(transcribe_options, is_by_segment),
     .help = "With --masks: one text, each stretch of speech in the mask that is surest "
             "there, for recordings that change their language."},
    {.name = "stream",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(transcribe_options, is_stream),
     .help = "Transcribe raw samples from standard input as they come, at most --chunk "
             "and --right behind them."},
    {.name = "chunk",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(transcribe_options, chunk_s),
     .argument = "SECONDS",
     .fallback = "1",
     .help = "With --stream: audio that is transcribed at once."},
    {.name = "left",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(transcribe_options, left_s),
     .argument = "SECONDS",
     .fallback = "8",
     .help = "With --stream: audio that is heard before a chunk."},
    {.name = "right",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(transcribe_options, right_s),
     .argument = "SECONDS",
     .fallback = "1",
     .help = "With --stream: audio that is heard behind a chunk."},
    {.name = "temperature",
     .type = S3R_OPTION_DOUBLE,
     .offset = offsetof(transcribe_options, temperature),
     .argument = "T",
     .fallback = "1",
     .help = "Of the probabilities that confidences are made of: what s3r calibrate "
             "found. The text does not depend on it."},
#define S3R_LANGUAGE_LETTER 'l'
#define S3R_LANGUAGE_HELP                                                                \
    "With --masks: the mask of that name, or the one of that language; several with "    \
    "commas, or all: a text each; auto: of the language that a mask of the task lid "    \
    "hears, without one the surest; auto:cs,nl: of these. Without "                      \
    "--masks: of a multilingual vocabulary, as in \"deu\"."
#include "audio_option_list.h"
};

static const char *const example[] = {
    "s3r transcribe -m wav2vec2-base-960h talk.flac",
    "s3r transcribe --mask french.s3m --format srt,vtt,json -o subtitles film.mp4",
    "s3r transcribe -m model --format json --emissions out *.wav",
    "s3r transcribe -M masks -l cs radio.flac",
    "s3r transcribe -M masks -l auto --files-from list.txt",
    "arecord -f S16_LE -r 16000 -t raw | s3r transcribe -m model --stream",
    NULL};

const s3r_verb s3r_verb_transcribe = {
    .name = "transcribe",
    .summary = "Turn audio files into text",
    .description =
        "Greedy CTC: the best label of each frame, repeats merged, blanks removed; or, "
        "with a language model, a lexicon, hot words or a beam, the best text that a "
        "search finds (docs/decoding.md). Prints one line a file in the order of the "
        "files: the text alone for one file, path, "
        "tab and text for several or with --files-from. Control characters in a path are "
        "printed as \\n, \\t, \\xHH, a backslash as \\\\."
        "\n\n"
        "A folder of mask files, --masks, is one backbone in many languages. Where "
        "--language says more than one name, the name of the mask and a tab stand before "
        "each text, outputs are named NAME.MASK.FORMAT, and masks that cannot be opened "
        "are named and left out (exit code 6). A line of --files-from may end in a tab "
        "and "
        "what --language would be for that file."
        "\n\n"
        "Subtitles, word times and transcripts for other programs: --format. Several "
        "formats, or subtitles of several files, are written to the folder of -o."
        "\n\n"
        "Files that fail are named on standard error and have no line of text (in JSON a "
        "line with \"error\"); the others are done, and the exit code is 6. When all "
        "files "
        "fail it is that of the first failure. After Ctrl-C the results so far are "
        "printed.",
    .usage = "[-m MODEL] FILE...",
    .positionals =
        {{"FILE", NULL,
          "Audio or video; - is standard input: a file, or raw samples (16 bit "
          "little-endian, mono)."}},
    .max_positionals = SIZE_MAX,
    .options = option_table,
    .option_count = sizeof option_table / sizeof option_table[0],
    .options_size = sizeof(transcribe_options),
    .example = example,
    .run = run_transcribe,
};
