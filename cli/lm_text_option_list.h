/*
 * Options of texts that become words.  No include guard: it is a piece of a table whose
 * struct begins with an s3r_lm_text_choice.
 */
/* clang-format off */
{.name = "case",
 .type = S3R_OPTION_ENUM,
 .offset = offsetof(s3r_lm_text_choice, text_case),
 .values = "keep|lower|upper",
 .fallback = "keep",
 .help = "The case of the words."},
    {.name = "plain",
     .type = S3R_OPTION_FLAG,
     .offset = offsetof(s3r_lm_text_choice, is_plain),
     .help = "Leave punctuation out but for apostrophes and hyphens inside words."},
    /* clang-format on */
