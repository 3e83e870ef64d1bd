/*
 * The bar over files.
 */
#include "data_run.h"

#include "interrupt.h"

bool s3r_file_bar_update(void *context, size_t done, size_t total)
{
    s3r_file_bar *bar = context;
    if (!bar->has_started)
        s3r_progress_start(&bar->progress, bar->terminal, bar->label, (double)total);
    bar->has_started = true;
    s3r_progress_update(&bar->progress, (double)done);
    return !s3r_interrupted();
}

void s3r_file_bar_end(s3r_file_bar *bar)
{
    if (bar->has_started)
        s3r_progress_end(&bar->progress);
}
