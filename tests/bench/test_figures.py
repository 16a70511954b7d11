"""Figures, and the files and pages that show them."""

import json
from pathlib import Path

import pytest

from bench.figures import Curve, Figure, Findings, Plot, findings_from, text_table
from bench.gates import Gate, Verdict
from bench.plots import svg
from bench.report import ReportError, Run, read_findings, write_json, write_page, write_plots


@pytest.fixture
def findings() -> Findings:
    found = Findings()
    found.add("service", "control", {"p95_ms": 1.23456, "failed": 0})
    found.add_rounds("service", "hybrid", "cost_to_bare", [[2.0, 3.0], [4.0]])
    curves = (Curve("p50", (1.0, 10.0), (0.5, 2.0)), Curve("a < b", (1.0, 10.0), (1.0, 4.0)))
    found.plots.append(Plot("Latency & rate", "requests a second", "ms", curves, is_logarithmic=True))
    found.notes.append("The machine was busy")
    return found


def test_the_table_has_names_down_and_subjects_across(findings: Findings) -> None:
    rows = [row.split() for row in text_table(findings.figures).splitlines()]
    assert rows == [
        ["service", "control", "hybrid"],
        ["p95_ms", "1.235"],
        ["failed", "0"],
        ["cost_to_bare", "3"],
    ]


def test_a_figure_of_rounds_is_their_median(findings: Findings) -> None:
    assert findings.figures[-1] == Figure("service", "hybrid", "cost_to_bare", 3.0, ((2.0, 3.0), (4.0,)))


def test_findings_come_back_from_json_as_they_were(findings: Findings) -> None:
    assert findings_from(json.loads(json.dumps(findings.as_json()))) == findings


def run_of(findings: Findings) -> Run:
    verdict = Verdict(Gate("service.p95_ms", "a <promise>", at_most=1.0), findings.figures[0])
    return Run("2026-11-25T00:00:00+00:00", {"architecture": "x86_64"}, "synthetic", findings, [verdict])


def test_a_run_is_written_and_read_again(tmp_path: Path, findings: Findings) -> None:
    write_json(tmp_path / "run.json", run_of(findings))
    assert read_findings(tmp_path / "run.json") == findings
    written = json.loads((tmp_path / "run.json").read_text())
    assert written["gates"] == [
        {
            "figure": "service.p95_ms",
            "subject": "control",
            "value": 1.23456,
            "bound": "at most 1",
            "kept": False,
            "aim": False,
        }
    ]


def test_a_file_that_is_no_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    for name in ("other.json", "absent.json"):
        with pytest.raises(ReportError, match=name):
            read_findings(tmp_path / name)


def test_the_page_shows_gates_plots_and_tables_and_loads_nothing(tmp_path: Path, findings: Findings) -> None:
    write_page(tmp_path / "run.html", run_of(findings))
    page = (tmp_path / "run.html").read_text()
    assert (
        "<li class=missed>MISSED        service.p95_ms 1.235 (at most 1), control: a &lt;promise&gt;</li>"
        in page
    )
    assert "<svg" in page and "<td>cost_to_bare</td><td></td><td>3</td>" in page
    assert "The machine was busy" in page
    assert "src=" not in page and "href=" not in page


def test_each_plot_is_left_in_a_file_of_its_name(tmp_path: Path, findings: Findings) -> None:
    (path,) = write_plots(tmp_path / "plots", findings)
    assert path.name == "latency-rate.svg"
    assert path.read_text().startswith("<svg")


def test_a_plot_draws_each_curve_from_edge_to_edge_of_its_axes(findings: Findings) -> None:
    drawn = svg(findings.plots[0])
    assert drawn.count("<polyline") == 2
    assert "Latency &amp; rate" in drawn and "a &lt; b" in drawn
    # x from 1 to 10 (logarithmic) and y from 0 to 4: the second curve ends in the upper right corner.
    assert 'points="64.0,244.0 624.0,34.0"' in drawn


def test_a_plot_of_one_point_can_be_drawn() -> None:
    assert "<polyline" in svg(Plot("t", "x", "y", (Curve("c", (5.0,), (0.0,)),)))
