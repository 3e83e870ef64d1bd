/*
 * Any bytes as a script with dialogues: what is found has a text and a font.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/lua_dialogs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3r_lua_dialogs dialogs;
    s3r_lua_dialogs_init(&dialogs);
    if (s3r_lua_dialogs_parse(&dialogs, (const char *)data, size, NULL) != S3R_OK)
        abort();
    for (size_t i = 0; i < dialogs.count; i++)
        if (strlen(dialogs.items[i].text) + strlen(dialogs.items[i].font) > size)
            abort();
    s3r_lua_dialogs_release(&dialogs);
    return 0;
}
