"""The comparison of two scored populations as tables for the terminal."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from segmenter.clock import iso
from serving.health.drift import EmbeddingDrift, Health
from serving.health.inputs import InputDrift
from serving.health.movement import SegmentMovement
from serving.plain_table import plain_table

ALARM = "red"


def opening_lines(found: Health) -> Iterator[Text]:
    """What is compared, and how much stayed."""
    movement, ages = found.movement, found.ages
    for word, one, n_users in (
        ("Old", found.old, movement.n_old),
        ("New", found.new, movement.n_new),
    ):
        yield Text(f"{word}  {n_users:,} users as of {iso(one.as_of)}, by {one.model}")
    model = ages["model_days"]
    told = "" if model is None else f"; the model learned until {model:.0f} days before the new"
    old = f"; the new is {ages['data_days']:,.0f} days old"
    yield Text(f"{ages['between_days']:.0f} days lie between them{told}{old}")
    yield Text(
        f"{movement.kept_share:.1%} of the {movement.n_both:,} users of both keep their segment"
    )


def segments_table(found: Health) -> Table:
    """Sizes, who came and went, and how far each segment moved."""
    table = plain_table("Segments then and now")
    headings = ("Id", "Then", "Now", "Share", "Change", "Came", "Went", "Volatile", "Moved", "p")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    alarms = {reason.of for reason in found.reasons if reason.check == "segment_size"}
    for one in found.movement.segments:
        style = ALARM if str(one.id) in alarms else ""
        table.add_row(*_segment_cells(one, style), *_drift_cells(found, one.id))
    return table


def _segment_cells(one: SegmentMovement, style: str) -> Iterator[Text]:
    yield from (Text(str(one.id)), Text(f"{one.old_users:,}"), Text(f"{one.new_users:,}"))
    yield Text(f"{one.new_share:.1%}")
    yield Text("new" if one.old_users == 0 else f"{one.change:+.0%}", style=style)
    yield from (Text(f"{one.joined + one.added:,}"), Text(f"{one.left + one.dropped:,}"))
    yield Text(f"{one.volatility:.0%}")


def _drift_cells(found: Health, number: int) -> Iterator[Text]:
    """Distance of the centroids and its p-value; dashes where too few were drawn."""
    inside = found.embeddings.inside(number) if found.embeddings else None
    if inside is None or inside.drift is None or inside.p is None:
        yield from (Text("-", style="dim"), Text("-", style="dim"))
        return
    alarms = {reason.of for reason in found.reasons if reason.check == "embedding"}
    style = ALARM if f"segment {number}" in alarms else ""
    yield Text(f"{inside.drift.distance.value:.2f}", style=style)
    yield Text(f"{inside.p:.3f}")


def inputs_table(inputs: tuple[InputDrift, ...]) -> Table:
    """Every field with its figures."""
    table = plain_table("Inputs, each user counted once")
    table.add_column("Field")
    for heading in ("PSI", "Jensen-Shannon", "KS", "Wasserstein"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("What changed most: old > new", overflow="fold")
    for field in inputs:
        shift = field.shift
        table.add_row(
            Text(field.field),
            f"{shift.psi:.3f}",
            f"{shift.jensen_shannon:.2f}",
            "-" if shift.ks is None else f"{shift.ks:.2f}",
            "-" if shift.wasserstein is None else f"{shift.wasserstein:.2f}",
            Text("; ".join(f"{one.value} {one.old:.1%} > {one.new:.1%}" for one in field.changes)),
        )
    return table


def embedding_line(found: EmbeddingDrift) -> Text:
    """How far everybody moved together."""
    whole = found.whole
    span = f"{whole.distance.low:.2f} to {whole.distance.high:.2f}"
    return Text(
        f"Embeddings: centroids {whole.distance.value:.2f} spreads of the crowd apart ({span}), "
        f"p {whole.distance_p:.3f}; energy distance {whole.energy.value:.3f}, "
        f"p {whole.energy_p:.3f}"
    )


def closing_lines(found: Health) -> Iterator[Text]:
    """Notes, then the reasons or that there are none."""
    yield from (Text(note, style="dim") for note in found.notes)
    yield from (Text(f"Out of bounds: {one.text}", style=ALARM) for one in found.reasons)
    if not found.reasons:
        yield Text("All within bounds", style="green")
