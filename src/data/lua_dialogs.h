/*
 * The dialogues of Fish Fillets, Lua files of calls
 *
 *   dialogId("ID", "FONT", "ENGLISH")
 *   dialogStr("TEXT")
 *
 * Nothing is executed: these pairs of calls are looked for, anything else is passed over.
 */
#ifndef S3R_DATA_LUA_DIALOGS_H
#define S3R_DATA_LUA_DIALOGS_H

#include "base/memory.h"
#include "data/string_map.h"

typedef struct s3r_lua_dialog {
    const char *text, *font; /* without escapes; the font tells who speaks */
} s3r_lua_dialog;

typedef struct s3r_lua_dialogs {
    s3r_lua_dialog *items;
    size_t count, capacity;
    s3r_string_map ids; /* to index of items */
    s3r_arena owned;
} s3r_lua_dialogs;

void s3r_lua_dialogs_init(s3r_lua_dialogs *dialogs);
void s3r_lua_dialogs_release(s3r_lua_dialogs *dialogs);

/* Adds the dialogues of a script; of an identifier that comes twice the last counts.
 * S3R_ERR_RESOURCE. */
s3r_status s3r_lua_dialogs_parse(s3r_lua_dialogs *dialogs, const char *bytes, size_t size,
                                 s3r_error *err);

/* The dialogue of that identifier; NULL when there is none. */
const s3r_lua_dialog *s3r_lua_dialogs_find(const s3r_lua_dialogs *dialogs,
                                           const char *id);

#endif
