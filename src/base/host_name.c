/*
 * The name of this machine, by POSIX.
 */
#define _POSIX_C_SOURCE 200809L
#include "base/host_name.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

void s3r_host_name(char *text, size_t text_bytes)
{
    if (gethostname(text, text_bytes) != 0 || memchr(text, '\0', text_bytes) == NULL ||
        text[0] == '\0')
        strcpy(text, "localhost");
    for (char *at = text; *at; at++) {
        if (!isalnum((unsigned char)*at) && *at != '-' && *at != '.')
            *at = '-';
    }
}
