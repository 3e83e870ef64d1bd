/*
 * Layouts of corpora: tiny trees of each kind, and what is wrong with others.  Layouts do
 * not look at audio, so that none is needed here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "data/layouts.h"
#include "support_files.h"

#define MAX_FILES 8

typedef struct tree_file {
    const char *name, *content;
} tree_file;

typedef struct layout_case {
    const char *layout;
    tree_file files[MAX_FILES];
    const char *source; /* below the tree; NULL = the tree */
    const char *language;
    /* A line an item: split, language, speaker, id, audio below the tree, offset,
     * duration, text; then a line "dropped REASON COUNT" each. */
    const char *expected;
    const char *error; /* part of the message; NULL = none */
} layout_case;

static const char *make_tree(const tree_file *files)
{
    const char *root = test_folder();
    for (size_t i = 0; i < MAX_FILES && files[i].name; i++) {
        char *path = s3r_path_join(root, files[i].name);
        char *slash = strrchr(path, '/');
        *slash = '\0';
        assert_int_equal(s3r_folder_create(path, NULL), S3R_OK);
        *slash = '/';
        test_write_file(path, files[i].content, strlen(files[i].content));
        s3r_free(path);
    }
    return root;
}

static const char *or_dash(const char *text)
{
    return text ? text : "-";
}

static void describe(const s3r_corpus *corpus, const char *root, char *text, size_t bytes)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < corpus->count; i++) {
        const s3r_corpus_item *item = &corpus->items[i];
        const s3r_utterance *u = &item->utterance;
        const char *path = u->audio_path;
        if (strncmp(path, root, strlen(root)) == 0)
            path += strlen(root) + 1;
        used +=
            (size_t)snprintf(text + used, bytes - used, "%s|%s|%s|%s|%s|%g|%g|%s\n",
                             item->split, or_dash(u->language), or_dash(u->speaker),
                             u->id, path, u->offset_s, u->duration_s, or_dash(u->text));
    }
    for (const s3r_drop_count *drop = corpus->dropped_reasons; drop; drop = drop->next)
        used += (size_t)snprintf(text + used, bytes - used, "dropped %s %zu\n",
                                 drop->reason, drop->count);
}

static void run_case(const layout_case *c, size_t number)
{
    static char found[8192];
    const char *root = make_tree(c->files);
    const char *source = c->source ? test_path(root, c->source) : root;
    s3r_corpus_request request = {.source = source, .language = c->language};
    s3r_corpus corpus;
    s3r_error err = {.message = ""};
    const s3r_layout *layout = s3r_layout_find(c->layout);
    assert_non_null(layout);
    s3r_corpus_init(&corpus);
    s3r_status status = layout->read(&corpus, &request, &err);
    describe(&corpus, root, found, sizeof found);
    s3r_corpus_release(&corpus);
    if (c->error) {
        if (status != S3R_ERR_DATA || !strstr(err.message, c->error))
            fail_msg("case %zu, %s: expected \"%s\", found status %d \"%s\"", number,
                     c->layout, c->error, (int)status, err.message);
    } else if (status != S3R_OK || strcmp(found, c->expected) != 0) {
        fail_msg("case %zu, %s: expected\n%sfound (%s)\n%s", number, c->layout,
                 c->expected, err.message, found);
    }
}

static void run_cases(const layout_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        run_case(&cases[i], i);
}

static void test_librispeech(void **state)
{
    (void)state;
    static const layout_case cases[] = {
        {.layout = "librispeech",
         .files = {{"train-clean-100/19/198/19-198.trans.txt",
                    "19-198-0000 NORTHANGER ABBEY\n19-198-0001 THIS LITTLE WORK\r\n"},
                   {"train-clean-100/19/198/19-198-0001.wav", ""},
                   {"dev-other/7/8/7-8.trans.txt", "7-8-0000\tA\n\n"},
                   {"SPEAKERS.TXT", "no"}},
         .expected = "dev-other|en|7|7-8-0000|dev-other/7/8/7-8-0000.flac|0|-1|A\n"
                     "train-clean-100|en|19|19-198-0000|train-clean-100/19/198/"
                     "19-198-0000.flac|0|-1|NORTHANGER ABBEY\n"
                     "train-clean-100|en|19|19-198-0001|train-clean-100/19/198/"
                     "19-198-0001.wav|0|-1|THIS LITTLE WORK\n"},
        {.layout = "librispeech",
         .files = {{"dev-clean/1/2/1-2.trans.txt", "1-2-0 A\n"}},
         .source = "dev-clean/",
         .language = "de",
         .expected = "dev-clean|de|1|1-2-0|dev-clean/1/2/1-2-0.flac|0|-1|A\n"},
        {.layout = "librispeech",
         .files = {{"5/2/5-2.trans.txt", "5-2-0 A\n"}},
         .expected = "|en|5|5-2-0|5/2/5-2-0.flac|0|-1|A\n"},
        {.layout = "librispeech",
         .files = {{"1h/0/clean/5/2/5-2.trans.txt", "5-2-0 A\n"},
                   {"1h/3/other/6/2/6-2.trans.txt", "6-2-0 B\n"},
                   {"9h/clean/7/2/7-2.trans.txt", "7-2-0 C\n"}},
         .expected = "1h|en|5|5-2-0|1h/0/clean/5/2/5-2-0.flac|0|-1|A\n"
                     "10h|en|5|5-2-0|1h/0/clean/5/2/5-2-0.flac|0|-1|A\n"
                     "10m|en|5|5-2-0|1h/0/clean/5/2/5-2-0.flac|0|-1|A\n"
                     "1h|en|6|6-2-0|1h/3/other/6/2/6-2-0.flac|0|-1|B\n"
                     "10h|en|6|6-2-0|1h/3/other/6/2/6-2-0.flac|0|-1|B\n"
                     "10m-3|en|6|6-2-0|1h/3/other/6/2/6-2-0.flac|0|-1|B\n"
                     "10h|en|7|7-2-0|9h/clean/7/2/7-2-0.flac|0|-1|C\n"},
        {.layout = "librispeech",
         .files = {{"x/a.txt", ""}},
         .error = "expected folders with *.trans.txt, found none"},
        {.layout = "librispeech",
         .files = {{"a/b.trans.txt", "ok A\n../x B\n"}},
         .error = "b.trans.txt: line 2: expected \"ID TEXT\", found \"../x\""},
        {.layout = "librispeech",
         .files = {{"a/b.trans.txt", "1-2 caf\xE9\n"}},
         .error = "b.trans.txt: line 1: byte 8: expected UTF-8"},
        {.layout = "librispeech",
         .files = {{"a.flac", ""}},
         .source = "missing",
         .error = "missing: cannot read the folder"},
    };
    run_cases(cases, S3R_ARRAY_LEN(cases));
}

#define VOICE_HEAD "client_id\tpath\tsentence\tup_votes\tlocale\n"

static void test_commonvoice(void **state)
{
    (void)state;
    static const layout_case cases[] = {
        {.layout = "commonvoice",
         .files = {{"train.tsv", VOICE_HEAD "s1\ta.mp3\t \"Ja\" \t2\tky\r\n"},
                   {"test.tsv", VOICE_HEAD "s2\tb\tNe.\t2\t\n"},
                   {"validated.tsv", VOICE_HEAD "s3\tc.mp3\tno\t2\tky\n"}},
         .language = "ky",
         .expected = "train|ky|s1|a.mp3|clips/a.mp3|0|-1|\"Ja\"\n"
                     "test|ky|s2|b|clips/b.mp3|0|-1|Ne.\n"},
        {.layout = "commonvoice",
         .files = {{"validated.tsv", "path\tsentence\nc.mp3\tx\n"}},
         .expected = "|-|-|c.mp3|clips/c.mp3|0|-1|x\n"},
        {.layout = "commonvoice",
         .files = {{"other.tsv", "sentence\tpath\nx\tc.mp3\n"}},
         .source = "other.tsv",
         .expected = "other|-|-|c.mp3|clips/c.mp3|0|-1|x\n"},
        {.layout = "commonvoice",
         .files = {{"train.tsv", "client_id\tsentence\nx\ty\n"}},
         .error = "train.tsv: line 1: expected a column path, found client_id, sentence"},
        {.layout = "commonvoice",
         .files = {{"train.tsv", VOICE_HEAD "s1\ta.mp3\n"}},
         .error = "train.tsv: line 2: expected 5 columns, found 2"},
        {.layout = "commonvoice",
         .files = {{"train.tsv", "path\tsentence\n\tx\n"}},
         .error = "line 2: expected a path"},
        {.layout = "commonvoice",
         .files = {{"train.tsv", ""}},
         .error = "train.tsv: expected a header, found an empty file"},
        {.layout = "commonvoice",
         .files = {{"a.txt", ""}},
         .error = "expected train.tsv, dev.tsv, test.tsv or validated.tsv"},
    };
    run_cases(cases, S3R_ARRAY_LEN(cases));
}

static void test_fleurs(void **state)
{
    (void)state;
    static const layout_case cases[] = {
        {.layout = "fleurs",
         .files = {{"cs_cz/train.tsv", "7\t1.wav\tAno.\tano\ta n o |\t16000\tMALE\n"},
                   {"cs_cz/test.tsv", "8\t2.wav\tNe!\tne\n"},
                   {"de_de/dev.tsv", "9\t3.wav\tJa!\tja\n"},
                   {"notes.txt", ""}},
         .expected = "train|cs|-|1.wav|cs_cz/audio/train/1.wav|0|-1|ano\n"
                     "test|cs|-|2.wav|cs_cz/audio/test/2.wav|0|-1|ne\n"
                     "dev|de|-|3.wav|de_de/audio/dev/3.wav|0|-1|ja\n"},
        {.layout = "fleurs",
         .files = {{"cs_cz/dev.tsv", "8\t2.wav\tNe!\tne\n"},
                   {"de_de/dev.tsv", "9\t3.wav\tJa!\tja\n"}},
         .language = "de",
         .expected = "dev|de|-|3.wav|de_de/audio/dev/3.wav|0|-1|ja\n"},
        {.layout = "fleurs",
         .files = {{"cs_cz/dev.tsv", "8\t2.wav\tNe!\tne\n"}},
         .source = "cs_cz",
         .expected = "dev|cs|-|2.wav|cs_cz/audio/dev/2.wav|0|-1|ne\n"},
        {.layout = "fleurs",
         .files = {{"cs_cz/dev.tsv", "8\t2.wav\tne\n"}},
         .error = "dev.tsv: line 1: expected id, file, raw transcription and "
                  "transcription parted by tabs, found 3 columns"},
        {.layout = "fleurs",
         .files = {{"cs_cz/dev.tsv", "8\t2.wav\tNe!\tne\n"}},
         .language = "fr",
         .error = "of language fr, found none"},
    };
    run_cases(cases, S3R_ARRAY_LEN(cases));
}

static void test_fairseq(void **state)
{
    (void)state;
    static const layout_case cases[] = {
        {.layout = "fairseq",
         .files = {{"train.tsv", "/data\na/1.flac\t16000\nb/2.flac\t400\n"},
                   {"train.ltr", "H E L L O | W O R L D |\nA |\n"},
                   {"valid.tsv", "audio\n3.wav\t5\n"},
                   {"valid.wrd", "SO IT IS\n"},
                   {"valid.ltr", "N O |\n"},
                   {"test.tsv", "/data\n4.wav\t5\n"}},
         .language = "en",
         .expected = "test|en|-|4.wav|/data/4.wav|0|-1|-\n"
                     "train|en|-|a/1.flac|/data/a/1.flac|0|-1|HELLO WORLD\n"
                     "train|en|-|b/2.flac|/data/b/2.flac|0|-1|A\n"
                     "dev|en|-|3.wav|audio/3.wav|0|-1|SO IT IS\n"},
        {.layout = "fairseq",
         .files = {{"a.tsv", "/data\n1.wav\t5\n"}, {"a.wrd", "X\n"}, {"a.phn", "p t\n"}},
         .source = "a.phn",
         .expected = "a|-|-|1.wav|/data/1.wav|0|-1|p t\n"},
        {.layout = "fairseq",
         .files = {{"a.tsv", "/data\n1.wav\t5\n2.wav\t5\n"}, {"a.wrd", "X\n"}},
         .source = "a.tsv",
         .error = "a.wrd: expected as many lines as "},
        {.layout = "fairseq",
         .files = {{"a.tsv", "/data\n1.wav\t5\n"}, {"a.wrd", "X\nY\n"}},
         .error = "has files, found more than 1"},
        {.layout = "fairseq",
         .files = {{"a.tsv", "/data\n1.wav five\n"}},
         .error = "a.tsv: line 2: expected \"FILE<TAB>SAMPLES\", found \"1.wav five\""},
        {.layout = "fairseq",
         .files = {{"a.tsv", "1.wav\t5\n"}},
         .error = "a.tsv: line 1: expected the folder of the audio"},
        {.layout = "fairseq",
         .files = {{"a.txt", ""}},
         .error = "expected SPLIT.tsv, found none"},
    };
    run_cases(cases, S3R_ARRAY_LEN(cases));
}

static void test_kaldi(void **state)
{
    (void)state;
    static const layout_case cases[] = {
        {.layout = "kaldi",
         .files = {{"wav.scp", "u1 /a/1.wav\nu2  in.wav\nu3 /a/3.wav\n"},
                   {"text", "u1 hello world \nu2 yes\nu9 lost\n"},
                   {"utt2spk", "u1 bob\n"},
                   {"in.wav", ""}},
         .expected = "|-|bob|u1|/a/1.wav|0|-1|hello world\n"
                     "|-|-|u2|in.wav|0|-1|yes\n"
                     "dropped no line in the file text 1\n"
                     "dropped a text without audio 1\n"},
        {.layout = "kaldi",
         .files = {{"train/wav.scp", "rec /a/long.wav\n"},
                   {"train/segments", "u1 rec 1.5 3\nu2 rec 3 -1\n"},
                   {"train/text", "u1 a\nu2 b\n"},
                   {"test/wav.scp", "u3 x.wav\n"},
                   {"conf/mfcc.conf", ""}},
         .language = "sw",
         .expected = "test|sw|-|u3|x.wav|0|-1|-\n"
                     "train|sw|-|u1|/a/long.wav|1.5|1.5|a\n"
                     "train|sw|-|u2|/a/long.wav|3|-1|b\n"},
        {.layout = "kaldi",
         .files = {{"wav.scp", "u1 /a/1.wav\nu2 flac -c -d -s 2.flac |\n"}},
         .error = "wav.scp: line 2: expected an audio file (commands are not run"},
        {.layout = "kaldi",
         .files = {{"wav.scp", "u1\n"}},
         .error = "wav.scp: line 1: expected \"ID PATH\""},
        {.layout = "kaldi",
         .files = {{"wav.scp", "u1 a\nu1 b\n"}},
         .error = "wav.scp: line 2: expected a new id, found \"u1\" of line 1 again"},
        {.layout = "kaldi",
         .files = {{"wav.scp", "r a\n"}, {"segments", "u1 r 3 2\n"}},
         .error = "segments: line 1: expected \"UTTERANCE RECORDING BEGIN END\""},
        {.layout = "kaldi",
         .files = {{"wav.scp", "r a\n"}, {"segments", "u1 s 1 2\n"}},
         .error = "segments: line 1: expected a recording of wav.scp"},
        {.layout = "kaldi",
         .files = {{"text", "u1 a\n"}},
         .error = "expected wav.scp in it or in its folders, found none"},
    };
    run_cases(cases, S3R_ARRAY_LEN(cases));
}

static void test_huggingface(void **state)
{
    (void)state;
    static const layout_case cases[] = {
        {.layout = "huggingface",
         .files = {{"metadata.csv", "\xEF\xBB\xBF"
                                    "file_name,text,speaker_id\r\n"
                                    "a.wav,\"He said \"\"no\"\", twice\",7\r\n"
                                    "/x/b.wav,plain,\r\n"}},
         .language = "en",
         .expected = "|en|7|a.wav|a.wav|0|-1|He said \"no\", twice\n"
                     "|en|-|/x/b.wav|/x/b.wav|0|-1|plain\n"},
        {.layout = "huggingface",
         .files =
             {{"train/metadata.jsonl",
               "{\"file_name\":\"a.wav\",\"transcription\":\"x\",\"lang\":\"cs\"}\n"},
              {"validation/metadata.csv", "path,sentence\nb.wav,y\n"},
              {"test.tsv", "audio\ttext\nc.wav\t\"q\"\n"}},
         .expected = "test|-|-|c.wav|c.wav|0|-1|\"q\"\n"
                     "train|cs|-|a.wav|train/a.wav|0|-1|x\n"
                     "dev|-|-|b.wav|validation/b.wav|0|-1|y\n"},
        {.layout = "huggingface",
         .files = {{"x.jsonl", "{\"audio\":{\"path\":\"a.wav\"},\"text\":\"t\","
                               "\"id\":\"one\"}\n"}},
         .source = "x.jsonl",
         .expected = "x|-|-|one|a.wav|0|-1|t\n"},
        {.layout = "huggingface",
         .files = {{"train.csv", "path,text\na.wav,\"open\n"}},
         .error = "train.csv: line 2: field 2: expected a closing quote"},
        {.layout = "huggingface",
         .files = {{"train.csv", "path,text\na.wav\n"}},
         .error = "train.csv: line 2: expected 2 fields, found 1"},
        {.layout = "huggingface",
         .files = {{"train.csv", "path,label\na.wav,1\n"}},
         .error = "line 1: expected a column text|sentence|"},
        {.layout = "huggingface",
         .files = {{"train.csv", "path,text\n,x\n"}},
         .error = "line 2: expected a path in file_name|path"},
        {.layout = "huggingface",
         .files = {{"a.jsonl", "{\"audio\":\"a.wav\"}\n"}},
         .error = "a.jsonl: line 1: expected a text in text|sentence"},
        {.layout = "huggingface",
         .files = {{"a.jsonl", "[]\n"}},
         .error = "a.jsonl: line 1: expected a JSON object: found another value"},
        {.layout = "huggingface",
         .files = {{"a.txt", ""}},
         .error = "expected metadata.csv, metadata.jsonl or SPLIT.csv"},
    };
    run_cases(cases, S3R_ARRAY_LEN(cases));
}

static void test_any_folder(void **state)
{
    (void)state;
    static const layout_case cases[] = {
        {.layout = "folder",
         .files = {{"b/c.FLAC", ""},
                   {"a.wav", ""},
                   {"b/notes.txt", ""},
                   {"wav", ""},
                   {"b/d/e.g722", ""}},
         .language = "cs",
         .expected = "|cs|-|a.wav|a.wav|0|-1|-\n"
                     "|cs|-|b/c.FLAC|b/c.FLAC|0|-1|-\n"
                     "|cs|-|b/d/e.g722|b/d/e.g722|0|-1|-\n"},
        {.layout = "folder",
         .files = {{"a.txt", ""}},
         .error = "expected audio files below it, found none"},
    };
    run_cases(cases, S3R_ARRAY_LEN(cases));
}

static void test_table(void **state)
{
    (void)state;
    size_t count = 0;
    for (const s3r_layout *layout; (layout = s3r_layout_at(count)); count++) {
        assert_ptr_equal(s3r_layout_find(layout->name), layout);
        assert_true(layout->summary[0] != '\0');
    }
    assert_true(count >= 6);
    assert_null(s3r_layout_at(count + 1));
    assert_null(s3r_layout_find("tar"));
}

static void test_languages(void **state)
{
    (void)state;
    static const struct {
        const char *wanted, *language;
        bool matches;
    } cases[] = {
        {NULL, "es", true},   {"es", NULL, true},    {"es", "es", true},
        {"es", "est", false}, {"es", "es-MX", true}, {"es-MX", "es", false},
        {"es", "fr", false},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        assert_int_equal(s3r_language_matches(cases[i].wanted, cases[i].language),
                         cases[i].matches);
}

/* Each allocation of a reader fails once; jansson's stay out (see test_manifest.c). */
static void test_alloc_faults(void **state)
{
    (void)state;
    static const layout_case cases[] = {
        {.layout = "librispeech",
         .files = {{"dev/1/2/1-2.trans.txt", "1-2-0 \xC3\xA9\n"}}},
        {.layout = "commonvoice", .files = {{"dev.tsv", "path\tsentence\na\tb\n"}}},
        {.layout = "fleurs", .files = {{"cs_cz/dev.tsv", "8\t2.wav\tNe!\tne\n"}}},
        {.layout = "fairseq", .files = {{"a.tsv", "/d\n1.wav\t5\n"}, {"a.ltr", "A |\n"}}},
        {.layout = "kaldi",
         .files = {{"wav.scp", "r a\n"},
                   {"segments", "u r 1 2\nv r 2 3\n"},
                   {"text", "u x\n"}}},
        {.layout = "huggingface", .files = {{"dev/metadata.csv", "path,text\na,b\n"}}},
    };
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++) {
        s3r_corpus_request request = {.source = make_tree(cases[i].files)};
        s3r_status status = S3R_ERR_RESOURCE;
        for (size_t n = 1; status != S3R_OK; n++) {
            s3r_corpus corpus;
            s3r_error err = {.message = ""};
            s3r_corpus_init(&corpus);
            s3r_alloc_fail_at(n);
            status = s3r_layout_find(cases[i].layout)->read(&corpus, &request, &err);
            s3r_alloc_fail_at(0);
            s3r_corpus_release(&corpus);
            if (status != S3R_OK && status != S3R_ERR_RESOURCE)
                fail_msg("%s, allocation %zu: %s", cases[i].layout, n, err.message);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_librispeech), cmocka_unit_test(test_commonvoice),
        cmocka_unit_test(test_fleurs),      cmocka_unit_test(test_fairseq),
        cmocka_unit_test(test_kaldi),       cmocka_unit_test(test_huggingface),
        cmocka_unit_test(test_any_folder),  cmocka_unit_test(test_table),
        cmocka_unit_test(test_languages),   cmocka_unit_test(test_alloc_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
