"""What is asked of a creative space over HTTP; the same things as `segmenter creative` takes."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from serving.api.space_schemas import Asked, Near, Seed, Text

MAX_QUERIES, MAX_PICTURES = 50, 50
PATHS = ("search", "spectrum", "drift", "refresh", "audit")
"""What can be asked, under ``/v1/creative/``."""
Queries = Annotated[list[Text], Field(min_length=1, max_length=MAX_QUERIES)]
By = Annotated[Text, Field(description="Column of the manifest, or year.")]
POLE = "Words, or asset:ID,ID."


class SearchRequest(Asked):
    """Pictures and texts by meaning: by words, by a picture of the library, or by both."""

    query: Text | None = Field(default=None, description="What to look for, in words.")
    picture: Text | None = Field(default=None, description="Look like this: an asset's id.")
    where: Text | None = Field(default=None, description="Such as region=asia & on_brand=yes.")
    k: Near = 10

    @model_validator(mode="after")
    def _is_a_search(self) -> Self:
        if self.query is None and self.picture is None:
            message = "query, picture, or both must be given"
            raise ValueError(message)
        return self


class SpectrumRequest(Asked):
    """Real pictures from one pole to the other, all else alike, beside random ones."""

    start: Text = Field(description=POLE)
    end: Text = Field(description=POLE)
    anchor: Text | None = Field(default=None, description="Asset that the others are like.")
    n: int = Field(default=11, ge=2, le=MAX_PICTURES, description="Pictures.")
    seed: Seed = 0


class DriftRequest(Asked):
    """How far each region is from the assets flagged on brand, with the reasons."""

    by: By = "region"
    unit: Text | None = Field(default=None, description="Column of what belongs together.")
    seed: Seed = 0


class RefreshRequest(Asked):
    """Where a region could go: real assets toward the brand that keep its own look."""

    region: Text = Field(description="Value of the column by.")
    by: By = "region"
    seed: Seed = 0


class AuditRequest(Asked):
    """Whether searches favour a group by more than chance."""

    group: Text = Field(description="Column whose values are counted.")
    queries: Queries = Field(description="Searches to look at.")
    compare: Queries | None = Field(default=None, description="Searches to compare those with.")
    within: Text | None = Field(
        default=None, description="Column inside which the library's own shares count."
    )
    k: Near | None = Field(default=None, description="Hits that are looked at.")
