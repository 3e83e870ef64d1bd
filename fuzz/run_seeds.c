/*
 * Drives a fuzz target without a fuzzer: feeds every file named on the command line (or
 * found below a folder named there), then a few thousand mutations of them.  The same
 * seeds always give the same inputs, so a failure can be repeated; each input lives in a
 * heap block of exactly its size, so that a sanitizer sees a read past its end.
 *
 *   run_seeds [-n MUTATIONS] FILE|FOLDER...
 */
#define _XOPEN_SOURCE 700
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_SEED_BYTES    (1u << 20)
#define DEFAULT_MUTATIONS 2000u
#define MAX_SECONDS       30 /* slow targets stop mutating here, and say so */

typedef struct seed {
    uint8_t *bytes;
    size_t size;
} seed;

typedef struct seed_list {
    seed *items;
    size_t count;
} seed_list;

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "run_seeds: %s: %s\n", path, what);
    exit(1);
}

static void *must(void *block)
{
    if (!block)
        fail("no memory", "allocation");
    return block;
}

static void add_file(seed_list *list, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail("cannot open", path);
    uint8_t *bytes = must(malloc(MAX_SEED_BYTES));
    size_t size = fread(bytes, 1, MAX_SEED_BYTES, file);
    fclose(file);
    list->items = must(realloc(list->items, (list->count + 1) * sizeof *list->items));
    list->items[list->count++] = (seed){.bytes = must(realloc(bytes, size + 1)), size};
}

static void add_path(seed_list *list, const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
        fail("not found", path);
    if (!S_ISDIR(info.st_mode)) {
        add_file(list, path);
        return;
    }
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        fail("cannot list", path);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            size_t size = strlen(path) + strlen(entries[i]->d_name) + 2;
            char *child = must(malloc(size));
            snprintf(child, size, "%s/%s", path, entries[i]->d_name);
            add_path(list, child);
            free(child);
        }
        free(entries[i]);
    }
    free(entries);
}

static void run_one(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = must(malloc(size ? size : 1));
    memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t limit)
{
    return limit ? (size_t)(next_random(state) % limit) : 0;
}

/* Headers are where parsers break: half of the positions fall into the first 256 bytes.
 */
static size_t position(uint64_t *state, size_t size)
{
    return below(state, next_random(state) & 1 && size > 256 ? 256 : size);
}

static size_t mutate_once(uint8_t *bytes, size_t size, uint64_t *state)
{
    static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff, '"', '{', '}', '.', '\n'};
    size_t at = position(state, size), length = 1 + below(state, 16);
    if (size == 0)
        return 0;
    if (length > size - at)
        length = size - at;
    switch (below(state, 6)) {
    case 0: /* flip a bit */
        bytes[at] = (uint8_t)(bytes[at] ^ (1u << below(state, 8)));
        return size;
    case 1: /* any byte */
        bytes[at] = (uint8_t)next_random(state);
        return size;
    case 2: /* an edge value, repeated */
        memset(bytes + at, edges[below(state, sizeof edges)], length);
        return size;
    case 3: /* cut the end */
        return at;
    case 4: /* remove a piece */
        memmove(bytes + at, bytes + at + length, size - at - length);
        return size - length;
    default: /* copy a piece over another place */
        memmove(bytes + at, bytes + below(state, size - length + 1), length);
        return size;
    }
}

static size_t run_mutations(const seed_list *list, size_t count)
{
    time_t start = time(NULL);
    for (size_t i = 0; i < count; i++) {
        if (time(NULL) - start > MAX_SECONDS)
            return i;
        const seed *origin = &list->items[i % list->count];
        uint64_t state = i;
        uint8_t *copy = must(malloc(origin->size + 1));
        memcpy(copy, origin->bytes, origin->size);
        size_t size = origin->size;
        for (size_t steps = 1 + below(&state, 4); steps > 0; steps--)
            size = mutate_once(copy, size, &state);
        run_one(copy, size);
        free(copy);
    }
    return count;
}

int main(int argc, char **argv)
{
    seed_list list = {0};
    size_t mutations = DEFAULT_MUTATIONS;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-n") == 0 && i + 1 < argc)
            mutations = strtoul(argv[++i], NULL, 10);
        else
            add_path(&list, argv[i]);
    }
    if (list.count == 0)
        fail("no seed given", "arguments");
    run_one((const uint8_t *)"", 0);
    for (size_t i = 0; i < list.count; i++)
        run_one(list.items[i].bytes, list.items[i].size);
    size_t done = run_mutations(&list, mutations);
    printf("%zu seeds, %zu of %zu mutations\n", list.count, done, mutations);
    for (size_t i = 0; i < list.count; i++)
        free(list.items[i].bytes);
    free(list.items);
    return 0;
}
