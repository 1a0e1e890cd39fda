"""Topics that must not define a segment without a person's knowledge.

Name, facts and rule of a segment are read against a list of terms. A hit is no verdict: diapers in
a grocer's log are a baby in the house, and a campaign may be about just that. It is evidence, kept
with the segment, that a person has to look at.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from segmenter.errors import ConfigError
from segmenter.segments.segment import LEVEL, Flag, Segment

TOPICS: dict[str, tuple[str, ...]] = {
    "health": (
        *("allerg*", "addict*", "antacid*", "arthritis", "asthma", "cancer", "clinic*"),
        *("cold and flu", "contracept*", "condom*", "depress*", "diabet*", "dialysis"),
        *("disab*", "disease*", "doctor*", "eating disorder*", "family planning", "fertility"),
        *("first aid", "health", "hearing aid*", "hiv", "hospital*", "illness*", "incontinen*"),
        *("insulin", "laxative*", "medical", "medicat*", "medicin*", "menopaus*"),
        *("mental health", "patient*", "pharma*", "pregnan*", "prescription*", "rehab*"),
        *("smoking cessation", "therap*", "vitamin*", "weight loss", "wheelchair*"),
    ),
    "religion": (
        *("bible*", "buddhis*", "catholic*", "christian*", "church*", "halal", "hindu*"),
        *("islam*", "jewish", "kosher", "mosque*", "muslim*", "prayer*", "quran", "ramadan"),
        *("religio*", "synagogue*", "worship"),
    ),
    "politics": (
        *("conservative*", "democrat*", "donation*", "election*", "labor union*"),
        *("labour union*", "liberal*", "petition*", "politic*", "protest*", "republican*"),
        *("trade union*", "vote*", "voting"),
    ),
    "sexuality": (
        *("adult content", "adult toys", "bisexual*", "dating", "erotic*", "gay", "homosexual*"),
        *("lesbian*", "lgbt*", "lubricant*", "porn*", "queer", "sex", "sexual*", "transgender*"),
    ),
    "children": (
        *("babies", "baby", "child", "childcare", "children*", "diaper*", "infant*", "kid"),
        *("kids", "kindergarten*", "minor", "minors", "nappies", "school*", "teen*"),
        *("toddler*", "toy", "toys"),
    ),
    "financial hardship": (
        *("arrears", "bankrupt*", "collections agency", "credit repair", "debt*", "eviction*"),
        *("food bank*", "food stamp*", "foreclos*", "insolven*", "overdraft*", "pawn*"),
        *("payday*", "unemploy*", "welfare"),
    ),
}
"""Topic to terms: whole words, without regard to case; ``*`` stands for any ending."""


def all_topics(more: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The list with further terms and topics.

    Parameters
    ----------
    more
        Topic to terms; those of a known topic are added to it.

    Raises
    ------
    ConfigError
        If the terms of a topic are no list of texts, or one of them holds no word.
    """
    topics = dict(TOPICS)
    for topic, terms in more.items():
        if not isinstance(terms, list | tuple) or not all(_is_term(term) for term in terms):
            message = (
                f"the sensitive topic {topic} must be a list of words such as "
                f'["tobacco", "cigar*"]; found {terms!r}'
            )
            raise ConfigError(message)
        topics[topic] = (*topics.get(topic, ()), *terms)
    return topics


def with_flags(
    segments: Sequence[Segment], topics: Mapping[str, Sequence[str]] = TOPICS
) -> tuple[Segment, ...]:
    """Flag each segment whose name, facts or rule touch a topic.

    Parameters
    ----------
    segments
        With the names, facts and rules that are published.
    topics
        Topic to terms.
    """
    patterns = {topic: _pattern(terms) for topic, terms in topics.items() if terms}
    return tuple(replace(item, flags=tuple(_flags(item, patterns))) for item in segments)


def _flags(item: Segment, patterns: Mapping[str, re.Pattern[str]]) -> Iterator[Flag]:
    """Every topic at every place, the first term found there."""
    for place, words, evidence in _texts(item):
        for topic, pattern in patterns.items():
            found = pattern.search(words)
            if found is not None:
                yield Flag(topic, found.group().strip(), place, evidence)


def _texts(item: Segment) -> Iterator[tuple[str, str, str]]:
    """Places of a segment's texts: which, the words to read, and the text as evidence."""
    yield "name", _words(item.name), item.name
    for fact in item.facts:
        said = fact.field if fact.kind == LEVEL else f"{fact.field} {fact.value}"
        yield "fact", _words(said), fact.text
    for condition in item.rule.conditions if item.rule is not None else ():
        yield "rule", _words(f"{condition.field} {condition.value}"), condition.text


def _words(text: str) -> str:
    """The words of a text between single spaces, with what joins or parts them taken out."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return f" {' '.join(words)} "


def _pattern(terms: Sequence[str]) -> re.Pattern[str]:
    """What finds any of the terms among words."""
    parts = []
    for term in terms:
        words = re.escape(_words(term).strip())
        parts.append(words + (r"[^\W_]*" if term.endswith("*") else ""))
    return re.compile(f"(?<= )(?:{'|'.join(parts)})(?= )")


def _is_term(term: object) -> bool:
    return isinstance(term, str) and bool(_words(term).strip())
