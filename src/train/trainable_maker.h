/*
 * What the files that make the list of trained arrays share: trainable_make.c (the list,
 * values, head, adapters, low-rank updates), trainable_masks.c, trainable_pretrain.c.
 *
 * Every array draws from a stream of its own, named by what it is, so that the values do
 * not depend on what else trains.
 */
#ifndef S3R_TRAIN_TRAINABLE_MAKER_H
#define S3R_TRAIN_TRAINABLE_MAKER_H

#include "train/trainable.h"

typedef struct s3r_trainable_maker {
    s3r_trainable *trainable;
    s3r_train_model *model;
    const s3r_train_config *config;
    s3r_pool *pool;
    size_t memory_limit;
} s3r_trainable_maker;

/* Adds an array [item.rows, item.cols] named by a format with one %s; values and grad may
 * be given, moments are new and zero.  S3R_ERR_RESOURCE. */
s3r_status s3r_trainable_add(s3r_trainable_maker *maker, s3r_trained item,
                             const char *format, const char *name, s3r_error *err);
/* The array that was added last. */
s3r_trained *s3r_trainable_last(const s3r_trainable_maker *maker);
/* Its stream of random numbers. */
s3r_random s3r_trainable_stream(const s3r_trainable_maker *maker, const char *name);

/* First values of an array. */
void s3r_trained_fill_uniform(const s3r_trainable_maker *maker, const s3r_trained *item,
                              double bound);
void s3r_trained_fill_normal(const s3r_trainable_maker *maker, const s3r_trained *item,
                             double deviation);
void s3r_trained_fill_constant(const s3r_trained *item, float value);
/* Makes a weight that is this array. */
void s3r_trained_bind(s3r_weight *weight, const s3r_trained *item);

/* The matrix of an encoder block (one of S3R_MODULE_*); 0 for everything else. */
unsigned s3r_parameter_module(const s3r_parameter *parameter);

/* What masks learn, and the masks; what a pretraining objective adds. */
s3r_status s3r_trainable_add_masks(s3r_trainable_maker *maker, s3r_error *err);
s3r_status s3r_trainable_add_objective(s3r_trainable_maker *maker, s3r_error *err);

#endif
