"""Plots as SVG, drawn without any library: lines over linear or logarithmic axes."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.figures import Curve, Plot

WIDTH, HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 34, 46
_COLOURS = ("#0b6e99", "#c2410c", "#15803d", "#7c3aed", "#a16207", "#be185d", "#334155")
_TICKS = 5
_LINE = 15  #: of the legend, pixels


def svg(plot: Plot) -> str:
    """One plot as an SVG element."""
    x_axis = _Axis([x for curve in plot.curves for x in curve.x], plot.is_logarithmic, _LEFT, WIDTH - _RIGHT)
    y_axis = _Axis([0.0, *(y for curve in plot.curves for y in curve.y)], False, HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        ' font-family="system-ui, sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(plot.title, _LEFT, 18, "start", bold=True),
        *_grid_lines(x_axis, y_axis),
        _text(plot.x_label, (_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 8, "middle"),
        _text(plot.y_label, 12, (_TOP + HEIGHT - _BOTTOM) / 2, "middle", turned=True),
        *(_line(curve, x_axis, y_axis, number) for number, curve in enumerate(plot.curves)),
        *_legend(plot.curves),
        "</svg>",
    ]
    return "\n".join(parts)


class _Axis:
    """From values to pixels."""

    def __init__(self, values: Sequence[float], is_logarithmic: bool, first: float, last: float) -> None:
        shown = [value for value in values if math.isfinite(value) and (value > 0 or not is_logarithmic)]
        self._is_logarithmic = is_logarithmic
        self._low, self._high = min(shown, default=0.1), max(shown, default=1.0)
        if self._high <= self._low:
            self._high = self._low * 1.1 + 1e-9
        self._first, self._last = first, last

    def place(self, value: float) -> float:
        """Where a value is drawn, pixels."""
        low, high = self._scaled(self._low), self._scaled(self._high)
        share = (self._scaled(max(value, self._low)) - low) / (high - low)
        return self._first + share * (self._last - self._first)

    def ticks(self) -> list[float]:
        """Round values to write at the axis."""
        if self._is_logarithmic:
            decades = range(math.floor(math.log10(self._low)), math.ceil(math.log10(self._high)) + 1)
            values = [factor * 10.0**decade for decade in decades for factor in (1.0, 2.0, 5.0)]
        else:
            step = _round_step((self._high - self._low) / _TICKS)
            first = math.ceil(self._low / step)
            values = [step * number for number in range(first, math.floor(self._high / step) + 1)]
        return [value for value in values if self._low <= value <= self._high]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self._is_logarithmic else value


def _round_step(step: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(step))
    return next(factor * magnitude for factor in (1.0, 2.0, 5.0, 10.0) if factor * magnitude >= step * 0.999)


def _grid_lines(x_axis: _Axis, y_axis: _Axis) -> list[str]:
    lines = []
    for value in x_axis.ticks():
        x = x_axis.place(value)
        lines += [
            _rule(x, _TOP, x, HEIGHT - _BOTTOM),
            _text(f"{value:g}", x, HEIGHT - _BOTTOM + 15, "middle"),
        ]
    for value in y_axis.ticks():
        y = y_axis.place(value)
        lines += [_rule(_LEFT, y, WIDTH - _RIGHT, y), _text(f"{value:g}", _LEFT - 6, y + 4, "end")]
    return lines


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#e2e8f0"/>'


def _line(curve: Curve, x_axis: _Axis, y_axis: _Axis, number: int) -> str:
    points = " ".join(
        f"{x_axis.place(x):.1f},{y_axis.place(y):.1f}" for x, y in zip(curve.x, curve.y, strict=True)
    )
    return f'<polyline points="{points}" fill="none" stroke="{_colour(number)}" stroke-width="1.8"/>'


def _legend(curves: Sequence[Curve]) -> list[str]:
    lines = []
    for number, curve in enumerate(curves):
        y = _TOP + 14 + _LINE * number
        lines.append(f'<rect x="{_LEFT + 10}" y="{y - 7}" width="14" height="3" fill="{_colour(number)}"/>')
        lines.append(_text(curve.label, _LEFT + 30, y - 1, "start"))
    return lines


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _text(text: str, x: float, y: float, anchor: str, *, bold: bool = False, turned: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#334155"{weight}{turn}>{escape(text)}</text>'
