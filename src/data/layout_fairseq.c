/*
 * fairseq: SPLIT.tsv - the root folder, then "FILE<TAB>SAMPLES" lines - with one label
 * line for each file in SPLIT.wrd (words), SPLIT.ltr (letters, "|" behind each word) or
 * SPLIT.phn (phones). (spec 3.3)
 *
 * Words are preferred to letters, letters to phones; to have another choice, the source
 * is the label file itself.  Numbers of samples are compared with the audio, which is
 * measured anyway.
 */
#include <stdio.h>
#include <string.h>

#include "base/folder_list.h"
#include "data/layout_tools.h"
#include "data/layouts.h"

static const char *const label_endings[] = {".wrd", ".ltr", ".phn"};

/* "H E L L O | W O R L D |" to "HELLO WORLD", in place. */
static void join_letters(char *text)
{
    char *to = text;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '|')
            *to++ = ' ';
        else if (*at != ' ')
            *to++ = *at;
    }
    *to = '\0';
}

typedef struct pair_reader {
    s3r_corpus *corpus;
    s3r_line_reader files, labels;
    bool has_labels, are_letters;
    char *root;
    s3r_corpus_item base;
} pair_reader;

static s3r_status read_root(pair_reader *p, const char *tsv, s3r_error *err)
{
    bool has_line;
    S3R_TRY(s3r_line_reader_next(&p->files, &has_line, err));
    if (!has_line || p->files.length == 0 || strchr(p->files.text, '\t'))
        return s3r_fail(err, S3R_ERR_DATA,
                        "%s: line 1: expected the folder of the audio, found \"%.80s\"",
                        tsv, has_line ? p->files.text : "");
    if (p->files.text[0] == '/') {
        p->root = s3r_strdup(p->files.text);
    } else {
        char *folder = s3r_path_folder(tsv);
        p->root = folder ? s3r_path_join(folder, p->files.text) : NULL;
        s3r_free(folder);
    }
    return p->root ? S3R_OK : s3r_fail_memory(err, "a path", p->files.length);
}

static s3r_status add_pair(pair_reader *p, s3r_error *err)
{
    char *fields[2];
    double samples;
    size_t count = s3r_line_fields(p->files.text, '\t', fields, 2);
    if (count != 2 || fields[0][0] == '\0' || !s3r_parse_number(fields[1], &samples) ||
        samples < 0)
        return s3r_line_fail(&p->files, err,
                             "expected \"FILE<TAB>SAMPLES\", found \"%.80s\" and %zu "
                             "columns",
                             fields[0], count);
    s3r_corpus_item item = p->base;
    item.told_samples = samples;
    if (p->has_labels) {
        if (p->are_letters)
            join_letters(p->labels.text);
        item.utterance.text = p->labels.text;
    }
    return s3r_layout_add(p->corpus, &item, p->root, fields[0], err);
}

static s3r_status read_pairs(pair_reader *p, s3r_error *err)
{
    bool has_file = true, has_label = true;
    while (has_file) {
        S3R_TRY(s3r_line_reader_next(&p->files, &has_file, err));
        if (has_file && p->files.length == 0)
            continue;
        if (p->has_labels)
            S3R_TRY(s3r_line_reader_next(&p->labels, &has_label, err));
        if (p->has_labels && has_label != has_file && (has_file || p->labels.length > 0))
            return s3r_fail(err, S3R_ERR_DATA,
                            "%s: expected as many lines as %s has files, found %s than "
                            "%zu",
                            p->labels.path, p->files.path, has_file ? "fewer" : "more",
                            has_file ? p->files.line - 1 : p->labels.line - 1);
        if (has_file)
            S3R_TRY(add_pair(p, err));
    }
    return S3R_OK;
}

/* tsv and its labels (NULL: none). */
static s3r_status read_split(s3r_corpus *corpus, const s3r_corpus_request *request,
                             const char *tsv, const char *labels, s3r_error *err)
{
    char split[S3R_MAX_SPLIT_NAME];
    s3r_path_name(tsv, split, sizeof split);
    split[strcspn(split, ".")] = '\0';
    pair_reader p = {
        .corpus = corpus,
        .has_labels = labels != NULL,
        .are_letters = labels && s3r_path_ends(labels, ".ltr"),
        .base = {.utterance = {.duration_s = -1, .language = request->language},
                 .split = s3r_split_name(split),
                 .source = "fairseq"}};
    s3r_status status = s3r_line_reader_open(&p.files, tsv, err);
    if (status == S3R_OK && labels)
        status = s3r_line_reader_open(&p.labels, labels, err);
    if (status == S3R_OK)
        status = read_root(&p, tsv, err);
    if (status == S3R_OK)
        status = read_pairs(&p, err);
    s3r_line_reader_close(&p.files);
    s3r_line_reader_close(&p.labels);
    s3r_free(p.root);
    return status;
}

/* path with its ending (4 bytes) replaced; NULL without memory. */
static char *with_ending(const char *path, const char *ending)
{
    char *copy = s3r_strdup(path);
    if (copy)
        memcpy(copy + strlen(copy) - 4, ending, 4);
    return copy;
}

static s3r_status read_tsv(s3r_corpus *corpus, const s3r_corpus_request *request,
                           const char *tsv, s3r_error *err)
{
    char *labels = NULL;
    for (size_t i = 0; i < S3R_ARRAY_LEN(label_endings); i++) {
        labels = with_ending(tsv, label_endings[i]);
        if (!labels)
            return s3r_fail_memory(err, "a path", strlen(tsv));
        if (s3r_path_exists(labels))
            break;
        s3r_free(labels);
        labels = NULL;
    }
    s3r_status status = read_split(corpus, request, tsv, labels, err);
    s3r_free(labels);
    return status;
}

static s3r_status read_label_file(s3r_corpus *corpus, const s3r_corpus_request *request,
                                  s3r_error *err)
{
    char *tsv = with_ending(request->source, ".tsv");
    if (!tsv)
        return s3r_fail_memory(err, "a path", strlen(request->source));
    s3r_status status = read_split(corpus, request, tsv, request->source, err);
    s3r_free(tsv);
    return status;
}

static s3r_status read_fairseq(s3r_corpus *corpus, const s3r_corpus_request *request,
                               s3r_error *err)
{
    s3r_folder_list list = {0};
    const char *source = request->source;
    if (s3r_path_ends(source, ".tsv"))
        return read_tsv(corpus, request, source, err);
    for (size_t i = 0; i < S3R_ARRAY_LEN(label_endings); i++)
        if (s3r_path_ends(source, label_endings[i]))
            return read_label_file(corpus, request, err);
    S3R_TRY(s3r_layout_check_output(request, err));
    S3R_TRY(s3r_folder_list_read(&list, source, ".tsv", S3R_ERR_DATA, err));
    s3r_status status = S3R_OK;
    if (list.count == 0)
        status =
            s3r_fail(err, S3R_ERR_DATA, "%s: expected SPLIT.tsv, found none", source);
    for (size_t i = 0; status == S3R_OK && i < list.count; i++) {
        char *tsv = s3r_path_join(source, list.names[i]);
        status = tsv ? read_tsv(corpus, request, tsv, err)
                     : s3r_fail_memory(err, "a path", strlen(source));
        s3r_free(tsv);
    }
    s3r_folder_list_release(&list);
    return status;
}

const s3r_layout s3r_layout_fairseq = {
    .name = "fairseq",
    .summary = "fairseq: SPLIT.tsv with SPLIT.wrd, SPLIT.ltr or SPLIT.phn",
    .needs_source = true,
    .read = read_fairseq,
};
