/*
 * Times the language model and the beam search, with emissions made from a text:
 *
 *   decode_bench LM TEXT [SECONDS [BEAM]]
 *
 * LM is a model of words; its words are the lexicon.  TEXT has a sentence a line.  An
 * emission is a spelled sentence at 14 letters and 50 frames a second: a letter takes one
 * or two frames and blanks the rest, each frame with noise on its logits, which makes
 * about one greedy letter in ten wrong.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "decode/beam_search.h"
#include "text/line_stream.h"

#define LABELS      29u /* blank, delimiter, apostrophe, a to z */
#define FRAME_RATE  50.0
#define LETTER_RATE 14.0

static double processor_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double wall_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* MiB that the program holds from malloc; what is mapped from files does not count. */
static double held_mib(void)
{
    struct mallinfo2 info = mallinfo2();
    return (double)(info.uordblks + info.hblkhd) / (1024 * 1024);
}

static void die(const char *what, const s3r_error *err)
{
    fprintf(stderr, "decode_bench: %s: %s\n", what, err->message);
    exit(1);
}

static char label_texts[LABELS][2];
static char *labels[LABELS];
static bool special[LABELS];
static char path[] = "bench", space[] = " ";

static s3r_vocabulary make_vocabulary(void)
{
    for (size_t i = 0; i < LABELS; i++) {
        label_texts[i][0] = i > 2 ? (char)('a' + (int)i - 3) : "_|'"[i];
        labels[i] = label_texts[i];
    }
    special[0] = true;
    return (s3r_vocabulary){.path = path,
                            .count = LABELS,
                            .labels = labels,
                            .printed = labels,
                            .is_special = special,
                            .delimiter_id = 1,
                            .unknown_id = S3R_NO_LABEL,
                            .delimiter_text = space};
}

static uint32_t label_of(char c)
{
    return c == ' ' ? 1 : c == '\'' ? 2 : (uint32_t)(c - 'a') + 3;
}

/* ---- the language model ---- */

static void time_queries(const s3r_lm *lm, const char *text)
{
    s3r_line_stream lines;
    s3r_error err;
    bool has_line = true;
    size_t count = 0, capacity = 1u << 22, length;
    uint32_t *words = malloc(capacity * sizeof *words);
    if (!words || s3r_line_stream_open(&lines, text, &err) != S3R_OK)
        die(text, &err);
    while (s3r_line_stream_next(&lines, &has_line, &err) == S3R_OK && has_line) {
        for (char *at = lines.text, *word; (word = s3r_next_word(&at, &length));)
            if (count + 1 < capacity)
                words[count++] = s3r_lm_find(lm, word, length);
        if (count + 1 < capacity)
            words[count++] = lm->end_word;
    }
    s3r_line_stream_close(&lines);
    double best = INFINITY, sum = 0;
    for (size_t round = 0; round < 5; round++) {
        double start = processor_s();
        s3r_lm_state state = s3r_lm_begin(lm);
        sum = 0;
        for (size_t i = 0; i < count; i++) {
            sum += (double)s3r_lm_word_score(lm, &state, words[i], &state);
            if (words[i] == lm->end_word)
                state = s3r_lm_begin(lm);
        }
        best = fmin(best, processor_s() - start);
    }
    printf("queries: %.2f million a second (%zu words, perplexity %.1f)\n",
           1e-6 * (double)count / best, count, pow(10, -sum / (double)count));
    free(words);
}

/* ---- the search ---- */

typedef struct emissions {
    float *rows;
    size_t frames, capacity;
    size_t letters, wrong; /* frames of letters, and those where greedy is wrong */
    double entropy;        /* sum of nats */
} emissions;

static void put_frame(emissions *e, s3r_random *random, uint32_t label)
{
    double logits[LABELS], sum = 0;
    uint32_t best = 0;
    for (uint32_t i = 0; i < LABELS; i++) {
        logits[i] =
            1.5 * s3r_random_normal(random) + (i == label ? 6.0 : 0) + (i == 0 ? 2.0 : 0);
        sum += exp(logits[i]);
        best = logits[i] > logits[best] ? i : best;
    }
    for (uint32_t i = 0; i < LABELS; i++) {
        double log_prob = logits[i] - log(sum);
        e->entropy -= exp(log_prob) * log_prob;
        e->rows[e->frames * LABELS + i] = (float)log_prob;
    }
    e->letters += label != 0;
    e->wrong += label != 0 && best != label;
    e->frames++;
}

static void put_sentence(emissions *e, s3r_random *random, const char *text)
{
    double due = 0;
    for (const char *at = text; *at && e->frames + 16 < e->capacity; at++) {
        uint32_t label = label_of(*at);
        if (label >= LABELS)
            continue;
        due += FRAME_RATE / LETTER_RATE;
        put_frame(e, random, label);
        due -= 1;
        if (due >= 1 && s3r_random_below(random, 2) == 0) {
            put_frame(e, random, label);
            due -= 1;
        }
        for (; due >= 1; due -= 1)
            put_frame(e, random, 0);
    }
    if (e->frames + 16 < e->capacity)
        put_frame(e, random, 1);
}

static void make_emissions(emissions *e, const char *text, double seconds)
{
    s3r_line_stream lines;
    s3r_random random;
    s3r_error err;
    bool has_line = true;
    *e = (emissions){.capacity = (size_t)(seconds * FRAME_RATE)};
    e->rows = malloc(e->capacity * LABELS * sizeof *e->rows);
    s3r_random_init(&random, 1, 0);
    if (!e->rows || s3r_line_stream_open(&lines, text, &err) != S3R_OK)
        die(text, &err);
    while (e->frames + 16 < e->capacity &&
           s3r_line_stream_next(&lines, &has_line, &err) == S3R_OK && has_line)
        put_sentence(e, &random, lines.text);
    s3r_line_stream_close(&lines);
}

static void make_lexicon(s3r_lexicon *lexicon, const s3r_lm *lm,
                         const s3r_vocabulary *vocabulary)
{
    s3r_error err;
    bool is_spelled;
    for (uint32_t i = 0; i < lm->word_count; i++)
        if (s3r_lexicon_add(lexicon, s3r_lm_word(lm, i), vocabulary, &is_spelled, &err) !=
            S3R_OK)
            die("lexicon", &err);
    if (s3r_lexicon_finish(lexicon, &err) != S3R_OK)
        die("lexicon", &err);
}

static void time_search(const s3r_search *search, const emissions *e)
{
    s3r_decodings found;
    s3r_beam *beam;
    s3r_error err;
    double best = INFINITY, most_mib = 0, before = held_mib();
    for (size_t round = 0; round < 3; round++) {
        double start = processor_s();
        if (s3r_beam_create(&beam, search, &err) != S3R_OK ||
            s3r_beam_add(beam, e->rows, e->frames, LABELS, &err) != S3R_OK ||
            s3r_beam_finish(beam, 1, &found, &err) != S3R_OK)
            die("search", &err);
        best = fmin(best, processor_s() - start);
        most_mib = fmax(most_mib, held_mib() - before); /* with the text */
        if (round == 0)
            printf("text: %.100s...\n", found.items[0].text);
        s3r_decodings_release(&found);
        s3r_beam_destroy(beam);
    }
    double seconds = (double)e->frames / FRAME_RATE;
    printf("search: %.1f s of emissions in %.3f s: %.0f times faster than real time; "
           "%.1f MiB\n",
           seconds, best, seconds / best, most_mib);
}

int main(int argc, char **argv)
{
    s3r_lm lm;
    s3r_error err;
    s3r_lexicon lexicon = {0};
    emissions e;
    s3r_vocabulary vocabulary = make_vocabulary();
    if (argc < 3) {
        fprintf(stderr, "usage: decode_bench LM TEXT [SECONDS [BEAM]]\n");
        return 2;
    }
    double start = wall_s();
    if (s3r_lm_open(&lm, argv[1], &err) != S3R_OK)
        die(argv[1], &err);
    printf("open: %.2f ms, order %zu, %u words\n", 1e3 * (wall_s() - start), lm.order,
           lm.word_count);
    time_queries(&lm, argv[2]);
    make_emissions(&e, argv[2], argc > 3 ? atof(argv[3]) : 120);
    printf("emissions: %.2f nats a frame, %.1f %% of the letters' frames wrong\n",
           e.entropy / (double)e.frames, 100 * (double)e.wrong / (double)e.letters);
    double before = held_mib();
    start = processor_s();
    make_lexicon(&lexicon, &lm, &vocabulary);
    s3r_search search = {.vocabulary = &vocabulary, .lm = &lm, .lexicon = &lexicon};
    s3r_search_options_init(&search.options);
    if (argc > 4)
        search.options.beam = strtoul(argv[4], NULL, 10);
    if (s3r_search_prepare(&search, &err) != S3R_OK)
        die("search", &err);
    printf("lexicon: %zu words, %zu nodes in %.2f s, %.1f MiB\n", lexicon.words.count,
           lexicon.node_count, processor_s() - start, held_mib() - before);
    time_search(&search, &e);
    s3r_search_release(&search);
    s3r_lexicon_release(&lexicon);
    s3r_lm_close(&lm);
    free(e.rows);
    return 0;
}
