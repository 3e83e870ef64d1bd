/*
 * The verbs, in the order of the help text.  A new verb is one line here and cmd_NAME.c.
 * No include guard: each reader defines S3R_VERB and includes this file.
 */
S3R_VERB(inspect)
S3R_VERB(convert)
S3R_VERB(data_prepare)
S3R_VERB(data_check)
S3R_VERB(data_stats)
S3R_VERB(data_split)
S3R_VERB(vocab_build)
S3R_VERB(kmeans)
S3R_VERB(train)
S3R_VERB(pretrain)
S3R_VERB(mask_info)
S3R_VERB(mask_verify)
S3R_VERB(features)
S3R_VERB(transcribe)
S3R_VERB(align)
S3R_VERB(eval)
S3R_VERB(bench)
S3R_VERB(doctor)
S3R_VERB(completion)
S3R_VERB(man)
