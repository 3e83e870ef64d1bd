/*
 * Hashing walks the plan in the order of names.  Pages are given back after each tensor,
 * so that hashing a large model does not fill the memory with it.
 */
#include "model/model_hash.h"

#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_text.h"
#include "base/memory.h"
#include "model/weight_plan.h"

static const char domain[] = "s3r-backbone-1";

static void add_text(struct sha256_ctx *hash, const char *text)
{
    sha256_update(hash, strlen(text) + 1, (const uint8_t *)text);
}

static void add_count(struct sha256_ctx *hash, uint64_t value)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    sha256_update(hash, sizeof bytes, bytes);
}

static void add_entry(struct sha256_ctx *hash, const s3r_weight_entry *entry)
{
    uint64_t wide = 0;
    add_text(hash, entry->name);
    add_text(hash, s3r_dtype_name(entry->tensor->dtype));
    for (unsigned i = 0; i < entry->rank; i++)
        wide += entry->shape[i] != 1;
    add_count(hash, wide);
    for (unsigned i = 0; i < entry->rank; i++)
        if (entry->shape[i] != 1)
            add_count(hash, entry->shape[i]);
    if (entry->tensor->size_bytes > 0)
        sha256_update(hash, entry->tensor->size_bytes, entry->tensor->data);
}

static bool is_backbone(const s3r_weight_entry *entry)
{
    return strncmp(entry->name, "lm_head.", 8) != 0 &&
           strcmp(entry->name, "masked_spec_embed") != 0;
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const s3r_weight_entry *)a)->name,
                  ((const s3r_weight_entry *)b)->name);
}

s3r_status s3r_model_hash(char *text, const s3r_checkpoint *checkpoint,
                          const s3r_model_config *config, s3r_error *err)
{
    struct sha256_ctx hash;
    uint8_t digest[SHA256_DIGEST_SIZE];
    s3r_weight_plan plan;
    if (config->is_int8 && strlen(config->int8_backbone) == S3R_MODEL_HASH_BYTES - 1) {
        memcpy(text, config->int8_backbone, S3R_MODEL_HASH_BYTES);
        return S3R_OK;
    }
    S3R_TRY(s3r_weight_plan_make(&plan, checkpoint, NULL, config, err));
    qsort(plan.entries, plan.count, sizeof *plan.entries, compare_entries);
    sha256_init(&hash);
    add_text(&hash, domain);
    for (size_t i = 0; i < plan.count; i++) {
        if (is_backbone(&plan.entries[i]))
            add_entry(&hash, &plan.entries[i]);
        s3r_checkpoint_forget(checkpoint, plan.entries[i].tensor);
    }
    s3r_weight_plan_release(&plan);
    sha256_digest(&hash, sizeof digest, digest);
    s3r_bytes_to_hex(text, digest, sizeof digest);
    return S3R_OK;
}
