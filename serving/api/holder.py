"""The model in use and the one before it: exchanged between requests, never within one."""

from dataclasses import dataclass, field
from typing import Any

from serving.api.scorer import Scorer


@dataclass
class ModelHolder:
    """Which model answers.

    A request takes `current` once and keeps it to its end, so an exchange is one assignment.

    Attributes
    ----------
    current
        Answers every request that begins now.
    previous
        Answered before; None until the first exchange.
    refusal
        Why a newer model is not in use; None where there is none or it is in use.
    """

    current: Scorer
    previous: Scorer | None = field(default=None)
    refusal: str | None = field(default=None)

    def exchange(self, scorer: Scorer) -> None:
        """Let another model answer from now on."""
        self.current, self.previous, self.refusal = scorer, self.current, None

    def state(self) -> dict[str, Any]:
        """What `/readyz` says of the models."""
        return {
            "model": self.current.label,
            "sha256": self.current.resolved.digest,
            "previous": None if self.previous is None else self.previous.label,
            "update_refused": self.refusal,
        }
