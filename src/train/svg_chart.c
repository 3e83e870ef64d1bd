/*
 * Line charts: axes with round numbers, at most a few hundred points a line.
 */
#include "train/svg_chart.h"
#include "base/plain_number.h"

#include <math.h>
#include <stdio.h>

enum { WIDTH = 640, HEIGHT = 260, LEFT = 58, RIGHT = 14, TOP = 12, BOTTOM = 34 };
enum { MAX_POINTS = 400, MAX_MARKS = 60, TICKS = 5 };

typedef struct axis {
    double min, max, step;
} axis;

typedef struct frame {
    axis x, y;
    bool is_part;
} frame;

/* Ends on round numbers with about TICKS steps between them. */
static axis make_axis(double min, double max)
{
    if (!(max > min))
        max = min + (min != 0 ? fabs(min) : 1) * 0.1;
    double raw = (max - min) / TICKS, unit = pow(10, floor(log10(raw)));
    double ratio = raw / unit;
    double step = (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 5 ? 5 : 10) * unit;
    return (axis){floor(min / step) * step, ceil(max / step) * step, step};
}

static double place(const axis *a, double value, double from, double to)
{
    return from + (value - a->min) / (a->max - a->min) * (to - from);
}

static double x_of(const frame *f, double step)
{
    return place(&f->x, step, LEFT, WIDTH - RIGHT);
}

static double y_of(const frame *f, double value)
{
    return place(&f->y, value, HEIGHT - BOTTOM, TOP);
}

static void value_text(double value, bool is_part, char *text, size_t text_bytes)
{
    if (is_part)
        s3r_plain_print(text, text_bytes, "%.4g %%", 100 * value);
    else
        s3r_plain_print(text, text_bytes, "%.5g", value);
}

/* Ticks are multiples of a step, up to a rounding that must not show as 1e-17. */
static void add_axes(s3r_text_buffer *out, const frame *f)
{
    char text[48];
    long first = lround(f->y.min / f->y.step), last = lround(f->y.max / f->y.step);
    for (long i = first; i <= last; i++) {
        double value = (double)i * f->y.step, y = y_of(f, value);
        value_text(value, f->is_part, text, sizeof text);
        s3r_buffer_add(
            out,
            "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
            "<text class=\"tick\" x=\"%d\" y=\"%.1f\" "
            "text-anchor=\"end\">%s</text>\n",
            LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4, text);
    }
    first = lround(ceil(f->x.min / f->x.step));
    last = lround(floor(f->x.max / f->x.step));
    for (long i = first; i <= last; i++) {
        double value = (double)i * f->x.step;
        s3r_buffer_add(out,
                       "<text class=\"tick\" x=\"%.1f\" y=\"%d\" "
                       "text-anchor=\"middle\">%.7g</text>\n",
                       x_of(f, value), HEIGHT - BOTTOM + 18, value);
    }
}

/* The mean of points [begin, end). */
static s3r_point mean_point(const s3r_curve *curve, size_t begin, size_t end)
{
    s3r_point sum = {0, 0};
    for (size_t i = begin; i < end; i++) {
        sum.step += curve->points[i].step;
        sum.value += curve->points[i].value;
    }
    return (s3r_point){sum.step / (double)(end - begin),
                       sum.value / (double)(end - begin)};
}

static void add_line(s3r_text_buffer *out, const frame *f, const s3r_curve *curve,
                     size_t series)
{
    size_t groups = S3R_MIN(curve->count, (size_t)MAX_POINTS);
    s3r_buffer_add(out, "<polyline class=\"line s%zu\" points=\"", series);
    for (size_t i = 0; i < groups; i++) {
        s3r_point p =
            mean_point(curve, i * curve->count / groups, (i + 1) * curve->count / groups);
        s3r_buffer_add(out, "%.1f,%.1f ", x_of(f, p.step), y_of(f, p.value));
    }
    s3r_buffer_add(out, "\"/>\n");
    if (curve->count > MAX_MARKS)
        return;
    for (size_t i = 0; i < curve->count; i++) {
        char text[48];
        const s3r_point *p = &curve->points[i];
        value_text(p->value, f->is_part, text, sizeof text);
        s3r_buffer_add(out,
                       "<circle class=\"mark s%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\">"
                       "<title>step %.0f: %s</title></circle>\n",
                       series, x_of(f, p->step), y_of(f, p->value), p->step, text);
    }
}

static bool is_drawn(const s3r_chart *chart, size_t series)
{
    return chart->series[series].curve && chart->series[series].curve->count > 0;
}

/* False when there is nothing to draw. */
static bool make_frame(const s3r_chart *chart, frame *f)
{
    double min_x = HUGE_VAL, max_x = -HUGE_VAL, min_y = HUGE_VAL, max_y = -HUGE_VAL;
    for (size_t s = 0; s < S3R_CHART_SERIES; s++) {
        for (size_t i = 0; is_drawn(chart, s) && i < chart->series[s].curve->count; i++) {
            const s3r_point *p = &chart->series[s].curve->points[i];
            min_x = fmin(min_x, p->step);
            max_x = fmax(max_x, p->step);
            min_y = fmin(min_y, p->value);
            max_y = fmax(max_y, p->value);
        }
    }
    if (!(min_x <= max_x))
        return false;
    /* Steps count from 0 in every chart, and fill the width; ticks stay round. */
    f->x = make_axis(fmin(0, min_x), max_x);
    f->x.max = fmax(max_x, f->x.min + f->x.step);
    f->y = make_axis(chart->is_from_zero ? fmin(0, min_y) : min_y, max_y);
    f->is_part = chart->is_part;
    /* What has no round steps (infinite or tiny ranges) is no curve of a run. */
    return isfinite(f->x.step) && f->x.step > 0 && isfinite(f->x.max / f->x.step) &&
           isfinite(f->y.step) && f->y.step > 0 && isfinite(f->y.max / f->y.step) &&
           isfinite(f->y.min / f->y.step);
}

void s3r_chart_add(s3r_text_buffer *out, const s3r_chart *chart)
{
    frame f;
    if (!make_frame(chart, &f))
        return;
    s3r_buffer_add_string(out, "<figure><figcaption>");
    s3r_buffer_add_html(out, chart->title);
    for (size_t s = 0; s < S3R_CHART_SERIES; s++) {
        if (!is_drawn(chart, s) || !chart->series[s].label)
            continue;
        s3r_buffer_add(out, " <span class=\"key k%zu\"></span>", s);
        s3r_buffer_add_html(out, chart->series[s].label);
    }
    s3r_buffer_add(out,
                   "</figcaption>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
                   WIDTH, HEIGHT);
    s3r_buffer_add_html(out, chart->title);
    s3r_buffer_add_string(out, "\">\n");
    add_axes(out, &f);
    for (size_t s = 0; s < S3R_CHART_SERIES; s++) {
        if (is_drawn(chart, s))
            add_line(out, &f, chart->series[s].curve, s);
    }
    s3r_buffer_add(
        out,
        "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"end\">step</text>\n"
        "</svg></figure>\n",
        WIDTH - RIGHT, HEIGHT - 3);
}

const char *s3r_chart_style(void)
{
    return "figure{margin:0}figcaption{font-weight:600;margin:0 0 .3rem}\n"
           "svg{width:100%;height:auto;display:block}\n"
           ".grid{stroke:var(--grid);stroke-width:1}\n"
           ".tick{fill:var(--muted);font-size:12px}\n"
           ".line{fill:none;stroke-width:2;stroke-linejoin:round}\n"
           ".line.s0{stroke:var(--s0)}.line.s1{stroke:var(--s1)}.line.s2{stroke:var(--s2)"
           "}\n"
           ".mark.s0{fill:var(--s0)}.mark.s1{fill:var(--s1)}.mark.s2{fill:var(--s2)}\n"
           ".key{display:inline-block;width:.8em;height:.8em;border-radius:2px;"
           "margin:0 .3em 0 .9em}\n"
           ".k0{background:var(--s0)}.k1{background:var(--s1)}.k2{background:var(--s2)}"
           "\n";
}
