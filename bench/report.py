"""What a run leaves: a JSON file, and a page of its own with the tables, the gates and the plots."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from bench.figures import Findings, findings_from, grid
from bench.gates import Verdict
from bench.plots import svg

_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#1e293b}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;text-align:right;"
    "border-bottom:1px solid #e2e8f0}"
    "td:first-child,th:first-child{text-align:left}.missed{color:#b91c1c;font-weight:600}svg{max-width:100%;height:auto}"
)


class ReportError(ValueError):
    """A file is not the JSON of a run; the message names it."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the bench."""

    measured_at: str
    machine: dict[str, str]
    data: str
    findings: Findings
    verdicts: list[Verdict]


def now() -> str:
    """This moment, as a run is dated."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_json(path: Path, run: Run) -> None:
    """All figures with their rounds, all curves, and what became of the gates."""
    path.write_text(json.dumps(_as_json(run), indent=1) + "\n", "utf-8")


def read_findings(path: Path) -> Findings:
    """The findings of a run that was written. Raises ReportError."""
    try:
        return findings_from(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReportError(f"{path} is not the JSON of a run: {error}") from error


def write_page(path: Path, run: Run) -> None:
    """A page that needs nothing but a browser."""
    path.write_text(_page(run), "utf-8")


def write_plots(directory: Path, findings: Findings) -> list[Path]:
    """Each plot as an SVG file, named after its title."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for plot in findings.plots:
        name = "".join(letter if letter.isalnum() else "-" for letter in plot.title.lower())
        paths.append(directory / f"{'-'.join(filter(None, name.split('-')))}.svg")
        paths[-1].write_text(svg(plot) + "\n", "utf-8")
    return paths


def _as_json(run: Run) -> dict[str, Any]:
    gates = [
        {
            "figure": verdict.gate.figure,
            "subject": verdict.figure.subject,
            "value": verdict.figure.value,
            "bound": verdict.gate.bound,
            "kept": verdict.kept,
            "aim": verdict.gate.aim,
        }
        for verdict in run.verdicts
    ]
    told = {"measured_at": run.measured_at, "machine": run.machine, "data": run.data, "gates": gates}
    return told | run.findings.as_json()


def _page(run: Run) -> str:
    parts = dict.fromkeys(figure.part for figure in run.findings.figures)
    machine = ", ".join(run.machine.values())
    return "\n".join(
        [
            "<!doctype html><html lang='en'><meta charset='utf-8'><title>Benchmarks</title>",
            f"<style>{_STYLE}</style>",
            f"<h1>Benchmarks</h1><p>{escape(run.data)}; {escape(machine)}; {escape(run.measured_at)}</p>",
            *(f"<p class='missed'>{escape(note)}</p>" for note in run.findings.notes),
            "<h2>Gates</h2><ul>",
            *(_gate(verdict) for verdict in run.verdicts),
            "</ul>",
            *(svg(plot) for plot in run.findings.plots),
            *(f"<h2>{escape(part)}</h2>{_table(run.findings, part)}" for part in parts),
            "</html>\n",
        ]
    )


def _gate(verdict: Verdict) -> str:
    return f"<li{'' if verdict.passes else ' class=missed'}>{escape(str(verdict))}</li>"


def _table(findings: Findings, part: str) -> str:
    subjects, rows = grid(findings.figures, part)
    head = "".join(f"<th>{escape(subject)}</th>" for subject in subjects)
    body = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{value}</td>' for value in values)}</tr>"
        for name, values in rows
    )
    return f"<table><tr><th></th>{head}</tr>{body}</table>"


def passed(verdicts: Sequence[Verdict]) -> bool:
    """Whether every gate was kept but for aims."""
    return all(verdict.passes for verdict in verdicts)
