/*
 * A training run on the terminal: bar, evaluations, warnings, Ctrl-C, the forecast.
 */
#ifndef S3R_CLI_TRAIN_RUN_H
#define S3R_CLI_TRAIN_RUN_H

#include <s3r/train.h>

#include "verb.h"

/* What train_option_list.h fills; the first member of a verb's options. */
typedef struct s3r_train_verb_options {
    const char *seed, *steps, *lr, *precision; /* shorthands of settings */
    size_t memory;
    int resume; /* index into "never|auto" */
    bool is_plan;
} s3r_train_verb_options;

/* The shorthands among them, for the table of a verb. */
#define S3R_TRAIN_VERB_SHORTHANDS                                                        \
    {offsetof(s3r_train_verb_options, seed), "seed"},                                    \
        {offsetof(s3r_train_verb_options, steps), "schedule.steps"},                     \
        {offsetof(s3r_train_verb_options, lr), "optimizer.lr"},                          \
    {                                                                                    \
        offsetof(s3r_train_verb_options, precision), "precision"                         \
    }

/* An option (const char * at this offset of the verb's struct) that stands for a setting.
 */
typedef struct s3r_setting_shorthand {
    size_t offset;
    const char *key;
} s3r_setting_shorthand;

/* "key=value" texts: shorthands that were given, then the verb's arguments. */
typedef struct s3r_setting_list {
    const char **items;
    size_t count;
    char **owned;
    size_t owned_count;
} s3r_setting_list;

/* S3R_ERR_RESOURCE.  Release it in any case. */
s3r_status s3r_setting_list_make(s3r_setting_list *list, const s3r_command *command,
                                 const s3r_setting_shorthand *shorthands, size_t count,
                                 s3r_error *err);
void s3r_setting_list_release(s3r_setting_list *list);

/*
 * Trains, or with common->is_plan prints the forecast.  The watcher of options and what
 * common says of resuming and memory are set here.
 * Prints FOLDER/result when the run ended; with --json an object that says more, also
 * when the run was interrupted.
 */
s3r_status s3r_train_run(const s3r_command *command, const s3r_train_options *options,
                         const s3r_train_verb_options *common, const char *result,
                         s3r_error *err);

#endif
