"""Names by another hand: titles of a catalogue in place of codes, and a writer that is fed facts.

A writer is any function of a segment's facts: a person's rule book, or a text model on the own
machine. It never sees a user. What it returns is checked, and where it cannot stand the automatic
name stays, with the reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from segmenter.segments.segment import SHARE, Fact, Rule, Segment
from segmenter.segments.sensitive import TOPICS, with_flags

MAX_NAME = 60
"""Letters of a name: what a table and an ad platform show."""

NameWriter = Callable[[Mapping[str, Any]], str]
"""From facts (``facts``, ``rule``, ``share``, ``automatic_name``; texts and numbers) to a name."""


@dataclass(frozen=True)
class Kept:
    """An automatic name that stayed.

    Attributes
    ----------
    id
        Of the segment.
    reason
        Why the writer's name cannot stand.
    """

    id: int
    reason: str


def facts_for_writer(item: Segment) -> dict[str, Any]:
    """All that a writer is told of a segment: nothing of any single user.

    Parameters
    ----------
    item
        The segment.
    """
    return {
        "automatic_name": item.name,
        "share": item.share,
        "facts": [fact.text for fact in item.facts],
        "rule": item.rule.text if item.rule is not None and item.rule.fits else None,
    }


def with_written_names(
    segments: Sequence[Segment],
    writer: NameWriter,
    topics: Mapping[str, Sequence[str]] = TOPICS,
) -> tuple[tuple[Segment, ...], tuple[Kept, ...]]:
    """Let a writer name every segment that no person has named.

    Parameters
    ----------
    segments
        With automatic names.
    writer
        From facts to a name.
    topics
        Sensitive topics; a name that touches one is not taken.

    Returns
    -------
    tuple
        The segments, and which automatic names stayed.
    """
    taken = {item.name for item in segments if item.locked}
    named, kept = [], []
    for item in segments:
        if item.locked:
            named.append(item)
            continue
        name, reason = _written(item, writer, taken, topics=topics)
        if reason:
            kept.append(Kept(item.id, reason))
        taken.add(name)
        named.append(replace(item, name=name))
    return tuple(named), tuple(kept)


def _written(
    item: Segment, writer: NameWriter, taken: set[str], *, topics: Mapping[str, Sequence[str]]
) -> tuple[str, str]:
    """The writer's name; or the automatic one and why."""
    try:
        found = writer(facts_for_writer(item))
    except Exception as error:  # noqa: BLE001 - whatever a foreign function raises, the name stays
        return item.name, f"the writer failed: {type(error).__name__}: {error}"
    if not isinstance(found, str):
        return item.name, f"a name must be a text; found {type(found).__name__}"
    name = " ".join(found.split())
    flagged = with_flags([replace(item, name=name, facts=(), rule=None)], topics)[0].flags
    for is_wrong, reason in (
        (not name, "the name is empty"),
        (not name.isprintable(), "the name holds letters that cannot be printed"),
        (len(name) > MAX_NAME, f"the name has {len(name)} letters, more than {MAX_NAME}"),
        (name in taken, f"another segment is named {name!r}"),
        (bool(flagged), f"the name touches {', '.join(flag.topic for flag in flagged)}"),
    ):
        if is_wrong:
            return item.name, reason
    return name, ""


def with_titles(
    segments: Sequence[Segment], titles: Mapping[tuple[str, str], str]
) -> tuple[Segment, ...]:
    """Say titles of a catalogue instead of codes, in facts, rules and automatic names.

    Parameters
    ----------
    segments
        As described.
    titles
        (field, value) to a title.
    """
    return tuple(_titled(item, titles) for item in segments)


def _titled(item: Segment, titles: Mapping[tuple[str, str], str]) -> Segment:
    name = item.name
    for fact in item.facts:
        title = titles.get((fact.field, fact.value))
        if title is not None and fact.kind == SHARE and not item.locked:
            spoken = fact.value.capitalize() if fact.value.isupper() else fact.value
            name = name.replace(spoken, title)
    facts = tuple(_titled_fact(fact, titles) for fact in item.facts)
    rule = None if item.rule is None else _titled_rule(item.rule, titles)
    return replace(item, name=name, facts=facts, rule=rule)


def _titled_fact(fact: Fact, titles: Mapping[tuple[str, str], str]) -> Fact:
    return replace(fact, value=titles.get((fact.field, fact.value), fact.value))


def _titled_rule(rule: Rule, titles: Mapping[tuple[str, str], str]) -> Rule:
    conditions = (
        replace(one, value=titles.get((one.field, one.value), one.value))
        for one in rule.conditions
    )
    return replace(rule, conditions=tuple(conditions))
