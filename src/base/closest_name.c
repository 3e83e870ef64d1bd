/*
 * Edit distance (optimal string alignment), in three rows of costs.
 */
#include "base/closest_name.h"

#include <string.h>

#define MAX_LENGTH 63

static size_t distance(const char *a, const char *b)
{
    size_t rows = S3R_MIN(strlen(a), MAX_LENGTH), cols = S3R_MIN(strlen(b), MAX_LENGTH);
    size_t cost[3][MAX_LENGTH + 1];
    for (size_t j = 0; j <= cols; j++)
        cost[0][j] = j;
    for (size_t i = 1; i <= rows; i++) {
        const size_t *up = cost[(i - 1) % 3], *above = cost[(i + 1) % 3];
        size_t *row = cost[i % 3];
        row[0] = i;
        for (size_t j = 1; j <= cols; j++) {
            size_t replace = up[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = S3R_MIN(replace, S3R_MIN(up[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = S3R_MIN(row[j], above[j - 2] + 1);
        }
    }
    return cost[rows % 3][cols];
}

/* A part of a name counts as one edit. */
static size_t score(const char *typed, const char *candidate)
{
    size_t length = strlen(typed), whole = distance(typed, candidate);
    const char *dot = strrchr(candidate, '.'), *typed_dot = strrchr(typed, '.');
    if (whole > 1 && length >= 2 && strncmp(typed, candidate, length) == 0)
        return 1;
    if (!dot || whole <= 1)
        return whole;
    return S3R_MIN(whole, 1 + distance(typed_dot ? typed_dot + 1 : typed, dot + 1));
}

const char *s3r_closest_name(const char *typed, const char *best, const char *candidate)
{
    size_t limit = 1 + strlen(typed) / 4, found = score(typed, candidate);
    if (found > limit || (best && score(typed, best) <= found))
        return best;
    return candidate;
}
