"""Curves as an SVG file: a panel for each, its steps on a logarithmic axis, its cost as the ratio to the first step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, HEIGHT, GAP, PER_ROW = 260, 170, 20, 3
LEFT, RIGHT, TOP, BOTTOM = 34, 12, 30, 34
LEAST_TOP = 2.0
"""The ratio up to which a panel reaches at least, so that noise does not look like growth."""
STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#555}.name{font-weight:600;fill:#222}"
    ".axis{stroke:#bbb}.line{fill:none;stroke:#2563eb;stroke-width:2}.dot{fill:#2563eb}"
    "@media(prefers-color-scheme:dark){text{fill:#aaa}.name{fill:#eee}.axis{stroke:#555}}"
)


class Curve(NamedTuple):
    """What something costs at each step. `steps` are the labels, by their value."""

    name: str
    unit: str
    steps: Sequence[tuple[float, str]]
    costs: Sequence[float]


def short(number: float) -> str:
    """A number as an axis shows it: `20k`, `5M`."""
    for size, sign in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{sign}"
    return f"{number:g}"


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Write all panels into one file."""
    rows = math.ceil(len(curves) / PER_ROW)
    width, height = PER_ROW * (WIDTH + GAP) - GAP, rows * (HEIGHT + GAP) - GAP
    panels = [
        f'<g transform="translate({number % PER_ROW * (WIDTH + GAP)},{number // PER_ROW * (HEIGHT + GAP)})">'
        f"{_panel(curve)}</g>"
        for number, curve in enumerate(curves)
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    path.write_text("\n".join([head, f"<style>{STYLE}</style>", *panels, "</svg>", ""]), encoding="utf-8")


def _panel(curve: Curve) -> str:
    ratios = [cost / curve.costs[0] for cost in curve.costs]
    top = max(LEAST_TOP, *ratios)
    first, last = (math.log10(curve.steps[number][0]) for number in (0, -1))

    def at(value: float, ratio: float) -> tuple[float, float]:
        share = (math.log10(value) - first) / ((last - first) or 1)
        return LEFT + share * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - ratio / top * (HEIGHT - TOP - BOTTOM)

    points = [at(value, ratio) for (value, _), ratio in zip(curve.steps, ratios, strict=True)]
    base, bottom = at(curve.steps[0][0], 1.0)[1], HEIGHT - BOTTOM
    parts = [
        f'<text class="name" x="{LEFT}" y="14">{escape(curve.name)}</text>',
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>',
        f'<line class="axis" stroke-dasharray="3 3" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base:.1f}" y2="{base:.1f}"/>',
        f'<text x="{LEFT - 6}" y="{base + 4:.1f}" text-anchor="end">1</text>',
        f'<text x="{LEFT - 6}" y="{TOP + 4}" text-anchor="end">{top:.2g}</text>',
        f'<text x="{LEFT}" y="{HEIGHT - 4}">1 = {curve.costs[0]:.3g} {escape(curve.unit)}</text>',
        f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>',
    ]
    for (_, label), (x, y) in zip(curve.steps, points, strict=True):
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{escape(label)}</text>')
    return "".join(parts)
