"""Every refusal in one form: problem+json that names the field and never repeats its value.

References
----------
Nottingham, Wilde, Dalal: "Problem Details for HTTP APIs", RFC 9457, 2023.
"""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818 - the name of the thing in RFC 9457
    """A request that is answered with an error.

    Parameters
    ----------
    status
        HTTP status.
    detail
        What must hold and what was found, without any value of the request.
    errors
        Pairs of field and message.
    retry_after_s
        When to try again; None says nothing of it.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[tuple[str, str]] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.errors, self.retry_after_s = tuple(errors), retry_after_s

    def to_json(self, request_id: str) -> dict[str, Any]:
        """The members of the problem document."""
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        if self.errors:
            document["errors"] = [{"field": name, "message": said} for name, said in self.errors]
        return document

    def body(self, request_id: str) -> bytes:
        """The problem document as sent."""
        return json.dumps(self.to_json(request_id)).encode()

    def headers(self) -> dict[str, str]:
        """Headers that belong to the problem."""
        headers = {"content-type": MEDIA_TYPE}
        if self.retry_after_s is not None:
            headers["retry-after"] = str(self.retry_after_s)
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        return headers


def problem_of(error: ValidationError) -> Problem:
    """What pydantic found as a problem: 400 for what is no JSON, else 422 with the fields."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return Problem(HTTPStatus.BAD_REQUEST, found[0]["msg"])
    errors = [(field_name(one["loc"]), one["msg"]) for one in found]
    detail = "; ".join(f"{name}: {said}" for name, said in errors[:3])
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


def field_name(place: Sequence[int | str]) -> str:
    """A place in a JSON document as people write it, such as ``events[3].time``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".") or "body"
