/*
 * Edit distance (optimal string alignment) and the choice of a suggestion.
 */
#include "suggest.h"

#include <string.h>

#define MAX_LENGTH 63

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t s3r_edit_distance(const char *a, const char *b)
{
    size_t rows = least(strlen(a), MAX_LENGTH), columns = least(strlen(b), MAX_LENGTH);
    size_t cost[MAX_LENGTH + 1][MAX_LENGTH + 1];
    for (size_t i = 0; i <= rows; i++)
        cost[i][0] = i;
    for (size_t j = 0; j <= columns; j++)
        cost[0][j] = j;
    for (size_t i = 1; i <= rows; i++) {
        for (size_t j = 1; j <= columns; j++) {
            size_t replace = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            cost[i][j] = least(replace, least(cost[i - 1][j], cost[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost[i][j] = least(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[rows][columns];
}

/* Also a word that was cut ("trans") is meant, so a prefix counts as one edit. */
static size_t score(const char *typed, const char *candidate)
{
    size_t length = strlen(typed);
    if (length >= 2 && strncmp(typed, candidate, length) == 0)
        return 1;
    return s3r_edit_distance(typed, candidate);
}

const char *s3r_suggest(const char *typed, const char *best, const char *candidate)
{
    size_t limit = 1 + strlen(typed) / 4;
    size_t distance = score(typed, candidate);
    if (distance > limit || (best && score(typed, best) <= distance))
        return best;
    return candidate;
}
