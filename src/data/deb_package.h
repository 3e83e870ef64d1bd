/*
 * The files of a Debian package without installing it.
 */
#ifndef S3R_DATA_DEB_PACKAGE_H
#define S3R_DATA_DEB_PACKAGE_H

#include "data/corpus.h"

/*
 * Finds the folder below which the package's files are ("/" when it is installed), in a
 * new string:
 *
 *   with request->source  the source itself, when `probe` (a path without "/" at its
 *                         start) is below it; else NAME_*.deb in it is unpacked into the
 *                         work folder.  Neither: *root is NULL.
 *   without               "/" when probe is there; else the package is downloaded by
 *                         apt-get and unpacked by dpkg-deb into the work folder, once.
 *                         Neither program needs root.
 *
 * S3R_ERR_DATA: the package cannot be had (offline, another system) and what to do;
 * S3R_ERR_RUNTIME, S3R_ERR_RESOURCE.
 */
s3r_status s3r_deb_package_find(char **root, const s3r_corpus_request *request,
                                const char *name, const char *probe, s3r_error *err);

#endif
