/*
 * A pretrained model of the wav2vec 2.0 family: opening, describing, converting.
 *
 * Understood: a Hugging Face folder (safetensors, shards, pytorch_model.bin), one
 * .safetensors file beside its config.json, a fairseq .pt.  Pickles are read, never
 * executed.
 */
#ifndef S3R_MODEL_H
#define S3R_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "s3r/context.h"
#include "s3r/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct s3r_model s3r_model;

/* Where the matrices of a model are between its passes.  Results are the same. */
typedef enum s3r_weights_memory {
    /* In the file's memory map, and once they have been used some times in the form that
     * products read, in memory of the model's own, as much as they take in the type of
     * products. Passes are then faster, those of short audio most. Each matrix that finds
     * less memory available than twice what all of them take stays in the map, as does
     * one of int8 with more than 4096 columns. */
    S3R_WEIGHTS_AUTO,
    S3R_WEIGHTS_SHARED, /* always in the map, whose memory processes share */
    S3R_WEIGHTS_PACKED  /* as AUTO, but from the first use on */
} s3r_weights_memory;

typedef struct s3r_model_options {
    size_t struct_size; /* set by _init */
    bool is_bf16;       /* products in bf16, sums in fp32; default false: all fp32 */
    /* Of a multilingual model (MMS): its vocabulary, and the adapters and head in
     * adapter.LANG.safetensors or .bin, unless the checkpoint is the language's own.
     * Default NULL. */
    const char *language;
    /* A mask file (.s3m) to apply: its mask, head, vocabulary and normalisation replace
     * the model's.  Excludes language.  Default NULL. */
    const char *mask_path;
    s3r_weights_memory weights; /* default S3R_WEIGHTS_AUTO */
} s3r_model_options;

S3R_API void s3r_model_options_init(s3r_model_options *options);

#define S3R_MODEL_PATH_BYTES 4096

/*
 * The path of a model, with NUL.  name is
 *
 *   NULL or "default"   the backbone that is shipped with s3r
 *   a bare name         (without slash, of no file and no folder here) of a shipped model
 *   anything else       is the path
 *
 * Shipped models are folders in $S3R_MODELS, then in share/s3r/models of the installation
 * that the library belongs to, then of the program's; both are found from where they lie,
 * so an installed tree may be moved.  S3R_ERR_MODEL names all places; S3R_ERR_RESOURCE.
 * Thread-safe, while nobody changes the environment.
 */
S3R_API s3r_status s3r_model_find(const char *name, char path[S3R_MODEL_PATH_BYTES],
                                  s3r_error *err);

/*
 * Opens the model that s3r_model_find finds for path, so NULL is the shipped backbone.
 * Opening copies no matrix: they are in the memory map of the file (see
 * s3r_weights_memory). The model is read-only: any number of threads may use it at once,
 * each with a context of its own.  options may be NULL.  S3R_ERR_MODEL names every
 * missing, unused and mis-shaped tensor, or the first wrong value of the configuration; a
 * mask file that is damaged or was made for another backbone (with both hashes and
 * families).
 */
S3R_API s3r_status s3r_model_open(s3r_model **out, s3r_context *context, const char *path,
                                  const s3r_model_options *options, s3r_error *err);
S3R_API void s3r_model_close(s3r_model *model); /* NULL is allowed */

/*
 * The backbone of an open model with a mask file: another model that shares the weights
 * and their memory map, and takes little more memory than the mask file.  A backbone with
 * any number of masks is open at once; each is a model like any other, but that masked
 * matrices always stay in the map.  A mask that
 * `backbone` itself was opened with plays no part.
 *
 *   backbone  must stay open as long as *out; not changed, may be in use by other threads
 *
 * S3R_ERR_MODEL: a mask file that is damaged or was made for another backbone (with both
 * hashes and families); S3R_ERR_RESOURCE.
 */
S3R_API s3r_status s3r_model_open_mask(s3r_model **out, s3r_context *context,
                                       const s3r_model *backbone, const char *mask_path,
                                       s3r_error *err);

typedef struct s3r_model_info {
    const char *path;
    const char *format;       /* "safetensors", "pytorch zip", "pytorch legacy" */
    const char *family;       /* "wav2vec2", "hubert", "data2vec-audio", "wavlm" */
    const char *architecture; /* "Wav2Vec2ForCTC"; "" when not named */
    const char *license;      /* "" when the checkpoint names none */
    bool is_fairseq;
    size_t conv_layers, hidden_size, ffn_size, blocks, heads;
    bool is_pre_norm;              /* layer norm before (true) or after each sub-layer */
    bool has_layer_norm_extractor; /* layer norm in each conv layer, else group norm */
    bool normalizes_input;         /* waveform to zero mean and unit variance */
    double layer_norm_eps;
    uint32_t sample_rate_hz;
    size_t receptive_field; /* samples */
    size_t frame_stride;    /* samples from frame to frame */
    const char *task;   /* of the head: "ctc", "lid" (which language is spoken), "none" */
    bool has_head;      /* for CTC */
    size_t label_count; /* rows of the CTC head; 0 without */
    bool has_vocabulary;
    size_t language_count; /* that the model tells apart; 0 unless the task is "lid" */
    size_t blank_id;
    size_t tensor_count;
    size_t parameter_count; /* all stored tensors */
    size_t encoder_parameter_count;
    size_t stored_bytes;       /* of the tensors, memory-mapped */
    size_t prepared_bytes;     /* private memory of this process, now */
    const char *mask_path;     /* NULL without a mask file */
    const char *method;        /* what the mask file was trained with; NULL without one */
    const char *mask_language; /* as the mask file says; NULL when it does not */
    size_t masked_elements;    /* of masked matrices, */
    size_t removed_elements;   /* of them removed */
} s3r_model_info;

/* Strings live as long as the model.  Thread-safe. */
S3R_API void s3r_model_get_info(const s3r_model *model, s3r_model_info *info);

/* The label of a row of the head; NULL without a vocabulary or past its end. */
S3R_API const char *s3r_model_label(const s3r_model *model, size_t id);

/* The index-th language that a model of the task "lid" tells apart; NULL past the last.
 */
S3R_API const char *s3r_model_language(const s3r_model *model, size_t index);

typedef struct s3r_tensor_info {
    const char *name;    /* as in the file */
    const char *dtype;   /* "F32", "F16", "BF16", ... */
    unsigned rank;       /* <= 8 */
    const size_t *shape; /* [rank] */
    size_t size_bytes;
} s3r_tensor_info;

/* The index-th stored tensor; false past the last. */
S3R_API bool s3r_model_tensor(const s3r_model *model, size_t index, s3r_tensor_info *out);

#define S3R_HASH_HEX_BYTES 65

/* The content hash of the backbone (encoder tensors only), hexadecimal with NUL.  The
 * first call, or the first mask, reads the whole model.  Independent of file format,
 * tensor order and a mask file. */
S3R_API s3r_status s3r_model_get_hash(const s3r_model *model,
                                      char hex[S3R_HASH_HEX_BYTES], s3r_error *err);

/* Frames that the extractor makes of so many samples; 0 when there are too few. */
S3R_API size_t s3r_model_frames(const s3r_model *model, size_t sample_count);

/*
 * Writes the model as a Hugging Face folder and compares what was written bit for bit.
 * With a mask file it is the merged model: removed weights are zero.
 *
 *   folder  new or empty; with is_forced a model in it is replaced and other files stay
 *   dtype   "f32", "f16", "bf16"; or "int8": matrices of the blocks with a scale for each
 *           output, the others as they are. Products with them and with most of the
 *           extractor's convolutions are then in whole numbers, of inputs that are
 *           rounded frame by frame. Masks of the backbone fit it too.
 *           Other programs cannot read it, and it cannot be trained on.
 *
 * S3R_ERR_USAGE, S3R_ERR_RUNTIME (disk full: what was there before stays), S3R_ERR_MODEL
 * (also for adapters and for the task "lid" of a mask file, which such a folder cannot
 * express).
 */
S3R_API s3r_status s3r_model_save(const s3r_model *model, const char *folder,
                                  const char *dtype, bool is_forced, s3r_error *err);

/* Looks at a model that was written to `written`, a folder that exists during the call
 * only. Another status than S3R_OK refuses it. */
typedef s3r_status (*s3r_model_accept_fn)(void *context, const char *written,
                                          s3r_error *err);

typedef struct s3r_model_save_options {
    size_t struct_size; /* set by _init */
    const char *dtype;  /* as above; default "f32" */
    bool is_forced;     /* default false */
    /* The model appears in the folder only when accept says so, whose status is returned
     * otherwise; NULL accepts all. */
    s3r_model_accept_fn accept;
    void *accept_context;
    /* Told now and then how many of the tensors, written and read again, are done;
     * returning false ends the work: S3R_ERR_INTERRUPTED.  NULL = nobody. */
    bool (*progress)(void *context, size_t done, size_t total);
    void *progress_context;
} s3r_model_save_options;

S3R_API void s3r_model_save_options_init(s3r_model_save_options *options);
/* s3r_model_save with everything that can be chosen. */
S3R_API s3r_status s3r_model_save_with(const s3r_model *model, const char *folder,
                                       const s3r_model_save_options *options,
                                       s3r_error *err);

#ifdef __cplusplus
}
#endif
#endif
