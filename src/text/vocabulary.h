/*
 * The labels of a CTC head: which row means what, and how rows become text.
 *
 * Two sources are understood, searched in this order in a checkpoint's folder:
 *   Hugging Face  vocab.json {label: id}, or {language: {label: id}} as in MMS; extended
 *                 by added_tokens.json, tokenizer_config.json, special_tokens_map.json
 *   fairseq       dict.ltr.txt, dict.phn.txt or the only dict.*.txt: a line "LABEL COUNT"
 *                 each, after the four special labels <s> <pad> </s> <unk>
 *
 * Text is made as the makers of these files make it: repeats merge, blanks vanish, the
 * word delimiter becomes a space, the ends are trimmed.  (spec 2.7, 2.13, 3.3, 3.4)
 */
#ifndef S3R_TEXT_VOCABULARY_H
#define S3R_TEXT_VOCABULARY_H

#include <jansson.h>

#include "base/error.h"
#include "base/text_buffer.h"

#define S3R_NO_LABEL UINT32_MAX

/* Read it freely; only the functions below write it. */
typedef struct s3r_vocabulary {
    char *path;       /* the file that the labels come from, for messages */
    size_t count;     /* labels have ids 0 .. count - 1 */
    char **labels;    /* [count] as in the file; UTF-8 */
    char **printed;   /* [count] what decoding writes; NULL: never printed */
    bool *is_special; /* [count] <s>, </s>, <unk>, the padding label and the like */
    uint32_t blank_id;
    uint32_t delimiter_id;     /* between words; S3R_NO_LABEL when there is none */
    uint32_t unknown_id;       /* S3R_NO_LABEL when there is none */
    char *delimiter_text;      /* printed for the delimiter, usually " " */
    bool is_lower_case_output; /* do_lower_case: the output is lower-cased */
    bool is_phonemes;          /* labels are printed with spaces between */
} s3r_vocabulary;

/* Whether the folder has a file that s3r_vocabulary_open would read. */
bool s3r_vocabulary_exists(const char *folder);

/*
 * Opens the vocabulary of the checkpoint in `folder`.
 *
 *   config           the checkpoint's config.json, borrowed, or NULL; its pad_token_id is
 *                    the blank.  Without one the padding label is (pad_token, [PAD],
 *                    <pad>); for a fairseq dictionary it is always 0.
 *   target_language  one key of an MMS vocab.json; NULL for any other vocabulary
 *
 * S3R_ERR_MODEL: no vocabulary, unreadable, ids repeated, negative or with holes, no
 * blank.  S3R_ERR_USAGE: a language is needed, unknown (the message lists all) or given
 * for a vocabulary that has none.  S3R_ERR_RESOURCE.  *out is empty after a failure.
 */
s3r_status s3r_vocabulary_open(s3r_vocabulary *out, const char *folder,
                               const json_t *config, const char *target_language,
                               s3r_error *err);
/* An empty (zeroed) vocabulary is allowed. */
void s3r_vocabulary_close(s3r_vocabulary *vocabulary);

/* The id of a label, S3R_NO_LABEL when it is absent. */
uint32_t s3r_vocabulary_find(const s3r_vocabulary *vocabulary, const char *label);

/*
 * Does the vocabulary fit a head of head_rows outputs?  S3R_ERR_MODEL when rows have no
 * label or labels have no row.  Special labels beyond the head are fine: tokenizers add
 * <s> and </s> after the letters without the head knowing.
 */
s3r_status s3r_vocabulary_check_head(const s3r_vocabulary *vocabulary, size_t head_rows,
                                     s3r_error *err);

/* One printed label and the frames [start_frame, end_frame) that gave it. */
typedef struct s3r_label_span {
    uint32_t label;
    size_t start_frame;
    size_t end_frame;
} s3r_label_span;

/*
 * Greedy CTC: runs of one id become one label, then blanks and special labels are left
 * out.  Word delimiters are kept.
 *
 *   spans  [frame_count] at most; receives the kept labels in order
 *   ids    [frame_count] the best id of each frame
 *
 * Returns the number of spans.  Ids beyond the vocabulary are left out.  Thread-safe.
 */
size_t s3r_vocabulary_collapse(const s3r_vocabulary *vocabulary, s3r_label_span *spans,
                               const uint32_t *ids, size_t frame_count);

/* The text of spans that are already collapsed, in a new string (s3r_free), trimmed of
 * white space at both ends.  S3R_ERR_RESOURCE.  Thread-safe. */
s3r_status s3r_vocabulary_text(const s3r_vocabulary *vocabulary, char **text,
                               const s3r_label_span *spans, size_t span_count,
                               s3r_error *err);

/* A word: spans [first_span, first_span + span_count) of the list it was made from, and
 * the frames from the first one's start to the last one's end. */
typedef struct s3r_word_span {
    const char *text; /* as the text has it, trimmed, never empty; the list's */
    size_t first_span, span_count;
    size_t start_frame, end_frame;
} s3r_word_span;

typedef struct s3r_word_list {
    s3r_word_span *items;
    size_t count;
    char *text; /* of all words */
} s3r_word_list;

/*
 * The words of spans, wherever these come from: greedy decoding, a beam search, an
 * alignment.  Words are parted by the delimiter and by labels that are printed as white
 * space; with neither, all spans are one word.  Release *out in any case.
 * S3R_ERR_RESOURCE.  Thread-safe.
 */
s3r_status s3r_vocabulary_words(const s3r_vocabulary *vocabulary, s3r_word_list *out,
                                const s3r_label_span *spans, size_t span_count,
                                s3r_error *err);
/* Hands over the texts of a list whose words have all but these: one after another in
 * `names`, each with a NUL behind it. */
s3r_status s3r_word_list_take_texts(s3r_word_list *list, s3r_text_buffer *names,
                                    s3r_error *err);
void s3r_word_list_release(s3r_word_list *list); /* a zeroed one is allowed */

/* s3r_vocabulary_collapse and s3r_vocabulary_text: best ids of the frames to text. */
s3r_status s3r_vocabulary_decode(const s3r_vocabulary *vocabulary, char **text,
                                 const uint32_t *ids, size_t frame_count, s3r_error *err);

#endif
