/*
 * Every key of a training configuration.  The defaults are the paper's text (section 4.1;
 * spec 1.5, 2.6, 2.8, 2.9); what the original's code does instead is in train_config.c.
 */
#include "train/config_table.h"

#include <string.h>

#include "base/closest_name.h"

/* Choices are stored through an int. */
_Static_assert(sizeof(s3r_method) == sizeof(int) &&
                   sizeof(s3r_task_choice) == sizeof(int) &&
                   sizeof(s3r_precision) == sizeof(int) &&
                   sizeof(s3r_schedule_kind) == sizeof(int),
               "enums are ints");

static const char *const methods[] = {"mask",     "weights", "head",      "adapter",
                                      "lora",     "bias",    "magnitude", "mask+weights",
                                      "pretrain", NULL};
static const char *const tasks[] = {"ctc", "lid", NULL};
static const char *const objectives[] = {"hubert", "wav2vec2", NULL};
static const char *const compats[] = {"none", "original", NULL};
static const char *const presets[] = {"none", "10m",    "1h",       "10h",
                                      "xlsr", "hubert", "wav2vec2", NULL};
static const char *const precisions[] = {"f32", "bf16", NULL};
static const char *const switches[] = {"false", "true", NULL};
static const char *const inits[] = {"ori", "ri", "wmi", NULL};
static const char *const scopes[] = {"matrix", "global", NULL};
static const char *const shapes[] = {"elements", "rows", "columns", NULL};
static const char *const gradients[] = {"plain", "sigmoid", NULL};
static const char *const adapters[] = {"asr", "st", "zero", NULL};
static const char *const forms[] = {"fairseq", "pytorch", NULL};
static const char *const schedules[] = {"tri_stage", "linear", "cosine", "constant",
                                        NULL};
static const char *const metrics[] = {"wer", "cer", "per", NULL};
static const char *const caches[] = {"auto", "f32", "bf16", "none", NULL};

#define PLACE(field) offsetof(s3r_train_config, field)
#define MANY         1e9 /* of steps, rows and the like */
#define ABOVE        S3R_CONFIG_ABOVE_MIN
#define BELOW        S3R_CONFIG_BELOW_MAX

static const s3r_config_key table[] = {
    {"compat", S3R_CONFIG_SWITCH, PLACE(is_original), "none",
     "original: the defaults of the original code where they differ from the paper",
     compats, 0, 0, 0},
    {"preset", S3R_CONFIG_NAME, PLACE(preset), "none",
     "the paper's values for so much data, or for a multilingual backbone", presets, 0, 0,
     0},
    {"task", S3R_CONFIG_CHOICE, PLACE(task), "ctc",
     "what is learned: to transcribe (ctc), or which language is spoken (lid)", tasks, 0,
     0, 0},
    {"method", S3R_CONFIG_CHOICE, PLACE(method), "mask",
     "what is trained beside the head", methods, 0, 0, 0},
    {"seed", S3R_CONFIG_SEED, PLACE(seed), "1",
     "of everything random; one seed gives the same bits", NULL, 0, 0, 0},
    {"precision", S3R_CONFIG_CHOICE, PLACE(precision), "f32",
     "of matrix products; what is trained is always kept in fp32", precisions, 0, 0, 0},
    {"language", S3R_CONFIG_LANGUAGE, PLACE(language), "",
     "of the result, for example \"nl\"; empty = what the manifest says", NULL, 0, 0, 0},

    {"mask.sparsity", S3R_CONFIG_BLOCK_NUMBERS, PLACE(mask.sparsity), "0.1",
     "part of the connections that is removed; a list has one number a block", NULL, 0, 1,
     BELOW},
    {"mask.init", S3R_CONFIG_CHOICE, PLACE(mask.init), "ori",
     "first scores: random in the order of the weights (ori), random (ri), weights (wmi)",
     inits, 0, 0, 0},
    {"mask.init_scale", S3R_CONFIG_NUMBER, PLACE(mask.init_scale), "1",
     "wmi: the scores are the weights divided by this", NULL, 0, 1e6, ABOVE},
    {"mask.modules", S3R_CONFIG_MODULES, PLACE(mask.modules), "ffn",
     "which matrices of a block are masked", NULL, 0, 0, 0},
    {"mask.blocks", S3R_CONFIG_BLOCK_RANGE, PLACE(mask.first_block), "all",
     "which blocks are masked, counted from 0, both ends included", NULL, 0, 0, 0},
    {"mask.scope", S3R_CONFIG_CHOICE, PLACE(mask.scope), "matrix",
     "one threshold a matrix, or one for all matrices", scopes, 0, 0, 0},
    {"mask.shape", S3R_CONFIG_CHOICE, PLACE(mask.shape), "elements",
     "what is removed: single connections, or whole outputs (rows) or inputs (columns)",
     shapes, 0, 0, 0},
    {"mask.gradient", S3R_CONFIG_SWITCH, PLACE(mask.is_sigmoid), "plain",
     "how the gradient passes the threshold: as it is, or times sigmoid'(|score|)",
     gradients, 0, 0, 0},

    {"also.mask_embedding", S3R_CONFIG_SWITCH, PLACE(also.mask_embedding), "false",
     "the embedding that replaces masked frames", switches, 0, 0, 0},
    {"also.biases", S3R_CONFIG_SWITCH, PLACE(also.biases), "false",
     "the biases of projection and encoder", switches, 0, 0, 0},
    {"also.norms", S3R_CONFIG_SWITCH, PLACE(also.norms), "false",
     "gain and bias of the layer norms", switches, 0, 0, 0},
    {"also.pos_conv", S3R_CONFIG_SWITCH, PLACE(also.pos_conv), "false",
     "the positional convolution", switches, 0, 0, 0},
    {"also.projection", S3R_CONFIG_SWITCH, PLACE(also.projection), "false",
     "the projection after the extractor", switches, 0, 0, 0},
    {"also.extractor", S3R_CONFIG_SWITCH, PLACE(also.extractor), "false",
     "the convolutions of the extractor, whose output is then not kept: slow", switches,
     0, 0, 0},

    {"adapter.kind", S3R_CONFIG_CHOICE, PLACE(adapter.kind), "st",
     "norm after (asr) or before (st) the bottleneck; zero: st that starts as identity",
     adapters, 0, 0, 0},
    {"adapter.width", S3R_CONFIG_COUNT, PLACE(adapter.width), "256", "of the bottleneck",
     NULL, 1, 65536, 0},

    {"lora.rank", S3R_CONFIG_COUNT, PLACE(lora.rank), "8", "of the added product", NULL,
     1, 4096, 0},
    {"lora.alpha", S3R_CONFIG_NUMBER, PLACE(lora.alpha), "16",
     "the added product is scaled by alpha / rank", NULL, 0, 1e6, ABOVE},
    {"lora.modules", S3R_CONFIG_MODULES, PLACE(lora.modules), "q,v",
     "which matrices of a block get one", NULL, 0, 0, 0},

    {"pretrain.objective", S3R_CONFIG_CHOICE, PLACE(pretrain.objective), "hubert",
     "masked prediction of clusters (hubert), or the contrastive one (wav2vec2)",
     objectives, 0, 0, 0},
    {"pretrain.projection", S3R_CONFIG_COUNT, PLACE(pretrain.projection), "256",
     "width in which context and target are compared", NULL, 1, 65536, 0},
    {"pretrain.temperature", S3R_CONFIG_NUMBER, PLACE(pretrain.temperature), "0.1",
     "similarities are divided by it", NULL, 0, 100, ABOVE},
    {"pretrain.feature_penalty", S3R_CONFIG_NUMBER, PLACE(pretrain.feature_penalty), "10",
     "weight of the mean square of the extractor's output", NULL, 0, 1e6, 0},
    {"pretrain.feature_grad", S3R_CONFIG_NUMBER, PLACE(pretrain.feature_grad), "0.1",
     "the extractor's gradient is multiplied by it", NULL, 0, 10, 0},
    {"pretrain.unmasked_weight", S3R_CONFIG_NUMBER, PLACE(pretrain.unmasked_weight), "0",
     "hubert: weight of the frames that were not masked", NULL, 0, 100, 0},
    {"pretrain.groups", S3R_CONFIG_COUNT, PLACE(pretrain.groups), "2",
     "wav2vec2: codebooks", NULL, 1, 64, 0},
    {"pretrain.entries", S3R_CONFIG_COUNT, PLACE(pretrain.entries), "320",
     "wav2vec2: vectors a codebook", NULL, 2, 65536, 0},
    {"pretrain.code_width", S3R_CONFIG_COUNT, PLACE(pretrain.code_width), "128",
     "wav2vec2: width of a code vector", NULL, 1, 65536, 0},
    {"pretrain.negatives", S3R_CONFIG_COUNT, PLACE(pretrain.negatives), "100",
     "wav2vec2: wrong answers beside the right one", NULL, 1, 65536, 0},
    {"pretrain.gumbel_first", S3R_CONFIG_NUMBER, PLACE(pretrain.gumbel_first), "2",
     "wav2vec2: temperature of the choice of codes at the start", NULL, 0, 100, ABOVE},
    {"pretrain.gumbel_last", S3R_CONFIG_NUMBER, PLACE(pretrain.gumbel_last), "0.5",
     "wav2vec2: lowest temperature of that choice", NULL, 0, 100, ABOVE},
    {"pretrain.gumbel_decay", S3R_CONFIG_NUMBER, PLACE(pretrain.gumbel_decay), "0.999995",
     "wav2vec2: factor of that temperature a step", NULL, 0, 1, ABOVE},
    {"pretrain.diversity", S3R_CONFIG_NUMBER, PLACE(pretrain.diversity), "0.1",
     "wav2vec2: weight of the diversity of codes", NULL, 0, 100, 0},
    {"pretrain.feature_dropout", S3R_CONFIG_NUMBER, PLACE(pretrain.feature_dropout),
     "0.1", "wav2vec2: dropout of the quantiser's input", NULL, 0, 1, BELOW},

    {"optimizer.form", S3R_CONFIG_CHOICE, PLACE(optimizer.form), "fairseq",
     "where Adam adds eps: before (fairseq) or after (pytorch) the bias correction",
     forms, 0, 0, 0},
    {"optimizer.lr", S3R_CONFIG_NUMBER, PLACE(optimizer.lr), "5e-5",
     "learning rate at its peak", NULL, 0, 10, ABOVE},
    {"optimizer.head_lr", S3R_CONFIG_NUMBER, PLACE(optimizer.head_lr), "0",
     "that of the head; 0 = the same", NULL, 0, 10, 0},
    {"optimizer.beta1", S3R_CONFIG_NUMBER, PLACE(optimizer.beta1), "0.9",
     "decay of the mean of gradients", NULL, 0, 1, BELOW},
    {"optimizer.beta2", S3R_CONFIG_NUMBER, PLACE(optimizer.beta2), "0.98",
     "decay of the mean of their squares", NULL, 0, 1, BELOW},
    {"optimizer.eps", S3R_CONFIG_NUMBER, PLACE(optimizer.eps), "1e-8",
     "added to the root of that mean", NULL, 0, 1, ABOVE},
    {"optimizer.weight_decay", S3R_CONFIG_NUMBER, PLACE(optimizer.weight_decay), "0",
     "a step, times the learning rate; decoupled from the gradient", NULL, 0, 100, 0},
    {"optimizer.clip_norm", S3R_CONFIG_NUMBER, PLACE(optimizer.clip_norm), "0",
     "longest gradient; 0 = any", NULL, 0, 1e9, 0},

    {"schedule.kind", S3R_CONFIG_CHOICE, PLACE(schedule.kind), "tri_stage",
     "of the learning rate; all warm up first", schedules, 0, 0, 0},
    {"schedule.steps", S3R_CONFIG_COUNT, PLACE(schedule.steps), "12000", "updates in all",
     NULL, 1, MANY, 0},
    {"schedule.warmup", S3R_CONFIG_NUMBER, PLACE(schedule.warmup), "0.1",
     "part of the steps in which the rate rises", NULL, 0, 1, 0},
    {"schedule.hold", S3R_CONFIG_NUMBER, PLACE(schedule.hold), "0.4",
     "tri_stage: part in which it stays", NULL, 0, 1, 0},
    {"schedule.decay", S3R_CONFIG_NUMBER, PLACE(schedule.decay), "0.5",
     "tri_stage: part in which it falls; the three parts make 1", NULL, 0, 1, 0},
    {"schedule.init_scale", S3R_CONFIG_NUMBER, PLACE(schedule.init_scale), "0.01",
     "rate of the first step, as a part of the peak", NULL, 0, 1, 0},
    {"schedule.final_scale", S3R_CONFIG_NUMBER, PLACE(schedule.final_scale), "1e-4",
     "rate of the last step, as a part of the peak", NULL, 0, 1, 0},

    {"batch.seconds", S3R_CONFIG_NUMBER, PLACE(batch.seconds), "80",
     "audio of a micro-batch; memory grows with it", NULL, 0, 1e5, ABOVE},
    {"batch.accumulate", S3R_CONFIG_COUNT, PLACE(batch.accumulate), "1",
     "micro-batches a step", NULL, 1, 1e6, 0},
    {"batch.max_seconds", S3R_CONFIG_NUMBER, PLACE(batch.max_seconds), "40",
     "longer utterances are left out, and named", NULL, 0, 1e5, ABOVE},
    {"batch.min_seconds", S3R_CONFIG_NUMBER, PLACE(batch.min_seconds), "0.1",
     "shorter utterances are left out, and named", NULL, 0, 1e5, 0},

    {"augment.time_prob", S3R_CONFIG_NUMBER_OR_MODEL, PLACE(augment.time_prob), "0.65",
     "frames in spans, before overlaps; model = as its configuration says", NULL, 0, 1,
     0},
    {"augment.time_length", S3R_CONFIG_COUNT, PLACE(augment.time_length), "10",
     "frames a span", NULL, 1, 1e6, 0},
    {"augment.time_min_masks", S3R_CONFIG_COUNT_OR_MODEL, PLACE(augment.time_min_masks),
     "model",
     "spans an utterance, at least; model = as its configuration says, 1 for data2vec",
     NULL, 0, 1e6, 0},
    {"augment.channel_prob", S3R_CONFIG_NUMBER_OR_MODEL, PLACE(augment.channel_prob),
     "0.25", "channels in spans, before overlaps; model = as its configuration says",
     NULL, 0, 1, 0},
    {"augment.channel_length", S3R_CONFIG_COUNT, PLACE(augment.channel_length), "64",
     "channels a span", NULL, 1, 1e6, 0},
    {"augment.channel_min_masks", S3R_CONFIG_COUNT, PLACE(augment.channel_min_masks), "0",
     "spans an utterance, at least", NULL, 0, 1e6, 0},

    {"dropout.hidden", S3R_CONFIG_NUMBER_OR_MODEL, PLACE(dropout.hidden), "0",
     "after attention, after the feed-forward part, before the first block", NULL, 0, 1,
     BELOW},
    {"dropout.attention", S3R_CONFIG_NUMBER_OR_MODEL, PLACE(dropout.attention), "0",
     "of attention weights", NULL, 0, 1, BELOW},
    {"dropout.activation", S3R_CONFIG_NUMBER_OR_MODEL, PLACE(dropout.activation), "0.1",
     "inside the feed-forward part", NULL, 0, 1, BELOW},
    {"dropout.projection", S3R_CONFIG_NUMBER_OR_MODEL, PLACE(dropout.projection), "0",
     "after the projection of the extractor's output", NULL, 0, 1, BELOW},
    {"dropout.final", S3R_CONFIG_NUMBER_OR_MODEL, PLACE(dropout.final), "0",
     "before the head", NULL, 0, 1, BELOW},
    {"dropout.layer_drop", S3R_CONFIG_NUMBER_OR_MODEL, PLACE(dropout.layer_drop), "0.1",
     "probability that a step skips a block", NULL, 0, 1, BELOW},

    {"eval.every", S3R_CONFIG_COUNT, PLACE(eval.every), "1000",
     "steps from one evaluation to the next", NULL, 1, MANY, 0},
    {"eval.metric", S3R_CONFIG_CHOICE, PLACE(eval.metric), "wer",
     "the error rate that chooses the best: of words, characters or phones", metrics, 0,
     0, 0},
    {"eval.keep_best", S3R_CONFIG_COUNT, PLACE(eval.keep_best), "1",
     "results that are kept: best.s3m, and each as step-NUMBER.s3m when more than one",
     NULL, 1, 16, 0},
    {"eval.patience", S3R_CONFIG_COUNT, PLACE(eval.patience), "0",
     "evaluations without a better one that end the run; 0 = never", NULL, 0, 1e6, 0},
    {"eval.start", S3R_CONFIG_COUNT, PLACE(eval.start), "0",
     "no evaluation before this step", NULL, 0, MANY, 0},

    {"checkpoint.every", S3R_CONFIG_COUNT, PLACE(checkpoint.every), "500",
     "steps from one checkpoint to the next", NULL, 1, MANY, 0},
    {"checkpoint.keep", S3R_CONFIG_COUNT, PLACE(checkpoint.keep), "2",
     "the newest so many stay", NULL, 1, 1000, 0},

    {"cache.features", S3R_CONFIG_CHOICE, PLACE(cache.features), "auto",
     "type of kept extractor outputs; auto = that of precision", caches, 0, 0, 0},
    {"cache.memory_mb", S3R_CONFIG_COUNT, PLACE(cache.memory_mb), "512",
     "what goes beyond lies in a file of the run folder", NULL, 0, 1e7, 0},

    {"run.max_skipped", S3R_CONFIG_COUNT, PLACE(run.max_skipped), "20",
     "steps in a row with NaN or infinity that end the run with exit code 7", NULL, 1,
     MANY, 0},
    {"run.log_every", S3R_CONFIG_COUNT, PLACE(run.log_every), "10",
     "steps a line of metrics.jsonl", NULL, 1, MANY, 0},
};

_Static_assert(S3R_ARRAY_LEN(table) <= S3R_CONFIG_MAX_KEYS, "raise S3R_CONFIG_MAX_KEYS");

static const struct {
    const char *name, *help;
} sections[] = {
    {"mask", "methods mask, magnitude and mask+weights"},
    {"also", "what trains beside the method's own; the head always does"},
    {"adapter", "method adapter"},
    {"lora", "method lora"},
    {"pretrain", "s3r pretrain"},
    {"optimizer", "Adam"},
    {"schedule", "the learning rate over the run"},
    {"batch", "how much audio a step sees"},
    {"augment", "spans of frames and channels that are hidden in training"},
    {"dropout", "probabilities; model = as the model's configuration says"},
    {"eval", "on the dev set"},
    {"checkpoint", "for resuming"},
    {"cache", "the frozen extractor runs once an utterance"},
    {"run", "the rest"},
};

_Static_assert(S3R_ARRAY_LEN(sections) <= S3R_CONFIG_MAX_SECTIONS,
               "raise S3R_CONFIG_MAX_SECTIONS");

const s3r_config_key *s3r_config_key_at(size_t index)
{
    return index < S3R_ARRAY_LEN(table) ? &table[index] : NULL;
}

size_t s3r_config_key_count(void)
{
    return S3R_ARRAY_LEN(table);
}

size_t s3r_config_key_find(const char *key)
{
    size_t i = 0;
    while (i < S3R_ARRAY_LEN(table) && strcmp(table[i].key, key) != 0)
        i++;
    return i;
}

const char *s3r_config_choice_name(const char *key, int choice)
{
    return table[s3r_config_key_find(key)].choices[choice];
}

const char *s3r_config_section_at(size_t index)
{
    return index < S3R_ARRAY_LEN(sections) ? sections[index].name : NULL;
}

const char *s3r_config_section_help(size_t index)
{
    return index < S3R_ARRAY_LEN(sections) ? sections[index].help : NULL;
}

const char *s3r_config_closest(const char *typed)
{
    const char *best = NULL;
    for (size_t i = 0; i < S3R_ARRAY_LEN(sections); i++)
        best = s3r_closest_name(typed, best, sections[i].name);
    for (size_t i = 0; i < S3R_ARRAY_LEN(table); i++)
        best = s3r_closest_name(typed, best, table[i].key);
    return best;
}
