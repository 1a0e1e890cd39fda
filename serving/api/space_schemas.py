"""What is asked of the space over HTTP; the same things as `segmenter space` takes as options."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from serving.api.problems import problem_of

MAX_NEAR, MAX_REACHED, MAX_SEEDS, MAX_STEPS, MAX_COLUMNS = 1_000, 10_000, 10_000, 50, 10
PATHS = ("search", "lookalikes", "direction", "path", "drift")
"""What can be asked, under ``/v1/space/``."""
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Columns = Annotated[list[Text], Field(max_length=MAX_COLUMNS)]
Near = Annotated[int, Field(ge=1, le=MAX_NEAR, description="Nearest users to name.")]
Seed = Annotated[int, Field(ge=0, lt=2**32, description="Of everything that is drawn by lot.")]
PLACE = "A place: user:ID, or a group such as age=65+ & spend>100, whose centroid is taken."


class Asked(BaseModel):
    """A checked request about the space."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def read(cls, body: bytes) -> Self:
        """A checked request.

        Raises
        ------
        Problem
            400 where the body is no JSON, 422 where it is no request; it names the field.
        """
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            raise problem_of(error) from None  # what pydantic keeps holds the values


class SearchRequest(Asked):
    """Who is nearest to a place, to A - B + C, or to described behaviour."""

    near: Text | None = Field(default=None, description=PLACE)
    minus: Text | None = Field(default=None, description="B of NEAR - B + C.")
    plus: Text | None = Field(default=None, description="C of NEAR - B + C.")
    events: Annotated[list[Any], Field(min_length=1)] | None = Field(
        default=None, description="Instead of near: events as /v1/assign takes them."
    )
    where: Text | None = Field(default=None, description="A group to search in.")
    groups: Text | None = Field(default=None, description="Column whose values are ranked too.")
    k: Near = 10

    @model_validator(mode="after")
    def _one_point(self) -> Self:
        if (self.near is None) == (self.events is None):
            message = "near or events must be given, and not both"
            raise ValueError(message)
        return self


class LookalikesRequest(Asked):
    """Everybody ranked by likeness to a seed list."""

    seeds: Annotated[list[Text], Field(min_length=1, max_length=MAX_SEEDS)] | None = None
    seed_group: Text | None = Field(default=None, description="Or a group.")
    controls: Columns = Field(
        default=[], description="Columns to compare with; A+B joins columns."
    )
    already: Text | None = Field(default=None, description="Prospecting: set aside this group.")
    balance: Text | None = Field(default=None, description="Column whose shares reaches keep.")
    audit: Columns = Field(default=[], description="Columns whose groups' reach is compared.")
    n_users: int = Field(default=100, ge=1, le=MAX_REACHED, description="First users to name.")
    seed: Seed = 0

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if (self.seeds is None) == (self.seed_group is None):
            message = "seeds or seed_group must be given, and not both"
            raise ValueError(message)
        return self


class DirectionRequest(Asked):
    """What leads from one group to another, and where it leads a place."""

    target: Text
    reference: Text = Field(description="The group that it starts from.")
    without: Columns = Field(default=[], description="Numeric columns to project out.")
    apply: Text | None = Field(default=None, description=f"Move this place. {PLACE}")
    amount: float = Field(default=1.0, ge=-100, le=100, description="How many steps to move it.")
    k: Near = 5
    seed: Seed = 0


class PathRequest(Asked):
    """A walk between two places in even steps of what is seen around."""

    start: Text = Field(description=PLACE)
    end: Text = Field(description=PLACE)
    steps: int = Field(default=6, ge=1, le=MAX_STEPS)
    on_the_data: bool = Field(default=False, description="Along chains of users, not straight.")
    k: Near = 3


class DriftRequest(Asked):
    """How far a group is from another one, and what is different."""

    group: Text
    target: Text
    by: Text | None = Field(default=None, description="Compare inside each value of this too.")
    seed: Seed = 0
