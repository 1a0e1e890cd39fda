"""Options that the commands of exports share, read into rules, destinations and marks."""

import datetime as dt
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from segmenter.errors import ConfigError
from segmenter.mlflow_home import MlflowHome
from serving.exports.audiences import Rules
from serving.exports.control_group import ControlGroup
from serving.exports.destination import Destination
from serving.exports.destinations import destination_of
from serving.exports.erased import erased_of
from serving.exports.gates import HARD_FLOOR, model_reason, refuse, stale_reason
from serving.exports.ledger.ledger import Ledger, open_ledger
from serving.exports.names import country_code
from serving.exports.scores import Scores
from serving.exports.suppression import read_suppression


def marks(
    scores: Scores, home: object, max_age_days: int, *, allow_stale: bool, any_model: bool
) -> tuple[str, ...]:
    """Refuse stale scores and other models than the champion, or tell what was allowed.

    Raises
    ------
    ExportRefusedError
        If the scores are too old or of another model, and it is not allowed.
    """
    stale = stale_reason(scores, dt.datetime.now(dt.UTC), max_age_days)
    refuse(stale, allowed=allow_stale, option="--allow-stale")
    other = (
        model_reason(scores, home)
        if isinstance(home, MlflowHome)
        else "there is no registry to ask for the champion"
    )
    refuse(other, allowed=any_model, option="--any-model")
    return tuple(reason for reason in (stale, other) if reason is not None)


def destinations(names: list[str]) -> tuple[Destination, ...]:
    """Destinations by their names, which may stand behind commas; each one once."""
    single = [name.strip() for several in names for name in several.split(",")]
    return tuple(destination_of(name) for name in dict.fromkeys(single))


def rules(
    scores: Scores,
    *,
    min_strength: float,
    minimum_age: int,
    default_country: str | None,
    silence: str | None,
    vendors: list[str],
    suppress: list[Path],
) -> Rules:
    """Who may be exported, by the texts of options.

    Raises
    ------
    ConfigError
        If a text does not say what its option wants.
    SourceError
        If a suppression list cannot be read.
    """
    if not 0 <= min_strength <= 1:
        message = f"--min-strength must be in 0 to 1; found {min_strength}"
        raise ConfigError(message)
    country = _countries(default_country, "--default-country")
    chosen = country[0] if country else None
    return Rules(
        min_strength=min_strength,
        minimum_age=minimum_age,
        moment=scores.moment,
        default_country=chosen,
        silence_is_consent=frozenset(_countries(silence, "--silence-is-consent")),
        vendors={name: _number(value) for name, value in pairs(vendors, "--tcf-vendor").items()},
        suppression=read_suppression(suppress, default_country=chosen) if suppress else None,
    )


def _countries(text: str | None, option: str) -> list[str]:
    found = []
    for part in (text or "").split(","):
        code = country_code(part.strip()) if part.strip() else None
        if part.strip() and code is None:
            message = f"{option} must name countries by their codes; found {part.strip()!r}"
            raise ConfigError(message)
        found += [code] if code else []
    return found


def pairs(texts: list[str], option: str) -> dict[str, str]:
    """Texts of the form NAME=VALUE.

    Raises
    ------
    ConfigError
        If one is not.
    """
    wrong = [text for text in texts if "=" not in text]
    if wrong:
        message = f"{option} must be of the form NAME=VALUE; found {wrong[0]!r}"
        raise ConfigError(message)
    return dict(text.split("=", 1) for text in texts)


def _number(text: str) -> int:
    if not text.isdigit():
        message = f"--tcf-vendor must give the number of a vendor; found {text!r}"
        raise ConfigError(message)
    return int(text)


def floor(minimum_people: int) -> int:
    """The least number of people of an audience.

    Raises
    ------
    ConfigError
        If it is under the floor of k-anonymity.
    """
    if minimum_people < HARD_FLOOR:
        message = (
            f"--minimum-people cannot be under {HARD_FLOOR}, the floor of k-anonymity; "
            f"found {minimum_people}"
        )
        raise ConfigError(message)
    return minimum_people


def with_ledger(chosen: Rules, ledger: Ledger | None, share: float | None, *, keep: bool) -> Rules:
    """Rules that know the control group and the forgotten of a ledger.

    Parameters
    ----------
    chosen
        The rules.
    ledger
        None for none.
    share
        Of the control group, as ``--holdout`` says it; None takes the ledger's own, if any.
    keep
        Whether the ledger learns a new share.

    Raises
    ------
    ConfigError
        If the share is none, or not the one of the ledger.
    """
    if ledger is None:
        if share is not None:
            message = "--holdout needs a ledger, which remembers who is in the control group"
            raise ConfigError(message)
        return chosen
    known = ledger.setting("share")
    if share is not None and not 0 < share < 1:
        message = f"--holdout must be a share between 0 and 1; found {share}"
        raise ConfigError(message)
    if share is not None and known is not None and float(known) != share:
        message = (
            f"{ledger.path} holds out a share of {known}, which cannot become {share}; "
            "leave --holdout out, or start another --ledger"
        )
        raise ConfigError(message)
    if share is not None and known is None and keep:
        ledger.set("share", str(share))
    valid = share if share is not None else float(known) if known is not None else None
    control = None if valid is None else ControlGroup(ledger.salt, valid, ledger.arms())
    return replace(chosen, control=control, erased=erased_of(ledger))


def ledger_at(path: Path | None, stack: ExitStack) -> Ledger:
    """The ledger at a path as long as a stack is open; an empty one that stays nowhere if none."""
    if path is None or not path.exists():
        path = Path(stack.enter_context(TemporaryDirectory(prefix="ledger-"))) / "ledger.db"
    return stack.enter_context(open_ledger(path))
