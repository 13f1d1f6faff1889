"""Line plots as SVG, by hand: logarithmic axes, direct labels, readable on white and on black."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 70, 170, 44, 52
COLOURS = ("#0a7d5a", "#c8501e", "#3b6fc4", "#8a4fb0", "#7a7a7a")
TEXT = "#6b7280"  # grey on either background


def _number(value):
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return "%g%s" % (value / size, letter)
    return "%g" % value


def _ticks(low, high):
    """1, 2 and 5 times powers of ten; only the powers where these are many."""
    found = [m * 10.0 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1) for m in (1, 2, 5)]
    found = [tick for tick in found if low * 0.999 <= tick <= high * 1.001]
    powers = [tick for tick in found if abs(math.log10(tick) % 1) < 1e-9]
    return powers if len(found) > 7 and len(powers) > 1 else found


def _apart(labels, least=15):
    """Heights of labels, moved so that none lies on another."""
    order = sorted(range(len(labels)), key=lambda i: labels[i])
    at = list(labels)
    for before, i in zip(order, order[1:]):
        at[i] = max(at[i], at[before] + least)
    return at


def lines(path, title, x_title, y_title, series):
    """`series`: name to [(x, y)] or [(x, (low, middle, high))]; both axes logarithmic. Writes the file."""
    series = {name: sorted((x, y if isinstance(y, (list, tuple)) else (y, y, y)) for x, y in points) for name, points in series.items() if points}
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, spread in points for y in spread]
    x_low, x_high = min(xs), max(max(xs), min(xs) * 10)
    y_low, y_high = min(ys) / 1.3, max(ys) * 1.3

    def x_at(x):
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(x / x_low) / math.log(x_high / x_low)

    def y_at(y):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log(y / y_low) / math.log(y_high / y_low)

    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12" fill="%s">' % (WIDTH, HEIGHT, TEXT),
           '<title>%s</title>' % escape(title), '<text x="%d" y="22" font-size="15">%s</text>' % (LEFT, escape(title))]
    for tick in _ticks(y_low, y_high):
        out.append('<path d="M%d %.1fH%d" stroke="%s" stroke-opacity=".25"/><text x="%d" y="%.1f" text-anchor="end">%s</text>' % (
            LEFT, y_at(tick), WIDTH - RIGHT, TEXT, LEFT - 8, y_at(tick) + 4, _number(tick)))
    for tick in _ticks(x_low, x_high):
        out.append('<path d="M%.1f %dv5" stroke="%s"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>' % (
            x_at(tick), HEIGHT - BOTTOM, TEXT, x_at(tick), HEIGHT - BOTTOM + 19, _number(tick)))
    out.append('<text x="%.1f" y="%d" text-anchor="middle">%s</text>' % ((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, escape(x_title)))
    out.append('<text x="16" y="%.1f" text-anchor="middle" transform="rotate(-90 16 %.1f)">%s</text>' % (
        (TOP + HEIGHT - BOTTOM) / 2, (TOP + HEIGHT - BOTTOM) / 2, escape(y_title)))
    ends = _apart([y_at(points[-1][1][1]) for points in series.values()])
    for (name, points), colour, end in zip(series.items(), COLOURS * 3, ends):
        middle = " ".join("%.1f,%.1f" % (x_at(x), y_at(y[1])) for x, y in points)
        out.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>' % (middle, colour))
        for x, (low, y, high) in points:
            out.append('<path d="M%.1f %.1fV%.1f" stroke="%s" stroke-opacity=".5"/><circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>' % (
                x_at(x), y_at(low), y_at(high), colour, x_at(x), y_at(y), colour))
        out.append('<text x="%.1f" y="%.1f" fill="%s">%s</text>' % (x_at(points[-1][0]) + 8, end + 4, colour, escape(name)))
    with open(path, "w") as file:
        file.write("\n".join(out + ["</svg>"]) + "\n")
