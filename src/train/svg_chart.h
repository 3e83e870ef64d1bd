/*
 * Line charts as inline SVG, coloured by the page's style sheet.
 */
#ifndef S3R_TRAIN_SVG_CHART_H
#define S3R_TRAIN_SVG_CHART_H

#include "base/text_buffer.h"
#include "train/run_curves.h"

#define S3R_CHART_SERIES 3u

typedef struct s3r_chart {
    const char *title;
    bool is_part;      /* values are parts of 1, shown in percent */
    bool is_from_zero; /* the value axis begins at 0 */
    struct {
        const char *label;
        const s3r_curve *curve; /* NULL or empty: not drawn */
    } series[S3R_CHART_SERIES];
} s3r_chart;

/* A <figure>; nothing when no series has a point.  Many points are averaged in groups,
 * few are marked, with their values as tooltips. */
void s3r_chart_add(s3r_text_buffer *out, const s3r_chart *chart);

/* The style rules that the figures need. */
const char *s3r_chart_style(void);

#endif
