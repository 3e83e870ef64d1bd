/*
 * apt-get fetches, dpkg-deb unpacks; both are run as programs.
 *
 * WORK/packages holds the .deb files, WORK/NAME what was in them.  A file beside it tells
 * that unpacking has come to its end, so that an interrupted run is repeated.
 */
#include "data/deb_package.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/folder_list.h"
#include "base/process.h"

#define MAX_PROGRAM_OUTPUT ((size_t)1 << 20)

typedef struct package {
    const char *name, *probe;
    const char *work_folder;
    char *root;  /* WORK/NAME */
    char *stamp; /* WORK/NAME.unpacked */
    char *store; /* WORK/packages */
} package;

static s3r_status join(char **out, const char *folder, const char *name, s3r_error *err)
{
    *out = s3r_path_join(folder, name);
    return *out ? S3R_OK
                : s3r_fail_memory(err, "a path", strlen(folder) + strlen(name) + 2);
}

static s3r_status has_file(bool *exists, const char *folder, const char *name,
                           s3r_error *err)
{
    char *path;
    S3R_TRY(join(&path, folder, name, err));
    *exists = s3r_path_exists(path);
    s3r_free(path);
    return S3R_OK;
}

/* NAME_*.deb in folder, the last by name; *path NULL when there is none. */
static s3r_status find_archive(char **path, const char *folder, const char *name,
                               s3r_error *err)
{
    s3r_folder_list list;
    size_t length = strlen(name);
    *path = NULL;
    if (!s3r_path_is_folder(folder))
        return S3R_OK;
    S3R_TRY(s3r_folder_list_read(&list, folder, ".deb", S3R_ERR_DATA, err));
    const char *found = NULL;
    for (size_t i = 0; i < list.count; i++)
        if (strncmp(list.names[i], name, length) == 0 && list.names[i][length] == '_')
            found = list.names[i];
    s3r_status status = found ? join(path, folder, found, err) : S3R_OK;
    s3r_folder_list_release(&list);
    return status;
}

static s3r_status run(const char *const *arguments, bool *is_missing, s3r_error *err)
{
    const s3r_process process = {.arguments = arguments,
                                 .max_output_bytes = MAX_PROGRAM_OUTPUT};
    char *output = NULL;
    size_t size;
    s3r_status status = s3r_process_run(&process, &output, &size, is_missing, err);
    s3r_free(output);
    return status;
}

/* The failure of a program as a matter of data, with what to do about it. */
static s3r_status explain(const package *p, s3r_status status, const s3r_error *why,
                          s3r_error *err)
{
    if (status != S3R_ERR_RUNTIME)
        return s3r_fail(err, status, "%s", why->message);
    return s3r_fail(err, S3R_ERR_DATA,
                    "package %s: it is not installed and could not be unpacked (%.400s); "
                    "install it (apt-get install %s) or name a folder that has its .deb "
                    "file or its files",
                    p->name, why->message, p->name);
}

static s3r_status unpack(const package *p, const char *archive, s3r_error *err)
{
    s3r_error why = {0};
    bool is_complete;
    const char *const arguments[] = {"dpkg-deb", "-x", archive, p->root, NULL};
    S3R_TRY(s3r_folder_create(p->root, err));
    s3r_status status = run(arguments, NULL, &why);
    if (status != S3R_OK)
        return explain(p, status, &why, err);
    S3R_TRY(has_file(&is_complete, p->root, p->probe, err));
    if (!is_complete)
        return s3r_fail(err, S3R_ERR_DATA, "%s: expected %s in it, found another package",
                        archive, p->probe);
    return s3r_file_write_all(p->stamp, "", 0, err);
}

/* apt-get downloads into its working directory; env sets that. */
static s3r_status download(const package *p, s3r_error *err)
{
    s3r_error why = {0};
    const char *const arguments[] = {
        "env",      "-C",    p->store, "apt-get", "-q", "-o", "APT::Sandbox::User=root",
        "download", p->name, NULL};
    S3R_TRY(s3r_folder_create(p->store, err));
    s3r_status status = run(arguments, NULL, &why);
    return status == S3R_OK ? S3R_OK : explain(p, status, &why, err);
}

static s3r_status unpack_from(const package *p, const char *folder, bool *was_there,
                              s3r_error *err)
{
    char *archive;
    S3R_TRY(find_archive(&archive, folder, p->name, err));
    *was_there = archive != NULL;
    s3r_status status = archive ? unpack(p, archive, err) : S3R_OK;
    s3r_free(archive);
    return status;
}

static s3r_status provide(const package *p, const char *source, bool *is_there,
                          s3r_error *err)
{
    *is_there = s3r_path_exists(p->stamp);
    if (*is_there)
        return S3R_OK;
    if (source)
        return unpack_from(p, source, is_there, err);
    /* A file that a broken download left does not unpack: fetch it once more. */
    if (unpack_from(p, p->store, is_there, NULL) == S3R_OK && *is_there)
        return S3R_OK;
    S3R_TRY(download(p, err));
    S3R_TRY(unpack_from(p, p->store, is_there, err));
    if (*is_there)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_DATA, "package %s: apt-get left no %s_*.deb in %s",
                    p->name, p->name, p->store);
}

static s3r_status name_paths(package *p, s3r_error *err)
{
    char stamp[128];
    snprintf(stamp, sizeof stamp, "%s.unpacked", p->name);
    S3R_TRY(join(&p->root, p->work_folder, p->name, err));
    S3R_TRY(join(&p->stamp, p->work_folder, stamp, err));
    return join(&p->store, p->work_folder, "packages", err);
}

s3r_status s3r_deb_package_find(char **root, const s3r_corpus_request *request,
                                const char *name, const char *probe, s3r_error *err)
{
    const char *installed = request->source ? request->source : "/";
    bool is_there;
    *root = NULL;
    S3R_TRY(has_file(&is_there, installed, probe, err));
    if (is_there) {
        *root = s3r_strdup(installed);
        return *root ? S3R_OK : s3r_fail_memory(err, "a path", strlen(installed));
    }
    if (!request->work_folder)
        return s3r_fail(err, S3R_ERR_USAGE,
                        "package %s: no work folder to unpack it into", name);
    package p = {.name = name, .probe = probe, .work_folder = request->work_folder};
    s3r_status status = name_paths(&p, err);
    if (status == S3R_OK)
        status = provide(&p, request->source, &is_there, err);
    if (status == S3R_OK && is_there) {
        *root = p.root;
        p.root = NULL;
    }
    s3r_free(p.root);
    s3r_free(p.stamp);
    s3r_free(p.store);
    return status;
}
