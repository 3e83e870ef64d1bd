/*
 * Holding lines back until it is their turn.
 */
#include "ordered_lines.h"

#include <stdlib.h>

bool s3r_ordered_lines_init(s3r_ordered_lines *lines, FILE *out, size_t count)
{
    *lines = (s3r_ordered_lines){.out = out, .count = count};
    lines->lines = calloc(count + 1, sizeof *lines->lines);
    lines->is_done = calloc(count + 1, sizeof *lines->is_done);
    return lines->lines && lines->is_done;
}

static void write_line(s3r_ordered_lines *lines, size_t index)
{
    if (lines->lines[index])
        fputs(lines->lines[index], lines->out);
    free(lines->lines[index]);
    lines->lines[index] = NULL;
}

/* Readers of a pipe shall see a line as soon as it can be told. */
static bool flush(s3r_ordered_lines *lines)
{
    return fflush(lines->out) == 0 && !ferror(lines->out);
}

bool s3r_ordered_lines_put(s3r_ordered_lines *lines, size_t index, char *line)
{
    lines->lines[index] = line;
    lines->is_done[index] = true;
    for (; lines->next < lines->count && lines->is_done[lines->next]; lines->next++)
        write_line(lines, lines->next);
    return flush(lines);
}

bool s3r_ordered_lines_finish(s3r_ordered_lines *lines)
{
    for (; lines->next < lines->count; lines->next++)
        write_line(lines, lines->next);
    return flush(lines);
}

void s3r_ordered_lines_release(s3r_ordered_lines *lines)
{
    for (size_t i = 0; lines->lines && i < lines->count; i++)
        free(lines->lines[i]);
    free(lines->lines);
    free(lines->is_done);
    *lines = (s3r_ordered_lines){0};
}
