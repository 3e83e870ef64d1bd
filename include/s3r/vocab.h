/*
 * Vocabularies: building one from the texts of manifests.
 */
#ifndef S3R_VOCAB_H
#define S3R_VOCAB_H

#include <stdbool.h>
#include <stddef.h>

#include "s3r/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum s3r_vocab_unit {
    S3R_VOCAB_CHAR,     /* characters: code points in NFC */
    S3R_VOCAB_GRAPHEME, /* extended grapheme clusters: a letter with its marks */
    S3R_VOCAB_PHONE     /* IPA phones, by the program espeak-ng */
} s3r_vocab_unit;

typedef enum s3r_vocab_case {
    S3R_VOCAB_LOWER,
    S3R_VOCAB_UPPER,
    S3R_VOCAB_KEEP
} s3r_vocab_case;

typedef struct s3r_vocab_options {
    size_t struct_size;       /* set by _init */
    s3r_vocab_unit unit;      /* default S3R_VOCAB_CHAR */
    s3r_vocab_case text_case; /* default S3R_VOCAB_LOWER; simple mapping, no language */
    const char *language;     /* only utterances of it, as in "fr"; default NULL: all */
    const char *voice;        /* of espeak-ng; default NULL: the utterance's language */
    bool keeps_punctuation;   /* default false: only apostrophes and hyphens in words */
    bool is_forced;           /* replace a vocabulary that is there; default false */
} s3r_vocab_options;

S3R_API void s3r_vocab_options_init(s3r_vocab_options *options);

typedef struct s3r_vocab_report {
    size_t utterance_count; /* used */
    size_t without_text;    /* left out: nothing to say */
    size_t with_digits;     /* used, but how the numbers are said is not known */
    char digit_example[256];
    size_t label_count;
} s3r_vocab_report;

/*
 * Writes vocab.json, tokenizer_config.json and special_tokens_map.json into folder (made
 * when missing): ids 0 to 4 are <pad> (the blank), <s>, </s>, <unk> and | (between
 * words), then the units by code point.  NAME.text.jsonl (for phones NAME.phones.jsonl)
 * has the manifest NAME.jsonl with the texts that fit, without what has no text.
 *
 *   manifests  [count] paths of JSON lines, of different names
 *   options    NULL means the defaults
 *   report     may be NULL
 *
 * S3R_ERR_USAGE: wrong options, a vocabulary is there, phones without a language;
 * S3R_ERR_DATA: a manifest is unreadable or has no text, a voice that cannot read it;
 * S3R_ERR_RUNTIME: cannot write, no espeak-ng; S3R_ERR_RESOURCE.  Thread-safe.
 */
S3R_API s3r_status s3r_vocab_build(const char *const *manifests, size_t count,
                                   const char *folder, const s3r_vocab_options *options,
                                   s3r_vocab_report *report, s3r_error *err);

#ifdef __cplusplus
}
#endif
#endif
