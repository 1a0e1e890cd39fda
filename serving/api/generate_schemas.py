"""What is asked of generation over HTTP; the same things as `segmenter generate` takes."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from serving.api.space_schemas import Asked, Seed, Text

MAX_JOURNEYS, MAX_USERS, MAX_SEGMENTS, MAX_STEPS = 500, 10_000, 50, 50
PATHS = ("/v1/generate", "/v1/forecast")
PLACE = "A place: user:ID, or segment:ID, whose centroid is taken."
Place = Annotated[Text, Field(description=PLACE)]
Weight = Annotated[float, Field(ge=1e-6, le=1e6)]


class GenerateRequest(Asked):
    """Journeys of everybody, of segments, of a group, from a place or along a path."""

    n: int = Field(
        default=10, ge=1, le=MAX_JOURNEYS, description="Journeys; of a path, at each point."
    )
    segment: int | None = Field(default=None, description="Draw as its users lie; at least 50.")
    mixture: Annotated[dict[int, Weight], Field(min_length=1, max_length=MAX_SEGMENTS)] | None = (
        Field(default=None, description="Segments with their weights.")
    )
    users: Annotated[list[Text], Field(min_length=1, max_length=MAX_USERS)] | None = Field(
        default=None, description="Draw as these users lie; at least 50."
    )
    place: Text | None = Field(default=None, description=f"Decode one point. {PLACE}")
    path: Annotated[list[Place], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="Decode the way from one place to another."
    )
    steps: int = Field(default=8, ge=1, le=MAX_STEPS, description="Of the path.")
    on_the_data: bool = Field(default=False, description="Let the path follow users.")
    seed: Seed = 0
    temperature: float = Field(
        default=1.0, ge=0, le=5, description="1 is faithful; 0 the likeliest journey."
    )

    @model_validator(mode="after")
    def _is_one_set(self) -> Self:
        sources = (self.segment, self.mixture, self.users, self.place, self.path)
        if sum(one is not None for one in sources) > 1:
            message = "one of segment, mixture, users, place and path may be given"
            raise ValueError(message)
        n_points = 1 if self.path is None else self.steps + 1
        if self.n * n_points > MAX_JOURNEYS:
            message = f"n times the points of the path must be at most {MAX_JOURNEYS} journeys"
            raise ValueError(message)
        return self


class ForecastRequest(Asked):
    """The coming window of a user of the store."""

    user: Text = Field(description="Id of the user.")
