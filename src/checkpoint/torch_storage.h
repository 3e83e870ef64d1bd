/*
 * The storages of a PyTorch file, by the persistent ids of its pickle.  (spec 3.2)
 */
#ifndef S3R_CHECKPOINT_TORCH_STORAGE_H
#define S3R_CHECKPOINT_TORCH_STORAGE_H

#include "base/dtype.h"
#include "base/error.h"
#include "checkpoint/pickle_tree.h"
#include "checkpoint/zip_read.h"

/* A persistent id: ('storage', type, key, location, numel[, view]). */
typedef struct s3r_torch_storage_id {
    s3r_pickle_text key;
    bool is_untyped; /* numel counts bytes, the tensor brings its dtype */
    s3r_dtype dtype; /* U8 when untyped */
    size_t numel;
    bool has_view; /* legacy: elements view_offset .. + view_numel of the storage */
    size_t view_offset, view_numel;
} s3r_torch_storage_id;

/* Where a storage's bytes are. */
typedef struct s3r_torch_storage {
    const unsigned char *bytes;
    size_t size;
} s3r_torch_storage;

/* Finds storages in a zip (zip != NULL) or in a legacy file. */
typedef struct s3r_torch_storages {
    s3r_zip *zip;
    s3r_pickle_text prefix; /* "NAME/" of the zip */
    struct s3r_torch_legacy_entry {
        s3r_pickle_text key;
        size_t element_size; /* 0 = no tensor uses it */
        size_t numel;
        s3r_torch_storage storage;
    } * legacy; /* sorted by key */
    size_t legacy_count;
    const char *label;
    s3r_error *err;
} s3r_torch_storages;

/* The dtype of a torch class: "FloatStorage", or "float32" of module torch. */
bool s3r_torch_dtype_from_class(const s3r_pickle_node *type, s3r_dtype *out);

/* Decodes the id of a PERSISTENT node; false when it is not a storage id. */
bool s3r_torch_storage_id_read(s3r_torch_storage_id *out, const s3r_pickle_node *node);

/*
 * Reads the storages that follow a legacy file's pickles from *at on, which moves behind
 * them.  keys is the pickled list of their keys, objects the pickle that refers to them;
 * both must outlive the result.  Release with s3r_free(storages->legacy), also on
 * failure.
 */
s3r_status s3r_torch_storages_read_legacy(s3r_torch_storages *storages,
                                          const s3r_pickle_tree *objects,
                                          const s3r_pickle_node *keys,
                                          const unsigned char *bytes, size_t size,
                                          size_t at);

/* The bytes of a storage, at least numel * element size of them, its view applied. */
s3r_status s3r_torch_storages_find(s3r_torch_storages *storages, s3r_torch_storage *out,
                                   const s3r_torch_storage_id *id);

#endif
