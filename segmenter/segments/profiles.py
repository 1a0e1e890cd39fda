"""What sets a segment apart: three facts with evidence, and an automatic name.

Everything is counted over users, never over events: a robot with a million events is one user.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.stats import beta, norm, rankdata

from segmenter.segments.segment import LEVEL, SHARE, Fact, Segment

CONFIDENCE = 0.9
N_FACTS = 3
N_NAMED = 2
"""Values that a name mentions, unless more are needed to make it unlike the others."""
PRIOR_USERS = 50.0
"""Users of the whole population that each segment's counts are topped up with."""
MIN_SHARE = 0.05
MIN_USERS = 5
"""Fewer users, or a smaller share of a segment, than this make no fact."""
MIN_SCORE = 1.96
MIN_RATIO = 1.15
"""A fact's share here over its share elsewhere is at least this."""
ACTIVITY_LEVELS = ("active days", "events")
RECENCY_LEVEL = "days since last event"
LAPSED_RANK = 0.85


@dataclass(frozen=True)
class Words:
    """How a name says how active the members are among those they are compared with.

    Attributes
    ----------
    activity
        Least place of the median among all, in [0, 1], to a word, or to an empty text; the most
        active first.
    away
        Word for those who were seen longest ago.
    """

    activity: tuple[tuple[float, str], ...]
    away: str


AMONG_EVERYBODY = Words(
    (
        (0.88, "Very active"),
        (0.65, "Active"),
        (0.35, "Regular"),
        (0.12, "Occasional"),
        (0.0, "Rare"),
    ),
    "Lapsed",
)
WITHIN_PARENT = Words(
    (
        (0.88, "Far more active"),
        (0.65, "More active"),
        (0.35, ""),
        (0.12, "Less active"),
        (0.0, "Far less active"),
    ),
    "Longer away",
)


@dataclass(frozen=True)
class TokenTable:
    """Users with each token in each segment.

    Attributes
    ----------
    here
        float64 [k, T], members of segment k with token t.
    members
        float64 [k].
    everybody
        float64 [T].
    """

    here: np.ndarray
    members: np.ndarray
    everybody: np.ndarray

    @property
    def elsewhere(self) -> np.ndarray:
        """float64 [k, T], users of other segments with each token."""
        return self.everybody - self.here

    @property
    def share(self) -> np.ndarray:
        """float64 [k, T], share of the members with each token."""
        return self.here / np.maximum(self.members, 1)[:, None]

    @property
    def share_elsewhere(self) -> np.ndarray:
        """float64 [k, T], share of all other users with each token."""
        others = self.members.sum() - self.members
        return self.elsewhere / np.maximum(others, 1)[:, None]


def count_tokens(codes: np.ndarray, presence: sparse.csr_matrix, n_segments: int) -> TokenTable:
    """Count users with each token in each segment.

    Parameters
    ----------
    codes
        int [n], segment 0..n_segments-1 of each user.
    presence
        bool CSR [n, T], whether a user did a thing at least once.
    n_segments
        Number of segments.
    """
    members = np.bincount(codes, minlength=n_segments).astype(np.float64)
    rows = np.arange(len(codes))
    belongs = sparse.csr_matrix((np.ones(len(codes)), (codes, rows)), (n_segments, len(codes)))
    here = np.asarray((belongs @ presence.astype(np.float64)).todense())
    return TokenTable(here, members, here.sum(axis=0))


def log_odds_scores(table: TokenTable) -> np.ndarray:
    """How much more a token belongs to a segment than to the others, in standard errors.

    Log-odds ratio of a token among all tokens that the users of a segment have, with an
    informative Dirichlet prior: segments that do more of everything are not favoured, and rare
    tokens do not win by chance.

    Parameters
    ----------
    table
        From `count_tokens`.

    Returns
    -------
    numpy.ndarray
        float64 [k, T]; above 1.96 the token is typical of the segment.

    References
    ----------
    Monroe, Colaresi, Quinn, "Fightin' Words", Political Analysis 16 (2008), equations 16 and 22.
    """
    total_users = max(table.members.sum(), 1.0)
    prior = PRIOR_USERS * table.everybody / total_users + 1e-9
    here, elsewhere = table.here + prior, table.elsewhere + prior
    all_here, all_elsewhere = here.sum(axis=1), elsewhere.sum(axis=1)
    odds_here = np.log(here) - np.log(np.maximum(all_here[:, None] - here, 1e-9))
    odds_elsewhere = np.log(elsewhere) - np.log(
        np.maximum(all_elsewhere[:, None] - elsewhere, 1e-9)
    )
    return (odds_here - odds_elsewhere) / np.sqrt(1 / here + 1 / elsewhere)


def describe_segments(
    segment_id: np.ndarray,
    presence: sparse.csr_matrix,
    tokens: Sequence[tuple[str, str]],
    *,
    levels: Mapping[str, np.ndarray],
    core: np.ndarray,
    words: Words = AMONG_EVERYBODY,
) -> tuple[Segment, ...]:
    """Name each segment and say what sets it apart.

    Parameters
    ----------
    segment_id
        int32 [n], positive, of each user.
    presence
        bool CSR [n, T], whether a user did a thing at least once.
    tokens
        (field, value) of each of the T columns.
    levels
        Name of a number to float64 [n], such as active days.
    core
        int64 indexed by segment id: members in the dense cores.
    words
        For activity, in names.

    Returns
    -------
    tuple of Segment
        In the order of the ids.
    """
    ids, codes = np.unique(segment_id, return_inverse=True)
    table = count_tokens(codes, presence, len(ids))
    scores = log_odds_scores(table)
    ranks = {name: _median_ranks(values, codes, len(ids)) for name, values in levels.items()}
    spoken, done, numbers = [], [], []
    for code in range(len(ids)):
        typical = _without_echoes(_typical_tokens(table, scores, code), tokens)
        spoken.append(_activity_word(ranks, code, words))
        done.append([_share_fact(table, tokens[t], code=code, token=t) for t in typical])
        numbers.append(_level_facts(levels, codes, ranks, code=code))
    names = _unique_names(spoken, done, numbers)
    return tuple(
        Segment(
            id=int(ids[code]),
            name=names[code],
            n_users=int(table.members[code]),
            share=float(table.members[code] / len(codes)),
            n_core=int(core[ids[code]]) if ids[code] < len(core) else 0,
            facts=_facts(done[code], numbers[code]),
        )
        for code in range(len(ids))
    )


def _typical_tokens(table: TokenTable, scores: np.ndarray, code: int) -> list[int]:
    """Columns of the tokens that set a segment apart, the most typical first."""
    share, elsewhere = table.share[code], table.share_elsewhere[code]
    usable = (
        (scores[code] >= MIN_SCORE)
        & (share >= MIN_SHARE)
        & (table.here[code] >= MIN_USERS)
        & (share >= MIN_RATIO * elsewhere)
    )
    chosen = np.flatnonzero(usable)
    return [int(token) for token in chosen[np.lexsort((chosen, -scores[code][chosen]))]]


def _without_echoes(typical: list[int], tokens: Sequence[tuple[str, str]]) -> list[int]:
    """Leave out a value that says again what a more typical one says: campaign, campaign A."""
    kept: list[int] = []
    said: list[str] = []
    for token in typical:
        text = _words(tokens[token][1])
        if not any(text in other or other in text for other in said):
            kept.append(token)
            said.append(text)
    return kept


def _words(text: str) -> str:
    """The words of a value between spaces, so that only whole words are found in it."""
    words = re.findall(r"\w+", text.casefold())
    return f" {' '.join(words) or text} "


def _share_fact(table: TokenTable, what: tuple[str, str], *, code: int, token: int) -> Fact:
    here, members = int(table.here[code, token]), int(table.members[code])
    low, high = wilson(here, members)
    share, elsewhere = here / max(members, 1), float(table.share_elsewhere[code, token])
    return Fact(SHARE, what[0], what[1], share, elsewhere, low, high, here)


def wilson(n_yes: int, n_users: int) -> tuple[float, float]:
    """Wilson's interval of a share at the confidence of this module.

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    z = float(norm.ppf((1 + CONFIDENCE) / 2))
    if n_users == 0:
        return 0.0, 1.0
    share, spread = n_yes / n_users, z * z / n_users
    middle = (share + spread / 2) / (1 + spread)
    half = np.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    # The share itself is a bound at 0 and at 1, but for rounding.
    return max(0.0, min(share, float(middle - half))), min(1.0, max(share, float(middle + half)))


def median_interval(values: np.ndarray) -> tuple[float, float]:
    """Interval of a median over users, from the order statistics (a binomial's quantiles)."""
    ordered, n_users = np.sort(values), len(values)
    ranks = np.arange(1, n_users + 1)
    shares = beta.cdf(
        0.5, ranks, n_users - ranks + 1
    )  # P(at least `rank` values below the median)
    tail = (1 - CONFIDENCE) / 2
    low = int(np.flatnonzero(shares >= 1 - tail).max(initial=0))
    high = int(np.flatnonzero(shares <= tail).min(initial=n_users - 1))
    return float(ordered[low]), float(ordered[high])


def _median_ranks(values: np.ndarray, codes: np.ndarray, n_segments: int) -> np.ndarray:
    """Place of each segment's median among all users, float64 [k] in [0, 1]."""
    ranks = (rankdata(values) - 0.5) / len(values)
    return np.array([np.median(ranks[codes == code]) for code in range(n_segments)])


def _level_facts(
    levels: Mapping[str, np.ndarray],
    codes: np.ndarray,
    ranks: Mapping[str, np.ndarray],
    *,
    code: int,
) -> list[Fact]:
    """Numbers in which a segment differs, the farthest from the middle first."""
    order = sorted(levels, key=lambda name: -abs(ranks[name][code] - 0.5))
    facts, inside = [], codes == code
    for name in order:
        here, others = levels[name][inside], levels[name][~inside]
        low, high = median_interval(here)
        elsewhere = float(np.median(others)) if len(others) else float(np.median(here))
        middle = float(np.median(here))
        facts.append(Fact(LEVEL, name, "", middle, elsewhere, low, high, len(here)))
    return facts


def _facts(shares: list[Fact], numbers: list[Fact]) -> tuple[Fact, ...]:
    """One number and two things done; more of one kind where the other is short."""
    chosen = [*shares[: N_FACTS - 1], *numbers[:1]]
    rest = [*numbers[1:], *shares[N_FACTS - 1 :]]
    return tuple([*chosen, *rest][:N_FACTS])


def _activity_word(ranks: Mapping[str, np.ndarray], code: int, words: Words) -> str:
    """How active the members are among all users, in a word."""
    if RECENCY_LEVEL in ranks and ranks[RECENCY_LEVEL][code] >= LAPSED_RANK:
        return words.away
    name = next(name for name in ACTIVITY_LEVELS if name in ranks)
    return next(word for bound, word in words.activity if ranks[name][code] >= bound)


def _unique_names(
    words: list[str], done: list[list[Fact]], numbers: list[list[Fact]]
) -> list[str]:
    """An activity word and what is typical; more of it, and a number, where names are equal.

    Where nothing that users do is typical, the number that differs most stands in the name.
    """
    names: list[str] = []
    for word, shares, levels in zip(words, done, numbers, strict=True):
        spoken = [_spoken(fact) for fact in shares] or [_spoken(levels[0])]
        more = [*spoken, *(_spoken(fact) for fact in levels)]
        n_named = min(N_NAMED, len(spoken))
        while _joined(word, more[:n_named]) in names and n_named < len(more):
            n_named += 1
        name = unique = _joined(word, more[:n_named])
        for number in range(2, len(words) + 1):
            unique = f"{name} ({number})" if unique in names else unique
        names.append(unique)
    return names


def _joined(word: str, parts: list[str]) -> str:
    typical = ", ".join(dict.fromkeys(parts))
    return f"{word}: {typical}" if word else typical[:1].upper() + typical[1:]


def _spoken(fact: Fact) -> str:
    """A fact inside a name: a value without shouting, or a number with its unit."""
    if fact.kind == SHARE:
        text = " ".join(fact.value.split())
        return text.capitalize() if text.isupper() else text
    amount = f"{fact.here:,.0f}"
    if fact.field == RECENCY_LEVEL:
        return f"last seen {amount} days ago"
    if fact.field in ACTIVITY_LEVELS:
        return f"{amount} {fact.field if fact.here >= 1.5 else fact.field.removesuffix('s')}"
    return f"{fact.field} {amount}"
