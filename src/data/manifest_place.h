/*
 * Writing utterances as a manifest somewhere else than where they were read: audio below
 * the manifest's folder is named relative to it, so that the folder can be moved; other
 * audio absolutely.
 */
#ifndef S3R_DATA_MANIFEST_PLACE_H
#define S3R_DATA_MANIFEST_PLACE_H

#include "data/manifest.h"

/* Items are not changed.  Repeated ids get "#2", "#3", ... behind them.  The folder of
 * path exists.  The errors of s3r_manifest_save. */
s3r_status s3r_manifest_place(const char *path, const s3r_utterance *items, size_t count,
                              s3r_error *err);

#endif
