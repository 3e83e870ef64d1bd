/*
 * All of Debian's recorded speech together: tuxpaint, fillets and asterisk.
 */
#include "data/layouts.h"

typedef struct part {
    const s3r_layout *layout;
    const char *languages[16];
} part;

static const part parts[] = {
    {&s3r_layout_asterisk, {"en", "es", "fr", "it", "ru", NULL}},
    {&s3r_layout_fillets, {"cs", "nl", NULL}},
    {&s3r_layout_tuxpaint,
     {"be", "bg", "ca", "da", "el", "en", "es", "fr", "ml", "nl", "pt-BR", "ro", "ru",
      NULL}},
};

static bool has_language(const part *p, const char *language)
{
    for (size_t i = 0; p->languages[i]; i++)
        if (s3r_language_matches(language, p->languages[i]))
            return true;
    return false;
}

static s3r_status read_debian(s3r_corpus *corpus, const s3r_corpus_request *request,
                              s3r_error *err)
{
    bool is_known = false;
    for (size_t i = 0; i < S3R_ARRAY_LEN(parts); i++) {
        if (!has_language(&parts[i], request->language))
            continue;
        is_known = true;
        S3R_TRY(parts[i].layout->read(corpus, request, err));
    }
    if (is_known)
        return S3R_OK;
    return s3r_fail(err, S3R_ERR_USAGE,
                    "debian: expected a language of be, bg, ca, cs, da, el, en, es, fr, "
                    "it, ml, nl, pt-BR, ro, ru, found \"%s\"",
                    request->language);
}

const s3r_layout s3r_layout_debian = {
    .name = "debian",
    .summary = "tuxpaint, fillets and asterisk together, 13 languages with 5 minutes or "
               "more",
    .read = read_debian,
};
