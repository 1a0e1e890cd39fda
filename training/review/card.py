"""The model card: a review in Markdown, as file and as description of the version."""

from collections.abc import Iterator, Sequence
from typing import Any

from training.report.words import moment
from training.review.migration import Migration
from training.review.review import Review
from training.review.sides import Side
from training.review.verdict import FAIL, NOT_JUDGED, Gate

MARKS = {FAIL: "**fail**", NOT_JUDGED: "cannot be judged"}
N_MOVES = 12
CARD_WIDTH = 32
"""Characters of a digest that fit beside another; the page has them all."""
ROWS = (
    ("version", "Version"),
    ("aliases", "Aliases"),
    ("bundle", "Bundle SHA-256"),
    ("run", "Run"),
    ("data", "Data digest"),
    ("settings", "Settings digest"),
    ("seed", "Seed"),
    ("as_of", "Learned until"),
    ("trained_at", "Trained"),
    ("registered_at", "Registered"),
    ("users", "Users"),
    ("events", "Events"),
    ("refit_of", "Refit of"),
    ("commit", "Commit"),
)


def model_card(found: Review) -> str:
    """The card of a reviewed version."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Review) -> Iterator[str]:
    against = "no champion" if found.champion is None else found.champion.label
    part = found.slice_identity
    yield f"# {found.challenger.label}: review of {found.at[:10]}"
    yield f"\n{found.verdict}.\n"
    yield (
        f"Held against {against} on {part['n_users']:,} users of {_plain(part['store'])} as of "
        f"{moment(part['cut'])}, judged by what they did until {moment(part['end'])}."
    )
    yield "\n## Gates\n"
    yield from _table(
        ("Gate", "Verdict", "Challenger", "Champion", "Asked for", "Found"),
        [_gate_row(gate) for gate in found.gates],
    )
    yield "\n## Identity\n"
    yield from _identity(found)
    yield "\n## Segments\n"
    yield from _segments(found.evidence.challenger)
    if found.evidence.migration is not None and found.evidence.champion is not None:
        yield "\n## Who changes segment\n"
        yield from _moves(
            found.evidence.migration, found.evidence.champion, found.evidence.challenger
        )
    yield from _use()


def _gate_row(gate: Gate) -> tuple[str, ...]:
    return (
        f"{gate.title} (`{gate.name}`)",
        MARKS.get(gate.verdict, gate.verdict),
        figure(gate.challenger),
        figure(gate.champion),
        gate.margin,
        gate.reason,
    )


def figure(value: float | None) -> str:
    """A figure of a gate as printed; a dash where there is none."""
    if value is None:
        return "–"  # noqa: RUF001 - the dash of the tables
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _identity(found: Review) -> Iterator[str]:
    titles = ("", "Challenger", "Champion")[: 1 + len(found.identities)]
    rows = [
        (title, *(_told(one[name])[:CARD_WIDTH] for one in found.identities))
        for name, title in ROWS
    ]
    yield from _table(titles, rows)
    part = found.slice_identity
    yield (
        f"\nSlice: store digest `{part['store_digest'][:16]}`, users digest "
        f"`{part['users_digest'][:16]}`, seed {part['seed']}. Reviewed at {found.at} with "
        f"segmenter {found.code['segmenter']}, sources `{found.code['sources_sha256'][:16]}`."
    )


def _told(value: Any) -> str:  # noqa: ANN401 - a text, a number or a list of texts
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _segments(side: Side) -> Iterator[str]:
    rows = []
    for segment in side.model.segments:
        facts = "; ".join(fact.text for fact in segment.facts[:2])
        flags = ", ".join(dict.fromkeys(flag.topic for flag in segment.flags)) or "none"
        size = f"{side.sizes.get(segment.id, 0):,}"
        rows.append((str(segment.id), segment.name, size, facts, flags))
    yield from _table(("Id", "Name", "Users of the slice", "Sets it apart", "Sensitive"), rows)


def _moves(moved: Migration, champion: Side, challenger: Side) -> Iterator[str]:
    """The largest flows between segments of different ids."""
    yield (
        f"{moved.same_id:.1%} of the users are in a segment of the same id; paired by their "
        f"users, segments keep {moved.same_matched:.1%}. The largest moves:\n"
    )
    flows = [
        (int(moved.counts[place, other]), old, new)
        for place, old in enumerate(moved.rows)
        for other, new in enumerate(moved.columns)
        if old != new and moved.counts[place, other] > 0
    ]
    rows = [
        (f"{old} {champion.names[old]}", f"{new} {challenger.names[new]}", f"{n_users:,}")
        for n_users, old, new in sorted(flows, reverse=True)[:N_MOVES]
    ]
    yield from _table(("Champion's segment", "Challenger's segment", "Users"), rows)


def _use() -> Iterator[str]:
    yield "\n## Use and limits\n"
    yield (
        "For: audiences of users by what they did, for reach, planning and look-alikes. Not for: "
        "decisions about a single person such as credit, employment, insurance or housing. "
        "Segments describe events of the past; they are no cause of what comes after. A gate "
        "that cannot be judged has not been passed: whoever approves takes it upon themselves."
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield _row(head)
    yield _row(("---",) * len(head))
    yield from (_row(row) for row in rows)


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """Text of a log inside a Markdown table: no cell, line or tag begins in it."""
    calm = " ".join(str(text).split())
    return calm.replace("|", "\\|").replace("<", "&lt;")
