"""What a person reads of an export: waterfalls, what they change, and where the files are."""

from rich.table import Table
from rich.text import Text

from segmenter.terminal import Terminal
from serving.exports.export import ExportReport
from serving.exports.waterfall import STAGES, Change, Waterfall


def show(report: ExportReport, terminal: Terminal) -> None:
    """Print a waterfall for each audience, what changes, and where its files are."""
    for one in report.waterfalls:
        terminal.say(_table(one))
        style = {"refused": "bold red", "written": "green"}.get(one.verdict, "yellow")
        terminal.say(Text(f"{one.verdict}{': ' + one.why if one.why else ''}", style=style))
        terminal.say(Text(_told(one.change)))
        for remedy in one.remedies:
            terminal.say(Text(f"  or: {remedy}"))
    if report.ignored:
        told = ", ".join(report.ignored)
        terminal.say(
            Text(f"not read, though it may say who must not leave: {told}", "bold yellow")
        )
    for mark in report.marks:
        terminal.say(Text(f"marked: {mark}", style="yellow"))
    for name, missing in report.placeholders.items():
        terminal.say(Text(f"{name}: placeholders stand for {', '.join(missing)}; pass --set"))
    if report.out is None:
        terminal.say("Nothing was written: this was a dry run.")
        return
    for name in (*report.files, "waterfall.html", "manifest.json"):
        terminal.people.print(str(report.out / name), markup=False, soft_wrap=True)


def _table(one: Waterfall) -> Table:
    table = Table(
        title=Text(f"{one.destination}: segment {one.segment_id}, {one.segment_name}"),
        title_justify="left",
    )
    table.add_column("step")
    table.add_column("people", justify="right")
    table.add_column("left out, by reason")
    for stage, label in STAGES.items():
        reasons = one.reasons.get(stage, {})
        told = "; ".join(f"{reason} {n_people:,}" for reason, n_people in reasons.items())
        table.add_row(label, f"{one.counts[stage]:,}", Text(told))
    low, high = one.match_rate
    table.add_row(
        f"may be found (assumed {low:.0%} to {high:.0%})",
        f"{one.matched[0]:,} to {one.matched[1]:,}",
        Text("an assumption, not a measurement"),
    )
    return table


def _told(change: Change | None) -> str:
    """What the files do to the list."""
    if change is None:
        return ""
    stuck = (
        f"; {change.stuck:,} cannot be taken off by a payload, since they were sent by names or "
        "device ids alone: replace the list"
        if change.stuck
        else ""
    )
    return f"people put on the list {change.added:,}, taken off {change.removed:,}{stuck}"
