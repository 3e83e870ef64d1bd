/*
 * A list of the matrices with their maps.
 */
#include "model/model_prepack.h"

#include "base/process_memory.h"

enum { OUTSIDE_BLOCKS = 2, IN_BLOCK = 6 };

static s3r_prepack_source source_of(s3r_weight *weight, const s3r_checkpoint *checkpoint,
                                    s3r_file_map replaced)
{
    s3r_file_map map = s3r_checkpoint_map_of(checkpoint, weight->data);
    if (s3r_file_map_has(&replaced, weight->data))
        map = replaced;
    return (s3r_prepack_source){weight, map};
}

void s3r_model_prepack(s3r_prepacks *out, s3r_model_weights *weights, size_t block_count,
                       const s3r_checkpoint *checkpoint, s3r_file_map replaced,
                       bool is_bf16, bool is_at_once)
{
    size_t count = 0, room = OUTSIDE_BLOCKS + block_count * IN_BLOCK;
    s3r_prepack_source *sources = s3r_alloc(room, sizeof *sources);
    *out = (s3r_prepacks){0};
    if (!sources)
        return;
    s3r_linear_weights *outside[OUTSIDE_BLOCKS] = {&weights->feature_projection,
                                                   &weights->lm_head};
    for (size_t i = 0; i < OUTSIDE_BLOCKS; i++)
        if (outside[i]->weight.data)
            sources[count++] = source_of(&outside[i]->weight, checkpoint, replaced);
    for (size_t block = 0; block < block_count; block++) {
        s3r_block_weights *b = &weights->blocks[block];
        s3r_linear_weights *inside[IN_BLOCK] = {&b->q,   &b->k,   &b->v,
                                                &b->out, &b->fc1, &b->fc2};
        for (size_t i = 0; i < IN_BLOCK; i++)
            sources[count++] = source_of(&inside[i]->weight, checkpoint, replaced);
    }
    const s3r_prepack_options options = {.is_bf16 = is_bf16,
                                         .is_at_once = is_at_once,
                                         .available_bytes = s3r_machine_available_bytes};
    s3r_prepacks_open(out, sources, count, &options);
    s3r_free(sources);
}
