"""A bar chart as SVG, drawn by hand so that it needs no library and suits light and dark pages."""

from collections.abc import Mapping
from xml.sax.saxutils import escape

from benchmarks.figures import Spread

_WIDTH, _LABELS, _VALUES = 760, 290, 60  # the whole, and the columns left and right of the bars
_ROW, _BAR, _HEADING = 26, 16, 40
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.heading { font-weight: 600; }
.caption { font-size: 11px; }
.bar { fill: #8c959f; }
.ours { fill: #0969da; }
.spread { stroke: #1f2328; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .bar { fill: #6e7681; }
  .ours { fill: #4493f8; }
  .spread { stroke: #e6edf3; }
}
"""


def bar_chart(
    title: str, groups: Mapping[str, Mapping[str, Spread]], marked: str, caption: str
) -> str:
    """Groups of horizontal bars, the shortest first, all on one scale that begins at 0.

    Args:
        title: read aloud, and shown above.
        groups: by heading, then by label, the figures.
        marked: labels that begin so are set off by colour.
        caption: shown below.
    """
    longest = max(spread.high for bars in groups.values() for spread in bars.values())
    scale = (_WIDTH - _LABELS - _VALUES) / longest
    rows = [f'<text class="heading" x="0" y="16">{escape(title)}</text>']
    y = _ROW
    for heading, bars in groups.items():
        rows.append(f'<text class="heading" x="0" y="{y + _HEADING - 14}">{escape(heading)}</text>')
        y += _HEADING
        for label, spread in sorted(bars.items(), key=lambda bar: bar[1].median):
            kind = "bar ours" if label.startswith(marked) else "bar"
            low, median, high = spread.times(scale)
            middle = y + _BAR / 2
            rows += [
                f'<text x="{_LABELS - 10}" y="{middle + 5:g}" text-anchor="end">'
                f"{escape(label)}</text>",
                f'<rect class="{kind}" x="{_LABELS}" y="{y}" width="{median:.1f}" '
                f'height="{_BAR}" rx="2"/>',
                f'<path class="spread" d="M{_LABELS + low:.1f} {middle:g}H{_LABELS + high:.1f}"/>',
                f'<text x="{_LABELS + high + 8:.1f}" y="{middle + 5:g}">{spread.median:.1f}</text>',
            ]
            y += _ROW
    y += _ROW
    rows.append(f'<text class="caption" x="0" y="{y - 8}">{escape(caption)}</text>')
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" '
            f'width="{_WIDTH}" height="{y}" role="img" aria-label="{escape(title)}">',
            f"<style>{_STYLE}</style>",
            *rows,
            "</svg>\n",
        ]
    )
