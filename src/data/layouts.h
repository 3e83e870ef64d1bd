/*
 * The layouts that there are, one file layout_NAME.c each; layout_table.c lists them.
 */
#ifndef S3R_DATA_LAYOUTS_H
#define S3R_DATA_LAYOUTS_H

#include "data/corpus.h"

/* Corpora as they are published. */
extern const s3r_layout s3r_layout_librispeech;
extern const s3r_layout s3r_layout_commonvoice;
extern const s3r_layout s3r_layout_fleurs;
extern const s3r_layout s3r_layout_fairseq;
extern const s3r_layout s3r_layout_kaldi;
extern const s3r_layout s3r_layout_huggingface;
/* Unlabelled speech. */
extern const s3r_layout s3r_layout_folder;

/* Speech in Debian packages. */
extern const s3r_layout s3r_layout_tuxpaint;
extern const s3r_layout s3r_layout_fillets;
extern const s3r_layout s3r_layout_asterisk;
extern const s3r_layout s3r_layout_debian;

#endif
