/*
 * Any bytes as a file of transcripts: an error, or texts that can be found by their ids.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/trn_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3r_transcripts transcripts;
    s3r_error err;
    if (s3r_transcripts_parse(&transcripts, (const char *)data, size, "fuzz", &err) !=
        S3R_OK)
        return 0;
    for (size_t i = 0; i < transcripts.count; i++) {
        const s3r_transcript *item = &transcripts.items[i];
        s3r_error_counts counts = {0};
        if (transcripts.has_ids && s3r_transcripts_find(&transcripts, item->id) != item)
            abort();
        if (s3r_error_counts_add(&counts, item->text, item->text, S3R_UNIT_WORD, &err) !=
                S3R_OK ||
            counts.substitutions + counts.deletions + counts.insertions > 0)
            abort();
    }
    s3r_transcripts_close(&transcripts);
    return 0;
}
