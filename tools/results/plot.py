"""Plots as SVG, written by hand: readable on light and on dark pages, series told apart by
colour and by shape."""

import math
from html import escape

WIDTH, HEIGHT = 860, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 170, 40, 52

# Colours that stand out from white and from black alike.
COLORS = ["#8c8c8c", "#4e86c6", "#3aa6a0", "#d1495b", "#e08a1e", "#a9742e", "#9a6fb8",
          "#7a9a2f", "#d66ba0", "#2e9e4f"]
SHAPES = ["circle", "square", "triangle", "diamond", "wedge"]

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #222 }
.title { font-size: 14px; font-weight: 600 }
.axis { stroke: #555; fill: none }
.grid { stroke: #888; stroke-opacity: .3 }
.end { text-anchor: end }
.middle { text-anchor: middle }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .axis { stroke: #aaa } }
"""


def ticks(low, high, count=6):
    """Round numbers that begin at or below low and end at or above high."""
    span = (high - low) or abs(high) or 1
    size = 10 ** math.floor(math.log10(span / count))
    step = next(size * factor for factor in (1, 2, 5, 10) if span / (size * factor) <= count)
    first = math.floor(low / step)
    last = max(math.ceil(high / step), first + 1)
    return [round(index * step, 10) for index in range(first, last + 1)]


def mark(index, x, y):
    """The sign of a series."""
    color = COLORS[index % len(COLORS)]
    fill = color if index < len(SHAPES) else "none"
    paint = f'fill="{fill}" stroke="{color}" stroke-width="2"'
    shape = SHAPES[index % len(SHAPES)]
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {paint}/>'
    path = {"square": "m-4,-4h8v8h-8z", "triangle": "m0,-5l5,9h-10z",
            "diamond": "m0,-5l5,5l-5,5l-5,-5z", "wedge": "m0,5l5,-9h-10z"}[shape]
    return f'<path d="M{x:.1f},{y:.1f}{path}" {paint}/>'


class Plot:
    """Axes, a legend and marks; values are (mean, deviation), the latter may be NaN."""

    def __init__(self, title, x_label, y_label, values):
        spread = [(mean, 0 if math.isnan(deviation) else deviation)
                  for mean, deviation in values]
        self.y_ticks = ticks(min(m - d for m, d in spread), max(m + d for m, d in spread))
        self.right, self.bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>",
            f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>']
        for value in self.y_ticks:
            y = self.y(value)
            self.parts.append(f'<path class="grid" d="M{LEFT},{y:.1f}H{self.right}"/>')
            self.parts.append(f'<text class="end" x="{LEFT - 6}" y="{y + 4:.1f}">{value:g}</text>')
        middle = (TOP + self.bottom) / 2
        self.parts += [
            f'<path class="axis" d="M{LEFT},{TOP}V{self.bottom}H{self.right}"/>',
            f'<text class="middle" x="{(LEFT + self.right) / 2}" y="{HEIGHT - 10}">'
            f"{escape(x_label)}</text>",
            f'<text class="middle" transform="translate(16,{middle}) rotate(-90)">'
            f"{escape(y_label)}</text>"]

    def y(self, value):
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return self.bottom - (value - low) / (high - low) * (self.bottom - TOP)

    def x_tick(self, x, text):
        self.parts.append(f'<path class="axis" d="M{x:.1f},{self.bottom}v4"/>')
        self.parts.append(f'<text class="middle" x="{x:.1f}" y="{self.bottom + 18}">'
                          f"{escape(text)}</text>")

    def divide(self, x):
        self.parts.append(f'<path class="grid" d="M{x:.1f},{TOP}V{self.bottom}"/>')

    def point(self, index, x, value):
        average, deviation = value
        if not math.isnan(deviation):
            color = COLORS[index % len(COLORS)]
            low, high = self.y(average - deviation), self.y(average + deviation)
            self.parts.append(f'<path stroke="{color}" fill="none" d="M{x:.1f},{low:.1f}'
                              f'V{high:.1f}m-3,0h6M{x - 3:.1f},{low:.1f}h6"/>')
        self.parts.append(mark(index, x, self.y(average)))

    def line(self, index, points):
        color = COLORS[index % len(COLORS)]
        path = "L".join(f"{x:.1f},{self.y(value[0]):.1f}" for x, value in points)
        self.parts.append(f'<path stroke="{color}" fill="none" d="M{path}"/>')

    def legend(self, row, index, text):
        x, y = self.right + 16, TOP + 10 + 20 * row
        self.parts.append(mark(index, x, y))
        self.parts.append(f'<text x="{x + 12}" y="{y + 4}">{escape(text)}</text>')

    def svg(self):
        return "\n".join(self.parts + ["</svg>"]) + "\n"


def dots(title, x_label, y_label, rows, columns, values):
    """Rows along x, beside each other a dot for each column.  values: (row, column) ->
    (mean, deviation); what is not there is not drawn.  None when nothing is there."""
    if not values:
        return None
    plot = Plot(title, x_label, y_label, values.values())
    width = (plot.right - LEFT) / len(rows)
    for i, row in enumerate(rows):
        plot.x_tick(LEFT + (i + 0.5) * width, row)
        if i:
            plot.divide(LEFT + i * width)
        for j, column in enumerate(columns):
            if (row, column) in values:
                x = LEFT + (i + (j + 1) / (len(columns) + 1)) * width
                plot.point(j, x, values[row, column])
    shown = [j for j, column in enumerate(columns) if any((row, column) in values for row in rows)]
    for place, j in enumerate(shown):
        plot.legend(place, j, columns[j])
    return plot.svg()


def lines(title, x_label, y_label, series):
    """Lines over a logarithmic x.  series: name -> list of (x, (mean, deviation))."""
    drawn = [(index, name, sorted(points)) for index, (name, points) in enumerate(series.items())
             if points]
    if not drawn:
        return None
    places = sorted({x for _, _, points in drawn for x, _ in points})
    low, high = math.log(places[0]), math.log(places[-1])
    plot = Plot(title, x_label, y_label, [value for _, _, points in drawn for _, value in points])

    def at(x):
        part = (math.log(x) - low) / (high - low) if high > low else 0.5
        return LEFT + (0.03 + 0.94 * part) * (plot.right - LEFT)

    free = -math.inf
    for x in places:  # those that do not touch the one before
        if at(x) - free > 34:
            plot.x_tick(at(x), f"{x:g}")
            free = at(x)
    for place, (index, name, points) in enumerate(drawn):
        plot.line(index, [(at(x), value) for x, value in points])
        for x, value in points:
            plot.point(index, at(x), value)
        plot.legend(place, index, name)
    return plot.svg()
