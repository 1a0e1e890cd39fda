"""What ``segmenter generate`` and ``segmenter forecast`` print for people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from serving.space_views import table_of

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from segmenter.generation.comparison import Change
    from segmenter.generation.forecasts import Forecast
    from segmenter.generation.report import Report

SHOWN_EVENTS = 8
PATH_FEATURES, PER_FAMILY = 6, 2


def journey_table(events: "pl.DataFrame") -> Table:
    """The first events of the first journey."""
    user = events["user"][0]
    own = events.filter(events["user"] == user)
    columns = [name for name in own.columns if name not in ("user", "seq")]
    table = table_of(f"{user}, the first of {len(own)} events", columns, texts=len(columns))
    for row in own.head(SHOWN_EVENTS).select(columns).iter_rows():
        table.add_row(*(Text(_cell(one)) for one in row))
    return table


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,.4g}" if isinstance(value, float) else str(value).removesuffix("+00:00")


def fidelity_table(report: "Report") -> Table:
    """The set and its controls, one column each."""
    table = table_of("How real it looks", ["", *report.fidelity])
    sets = list(report.fidelity.values())
    rows: list[tuple[str, Sequence[float | None]]] = [
        ("told from real users, AUC (.5 is perfect)", [one.told_apart for one in sets]),
        *(
            (f"  by {family} alone", [one.by_family[family] for one in sets])
            for family in sets[0].by_family
        ),
        ("event types, divergence in bits", [one.type_divergence for one in sets]),
        ("successive types, divergence in bits", [one.pair_divergence for one in sets]),
        ("categories, divergence in bits", [one.category_divergence for one in sets]),
        ("gaps, distance in powers of ten", [one.gap_distance for one in sets]),
        ("lengths, distance (KS)", [one.length_distance for one in sets]),
        ("values, distance in logs", [one.value_distance for one in sets]),
        ("real users it covers", [one.coverage for one in sets]),
        ("trained on it, tested on real, AUC", [one.trained_on_set for one in sets]),
        ("trained on real, tested on real, AUC", [one.trained_on_real for one in sets]),
    ]
    for name, figures in rows:
        if any(one is not None for one in figures):
            table.add_row(name, *("-" if one is None else f"{one:.3f}" for one in figures))
    return table


def report_lines(report: "Report") -> list[Text]:
    """What the decoder makes of its latent, and what attacks find."""
    use, privacy = report.latent_use, report.privacy
    best = privacy.attacks[0]
    return [
        Text(f"Fidelity: {report.note}."),
        Text(
            f"Latent: another user's costs {use.swap_gain:.0f} nats a journey, the mean one "
            f"{use.mean_gain:.0f}; free decodes give back {use.profile_r2:.0%} of the profile."
        ),
        Text(
            f"Privacy: {privacy.exact_copies} exact copies; {privacy.nearer_to_learned:.0%} of "
            f"journeys are nearer to a user learned from (50 % is chance); runs of eight events "
            f"that only one user has: {privacy.copied_runs:.2%} of those learned from, "
            f"{privacy.copied_runs_held_out:.2%} of others; {sum(privacy.rare_values.values())} "
            "values of fewer than five users."
        ),
        Text(
            f"Strongest attack on membership: {best.name}, AUC {best.area:.2f} "
            f"({best.low:.2f} to {best.high:.2f}; .5 is chance)."
        ),
        *(Text(line, "yellow") for line in privacy.limits),
    ]


def path_table(events: "pl.DataFrame", step: "np.ndarray", ends: tuple[str, str]) -> Table:
    """What the journeys at each point of a path hold: the things that change most."""
    import numpy as np  # noqa: PLC0415 - --help must not wait for it

    from segmenter.generation.features import Looks, nan_mean  # noqa: PLC0415

    found = Looks.of(events).table(events)
    means = np.stack([nan_mean(found.values[step == one]) for one in np.unique(step)])
    spread = np.sqrt(nan_mean((found.values - nan_mean(found.values)) ** 2)) + 1e-9
    moved = np.nan_to_num(np.abs(means[-1] - means[0]) / spread)
    chosen: list[int] = []
    for place in np.argsort(-moved, kind="stable").tolist():
        family = found.names[place].split(":")[0]
        if sum(found.names[one].startswith(f"{family}:") for one in chosen) < PER_FAMILY:
            chosen.append(place)
    chosen = chosen[:PATH_FEATURES]
    names = [found.names[one] for one in chosen]
    table = table_of(f"From {ends[0]} to {ends[1]}", ["step", *names])
    for one, row in enumerate(means):
        table.add_row(str(one), *(f"{row[place]:.3f}" for place in chosen))
    return table


def changes_table(title: str, found: "Sequence[Change]") -> Table:
    """Features that differ most."""
    table = table_of(title, ["", "before", "after", "difference"])
    for one in found:
        told = f"{one.after - one.before:+.3f} ({one.low:+.3f} to {one.high:+.3f})"
        table.add_row(Text(one.feature), f"{one.before:.3f}", f"{one.after:.3f}", told)
    return table


def forecast_tables(user: str, found: "Forecast") -> list[Table]:
    """Amounts with intervals, and what is likelier than usual."""
    amounts = table_of(
        f"{user} in the next {found.window_days:.0f} days", ["", "expected", "nine in ten"]
    )
    for total in found.totals:
        amounts.add_row(
            total.name, f"{total.value:,.1f}", f"{total.low:,.1f} to {total.high:,.1f}"
        )
    likely = table_of("Likelier than usual", ["", "", "chance", "usual"], texts=2)
    for one in found.likely:
        likely.add_row(Text(one.field), Text(one.value), f"{one.chance:.0%}", f"{one.usual:.0%}")
    return [amounts, likely]
