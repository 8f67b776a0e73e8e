"""chart: bars of seconds and of CPU-seconds as SVG, to be read on a light and on a dark page."""

from html import escape

TEXT, SPREAD, OURS, OTHER = "#768390", "#57606a", "#e8590c", "#9aa6b2"
NAME, PANEL, GAP, VALUE = 160, 230, 30, 70  # widths in pixels
LINE, BAR, TOP = 22, 14, 44  # heights
FONT = "font-family='system-ui, sans-serif' font-size='12'"


def text(x, y, content, anchor="start", colour=TEXT, weight="normal"):
    return (f"<text x='{x:.0f}' y='{y:.0f}' text-anchor='{anchor}' fill='{colour}' font-weight='{weight}'>"
            f"{escape(content)}</text>")


def bars(left, title, figures, colours):
    """One panel: a bar for each median, a thin line from the least to the greatest."""
    unit = PANEL / max(figure.high for figure in figures)
    parts = [text(left, TOP - 10, title)]
    for row, (figure, colour) in enumerate(zip(figures, colours)):
        y = TOP + row * LINE
        end = left + figure.high * unit
        parts += [f"<rect x='{left}' y='{y}' width='{figure.median * unit:.1f}' height='{BAR}' fill='{colour}'/>",
                  f"<path d='M{left + figure.low * unit:.1f} {y + BAR / 2}H{end:.1f}' stroke='{SPREAD}'"
                  " stroke-width='2'/>",
                  text(end + 6, y + BAR - 3, f"{figure.median:.{1 if figure.median >= 10 else 2}f} s")]
    return parts


def draw(title, summaries):
    """The fastest comes first."""
    ranked = sorted(summaries, key=lambda summary: summary.seconds.median)
    colours = [OURS if summary.group == "ours" else OTHER for summary in ranked]
    width = NAME + 2 * (PANEL + VALUE) + GAP
    height = TOP + len(ranked) * LINE + 6
    parts = [f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}'"
             f" viewBox='0 0 {width} {height}' {FONT}>", f"<title>{escape(title)}</title>",
             text(0, 14, title, weight="bold")]
    for row, (summary, colour) in enumerate(zip(ranked, colours)):
        weight = "bold" if summary.group == "ours" else "normal"
        parts.append(text(NAME - 10, TOP + row * LINE + BAR - 3, summary.name, "end",
                          OURS if summary.group == "ours" else TEXT, weight))
    parts += bars(NAME, "seconds", [summary.seconds for summary in ranked], colours)
    parts += bars(NAME + PANEL + VALUE + GAP, "CPU-seconds of both servers and clients",
                  [summary.cpu["all"] for summary in ranked], colours)
    return "\n".join([*parts, "</svg>"]) + "\n"
