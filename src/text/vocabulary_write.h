/*
 * Writing a vocabulary as Hugging Face has it.
 */
#ifndef S3R_TEXT_VOCABULARY_WRITE_H
#define S3R_TEXT_VOCABULARY_WRITE_H

#include "text/vocabulary.h"

/*
 * Writes vocab.json, tokenizer_config.json and special_tokens_map.json into folder.
 * Labels keep their ids; only when the blank is "<s>" and there is a "<pad>" (fairseq) do
 * these two change their names, since the blank is called the padding there.  (spec 2.13)
 * S3R_ERR_RUNTIME, S3R_ERR_RESOURCE.
 */
s3r_status s3r_vocabulary_save(const s3r_vocabulary *vocabulary, const char *folder,
                               s3r_error *err);

#endif
