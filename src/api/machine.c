/*
 * What this build and this machine are.
 */
#include "s3r/machine.h"

#include <jansson.h>
#include <sndfile.h>
#include <soxr.h>
#include <string.h>
#include <utf8proc.h>
#include <zlib.h>

#include "base/cpu_level.h"
#include "base/thread_pool.h"

/* "libsoxr-0.1.3" says "0.1.3". */
static const char *after_dash(const char *version)
{
    const char *dash = strchr(version, '-');
    return dash ? dash + 1 : version;
}

const char *s3r_machine_cpu_level(void)
{
    return s3r_cpu_level_name(s3r_cpu_detect());
}

size_t s3r_machine_processor_count(void)
{
    return s3r_processor_count();
}

bool s3r_machine_dependency(size_t index, s3r_dependency *out)
{
    const s3r_dependency all[] = {
        {"jansson", jansson_version_str()},
        {"libsndfile", after_dash(sf_version_string())},
        {"libsoxr", after_dash(soxr_version())},
        {"zlib", zlibVersion()},
        {"utf8proc", utf8proc_version()},
    };
    if (index >= S3R_ARRAY_LEN(all))
        return false;
    *out = all[index];
    return true;
}
