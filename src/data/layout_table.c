/*
 * The table of layouts.  A new one is a line here and a file layout_NAME.c.
 */
#include <string.h>

#include "data/layouts.h"

static const s3r_layout *const layouts[] = {
    &s3r_layout_librispeech, &s3r_layout_commonvoice, &s3r_layout_fleurs,
    &s3r_layout_fairseq,     &s3r_layout_kaldi,       &s3r_layout_huggingface,
    &s3r_layout_folder,      &s3r_layout_tuxpaint,    &s3r_layout_fillets,
    &s3r_layout_asterisk,    &s3r_layout_debian,      NULL,
};

const s3r_layout *s3r_layout_find(const char *name)
{
    for (size_t i = 0; layouts[i]; i++)
        if (strcmp(layouts[i]->name, name) == 0)
            return layouts[i];
    return NULL;
}

const s3r_layout *s3r_layout_at(size_t index)
{
    return index + 1 < S3R_ARRAY_LEN(layouts) ? layouts[index] : NULL;
}
