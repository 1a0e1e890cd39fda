"""What the commands of ``segmenter space`` print for people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from segmenter.space.contrasts import Contrast
    from segmenter.space.debias import Erasure
    from segmenter.space.directions import Direction
    from segmenter.space.disparity import Disparity
    from segmenter.space.drift import Drift, SegmentDrift
    from segmenter.space.latent_space import LatentSpace
    from segmenter.space.lookalike import LookAlikes
    from segmenter.space.neighbors import Ranking
    from segmenter.space.toward import Movement
    from segmenter.validity.lift import Interval

N_CONTRASTS = 8


def told(interval: "Interval", digits: int = 2) -> str:
    """A figure with its interval."""
    value, low, high = (
        f"{one:.{digits}f}" for one in (interval.value, interval.low, interval.high)
    )
    return f"{value} ({low} to {high})"


def table_of(title: str, headings: Sequence[str], *, texts: int = 1) -> Table:
    """An empty table whose first columns are texts and whose others are figures."""
    table = Table(title=Text(title), title_justify="left")
    for place, heading in enumerate(headings):
        side: JustifyMethod = "left" if place < texts else "right"
        table.add_column(Text(heading), justify=side, overflow="fold")
    return table


def users_table(title: str, space: "LatentSpace", ranking: "Ranking") -> Table:
    """Users at some distance, with what is known of them."""
    known = space.metadata.columns[:5]
    table = table_of(title, ["user", *known, "distance"], texts=1 + len(known))
    for row, score in zip(ranking.rows.tolist(), ranking.scores.tolist(), strict=True):
        values = [space.metadata[name][row] for name in known]
        table.add_row(*(Text(_short(one)) for one in (space.ids[row], *values)), f"{-score:.3f}")
    return table


def groups_table(column: str, found: "Sequence[tuple[str, float]]") -> Table:
    """Groups by the distance of their centroids."""
    table = table_of("Nearest groups", [column, "distance"])
    for name, distance in found:
        table.add_row(Text(name), f"{distance:.3f}")
    return table


def movement_line(found: "Movement") -> str:
    """Where a group has gone with respect to its target."""
    return (
        f"It was {told(found.before)} from the target and is {told(found.now)}: a change of "
        f"{told(found.change)}. It moved {told(found.toward)} toward the target and "
        f"{told(found.aside)} aside."
    )


def _short(value: object) -> str:
    """A value in a cell."""
    if value is None:
        return "-"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def reach_table(found: "LookAlikes") -> Table:
    """The similarity x reach curve, with the controls beside it."""
    names = [control.name for control in found.controls]
    table = table_of(
        f"Look-alikes of {found.n_seeds:,} seeds",
        ["reach", "users", "similarity", "expected lift", *names],
        texts=0,
    )
    for place, point in enumerate(found.curve):
        table.add_row(
            f"{point.reach:.1%}",
            f"{point.n_users:,}",
            f"{point.similarity:.2f}",
            told(point.lift, 1),
            *(f"{control.lifts[place].value:.1f}" for control in found.controls),
        )
    return table


def reach_lines(found: "LookAlikes") -> list[Text]:
    """What a person should know before a list is used."""
    separation = found.separation
    line = (
        f"Ranked by the {found.method}; a held-out seed is ranked before another user in "
        f"{separation.value:.0%} of pairs ({separation.low:.0%} to {separation.high:.0%})."
    )
    lines = [Text(line)]
    better = [
        control.name
        for control in found.controls
        if control.separation.value >= found.separation.value
    ]
    if better:
        words = f"No better than {', '.join(better)} alone: that rule finds as many."
        lines.append(Text(words, "yellow"))
    if found.n_excluded:
        lines.append(Text(f"{found.n_excluded:,} users are set aside: they do it already."))
    return lines


def disparity_table(column: str, found: "Disparity") -> Table:
    """How often each group of a column is reached."""
    table = table_of("Who is reached", [column, "share of them"])
    for label, rate in zip(found.labels, found.rates.tolist(), strict=True):
        table.add_row(Text(label), f"{rate:.1%}")
    table.add_row(Text("lowest over highest"), f"{found.ratio:.2f}")
    return table


def contrast_table(title: str, found: "Sequence[Contrast]", names: tuple[str, str]) -> Table:
    """What is most surely different between two groups."""
    table = table_of(title, ["what", *names, "difference in standard errors"])
    for one in found[:N_CONTRASTS]:
        figures = (
            f"{value:.1%}" if one.is_share else f"{value:,.4g}"
            for value in (one.group, one.reference)
        )
        table.add_row(Text(one.what), *figures, f"{one.z:+.1f}")
    return table


def segment_drift_table(column: str, found: "Sequence[SegmentDrift]") -> Table:
    """Drift inside each segment."""
    headings = [column, "of group", "of target", "distance", "energy", "p, all segments"]
    table = table_of("Inside each segment", headings)
    for one in found:
        figures = ["too few users", "-", "-"]
        if one.drift is not None and one.p is not None:
            figures = [told(one.drift.distance), f"{one.drift.energy.value:.3f}", f"{one.p:.3f}"]
        shares = (f"{one.group_share:.1%}", f"{one.target_share:.1%}")
        table.add_row(Text(str(one.segment)), *shares, *figures)
    return table


def bias_table(found: "Erasure") -> Table:
    """Before and after."""
    table = table_of(f"What is told of {found.attribute}", ["measure", "before", "after erasure"])
    rows = {
        "read from the embedding, straight (R2)": "linear_r2",
        "read from the embedding, curved (R2)": "tree_r2",
        "told by the segments (share of its information)": "shared_information",
        "worst ratio of rates in a segment": "worst_ratio",
    }
    for words, name in rows.items():
        table.add_row(
            words, *(f"{getattr(side, name):.3f}" for side in (found.before, found.after))
        )
    for name, before in found.before.outcomes.items():
        after = found.after.outcomes[name]
        table.add_row(Text(f"cost: {name} read, straight (R2)"), f"{before:.3f}", f"{after:.3f}")
    return table


def direction_lines(found: "Direction") -> list[Text]:
    """What a direction is worth."""
    without = f", without {', '.join(found.without)}" if found.without else ""
    line = (
        f"{found.n_reference:,} users to {found.n_target:,} users{without}: length "
        f"{told(found.length)} in spreads of the crowd; halves of the groups agree at a cosine of "
        f"{told(found.agreement)}."
    )
    lines = [Text(line)]
    if found.agreement.low <= 0:
        lines.append(Text("This may be chance: halves of the groups need not agree.", "yellow"))
    return lines


def drift_line(found: "Drift") -> str:
    """How far, and whether by more than chance."""
    return (
        f"{found.n_group:,} users against {found.n_target:,}: whitened distance "
        f"{told(found.distance)}, p = {found.distance_p:.3f}; energy distance "
        f"{told(found.energy, 3)}, p = {found.energy_p:.3f}."
    )


def path_table(title: str, steps: "Sequence[dict[str, Any]]") -> Table:
    """The points of a path."""
    seen = list(steps[0]["around"])
    headings = ["progress", "density", "nearest users", *seen]
    table = table_of(title, headings, texts=0)
    for step in steps:
        table.add_row(
            f"{step['progress']:.2f}",
            f"{step['density_percentile']:.0%}",
            Text(", ".join(step["nearest"])),
            *(f"{value:,.3g}" for value in step["around"].values()),
        )
    return table
