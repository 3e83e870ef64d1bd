/*
 * Any bytes as a lexicon of a small vocabulary: an error, or a trie in which every word
 * can be found by following labels.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decode/lexicon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int is_true)
{
    if (!is_true)
        abort();
}

static void check_trie(const s3r_lexicon *lexicon)
{
    size_t words = 0;
    for (uint32_t i = 0; i < lexicon->node_count; i++) {
        const s3r_trie_node *node = &lexicon->nodes[i];
        words += s3r_trie_word_count(node);
        require(s3r_trie_word_count(node) + s3r_trie_child_count(node) > 0);
        for (uint32_t j = 0; j < s3r_trie_child_count(node); j++) {
            uint32_t child = node->first_child + j;
            require(child > i && child < lexicon->node_count);
            require(s3r_trie_child(lexicon, i, lexicon->nodes[child].label) == child);
        }
        for (uint32_t j = 0; j < s3r_trie_word_count(node); j++)
            require(lexicon->node_words[node->first_word + j] < lexicon->words.count);
    }
    require(words >= lexicon->words.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[] = "v", texts[5][3] = {"_", "|", "a", "b", "\xc3\xbc"};
    static char *labels[] = {texts[0], texts[1], texts[2], texts[3], texts[4]};
    static bool special[] = {true, false, false, false, false};
    const s3r_vocabulary vocabulary = {.path = path,
                                       .count = 5,
                                       .labels = labels,
                                       .printed = labels,
                                       .is_special = special,
                                       .delimiter_id = 1,
                                       .unknown_id = S3R_NO_LABEL,
                                       .delimiter_text = texts[1]};
    s3r_lexicon lexicon = {0};
    s3r_error err = {.message = ""};
    s3r_status status =
        s3r_lexicon_parse(&lexicon, (const char *)data, size, "fuzz", &vocabulary, &err);
    if (status == S3R_OK) {
        require(s3r_lexicon_finish(&lexicon, &err) == S3R_OK);
        check_trie(&lexicon);
    } else {
        require(err.message[0] != '\0');
    }
    s3r_lexicon_release(&lexicon);
    return 0;
}
