/*
 * Files of labels and of centroids: what was written is read, and nothing else is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "support_files.h"
#include "tasks/frame_labels.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char lines[] = "{\"audio_filepath\": \"a.wav\", \"id\": \"one\"}\n"
                            "{\"audio_filepath\": \"b.wav\", \"id\": \"zwei\"}\n"
                            "{\"audio_filepath\": \"c.wav\"}\n";
static const uint64_t offsets[] = {0, 3, 3, 5};
static const uint16_t frame_labels[] = {4, 0, 499, 7, 8};
static const s3r_kmeans_source layer_source = {.backbone = HASH, .layer = 6};
static const s3r_kmeans_source mfcc_source = {.is_mfcc = true};

static s3r_status write_labels_of(const char *path, const s3r_manifest *manifest,
                                  const uint64_t *offset, const s3r_kmeans_source *source,
                                  s3r_error *err)
{
    const s3r_frame_labels_content content = {.manifest = manifest,
                                              .offset = offset,
                                              .labels = frame_labels,
                                              .clusters = 500,
                                              .frame_stride = 320,
                                              .sample_rate_hz = 16000,
                                              .manifest_hash = HASH,
                                              .centroids_hash = HASH,
                                              .source = source};
    return s3r_frame_labels_save(path, &content, err);
}

static void write_labels(const char *path, const uint64_t *offset,
                         const s3r_kmeans_source *source)
{
    s3r_manifest manifest;
    assert_int_equal(s3r_manifest_parse(&manifest, lines, strlen(lines), "m", NULL),
                     S3R_OK);
    assert_int_equal(write_labels_of(path, &manifest, offset, source, NULL), S3R_OK);
    s3r_manifest_close(&manifest);
}

static void reads_what_was_written(void **state)
{
    const char *path = test_path(test_folder(), "m.labels");
    s3r_frame_labels file;
    uint32_t found[3];
    size_t u = 99;
    (void)state;
    write_labels(path, offsets, &layer_source);
    assert_int_equal(s3r_frame_labels_open(&file, path, NULL), S3R_OK);
    assert_int_equal(file.utterance_count, 3);
    assert_int_equal(file.frame_count, 5);
    assert_int_equal(file.clusters, 500);
    assert_int_equal(file.frame_stride, 320);
    assert_int_equal(file.sample_rate_hz, 16000);
    assert_string_equal(file.manifest_hash, HASH);
    assert_string_equal(file.centroids_hash, HASH);
    assert_false(file.source.is_mfcc);
    assert_int_equal(file.source.layer, 6);
    assert_string_equal(file.source.backbone, HASH);
    assert_true(s3r_frame_labels_find(&file, "one", &u) && u == 0);
    assert_int_equal(s3r_frame_labels_frames(&file, u), 3);
    s3r_frame_labels_get(&file, u, 0, 3, found);
    assert_true(found[0] == 4 && found[1] == 0 && found[2] == 499);
    assert_true(s3r_frame_labels_find(&file, "zwei", &u) && u == 1);
    assert_int_equal(s3r_frame_labels_frames(&file, u), 0);
    assert_true(s3r_frame_labels_find(&file, "c.wav", &u) && u == 2);
    s3r_frame_labels_get(&file, u, 1, 1, found);
    assert_int_equal(found[0], 8);
    assert_false(s3r_frame_labels_find(&file, "b.wav", &u));
    s3r_frame_labels_close(&file);
}

static void takes_no_frames_at_all(void **state)
{
    static const uint64_t none[4] = {0};
    const char *path = test_path(test_folder(), "m.labels");
    s3r_frame_labels file;
    (void)state;
    write_labels(path, none, &mfcc_source);
    assert_int_equal(s3r_frame_labels_open(&file, path, NULL), S3R_OK);
    assert_true(file.frame_count == 0 && file.source.is_mfcc);
    assert_int_equal(s3r_frame_labels_frames(&file, 2), 0);
    s3r_frame_labels_close(&file);
}

/* ---- other people's files ---- */

#define GOOD_FACTS                                                                       \
    "{'clusters':500,'frame_stride':320,'sample_rate':16000,'source':'mfcc',"            \
    "'manifest':'" HASH "','utterances':['one','zwei','c.wav']"

typedef struct labels_case {
    const char *facts; /* with ' for "; NULL = GOOD_FACTS }; repeated keys replace */
    const char *remove, *said;
    uint64_t offset[4];
    uint16_t labels[5];
    size_t offset_count;   /* 0 = 4 */
    s3r_dtype label_dtype; /* 0 (F32, which it never is) = U16 */
    const char *label_name;
} labels_case;

#define GOOD_OFFSET                                                                      \
    {                                                                                    \
        0, 3, 3, 5                                                                       \
    }
#define GOOD_LABELS                                                                      \
    {                                                                                    \
        4, 0, 499, 7, 8                                                                  \
    }

static const labels_case bad_labels[] = {
    {NULL, "clusters",
     "\"clusters\": expected a whole number from 1 to 65536, found none", GOOD_OFFSET,
     GOOD_LABELS, 0, 0, NULL},
    {"{'clusters':0}", NULL, "\"clusters\"", GOOD_OFFSET, GOOD_LABELS, 0, 0, NULL},
    {"{'clusters':65537}", NULL, "\"clusters\"", GOOD_OFFSET, GOOD_LABELS, 0, 0, NULL},
    {"{'clusters':499}", NULL, "frame 2: expected a label below 499, found 499",
     GOOD_OFFSET, GOOD_LABELS, 0, 0, NULL},
    {"{'clusters':'5'}", NULL, "found something else", GOOD_OFFSET, GOOD_LABELS, 0, 0,
     NULL},
    {"{'frame_stride':-1}", NULL, "\"frame_stride\"", GOOD_OFFSET, GOOD_LABELS, 0, 0,
     NULL},
    {NULL, "sample_rate", "\"sample_rate\"", GOOD_OFFSET, GOOD_LABELS, 0, 0, NULL},
    {NULL, "source", "expected \"mfcc\" or \"layer\"", GOOD_OFFSET, GOOD_LABELS, 0, 0,
     NULL},
    {"{'source':'layer'}", NULL, "\"backbone\"", GOOD_OFFSET, GOOD_LABELS, 0, 0, NULL},
    {"{'manifest':'00'}", NULL, "\"manifest\": expected 64 hexadecimal digits",
     GOOD_OFFSET, GOOD_LABELS, 0, 0, NULL},
    {"{'centroids':7}", NULL, "\"centroids\": expected 64 hexadecimal digits",
     GOOD_OFFSET, GOOD_LABELS, 0, 0, NULL},
    {"{'utterances':[]}", NULL, "expected an array of ids, found an empty one",
     GOOD_OFFSET, GOOD_LABELS, 0, 0, NULL},
    {"{'utterances':{}}", NULL, "expected an array of ids", GOOD_OFFSET, GOOD_LABELS, 0,
     0, NULL},
    {"{'utterances':['one',2,'c.wav']}", NULL, "item 1: expected an id", GOOD_OFFSET,
     GOOD_LABELS, 0, 0, NULL},
    {"{'utterances':['one','','c.wav']}", NULL, "item 1: expected an id", GOOD_OFFSET,
     GOOD_LABELS, 0, 0, NULL},
    {"{'utterances':['one','x','one']}", NULL, "\"one\": expected once, found twice",
     GOOD_OFFSET, GOOD_LABELS, 0, 0, NULL},
    {"{'utterances':['one','x']}", NULL, "expected 3 numbers, found 4", GOOD_OFFSET,
     GOOD_LABELS, 0, 0, NULL},
    {NULL, NULL, "expected 4 numbers, found 3", GOOD_OFFSET, GOOD_LABELS, 3, 0, NULL},
    {NULL, NULL, "rise from 0 to 5", {1, 3, 3, 5}, GOOD_LABELS, 0, 0, NULL},
    {NULL, NULL, "rise from 0 to 5", {0, 3, 2, 5}, GOOD_LABELS, 0, 0, NULL},
    {NULL, NULL, "rise from 0 to 5", {0, 3, 3, 4}, GOOD_LABELS, 0, 0, NULL},
    {NULL, NULL, "rise from 0 to 5", {0, 3, 3, 6}, GOOD_LABELS, 0, 0, NULL},
    {NULL, NULL, "rise from 0 to 5", {0, UINT64_MAX, 3, 5}, GOOD_LABELS, 0, 0, NULL},
    {NULL,
     NULL,
     "frame 4: expected a label below 500, found 65535",
     GOOD_OFFSET,
     {0, 0, 0, 0, 65535},
     0,
     0,
     NULL},
    {NULL, NULL, "\"labels\": expected U16 of one dimension, found BF16", GOOD_OFFSET,
     GOOD_LABELS, 0, S3R_DTYPE_BF16, NULL},
    {NULL, NULL, "\"labels\": expected U16 of one dimension, found none", GOOD_OFFSET,
     GOOD_LABELS, 0, 0, "label"},
};

static json_t *facts_from(const char *good, const char *change, const char *removed)
{
    char text[1024];
    json_t *facts = NULL;
    snprintf(text, sizeof text, "%s}", good);
    for (int round = 0; round < 2; round++) {
        for (char *at = text; *at; at++)
            *at = *at == '\'' ? '"' : *at;
        json_t *part = json_loads(text, 0, NULL);
        assert_non_null(part);
        if (round == 0)
            facts = part;
        else
            json_object_update(facts, part);
        if (round > 0)
            json_decref(part);
        snprintf(text, sizeof text, "%s", change ? change : "{}");
    }
    if (removed)
        json_object_del(facts, removed);
    return facts;
}

static void refuses_bad_labels(void **state)
{
    const char *path = test_path(test_folder(), "bad.labels");
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(bad_labels); i++) {
        const labels_case *c = &bad_labels[i];
        size_t count = c->offset_count ? c->offset_count : 4;
        const s3r_tensor tensors[] = {
            {.name = "offset",
             .dtype = S3R_DTYPE_U64,
             .rank = 1,
             .shape = {count},
             .data = c->offset,
             .size_bytes = count * sizeof(uint64_t)},
            {.name = c->label_name ? c->label_name : "labels",
             .dtype = c->label_dtype ? c->label_dtype : S3R_DTYPE_U16,
             .rank = 1,
             .shape = {5},
             .data = c->labels,
             .size_bytes = sizeof c->labels}};
        json_t *facts = facts_from(GOOD_FACTS, c->facts, c->remove);
        s3r_frame_labels file;
        s3r_error err = {S3R_OK, ""};
        assert_int_equal(
            s3r_sealed_file_save(path, S3R_FRAME_LABELS_KIND, 1, tensors, 2, facts, NULL),
            S3R_OK);
        json_decref(facts);
        s3r_status status = s3r_frame_labels_open(&file, path, &err);
        if (status != S3R_ERR_MODEL || !strstr(err.message, c->said) ||
            !strstr(err.message, "bad.labels: "))
            fail_msg("case %zu: status %d, \"%s\" without \"%s\"", i, (int)status,
                     err.message, c->said);
        assert_null(file.labels);
    }
}

static void refuses_other_kinds(void **state)
{
    const char *folder = test_folder();
    const char *path = test_path(folder, "m.labels");
    s3r_frame_labels file;
    s3r_kmeans_file centroids;
    s3r_error err;
    (void)state;
    write_labels(path, offsets, &mfcc_source);
    assert_int_equal(
        s3r_kmeans_file_open(&centroids, path, s3r_kernels_get(S3R_CPU_PORTABLE), &err),
        S3R_ERR_MODEL);
    assert_non_null(strstr(err.message, "expected a file of kind \"s3r.kmeans\""));
    assert_int_equal(s3r_frame_labels_open(&file, test_path(folder, "none"), &err),
                     S3R_ERR_MODEL);
}

/* ---- centroids ---- */

static s3r_status write_centroids(const char *path, s3r_error *err)
{
    s3r_kmeans_file file = {.source = layer_source,
                            .record = {.seed = (uint64_t)INT64_MAX,
                                       .rows = 1000,
                                       .iterations = 17,
                                       .inertia = 1.0 / 3}};
    S3R_TRY(s3r_kmeans_create(&file.kmeans, 4, 3, err));
    for (size_t i = 0; i < 12; i++)
        file.kmeans.centroids[i] = (float)i / 7;
    file.kmeans.mean[1] = -2.5f;
    file.kmeans.scale[2] = 0.1f;
    s3r_status status = s3r_kmeans_file_save(path, &file, err);
    s3r_kmeans_file_close(&file);
    return status;
}

static void reads_centroids(void **state)
{
    const char *path = test_path(test_folder(), "c.s3k");
    s3r_kmeans_file file;
    (void)state;
    assert_int_equal(write_centroids(path, NULL), S3R_OK);
    assert_int_equal(
        s3r_kmeans_file_open(&file, path, s3r_kernels_get(S3R_CPU_PORTABLE), NULL),
        S3R_OK);
    assert_true(file.kmeans.clusters == 4 && file.kmeans.dim == 3);
    assert_non_null(file.kmeans.packed);
    for (size_t i = 0; i < 12; i++)
        assert_true(file.kmeans.centroids[i] == (float)i / 7);
    assert_true(file.kmeans.mean[1] == -2.5f && file.kmeans.scale[2] == 0.1f);
    assert_true(!file.source.is_mfcc && file.source.layer == 6);
    assert_true(file.record.seed == (uint64_t)INT64_MAX && file.record.rows == 1000);
    assert_true(file.record.iterations == 17 && file.record.inertia == 1.0 / 3);
    s3r_kmeans_file_close(&file);
}

#define GOOD_RECORD                                                                      \
    "{'clusters':2,'dim':3,'source':'mfcc','seed':1,'rows':9,'iterations':2,"            \
    "'inertia':0.5"

static void refuses_bad_centroids(void **state)
{
    static const struct {
        const char *change, *removed, *said;
        float value;      /* of the last centroid */
        size_t mean_size; /* 0 = 3 */
    } table[] = {
        {NULL, "dim", "\"dim\"", 1, 0},
        {"{'dim':0}", NULL, "\"dim\"", 1, 0},
        {"{'dim':2}", NULL, "\"centroids\": expected F32 of 2 x 2", 1, 0},
        {"{'clusters':3}", NULL, "\"centroids\": expected F32 of 3 x 3", 1, 0},
        {"{'clusters':65536,'dim':65536}", NULL, "\"centroids\"", 1, 0},
        {"{'source':'layer','backbone':'" HASH "'}", NULL, "\"layer\"", 1, 0},
        {"{'rows':0}", NULL, "\"rows\"", 1, 0},
        {NULL, NULL, "\"centroids\": expected finite numbers", NAN, 0},
        {NULL, NULL, "\"mean\": expected F32 of 3 x 1", 1, 2},
    };
    const char *path = test_path(test_folder(), "bad.s3k");
    (void)state;
    for (size_t i = 0; i < S3R_ARRAY_LEN(table); i++) {
        float values[6] = {0, 1, 2, 3, 4, table[i].value}, ones[3] = {1, 1, 1};
        size_t mean = table[i].mean_size ? table[i].mean_size : 3;
        const s3r_tensor tensors[] = {{.name = "centroids",
                                       .dtype = S3R_DTYPE_F32,
                                       .rank = 2,
                                       .shape = {2, 3},
                                       .data = values,
                                       .size_bytes = sizeof values},
                                      {.name = "mean",
                                       .dtype = S3R_DTYPE_F32,
                                       .rank = 1,
                                       .shape = {mean},
                                       .data = ones,
                                       .size_bytes = mean * sizeof(float)},
                                      {.name = "scale",
                                       .dtype = S3R_DTYPE_F32,
                                       .rank = 1,
                                       .shape = {3},
                                       .data = ones,
                                       .size_bytes = sizeof ones}};
        json_t *facts = facts_from(GOOD_RECORD, table[i].change, table[i].removed);
        s3r_kmeans_file file;
        s3r_error err = {S3R_OK, ""};
        assert_int_equal(
            s3r_sealed_file_save(path, S3R_KMEANS_KIND, 1, tensors, 3, facts, NULL),
            S3R_OK);
        json_decref(facts);
        s3r_status status =
            s3r_kmeans_file_open(&file, path, s3r_kernels_get(S3R_CPU_PORTABLE), &err);
        if (status != S3R_ERR_MODEL || !strstr(err.message, table[i].said))
            fail_msg("case %zu: status %d, \"%s\" without \"%s\"", i, (int)status,
                     err.message, table[i].said);
        assert_null(file.kmeans.centroids);
    }
}

/* ---- lack of memory ---- */

typedef struct attempt_context {
    const char *path;
    s3r_manifest manifest;
} attempt_context;

static s3r_status attempt(void *context, s3r_error *err)
{
    const attempt_context *c = context;
    s3r_frame_labels file;
    s3r_kmeans_file centroids;
    S3R_TRY(write_labels_of(c->path, &c->manifest, offsets, &layer_source, err));
    S3R_TRY(s3r_frame_labels_open(&file, c->path, err));
    s3r_frame_labels_close(&file);
    S3R_TRY(write_centroids(c->path, err));
    S3R_TRY(s3r_kmeans_file_open(&centroids, c->path, s3r_kernels_get(S3R_CPU_PORTABLE),
                                 err));
    s3r_kmeans_file_close(&centroids);
    return S3R_OK;
}

/* Without jansson's own allocations: its scanner writes beyond its buffer when one fails
 * in the middle of a string of 16 bytes or more (seen in 2.14). */
static void survives_lack_of_memory(void **state)
{
    attempt_context context = {.path = test_path(test_folder(), "f")};
    (void)state;
    assert_int_equal(
        s3r_manifest_parse(&context.manifest, lines, strlen(lines), "m", NULL), S3R_OK);
    size_t before = s3r_alloc_count();
    assert_int_equal(attempt(&context, NULL), S3R_OK);
    size_t count = s3r_alloc_count() - before, failures = 0;
    for (size_t n = 1; n <= count; n++) {
        s3r_error err = {.message = ""};
        s3r_alloc_fail_at(n);
        s3r_status status = attempt(&context, &err);
        s3r_alloc_fail_at(0);
        assert_true(status == S3R_OK || status == S3R_ERR_RESOURCE);
        assert_true(status == S3R_OK || err.message[0] != '\0');
        failures += status != S3R_OK;
    }
    /* Syncing a folder does without memory; nothing else does. */
    assert_true(count > 20 && failures == count - 2);
    s3r_manifest_close(&context.manifest);
}

static void hashes_manifests(void **state)
{
    const char *path = test_path(test_folder(), "m.jsonl");
    char hex[S3R_LABELS_HASH_BYTES];
    s3r_error err;
    (void)state;
    test_write_file(path, "abc", 3);
    assert_int_equal(s3r_manifest_hash(hex, path, NULL), S3R_OK);
    assert_string_equal(
        hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(s3r_is_sha256(hex));
    assert_false(s3r_is_sha256(hex + 1));
    assert_false(s3r_is_sha256(NULL));
    assert_int_equal(s3r_manifest_hash(hex, "nothing.jsonl", &err), S3R_ERR_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_written),
        cmocka_unit_test(takes_no_frames_at_all),
        cmocka_unit_test(refuses_bad_labels),
        cmocka_unit_test(refuses_other_kinds),
        cmocka_unit_test(reads_centroids),
        cmocka_unit_test(refuses_bad_centroids),
        cmocka_unit_test(survives_lack_of_memory),
        cmocka_unit_test(hashes_manifests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
