/*
 * The parameters of an opened model by name, and making them trainable.
 *
 * A model is opened frozen, its weights in the memory map.  A trainable parameter is an
 * fp32 copy of its own with a gradient beside it; a tracked one has the gradient alone
 * (a mask's scores learn from it); the rest stays shared.  Convolution
 * weights have the tap-major layout of their op; the functions here translate to the
 * stored order.
 */
#ifndef S3R_MODEL_PARAMETERS_H
#define S3R_MODEL_PARAMETERS_H

#include "model/model_weights.h"
#include "model/weight_plan.h"

typedef struct s3r_parameter {
    const s3r_weight_entry *entry; /* canonical name, shape, stored tensor */
    s3r_weight *weight;            /* inside the model's weights */
    float *values;                 /* [elements] in the op's layout; NULL while frozen */
    bool is_tap_major;             /* op layout [out][tap][in]; stored [out][in][tap] */
} s3r_parameter;

typedef struct s3r_parameters {
    s3r_parameter *items; /* in the order of the plan */
    size_t count;
    s3r_weight_plan plan;
    s3r_arena owned;
} s3r_parameters;

/*
 * Lists the parameters of weights, which were opened from the same checkpoint and config
 * with keeps_unpacked; all of them must outlive the list.
 */
s3r_status s3r_parameters_open(s3r_parameters *out, const s3r_checkpoint *checkpoint,
                               const s3r_model_config *config, s3r_model_weights *weights,
                               s3r_error *err);
/* The model's weights must not be used after a parameter was made trainable. */
void s3r_parameters_close(s3r_parameters *parameters);

/* The parameter of that canonical name; NULL when there is none. */
s3r_parameter *s3r_parameters_find(const s3r_parameters *parameters, const char *name);

/* Gives the parameter an fp32 copy and a zeroed gradient. Idempotent. S3R_ERR_RESOURCE.
 */
s3r_status s3r_parameter_train(s3r_parameters *parameters, s3r_parameter *parameter,
                               s3r_error *err);

/*
 * Gives the weight of a matrix a zeroed gradient without making its values trainable:
 * dL/d(effective weight), of elements that a mask removed too.  Idempotent.
 * S3R_ERR_RESOURCE.
 */
s3r_status s3r_parameter_track_grad(s3r_parameters *parameters, s3r_parameter *parameter,
                                    s3r_error *err);

/* Elements of the parameter. */
size_t s3r_parameter_elements(const s3r_parameter *parameter);

/* The gradient (or values) in the stored order; out [elements]. */
void s3r_parameter_to_stored(const s3r_parameter *parameter, const float *values,
                             float *out);

/* Values [first, first + count) of a trainable parameter, in the stored order. */
void s3r_parameter_read(const s3r_parameter *parameter, size_t first, size_t count,
                        float *out);

/* All gradients to zero, of trainable and of tracked parameters. */
void s3r_parameters_clear_grads(s3r_parameters *parameters);

#endif
