"""What a person reads of an export: waterfalls, what they change, and where the files are."""

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from segmenter.terminal import Terminal
from serving.exports.export import ExportReport
from serving.exports.waterfall import STAGES, Waterfall

if TYPE_CHECKING:
    from serving.exports.lift import Lift
    from serving.exports.size import Size


def show(report: ExportReport, terminal: Terminal) -> None:
    """Print a waterfall for each audience, what changes, and where its files are."""
    for one in report.waterfalls:
        terminal.say(_table(one))
        style = {"refused": "bold red", "written": "green"}.get(one.verdict, "yellow")
        terminal.say(Text(f"{one.verdict}{': ' + one.why if one.why else ''}", style=style))
        terminal.say(Text(one.change.told if one.change is not None else ""))
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
        title=Text(one.title),
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


def show_sizes(found: "list[Size]", terminal: Terminal) -> None:
    """Print what audiences would be, with the interval where only a sample was looked at."""
    for one in found:
        told = one.waterfall
        table = Table(
            title=Text(told.title),
            title_justify="left",
        )
        table.add_column("step")
        for name in ("people", "at least", "at most"):
            table.add_column(name, justify="right")
        for stage, label in STAGES.items():
            low, high = one.intervals[stage]
            table.add_row(label, *(f"{n:,}" for n in (told.counts[stage], low, high)))
        rate = " to ".join(f"{bound:.0%}" for bound in told.match_rate)
        low, high = told.matched
        table.add_row(f"may be found (assumed {rate})", "", f"{low:,}", f"{high:,}")
        terminal.say(table)
        members = told.counts["members"]
        looked = f"{one.n_sampled:,} of {members:,} members were looked at"
        terminal.say(Text(f"{told.verdict}{': ' + told.why if told.why else ''}; {looked}"))
        for remedy in told.remedies:
            terminal.say(Text(f"  or: {remedy}"))


def lift_table(found: "list[Lift]") -> Table:
    """Effects, a row for each segment."""
    table = Table(title="Lift of the export", title_justify="left")
    for name in (
        *("segment", "sent", "control", "mean sent", "mean control", "effect", "95 % interval"),
        *("in all", "detectable", "power"),
    ):
        table.add_column(name, justify="right", no_wrap="interval" in name)
    for one in found:
        table.add_row(
            *(str(one.segment), f"{one.n_treated:,}", f"{one.n_control:,}"),
            *(f"{one.treated:.4g}", f"{one.control:.4g}", f"{one.effect:+.3g}"),
            *(f"{one.low:+.3g} to {one.high:+.3g}", f"{one.total:+,.4g}"),
            *(f"{one.detectable:.3g}", "" if one.power is None else f"{one.power:.0%}"),
        )
    return table
