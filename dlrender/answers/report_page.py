"""The page of a report: HTML that is one file, or Markdown with its pictures in a folder beside it."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Sequence
from pathlib import Path

from dlrender.answers.calibration import calibration_figure
from dlrender.answers.gates import Gate
from dlrender.answers.intervals import Interval
from dlrender.answers.report import Moment, Report
from dlrender.answers.summary import QUANTITIES, RATES
from dlrender.api import plot_step
from dlrender.errors import RenderError
from dlrender.style.style import Style
from dlscore.cache import open_cache
from dlscore.common.files import atomic_path

SUFFIXES = (".html", ".md")
PICTURES = re.compile(r"(calibration|worst_\d+)\.png")
DPI = 110
SHEET = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top; }
tr + tr td { border-top: 1px solid #ddd; } .number { font-variant-numeric: tabular-nums; white-space: nowrap; }
img { max-width: 100%; } figure { margin: 0; } figcaption { color: #555; font-size: .9rem; }
.moments { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem; }
.warning { border-left: 4px solid #e08214; padding-left: .7rem; } .failed { color: #b2182b; font-weight: bold; }
"""


def check_report_name(path: Path) -> None:
    """Raise RenderError for a report's name that says no format, and where its pictures would replace other files."""
    if path.suffix not in SUFFIXES:
        raise RenderError(f"report {path} has no known format; end its name in {', '.join(SUFFIXES)}")
    folder = _folder(path)
    if path.suffix == ".md" and folder.exists():
        others = [each.name for each in folder.glob("*") if not PICTURES.fullmatch(each.name)]
        if others or not folder.is_dir():
            held = f"holds {min(others)}, which is no picture of a report" if others else "is a file"
            raise RenderError(f"{folder}, where the pictures go, {held}; move it, or choose another -o")


def write_report(report: Report, path: Path, style: Style, gates: Sequence[Gate] = ()) -> Path:
    """Write the page as .html, or as .md with pictures in the folder `<name>_files`."""
    check_report_name(path)
    pictures = {"calibration": _calibration(report, style)}
    pictures |= {f"worst_{k + 1:02}": _still(moment, report.method, style) for k, moment in enumerate(report.moments)}
    if path.suffix == ".html":
        links = {name: f"data:image/png;base64,{base64.b64encode(data).decode()}" for name, data in pictures.items()}
        text = _html(report, links, gates)
    else:
        folder = _folder(path)
        with atomic_path(folder, RenderError) as part:
            part.mkdir()
            for name, data in pictures.items():
                (part / f"{name}.png").write_bytes(data)
        text = _markdown(report, {name: f"{folder.name}/{name}.png" for name in pictures}, gates)
    with atomic_path(path, RenderError) as part:
        part.write_text(text, encoding="utf-8")
    return path


def _folder(path: Path) -> Path:
    return path.with_name(f"{path.stem}_files")


def _html(report: Report, links: dict[str, str], gates: Sequence[Gate]) -> str:
    safe = html.escape
    facts = "".join(f"<tr><th>{safe(name)}</th><td>{safe(value)}</td></tr>" for name, value in report.facts.items())
    rows = "".join(
        f'<tr><td>{safe(name)}</td><td class="number">{safe(value)}</td><td>{safe(meaning)}</td></tr>'
        for name, value, meaning in _rows(report)
    )
    told = "".join(f'<p class="warning">{safe(warning)}</p>' for warning in report.warnings) or "<p>None.</p>"
    checked = "".join(f"<p{' class=failed' * failed}>{safe(text)}</p>" for text, failed in _checked(report, gates))
    stills = "".join(
        f'<figure><img src="{links[f"worst_{k + 1:02}"]}" alt=""><figcaption>{safe(_caption(moment))}</figcaption></figure>'
        for k, moment in enumerate(report.moments)
    )
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{safe(_title(report))}</title><style>{SHEET}</style>\n'
        f"<h1>{safe(_title(report))}</h1>\n<table>{facts}</table>\n{checked}\n<h2>Summary</h2>\n<table>{rows}</table>\n"
        f"<p>{safe(_note(report))}</p>\n<h2>Warnings</h2>\n{told}\n<h2>Calibration</h2>\n"
        f'<img src="{links["calibration"]}" alt="calibration">\n<h2>Worst moments</h2>\n'
        f'<div class="moments">{stills}</div>\n</html>\n'
    )


def _markdown(report: Report, links: dict[str, str], gates: Sequence[Gate]) -> str:
    lines = [f"# {_title(report)}", "", "| | |", "|---|---|"]
    lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in report.facts.items()]
    lines += [
        "",
        *(f"* {text}" for text, _ in _checked(report, gates)),
        "",
        "## Summary",
        "",
        "| quantity | value | is |",
        "|---|---|---|",
    ]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in _rows(report)]
    lines += ["", _note(report), "", "## Warnings", ""]
    lines += [f"* {warning}" for warning in report.warnings] or ["None."]
    lines += ["", "## Calibration", "", f"![calibration]({links['calibration']})", "", "## Worst moments", ""]
    for k, moment in enumerate(report.moments):
        lines += [f"![]({links[f'worst_{k + 1:02}']})", "", _caption(moment), ""]
    return "\n".join(lines)


def _title(report: Report) -> str:
    return f"{report.facts['policy']} on {report.facts['data']}"


def _rows(report: Report) -> list[tuple[str, str, str]]:
    about = {each.name: each for each in QUANTITIES}
    found = []
    for name in sorted(report.summary, key=lambda name: name not in RATES):
        units, meaning = ("1", RATES[name][0]) if name in RATES else (about[name].units, about[name].meaning)
        found.append((name, f"{report.summary[name]} {'' if units == '1' else units}".strip(), meaning))
    return found


def _note(report: Report) -> str:
    some: list[Interval] = [each for name, each in report.summary.items() if name not in RATES]
    if all(each.low is None for each in some):
        return "No intervals: they need 5 episodes or more."
    return "In brackets: 95 % intervals, by a bootstrap over episodes (success: Wilson's)."


def _checked(report: Report, gates: Sequence[Gate]) -> list[tuple[str, bool]]:
    found = [(gate, gate.holds(report.summary)) for gate in gates]
    verdict = {True: "FAILED: {} holds ({})", False: "Passed: {} does not hold ({})"}
    return [(verdict[holds].format(gate, report.summary[gate.name]), holds) for gate, holds in found]


def _caption(moment: Moment) -> str:
    return (
        f"episode {moment.episode}, step {moment.step}: surprise {moment.surprise:.1f} nats, where {moment.entropy:.1f} are "
        "expected"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _calibration(report: Report, style: Style) -> bytes:
    return _png(calibration_figure(report.calibration, style))


def _still(moment: Moment, method: str, style: Style) -> bytes:
    with open_cache(moment.file) as cache:
        axes = plot_step(cache, moment.step, method=method, style=style, environment=True, norm="frame")
        return _png(axes.figure)


def _png(figure: object) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor=figure.get_facecolor())  # type: ignore[attr-defined]
    return buffer.getvalue()
