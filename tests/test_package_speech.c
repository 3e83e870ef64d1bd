/*
 * The speech of Debian's packages from small trees of the same shape: pairing, what is
 * left out, splits, unpacking, damaged files, failing allocations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <sndfile.h>
#include <zlib.h>

#include "base/file.h"
#include "base/process.h"
#include "data/deb_package.h"
#include "data/layouts.h"
#include "data/package_speech.h"
#include "data/text_split.h"
#include "support_alloc_faults.h"
#include "support_audio.h"
#include "support_files.h"

/* Creates folder/name with the folders above it. */
static const char *make_path(const char *folder, const char *name)
{
    char above[1024];
    const char *path = test_path(folder, name);
    snprintf(above, sizeof above, "%.*s", (int)(strrchr(path, '/') - path), path);
    assert_int_equal(s3r_folder_create(above, NULL), S3R_OK);
    return path;
}

static void write_text(const char *folder, const char *name, const char *text)
{
    test_write_file(make_path(folder, name), text, strlen(text));
}

static void write_ogg(const char *folder, const char *name, double seconds)
{
    enum { RATE = 8000, MOST = 24 * RATE };
    static float samples[MOST];
    static unsigned tone = 1;
    size_t count = (size_t)(seconds * RATE);
    tone++;
    for (size_t i = 0; i < count; i++)
        samples[i] = (float)(i * tone % 101) / 200.0f;
    test_write_frames(make_path(folder, name), SF_FORMAT_OGG | SF_FORMAT_VORBIS, RATE, 1,
                      samples, count);
}

static void write_g722(const char *folder, const char *name, double seconds)
{
    static unsigned char bytes[8000 * 24];
    static unsigned char fill = 1;
    memset(bytes, fill++, sizeof bytes);
    test_write_file(make_path(folder, name), bytes, (size_t)(seconds * 8000));
}

static void copy_file(const char *folder, const char *from, const char *to)
{
    static unsigned char bytes[1 << 20];
    size_t size = test_read_file(test_path(folder, from), bytes, sizeof bytes);
    test_write_file(make_path(folder, to), bytes, size);
}

static const s3r_corpus_item *find_item(const s3r_corpus *corpus, const char *id)
{
    for (size_t i = 0; i < corpus->count; i++)
        if (strcmp(corpus->items[i].utterance.id, id) == 0)
            return &corpus->items[i];
    return NULL;
}

static size_t dropped(const s3r_corpus *corpus, const char *reason)
{
    for (const s3r_drop_count *d = corpus->dropped_reasons; d; d = d->next)
        if (strcmp(d->reason, reason) == 0)
            return d->count;
    return 0;
}

static void assert_item(const s3r_corpus *corpus, const char *id, const char *language,
                        const char *speaker, const char *text)
{
    const s3r_corpus_item *item = find_item(corpus, id);
    if (!item)
        fail_msg("no item %s", id);
    assert_string_equal(item->utterance.text, text);
    assert_string_equal(item->utterance.language, language);
    assert_string_equal(item->utterance.speaker, speaker);
    assert_string_equal(item->split, s3r_text_split(language, text));
    assert_true(s3r_path_exists(item->utterance.audio_path));
    assert_true(item->utterance.duration_s > 0);
}

static void read_layout(s3r_corpus *corpus, const s3r_layout *layout, const char *source,
                        const char *language)
{
    s3r_error err = {0};
    s3r_corpus_request request = {source, language, test_folder()};
    s3r_corpus_init(corpus);
    if (layout->read(corpus, &request, &err) != S3R_OK)
        fail_msg("%s: %s", layout->name, err.message);
}

static void expect_failure(const s3r_layout *layout, const char *source,
                           const char *language, s3r_status code, const char *said)
{
    s3r_corpus corpus;
    s3r_error err = {0};
    s3r_corpus_request request = {source, language, test_folder()};
    s3r_corpus_init(&corpus);
    s3r_status status = layout->read(&corpus, &request, &err);
    if (status != code || !strstr(err.message, said))
        fail_msg("%s: status %d, expected \"%s\", found \"%s\"", layout->name,
                 (int)status, said, err.message);
    s3r_corpus_release(&corpus);
}

#define STAMPS "usr/share/tuxpaint/stamps/"

static const char *make_tuxpaint(void)
{
    const char *root = test_folder();
    write_text(root, STAMPS "animals/cow.txt",
               "A cow.\nfr.utf8=Une  vache, l\u2019amie!\npt_BR.utf8=Uma vaca.\n"
               "fr_CA.utf8=Autre\nbe.utf8=\n");
    write_ogg(root, STAMPS "animals/cow_desc.ogg", 1);
    write_ogg(root, STAMPS "animals/cow_desc_fr.ogg", 2);
    write_ogg(root, STAMPS "animals/cow_desc_pt_BR.ogg", 1);
    write_ogg(root, STAMPS "animals/cow_desc_be.ogg", 1);
    write_ogg(root, STAMPS "animals/cow_desc_lt.ogg", 1);
    write_ogg(root, STAMPS "animals/cow.ogg", 1); /* the sound of a cow */
    write_text(root, STAMPS "animals/birds/hen.txt",
               "\xEF\xBB\xBFHen.\r\nfr.utf8=Une poule\r\nru.utf8=Курица – «мама».\r\n");
    copy_file(root, STAMPS "animals/cow_desc_fr.ogg",
              STAMPS "animals/birds/hen_desc_fr.ogg");
    write_ogg(root, STAMPS "animals/birds/hen_desc_ru.ogg", 2);
    write_ogg(root, STAMPS "animals/birds/hen_desc.ogg", 0.2);
    write_text(root, STAMPS "animals/many.txt",
               "x\nfr.utf8=Il y en a 25\nru.utf8=Очень длинное описание: рыба\n");
    write_ogg(root, STAMPS "animals/many_desc_fr.ogg", 1);
    write_ogg(root, STAMPS "animals/many_desc_ru.ogg", 0.5);
    write_ogg(root, STAMPS "animals/orphan_desc_fr.ogg", 1);
    write_text(root, STAMPS "animals/bad.txt", "x\nfr.utf8=Une vache brune\n");
    write_text(root, STAMPS "animals/bad_desc_fr.ogg", "no audio");
    return root;
}

static void test_tuxpaint(void **state)
{
    (void)state;
    s3r_corpus corpus;
    const char *root = make_tuxpaint();
    read_layout(&corpus, &s3r_layout_tuxpaint, root, NULL);
    assert_int_equal(corpus.count, 4);
    /* Folders are read in the order of names: the hen has the audio first. */
    assert_item(&corpus, "animals/birds/hen_desc_fr.ogg", "fr", "tuxpaint-fr",
                "une poule");
    assert_item(&corpus, "animals/birds/hen_desc_ru.ogg", "ru", "tuxpaint-ru",
                "курица мама");
    assert_item(&corpus, "animals/cow_desc.ogg", "en", "tuxpaint-en", "a cow");
    assert_item(&corpus, "animals/cow_desc_pt_BR.ogg", "pt-BR", "tuxpaint-pt-BR",
                "uma vaca");
    assert_int_equal(dropped(&corpus, "the same audio again"), 1);
    assert_int_equal(dropped(&corpus, "no text"), 3);
    assert_int_equal(dropped(&corpus, "digits in the text"), 1);
    assert_int_equal(dropped(&corpus, "shorter than 0.4 s"), 1);
    assert_int_equal(dropped(&corpus, "too short for its text"), 1);
    assert_int_equal(dropped(&corpus, "unreadable audio"), 1);
    assert_int_equal(corpus.dropped, 8);
    s3r_corpus_release(&corpus);

    read_layout(&corpus, &s3r_layout_tuxpaint, root, "pt");
    assert_int_equal(corpus.count, 1);
    s3r_corpus_release(&corpus);
    expect_failure(&s3r_layout_tuxpaint, root, "sv", S3R_ERR_DATA,
                   "no recording in the language sv");
    expect_failure(&s3r_layout_tuxpaint, test_folder(), NULL, S3R_ERR_DATA,
                   "expected usr/share/tuxpaint/stamps or");
}

#define GAME "usr/share/games/fillets-ng/"

static const char *make_fillets(void)
{
    const char *root = test_folder();
    write_text(root, GAME "script/airplane/dialogs_cs.lua",
               "\ndialogId(\"let-m-divna\", \"font_small\", \"What \\\"ship\\\"?\")\n"
               "dialogStr(\"Co je to za \\\"divnou\\\" loď?\")\n"
               "dialogId(\"dva\", \"font_big\", \"Two\")\ndialogStr(\n\"Dvě\\nřádky.\")\n"
               "dialogId(\"prazdny\", \"\", \"\")\ndialogStr(\"\")\n"
               "dialogId(\"cislo\", \"font_big\", \"x\")\ndialogStr(\"Je %1 hodin\")\n"
               "dialogId(\"nedokonceny\", \"font_big\", \"x\")\nfunction() end\n"
               "dialogId(\"let-m-divna2\", \"font_small\", \"x\")\ndialogStr(\"Konec");
    write_text(root, GAME "script/share/black_dialogs_cs.lua",
               "dialogId(\"bl-1\", \"font_none\", \"a\") dialogStr(\"Černý vtip\")");
    write_text(root, GAME "script/share/bore_dialogs_cs.lua",
               "dialogId(\"no-1\", \"font_big\", \"a\")\ndialogStr(\"Nuda\")");
    write_ogg(root, GAME "sound/airplane/cs/let-m-divna.ogg", 2);
    write_ogg(root, GAME "sound/airplane/cs/dva.ogg", 1);
    write_ogg(root, GAME "sound/airplane/cs/prazdny.ogg", 1);
    write_ogg(root, GAME "sound/airplane/cs/cislo.ogg", 1);
    write_ogg(root, GAME "sound/airplane/cs/nedokonceny.ogg", 1);
    write_ogg(root, GAME "sound/airplane/cs/let-m-divna2.ogg", 1);
    write_ogg(root, GAME "sound/airplane/en/let-m-divna.ogg", 1);
    write_ogg(root, GAME "sound/share/blackjokes/cs/bl-1.ogg", 1);
    write_ogg(root, GAME "sound/share/borejokes/cs/no-1.ogg", 4);
    write_ogg(root, GAME "sound/share/sp-dead.ogg", 1);
    write_ogg(root, GAME "sound/secret/cs/let-m-divna.ogg", 1); /* has no script */
    return root;
}

static void test_fillets(void **state)
{
    (void)state;
    s3r_corpus corpus;
    const char *root = make_fillets();
    read_layout(&corpus, &s3r_layout_fillets, root, NULL);
    assert_int_equal(corpus.count, 3);
    assert_item(&corpus, "airplane/cs/let-m-divna.ogg", "cs", "fillets-cs-small",
                "co je to za divnou loď");
    assert_item(&corpus, "airplane/cs/dva.ogg", "cs", "fillets-cs-big", "dvě řádky");
    assert_item(&corpus, "share/blackjokes/cs/bl-1.ogg", "cs", "fillets-cs-none",
                "černý vtip");
    assert_int_equal(dropped(&corpus, "no text"), 4);
    assert_int_equal(dropped(&corpus, "a placeholder in the text"), 1);
    assert_int_equal(dropped(&corpus, "too long for its text"), 1);
    s3r_corpus_release(&corpus);
    expect_failure(&s3r_layout_fillets, root, "nl", S3R_ERR_DATA, "fillets-ng-data-LANG");
    expect_failure(&s3r_layout_fillets, root, "de", S3R_ERR_USAGE, "cs or nl");
}

#define ITALIAN "usr/share/asterisk/sounds/it_IT_m_Carlo/"

static const char *make_asterisk(bool is_cut)
{
    static const char list[] =
        "\xEF\xBB\xBF; Core Sounds in Italian\n\nactivated: Attivato.\n"
        "digits/7: sette\nvm-one: premi 1\nbeep: [suono]\nconf-full: La conferenza ? "
        "piena.\nlost: non pu? essere\nask: In quale cartella?\nask: Quale cartella?\n"
        "long: molto lungo\nsilence/1: (1 secondo di silenzio)\n";
    static const char name[] =
        "usr/share/doc/asterisk-core-sounds-it/core-sounds-it.txt.gz";
    static const char *const sounds[] = {"activated", "digits/7",  "vm-one",
                                         "beep",      "conf-full", "lost",
                                         "ask",       "silence/1", "unlisted"};
    const char *root = test_folder();
    gzFile file = gzopen(make_path(root, name), "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, list, sizeof list - 1), sizeof list - 1);
    assert_int_equal(gzclose(file), Z_OK);
    if (is_cut) {
        unsigned char bytes[4096];
        size_t size = test_read_file(test_path(root, name), bytes, sizeof bytes);
        test_write_file(test_path(root, name), bytes, size / 2);
    }
    for (size_t i = 0; i < S3R_ARRAY_LEN(sounds); i++) {
        char sound[128];
        snprintf(sound, sizeof sound, ITALIAN "%s.g722", sounds[i]);
        write_g722(root, sound, 1.5);
    }
    write_g722(root, ITALIAN "long.g722", 21);
    return root;
}

static void test_asterisk(void **state)
{
    (void)state;
    s3r_corpus corpus;
    const char *root = make_asterisk(false);
    read_layout(&corpus, &s3r_layout_asterisk, root, NULL);
    assert_int_equal(corpus.count, 4);
    assert_item(&corpus, "it/activated", "it", "asterisk-carlo", "attivato");
    assert_item(&corpus, "it/digits/7", "it", "asterisk-carlo", "sette");
    assert_item(&corpus, "it/ask", "it", "asterisk-carlo", "quale cartella");
    assert_string_equal(find_item(&corpus, "it/conf-full")->utterance.text,
                        "la conferenza è piena");
    assert_string_equal(find_item(&corpus, "it/conf-full")->split,
                        s3r_text_split("it", "la conferenza piena"));
    assert_true(find_item(&corpus, "it/ask")->utterance.duration_s == 1.5);
    assert_int_equal(dropped(&corpus, "silence"), 1);
    assert_int_equal(dropped(&corpus, "no text"), 1);
    assert_int_equal(dropped(&corpus, "digits in the text"), 1);
    assert_int_equal(dropped(&corpus, "a note instead of a text"), 1);
    assert_int_equal(dropped(&corpus, "a lost letter in the text"), 1);
    assert_int_equal(dropped(&corpus, "longer than 20 s"), 1);
    s3r_corpus_release(&corpus);
    expect_failure(&s3r_layout_asterisk, root, "fr", S3R_ERR_DATA,
                   "expected asterisk-core-sounds-LANG_*.deb");
    expect_failure(&s3r_layout_asterisk, root, "cs", S3R_ERR_USAGE, "en, es, fr, it, ru");
    expect_failure(&s3r_layout_asterisk, make_asterisk(true), "it", S3R_ERR_DATA,
                   "core-sounds-it.txt.gz: expected a complete gzip file");
    expect_failure(&s3r_layout_debian, root, "xx", S3R_ERR_USAGE, "found \"xx\"");
    expect_failure(&s3r_layout_debian, root, "cs", S3R_ERR_DATA, "fillets-ng-data");
    read_layout(&corpus, &s3r_layout_debian, root, "it");
    assert_int_equal(corpus.count, 4);
    s3r_corpus_release(&corpus);
}

static bool run_program(const char *const *arguments)
{
    char *output = NULL;
    size_t size;
    s3r_process process = {.arguments = arguments, .max_output_bytes = 1 << 20};
    s3r_status status = s3r_process_run(&process, &output, &size, NULL, NULL);
    s3r_free(output);
    return status == S3R_OK;
}

/* A .deb beside nothing else is unpacked into the work folder, once. */
static void test_archives_are_unpacked(void **state)
{
    (void)state;
    const char *tree = make_tuxpaint(), *source = test_folder(), *work = test_folder();
    const char *archive = test_path(source, "tuxpaint-stamps-default_1_all.deb");
    const char *const build[] = {"dpkg-deb", "-b", tree, archive, NULL};
    write_text(tree, "DEBIAN/control",
               "Package: tuxpaint-stamps-default\nVersion: 1\nArchitecture: all\n"
               "Maintainer: nobody <nobody@example.org>\nDescription: test\n");
    if (!run_program(build))
        skip();
    s3r_corpus_request request = {source, "fr", work};
    for (size_t i = 0; i < 2; i++) {
        s3r_corpus corpus;
        s3r_error err = {0};
        s3r_corpus_init(&corpus);
        if (s3r_layout_tuxpaint.read(&corpus, &request, &err) != S3R_OK)
            fail_msg("%s", err.message);
        assert_int_equal(corpus.count, 1);
        assert_non_null(strstr(corpus.items[0].utterance.audio_path, work));
        s3r_corpus_release(&corpus);
        write_text(source, "tuxpaint-stamps-default_1_all.deb", "not read again");
    }
    expect_failure(&s3r_layout_tuxpaint, source, NULL, S3R_ERR_DATA,
                   "it is not installed and could not be unpacked (dpkg-deb failed");
}

typedef struct attempt_case {
    const s3r_layout *layout;
    const char *source;
} attempt_case;

static s3r_status attempt(void *context, s3r_error *err)
{
    const attempt_case *c = context;
    s3r_corpus corpus;
    s3r_corpus_request request = {c->source, NULL, "/nonexistent"};
    s3r_corpus_init(&corpus);
    s3r_status status = c->layout->read(&corpus, &request, err);
    s3r_corpus_release(&corpus);
    return status;
}

static void test_memory_faults_are_survived(void **state)
{
    (void)state;
    attempt_case cases[] = {{&s3r_layout_fillets, test_folder()},
                            {&s3r_layout_asterisk, test_folder()},
                            {&s3r_layout_tuxpaint, test_folder()}};
    write_text(cases[0].source, GAME "script/airplane/dialogs_cs.lua",
               "dialogId(\"a\", \"font_small\", \"x\")\ndialogStr(\"Dobrý den.\")\n");
    write_ogg(cases[0].source, GAME "sound/airplane/cs/a.ogg", 1);
    write_text(cases[0].source, GAME "sound/airplane/nl/none", "");
    write_text(cases[1].source,
               "usr/share/doc/asterisk-core-sounds-it/core-sounds-it.txt.gz",
               "a: La porta ? aperta\n"); /* zlib reads plain text too */
    write_g722(cases[1].source, ITALIAN "a.g722", 1);
    static const char *const others[] = {"en_US_f_Allison", "es_MX_f_Allison",
                                         "fr_CA_f_June", "ru_RU_f_IvrvoiceRU"};
    static const char *const languages[] = {"en", "es", "fr", "ru"};
    for (size_t i = 0; i < S3R_ARRAY_LEN(others); i++) {
        char name[128];
        snprintf(name, sizeof name, "usr/share/asterisk/sounds/%s/none", others[i]);
        write_text(cases[1].source, name, "");
        snprintf(name, sizeof name,
                 "usr/share/doc/asterisk-core-sounds-%s/core-sounds-%s.txt.gz",
                 languages[i], languages[i]);
        write_text(cases[1].source, name, "a: b\n");
    }
    write_text(cases[2].source, STAMPS "a.txt", "A cow.\n");
    write_ogg(cases[2].source, STAMPS "a_desc.ogg", 1);
    for (size_t i = 0; i < S3R_ARRAY_LEN(cases); i++)
        test_survives_alloc_faults(attempt, &cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tuxpaint),
        cmocka_unit_test(test_fillets),
        cmocka_unit_test(test_asterisk),
        cmocka_unit_test(test_archives_are_unpacked),
        cmocka_unit_test(test_memory_faults_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
