"""A reliability diagram as SVG: a bar for each bin of confidence, as high as the share of right ones."""

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from midwatch_bench.accuracy.reliability import BINS, Bin

_SIDE, _MARGIN = 320, 48
_STYLE = (
    "text{font:12px sans-serif;fill:#555}.bar{fill:#4878a8}.axis{stroke:#888;fill:none}"
    ".ideal{stroke:#c44;stroke-dasharray:5 4}"
)


def reliability_diagram(bins: Sequence[Bin], title: str) -> str:
    """Return the diagram; the dashed line is where a confidence means what it says, figures are how many causes."""
    width, height = _SIDE + 2 * _MARGIN, _SIDE + 2 * _MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    return "\n".join([head, f"<style>{_STYLE}</style>", *_frame(title), *map(_bar, bins), "</svg>", ""])


def _frame(title: str) -> Iterator[str]:
    middle = _MARGIN + _SIDE / 2
    yield f'<text x="{middle:g}" y="{_MARGIN / 2:g}" text-anchor="middle">{escape(title)}</text>'
    yield f'<rect class="axis" x="{_MARGIN}" y="{_MARGIN}" width="{_SIDE}" height="{_SIDE}"/>'
    yield f'<line class="ideal" x1="{_x(0):g}" y1="{_y(0):g}" x2="{_x(1):g}" y2="{_y(1):g}"/>'
    for tick in (0.0, 0.5, 1.0):
        yield f'<text x="{_x(tick):g}" y="{_y(0) + 16:g}" text-anchor="middle">{tick:g}</text>'
        yield f'<text x="{_x(0) - 6:g}" y="{_y(tick) + 4:g}" text-anchor="end">{tick:g}</text>'
    yield f'<text x="{middle:g}" y="{_y(0) + 36:g}" text-anchor="middle">confidence</text>'
    yield f'<text transform="translate(16 {middle:g}) rotate(-90)" text-anchor="middle">share right</text>'


def _bar(bin: Bin) -> str:
    left, wide = _x(bin.confidence) - _SIDE / BINS / 2, _SIDE / BINS
    left = min(max(left, _x(0)), _x(1) - wide)
    shape = f'x="{left:.1f}" y="{_y(bin.right):.1f}" width="{wide - 2:.1f}" height="{bin.right * _SIDE:.1f}"'
    above = max(_y(bin.right) - 4, _MARGIN - 4)
    count = f'<text x="{left + wide / 2:.1f}" y="{above:.1f}" text-anchor="middle">{bin.count}</text>'
    return f'<rect class="bar" {shape}/>{count}'


def _x(share: float) -> float:
    return _MARGIN + share * _SIDE


def _y(share: float) -> float:
    return _MARGIN + (1 - share) * _SIDE
