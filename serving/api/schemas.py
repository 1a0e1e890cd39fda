"""What a request must look like, for the fields that a model reads, and what the answers are.

The model decides which fields an event has, so its schema is made when the model is loaded.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired, Required, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    with_config,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from segmenter.clock import EPOCH, iso
from segmenter.events.bounds import LARGEST
from segmenter.events.vocabulary import Vocabulary
from serving.api.problems import problem_of
from serving.api.settings import Limits
from serving.api.times import MICROSECOND, microseconds

ExtraValues = Literal["forbid", "ignore"]
MAX_TEXT = 1000
MAX_USER_ID = 256
Checked = TypeVar("Checked")


class UserEvents(TypedDict, total=False):
    """A checked request about one user."""

    user_id: Required[str]
    events: Required[list[dict[str, Any]]]
    as_of: NotRequired[int | None]


class AppendedEvents(UserEvents, total=False):
    """A checked request about one user whose history is kept."""

    replace: NotRequired[bool]


class SegmentAnswer(BaseModel):
    """The segment of one user."""

    user_id: str
    segment_id: int
    segment_name: str
    strength: float = Field(ge=0, le=1, description="Higher is surer.")
    second_segment_id: int | None
    second_segment_name: str | None
    novelty: float = Field(
        ge=0,
        description="Distance from the segment's centre over that which 95 % of its users keep "
        "within; above 1 the user is unlike them.",
    )
    as_of: dt.datetime
    model_version: str
    macro_id: int | None = Field(None, description="Holds the segment; null without levels.")
    macro_name: str | None = None
    micro_id: int | None = Field(None, description="Part of the segment; null without levels.")
    micro_name: str | None = None


class KeptAnswer(SegmentAnswer):
    """The segment of one user whose history is kept."""

    n_events: int = Field(ge=1, description="Events of the user that are known by now.")
    n_repeated: int = Field(ge=0, description="Events of the request that were known before.")


class EmbeddingAnswer(BaseModel):
    """The embedding of one user."""

    user_id: str
    embedding: list[float]
    as_of: dt.datetime
    model_version: str


class FactAnswer(BaseModel):
    """One thing that sets a segment apart."""

    kind: str
    field: str
    value: str
    here: float
    elsewhere: float
    low: float
    high: float
    text: str


class SegmentDescription(BaseModel):
    """A published segment."""

    id: int
    name: str
    n_users: int
    share: float
    facts: list[FactAnswer]


class SegmentsAnswer(BaseModel):
    """Every published segment of the model in use."""

    model_version: str
    segments: list[SegmentDescription]


class ModelAnswer(BaseModel):
    """The model in use."""

    model_config = ConfigDict(protected_namespaces=())

    model_version: str
    name: str
    version: int | None
    aliases: list[str]
    sha256: str
    trained_as_of: dt.datetime
    embedding_dimensions: int
    n_segments: int
    fields: dict[str, str] = Field(description="Field of an event to text or number.")
    previous: str | None = Field(description="The model that was in use before.")


class ProblemAnswer(BaseModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[dict[str, str]] = []


def _time(value: object, info: ValidationInfo) -> int:
    """A time that is not ahead of the server's clock."""
    moment = microseconds(value)
    assert info.context is not None
    if moment > info.context["latest"]:
        code, message = "time_in_the_future", "lies in the future of the server's clock"
        raise PydanticCustomError(code, message)
    return moment


def _text(value: object) -> str | None:
    """A text as an ingested log has it: blank is missing."""
    if value is None or (isinstance(value, str) and len(value) <= MAX_TEXT):
        return value if value and (value[0] > " " or value.strip()) else None
    code, message = "text", "must be a text of at most 1000 letters, or null"
    raise PydanticCustomError(code, message)


def _event_name(value: object) -> str:
    text = _text(value)
    if text is None:
        code, message = "event", "must be a text that is not blank"
        raise PydanticCustomError(code, message)
    return text


TIME_SCHEMA = {
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}],
    "description": "ISO 8601, without a zone in UTC; or seconds to nanoseconds since 1970.",
}
TEXT_SCHEMA = {"anyOf": [{"type": "string", "maxLength": MAX_TEXT}, {"type": "null"}]}
NAME_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
Time = Annotated[int, PlainValidator(_time), WithJsonSchema(TIME_SCHEMA)]
Text = Annotated[str | None, PlainValidator(_text), WithJsonSchema(TEXT_SCHEMA)]
Name = Annotated[str, PlainValidator(_event_name), WithJsonSchema(NAME_SCHEMA)]
Number = (
    Annotated[
        float,
        Field(
            ge=-LARGEST,
            le=LARGEST,
            allow_inf_nan=False,
            description="Negative is a refund or a return, as in an ingested log.",
        ),
    ]
    | None
)
UserId = Annotated[str, Field(min_length=1, max_length=MAX_USER_ID)]


class RequestReader:
    """Reads requests about one user for one model.

    Parameters
    ----------
    vocabulary
        The fields that the model reads; others of an event are ignored, so that a sender can
        begin with a field before a model knows it.
    limits
        Of them, `events_per_user` and `future_s`.
    """

    def __init__(self, vocabulary: Vocabulary, limits: Limits) -> None:
        self.fields, self.limits = fields_of(vocabulary), limits
        self.future = dt.timedelta(seconds=limits.future_s)
        self._event = _typed_dict("Event", _event_fields(self.fields), extra="ignore")
        self.adapter: TypeAdapter[UserEvents] = self._adapter("UserEvents", {}, n_least=1)
        more = {"replace": NotRequired[bool]}
        self.append_adapter: TypeAdapter[AppendedEvents] = self._adapter(
            "AppendedEvents", more, n_least=0
        )

    def _adapter(self, name: str, more: dict[str, Any], *, n_least: int) -> TypeAdapter[Any]:
        """What checks a request with at least so many events."""
        most = self.limits.events_per_user
        events = Annotated[
            list[self._event],  # type: ignore[name-defined] # made at run time
            Field(min_length=n_least, max_length=most, fail_fast=True),
        ]
        fields: dict[str, Any] = {
            "user_id": UserId,
            "events": events,
            "as_of": NotRequired[Time | None],
        }
        return TypeAdapter(_typed_dict(name, fields | more, extra="forbid"))

    def read(self, body: bytes, now: dt.datetime) -> UserEvents:
        """A checked request.

        Raises
        ------
        Problem
            400 where the body is no JSON, 422 where it is no request; it names the field.
        """
        return self._checked(self.adapter, body, now)

    def read_appended(self, body: bytes, now: dt.datetime) -> AppendedEvents:
        """A checked request about a kept history; as `read`, and events may be missing."""
        return self._checked(self.append_adapter, body, now)

    def _checked(self, adapter: TypeAdapter[Checked], body: bytes, now: dt.datetime) -> Checked:
        latest = (now + self.future - EPOCH) // MICROSECOND
        try:
            return adapter.validate_json(body, context={"latest": latest})
        except ValidationError as error:
            raise problem_of(error) from None  # what pydantic keeps holds the values

    def json_schemas(self) -> dict[str, Any]:
        """JSON Schemas by name, for the OpenAPI document."""
        schemas: dict[str, Any] = {}
        for name, adapter in (
            ("UserEvents", self.adapter),
            ("AppendedEvents", self.append_adapter),
        ):
            schema = adapter.json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs") | {name: schema}
        return schemas


def fields_of(vocabulary: Vocabulary) -> dict[str, str]:
    """Fields of an event besides its time: name to ``"text"`` or ``"number"``."""
    grouping = [vocabulary.grouping] if vocabulary.grouping else []
    texts = dict.fromkeys([*vocabulary.categorical, *grouping], "text")
    return texts | dict.fromkeys(vocabulary.numeric, "number")


def example_request(fields: Mapping[str, str], trained_as_of: int) -> dict[str, Any]:
    """A request that the model answers."""
    values = {"text": "abc", "number": 9.5}
    event = {"time": iso(trained_as_of)} | {name: values[kind] for name, kind in fields.items()}
    return {"user_id": "u-1", "events": [event | {"event": "view"}]}


def _event_fields(fields: Mapping[str, str]) -> dict[str, Any]:
    """Types of an event's fields; only time and event must be there."""
    kinds = {"text": NotRequired[Text], "number": NotRequired[Number]}
    return {name: kinds[kind] for name, kind in fields.items()} | {"time": Time, "event": Name}


def _typed_dict(name: str, fields: Mapping[str, Any], *, extra: ExtraValues) -> Any:  # noqa: ANN401 - a type
    """A dictionary type whose keys are known at run time."""
    keys = dict(fields)
    made = TypedDict(name, keys)  # type: ignore[misc]
    return with_config(ConfigDict(extra=extra, strict=True))(made)
