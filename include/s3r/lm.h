/*
 * N-gram language models: estimating one from text, compiling, asking for
 * probabilities, scoring texts.
 *
 * All probabilities are log10, as in ARPA files.  A model is opened from our own file
 * (mapped, ready at once), from an ARPA file (plain or gzip) or from a KenLM binary of
 * the type "probing".  docs/decoding.md has the whole.
 */
#ifndef S3R_LM_H
#define S3R_LM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "s3r/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define S3R_LM_BUILD_ORDER_MAX 5 /* of what is built */
#define S3R_LM_ORDER_MAX       8 /* of what is read */

typedef enum s3r_lm_unit {
    S3R_LM_WORDS,
    S3R_LM_CHARACTERS /* code points, "|" between words */
} s3r_lm_unit;

typedef enum s3r_lm_case { S3R_LM_KEEP, S3R_LM_LOWER, S3R_LM_UPPER } s3r_lm_case;

/* How texts become words. */
typedef struct s3r_lm_text_options {
    s3r_lm_case text_case; /* default keep; simple mapping, no language */
    bool is_plain;         /* leave punctuation out, as vocab build does; default false */
} s3r_lm_text_options;

/* ---- building ---- */

typedef struct s3r_lm_build_options {
    size_t struct_size; /* set by _init */
    size_t order;       /* 1 to S3R_LM_BUILD_ORDER_MAX; default 4 */
    s3r_lm_unit unit;   /* default words */
    /* n-grams of order i + 1 with at most prune[i] occurrences are left out; ascending,
     * prune[0] is 0; default none */
    size_t prune[S3R_LM_BUILD_ORDER_MAX];
    /* for orders whose discounts cannot be estimated: texts that are small, and the few
     * characters of a language, so always with S3R_LM_CHARACTERS; default false, and
     * 0.5, 1, 1.5 */
    bool has_discount_fallback;
    double discount_fallback[3]; /* of counts 1, 2, and 3 or more: 0 to 1, 2, 3 */
    s3r_lm_text_options text;
} s3r_lm_build_options;

S3R_API void s3r_lm_build_options_init(s3r_lm_build_options *options);

typedef struct s3r_lm_build_report {
    size_t sentences, words; /* of the text; words without the ends of sentences */
    size_t order;
    size_t ngrams[S3R_LM_BUILD_ORDER_MAX];       /* written, by order - 1 */
    double discounts[S3R_LM_BUILD_ORDER_MAX][3]; /* of counts 1, 2, 3 or more */
    bool is_fallback[S3R_LM_BUILD_ORDER_MAX];    /* whether those were given */
} s3r_lm_build_report;

/*
 * Estimates a model with modified Kneser-Ney smoothing, the same as KenLM's lmplz.
 *
 *   texts   [count] paths: manifests (NAME.jsonl), else text with a sentence a line,
 *           plain or gzip; "-" is standard input
 *   out     NAME.s3l is written as our own file, anything else as ARPA, NAME.gz as gzip;
 *           replaced atomically
 *   report  may be NULL
 *
 * The texts' words are held in memory: about 40 bytes a word at the peak.
 * S3R_ERR_USAGE: options; S3R_ERR_DATA: a text that cannot be read, has none of UTF-8 or
 * a reserved word (<s>, </s>, <unk>), no text, or one too small for the discounts;
 * S3R_ERR_RUNTIME: cannot write; S3R_ERR_RESOURCE.  Thread-safe.
 */
S3R_API s3r_status s3r_lm_build(const char *const *texts, size_t count, const char *out,
                                const s3r_lm_build_options *options,
                                s3r_lm_build_report *report, s3r_error *err);

/* ---- files ---- */

#define S3R_LM_FORMAT_BYTES 32

typedef struct s3r_lm_info {
    char format[S3R_LM_FORMAT_BYTES]; /* "s3l", "kenlm probing" or "arpa" */
    size_t order;
    s3r_lm_unit unit; /* characters when every word but the special ones is one */
    size_t ngrams[S3R_LM_ORDER_MAX]; /* by order - 1; in the file, so with what was
                                        filled in when it was compiled */
    bool has_words;                  /* false: a KenLM file without its words */
} s3r_lm_info;

/* Describes a model after reading all of it and, of our own file, comparing every
 * checksum.  S3R_ERR_DATA: unreadable, damaged, of another version or type;
 * S3R_ERR_RESOURCE.  Thread-safe. */
S3R_API s3r_status s3r_lm_inspect(const char *path, s3r_lm_info *info, s3r_error *err);

/* Writes the model at `in` as our own file, atomically.  info may be NULL.  Errors as
 * s3r_lm_inspect; S3R_ERR_RUNTIME: cannot write.  Thread-safe. */
S3R_API s3r_status s3r_lm_compile(const char *in, const char *out, s3r_lm_info *info,
                                  s3r_error *err);

/* ---- asking ---- */

typedef struct s3r_language_model s3r_language_model;

/*
 * Opens a model.  Binary files are mapped and ready at once: their headers are checked,
 * their contents are not (s3r_lm_inspect does), but no content makes a query fail.
 *
 * S3R_ERR_DATA as s3r_lm_inspect; S3R_ERR_RESOURCE.  Thread-safe.  The caller closes it.
 */
S3R_API s3r_status s3r_language_model_open(s3r_language_model **out, const char *path,
                                           s3r_error *err);
S3R_API void s3r_language_model_close(s3r_language_model *lm); /* NULL is allowed */

/* An open model does not change: any number of threads may ask it at once. */
S3R_API void s3r_language_model_get_info(const s3r_language_model *lm, s3r_lm_info *info);

/* What was said before a word, as far as the model remembers it.  A plain value that owns
 * nothing: copy it to try several words.  Zeroed it knows nothing, not even that a
 * sentence begins. It is of use with its own model only. */
typedef struct s3r_lm_context {
    uint32_t opaque[16];
} s3r_lm_context;

/* The context at the beginning of a sentence. */
S3R_API void s3r_lm_context_begin(const s3r_language_model *lm, s3r_lm_context *out);

/*
 * log10 p(word | context), at least -1e6 and usually at most 0.
 *
 *   word        a word, or in a model of characters one character, "|" between words;
 *               NULL is the end of the sentence
 *   to          receives the context behind the word; may be `from`; NULL = not wanted
 *   is_unknown  whether the model lacks the word, whose probability is then that of
 *               <unk>; NULL = not wanted
 *
 * Cannot fail.
 */
S3R_API double s3r_lm_word_log10(const s3r_language_model *lm, const s3r_lm_context *from,
                                 const char *word, s3r_lm_context *to, bool *is_unknown);

/* ---- scoring texts ---- */

/* Of a sentence, or of all. */
typedef struct s3r_lm_score {
    size_t sentences, words;   /* words (or characters) without the ends of sentences */
    size_t unknown_words;      /* of words, those that the model does not have */
    double log10_prob;         /* of everything, ends of sentences included */
    double unknown_log10_prob; /* the part of unknown words */
    double perplexity;         /* 10^(-log10_prob / (words + sentences)) */
    double known_perplexity;   /* the same without unknown words */
} s3r_lm_score;

/* Called once a sentence.  Another status than S3R_OK ends the run. */
typedef s3r_status (*s3r_lm_score_fn)(void *context, const char *sentence,
                                      const s3r_lm_score *score);

/* Scores one sentence from <s> to </s>: words between white space.  S3R_ERR_DATA: not
 * UTF-8.  Thread-safe. */
S3R_API s3r_status s3r_lm_score_sentence(const s3r_language_model *lm,
                                         const char *sentence, s3r_lm_score *score,
                                         s3r_error *err);

/*
 * Scores texts (as in s3r_lm_build), each sentence likewise.
 *
 *   options  how the texts become words; NULL = as they are
 *   result   NULL = not wanted
 *
 * S3R_ERR_DATA: a text that cannot be read, is not UTF-8 or has no sentence;
 * S3R_ERR_RESOURCE; what the callback returned.  Thread-safe.
 */
S3R_API s3r_status s3r_lm_score_texts(const s3r_language_model *lm,
                                      const char *const *texts, size_t count,
                                      const s3r_lm_text_options *options,
                                      s3r_lm_score_fn result, void *result_context,
                                      s3r_lm_score *total, s3r_error *err);

#ifdef __cplusplus
}
#endif
#endif
