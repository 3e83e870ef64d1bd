/*
 * Combining and drawing mask files.
 */
#include "analyze/mask_combine.h"

#include <string.h>

#include "analyze/mask_result.h"
#include "base/hash_text.h"
#include "base/memory.h"
#include "base/text_buffer.h"

#define ARENA_CHUNK ((size_t)1 << 20)

/* What is being made. */
typedef struct combiner {
    s3r_mask_operands operands;
    s3r_mask_file own_head; /* of head_path */
    s3r_mask_result result;
    s3r_text_buffer license;
    s3r_arena owned;
} combiner;

static void combiner_release(combiner *c)
{
    s3r_mask_operands_close(&c->operands);
    s3r_mask_file_close(&c->own_head);
    s3r_free(c->result.masks);
    json_decref(c->result.made_from);
    s3r_buffer_release(&c->license);
    s3r_arena_release(&c->owned);
}

/* ---- provenance ---- */

/* The name without folders: no paths of one machine in a file for others. */
static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static json_t *describe_file(const s3r_mask_file *file)
{
    json_t *language = json_object_get(file->facts, "language");
    json_t *name = json_string(file_name(file->path)); /* NULL when it is not UTF-8 */
    return json_pack("{so, ss, sO}", "file", name ? name : json_string("?"), "sha256",
                     file->content_hash, "language", language ? language : json_null());
}

/* ---- licences ---- */

/* Where the next `word` stands outside of brackets; the end without one. */
static const char *find_outside(const char *text, const char *word)
{
    size_t depth = 0, length = strlen(word);
    for (; *text; text++) {
        if (depth == 0 && strncmp(text, word, length) == 0)
            return text;
        depth += *text == '(';
        depth -= *text == ')' && depth > 0;
    }
    return text;
}

#define AND " AND "
#define OR  " OR "

/* Whether a term is among those of an expression, which AND parts. */
static bool has_term(const char *expression, const char *term, size_t length)
{
    for (const char *at = expression; at;) {
        const char *end = find_outside(at, AND);
        if ((size_t)(end - at) == length && memcmp(at, term, length) == 0)
            return true;
        at = *end ? end + strlen(AND) : NULL;
    }
    return false;
}

static void add_term(combiner *c, const char *term, size_t length)
{
    if (has_term(c->license.text, term, length))
        return;
    s3r_buffer_add_string(&c->license, c->license.text ? AND : NULL);
    s3r_buffer_add_bytes(&c->license, term, length);
}

/* Adds those of its terms that are new.  One with an OR is one term, in brackets since
 * AND binds tighter. */
static void add_license(combiner *c, const s3r_mask_file *file)
{
    const char *license = json_string_value(json_object_get(file->facts, "license"));
    s3r_text_buffer whole = {0};
    if (!license || !license[0])
        return;
    bool has_or = *find_outside(license, OR);
    s3r_buffer_add_string(&whole, has_or ? "(" : NULL);
    s3r_buffer_add_string(&whole, license);
    s3r_buffer_add_string(&whole, has_or ? ")" : NULL);
    c->license.has_failed = c->license.has_failed || whole.has_failed;
    for (const char *at = whole.has_failed ? NULL : whole.text; at;) {
        const char *end = find_outside(at, AND);
        add_term(c, at, (size_t)(end - at));
        at = *end ? end + strlen(AND) : NULL;
    }
    s3r_buffer_release(&whole);
}

static s3r_status finish(combiner *c, const char *out_path, s3r_combine_result *result,
                         s3r_error *err)
{
    json_t *files = json_array();
    for (size_t i = 0; i < c->operands.count; i++) {
        json_array_append_new(files, describe_file(&c->operands.items[i].file));
        add_license(c, &c->operands.items[i].file);
    }
    if (c->own_head.path)
        add_license(c, &c->own_head);
    bool is_complete =
        json_array_size(files) == c->operands.count && !c->license.has_failed;
    if (json_object_set_new(c->result.made_from, "masks", files) != 0 || !is_complete)
        return s3r_fail_memory(err, out_path, 0);
    if (c->result.head &&
        json_object_set_new(c->result.made_from, "head", describe_file(c->result.head)))
        return s3r_fail_memory(err, out_path, 0);
    c->result.license = c->license.text ? c->license.text : "";
    return s3r_mask_result_save(out_path, &c->result, result, err);
}

/* ---- the other parts of the file ---- */

static s3r_status choose_head(combiner *c, const char *head_path, bool has_no_head,
                              const s3r_mask_reader *reader, s3r_error *err)
{
    const s3r_mask_file *first = c->operands.count ? &c->operands.items[0].file : NULL;
    if (first)
        c->result.backbone_facts = first->facts;
    if (head_path && !has_no_head) {
        S3R_TRY(s3r_mask_file_open(&c->own_head, head_path, err));
        if (first)
            S3R_TRY(s3r_mask_operands_check_file(&c->operands, &c->own_head, err));
        else
            S3R_TRY(s3r_mask_file_check_backbone(&c->own_head, reader->backbone, err));
        if (!c->own_head.has_head)
            return s3r_fail(err, S3R_ERR_MODEL,
                            "%s: a mask without head (method \"%s\"), so it cannot give "
                            "one",
                            head_path, c->own_head.method);
        c->result.head = &c->own_head;
    } else if (first && first->has_head && !has_no_head) {
        c->result.head = first;
    }
    return S3R_OK;
}

/* ---- the masks ---- */

static s3r_status new_bits(combiner *c, s3r_mask *mask, size_t rows, size_t cols,
                           s3r_error *err)
{
    size_t words = s3r_mask_words(rows, cols);
    *mask = (s3r_mask){rows, cols, s3r_mask_stride(cols), NULL};
    mask->bits = s3r_arena_alloc(&c->owned, words, sizeof *mask->bits);
    return mask->bits ? S3R_OK
                      : s3r_fail_memory(err, "a mask", words * sizeof *mask->bits);
}

static bool has_mask(const combiner *c, const char *name)
{
    for (size_t i = 0; i < c->result.count; i++)
        if (strcmp(c->result.masks[i].name, name) == 0)
            return true;
    return false;
}

/* A place for each matrix that some operand masks, in the order in which they appear. */
static s3r_status list_matrices(combiner *c, s3r_error *err)
{
    size_t most = 0;
    for (size_t i = 0; i < c->operands.count; i++)
        most += c->operands.items[i].count;
    c->result.masks = s3r_alloc(most, sizeof *c->result.masks);
    if (!c->result.masks)
        return s3r_fail_memory(err, "the masks", most * sizeof *c->result.masks);
    for (size_t i = 0; i < c->operands.count; i++) {
        for (size_t m = 0; m < c->operands.items[i].count; m++) {
            s3r_named_mask *one = &c->result.masks[c->result.count];
            size_t rows, cols;
            const char *name;
            s3r_mask_file_matrix(&c->operands.items[i].file, m, &name, &rows, &cols);
            if (has_mask(c, name))
                continue;
            S3R_TRY(new_bits(c, &one->mask, rows, cols, err));
            one->name = name;
            c->result.count++;
        }
    }
    if (c->result.count == 0)
        return s3r_fail(err, S3R_ERR_USAGE, "%s: has no masks, nor has another file",
                        c->operands.items[0].file.path);
    return S3R_OK;
}

/* The masks of one matrix in all operands; whole where an operand has none. */
static void combine_matrix(const combiner *c, s3r_named_mask *out, const s3r_mask *whole,
                           const s3r_combine_options *options)
{
    const s3r_mask *masks[S3R_MASK_MAX_VOTES];
    size_t count = c->operands.count;
    for (size_t i = 0; i < count; i++) {
        masks[i] = s3r_mask_operand_find(&c->operands.items[i], out->name);
        if (!masks[i])
            masks[i] = whole;
    }
    if (options->operation == S3R_MASK_VOTE) {
        s3r_mask_bits_vote(&out->mask, masks, count,
                           options->at_least ? options->at_least : count / 2 + 1);
        return;
    }
    memcpy(out->mask.bits, masks[0]->bits,
           s3r_mask_words(whole->rows, whole->cols) * sizeof *whole->bits);
    for (size_t i = 1; i < count; i++)
        s3r_mask_bits_combine(&out->mask, options->operation, masks[i]);
}

static s3r_status combine_all(combiner *c, const s3r_combine_options *options,
                              s3r_error *err)
{
    S3R_TRY(list_matrices(c, err));
    for (size_t i = 0; i < c->result.count; i++) {
        s3r_named_mask *one = &c->result.masks[i];
        s3r_mask whole;
        s3r_arena_mark mark = s3r_arena_get_mark(&c->owned);
        S3R_TRY(new_bits(c, &whole, one->mask.rows, one->mask.cols, err));
        s3r_mask_fill(&whole);
        combine_matrix(c, one, &whole, options);
        s3r_arena_rewind(&c->owned, mark);
    }
    return S3R_OK;
}

static s3r_status check_combination(size_t count, const s3r_combine_options *options,
                                    s3r_error *err)
{
    size_t least = options->operation == S3R_MASK_VOTE ? 1 : 2;
    if (count < least || count > S3R_MASK_MAX_VOTES)
        return s3r_fail(err, S3R_ERR_USAGE, "expected %zu to %u mask files, found %zu",
                        least, S3R_MASK_MAX_VOTES, count);
    if (options->at_least > count)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "at least %zu: expected at most %zu, the files",
                        options->at_least, count);
    return S3R_OK;
}

static s3r_status combine(combiner *c, const char *const *paths, size_t count,
                          const s3r_combine_options *options,
                          const s3r_mask_reader *reader, s3r_error *err)
{
    c->result.operation = s3r_mask_operation_name(options->operation);
    S3R_TRY(s3r_mask_operands_open(&c->operands, paths, count, reader, err));
    S3R_TRY(choose_head(c, options->head_path, options->has_no_head, reader, err));
    S3R_TRY(combine_all(c, options, err));
    c->result.made_from = json_pack("{ss}", "operation", c->result.operation);
    if (options->operation == S3R_MASK_VOTE)
        json_object_set_new(
            c->result.made_from, "at_least",
            json_integer(
                (json_int_t)(options->at_least ? options->at_least : count / 2 + 1)));
    return S3R_OK;
}

s3r_status s3r_mask_files_combine(const char *out_path, const char *const *paths,
                                  size_t count, const s3r_combine_options *options,
                                  const s3r_mask_reader *reader,
                                  s3r_combine_result *result, s3r_error *err)
{
    combiner c = {0};
    S3R_TRY(check_combination(count, options, err));
    s3r_arena_init(&c.owned, ARENA_CHUNK);
    s3r_status status = combine(&c, paths, count, options, reader, err);
    if (status == S3R_OK)
        status = finish(&c, out_path, result, err);
    combiner_release(&c);
    return status;
}

/* ------------------------------------------------------------------------------ drawing
 */

static s3r_status draw_one(combiner *c, const char *name, size_t rows, size_t cols,
                           size_t removed, uint64_t seed, s3r_error *err)
{
    s3r_random random;
    s3r_named_mask *one = &c->result.masks[c->result.count];
    S3R_TRY(new_bits(c, &one->mask, rows, cols, err));
    one->name = name;
    s3r_random_init(&random, seed, s3r_hash_bytes(name, strlen(name)));
    s3r_mask_bits_draw(&one->mask, removed, &random);
    c->result.count++;
    return S3R_OK;
}

static s3r_status draw_like(combiner *c, uint64_t seed, s3r_error *err)
{
    const s3r_mask_operand *like = &c->operands.items[0];
    if (like->count == 0)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "%s: expected masks, found none (method "
                        "\"%s\")",
                        like->file.path, like->file.method);
    c->result.masks = s3r_alloc(like->count, sizeof *c->result.masks);
    if (!c->result.masks)
        return s3r_fail_memory(err, "the masks", like->count * sizeof *c->result.masks);
    for (size_t i = 0; i < like->count; i++) {
        const s3r_mask *mask = &like->masks[i].mask;
        const char *name;
        size_t rows, cols;
        s3r_mask_file_matrix(&like->file, i, &name, &rows, &cols);
        S3R_TRY(draw_one(c, name, rows, cols, rows * cols - s3r_mask_kept_count(mask),
                         seed, err));
    }
    return S3R_OK;
}

static bool is_wanted(const s3r_random_mask_options *options,
                      const s3r_weight_entry *entry)
{
    if (entry->rule->kind != S3R_WEIGHT_MATRIX || entry->rule->owner != S3R_OWNER_BLOCK)
        return false;
    return (options->has_ffn && strstr(entry->name, ".feed_forward.")) ||
           (options->has_attention && strstr(entry->name, "_proj.weight"));
}

static s3r_status draw_for(combiner *c, const s3r_random_mask_options *options,
                           const s3r_weight_plan *plan, s3r_error *err)
{
    c->result.masks = s3r_alloc(plan->count, sizeof *c->result.masks);
    if (!c->result.masks)
        return s3r_fail_memory(err, "the masks", plan->count * sizeof *c->result.masks);
    for (size_t i = 0; i < plan->count; i++) {
        const s3r_weight_entry *entry = &plan->entries[i];
        size_t rows = entry->shape[0], cols = entry->shape[1];
        if (is_wanted(options, entry))
            S3R_TRY(draw_one(c, entry->name, rows, cols,
                             s3r_removed_count(options->sparsity, rows * cols),
                             options->seed, err));
    }
    return c->result.count > 0 ? S3R_OK
                               : s3r_fail(err, S3R_ERR_USAGE,
                                          "modules: no matrix of the backbone is "
                                          "among them");
}

static json_t *facts_of(const s3r_mask_backbone *backbone, const s3r_model_config *config)
{
    return json_pack("{s{ss, ss, ss}, sb, sI}", "backbone", "hash", backbone->hash,
                     "family", backbone->family, "name", config->architecture,
                     "normalize", (int)config->do_normalize, "sample_rate",
                     (json_int_t)config->sample_rate);
}

static s3r_status draw(combiner *c, const s3r_random_mask_options *options,
                       const s3r_mask_reader *reader, const json_t *backbone_facts,
                       s3r_error *err)
{
    c->result.operation = "random";
    c->result.backbone_facts = backbone_facts;
    if (options->like_path)
        S3R_TRY(
            s3r_mask_operands_open(&c->operands, &options->like_path, 1, reader, err));
    S3R_TRY(choose_head(c, options->head_path, options->has_no_head, reader, err));
    if (options->like_path)
        S3R_TRY(draw_like(c, options->seed, err));
    else
        S3R_TRY(draw_for(c, options, reader->backbone->plan, err));
    c->result.made_from =
        json_pack("{ss, sI}", "operation", "random", "seed", (json_int_t)options->seed);
    return S3R_OK;
}

s3r_status s3r_mask_file_draw(const char *out_path,
                              const s3r_random_mask_options *options,
                              const s3r_mask_reader *reader,
                              const s3r_model_config *config, s3r_combine_result *result,
                              s3r_error *err)
{
    combiner c = {0};
    json_t *backbone_facts = NULL;
    if (!options->like_path && !reader->backbone)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "random mask: expected a mask file to be like, or a backbone");
    if (!options->like_path && !(options->sparsity >= 0 && options->sparsity <= 1))
        return s3r_fail(err, S3R_ERR_USAGE, "sparsity: expected 0 to 1, found %g",
                        options->sparsity);
    if (!options->like_path)
        backbone_facts = facts_of(reader->backbone, config);
    if (!options->like_path && !backbone_facts)
        return s3r_fail_memory(err, out_path, 0);
    s3r_arena_init(&c.owned, ARENA_CHUNK);
    s3r_status status = draw(&c, options, reader, backbone_facts, err);
    if (status == S3R_OK)
        status = finish(&c, out_path, result, err);
    combiner_release(&c);
    json_decref(backbone_facts);
    return status;
}
