/*
 * Building a vocabulary from the texts of manifests.
 */
#ifndef S3R_DATA_VOCABULARY_BUILD_H
#define S3R_DATA_VOCABULARY_BUILD_H

#include "data/manifest.h"
#include "text/unicode_text.h"

typedef enum s3r_vocabulary_unit {
    S3R_UNIT_OF_CHARACTERS, /* code points in NFC */
    S3R_UNIT_OF_GRAPHEMES,  /* extended grapheme clusters: a letter with its marks */
    S3R_UNIT_OF_PHONES      /* IPA, by espeak-ng (phones.h) */
} s3r_vocabulary_unit;

typedef struct s3r_vocabulary_request {
    s3r_vocabulary_unit unit;
    s3r_text_case text_case;
    const char *language; /* only its utterances, and those of unknown language; NULL =
                             all */
    const char *voice; /* of espeak-ng; NULL: the utterance's language, else `language` */
    bool keeps_punctuation;
    bool is_forced; /* replace a vocabulary that is in the folder */
} s3r_vocabulary_request;

typedef struct s3r_vocabulary_report {
    size_t utterance_count; /* used */
    size_t without_text;    /* left out: no text, or nothing of it is left */
    size_t with_digits;     /* used, but how a number is said is not known */
    char digit_example[256];
    size_t label_count; /* with the five special ones */
} s3r_vocabulary_report;

/*
 * Writes vocab.json, tokenizer_config.json and special_tokens_map.json into folder: ids 0
 * to 4 are <pad> (the blank), <s>, </s>, <unk> and |, then the units by code point.
 *
 * Texts are used in their plain form (plain_text.h).  Each manifest NAME.jsonl is written
 * beside the vocabulary with the plain texts, as NAME.text.jsonl, or with phones, as
 * NAME.phones.jsonl; without the utterances that have no text.  Train on those.
 *
 * S3R_ERR_USAGE: a vocabulary is there, two manifests of one name, no language for
 * phones; S3R_ERR_DATA: no text at all; what s3r_phones_make and writing say.
 */
s3r_status s3r_vocabulary_build(s3r_vocabulary_report *report, const char *folder,
                                const s3r_manifest *manifests, size_t count,
                                const s3r_vocabulary_request *request, s3r_error *err);

#endif
