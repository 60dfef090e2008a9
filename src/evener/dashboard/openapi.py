"""What the interface takes and answers, in OpenAPI's words: served at /openapi.json."""

from __future__ import annotations

from typing import Any

from evener.dashboard import logs
from evener.dashboard.answers import MOST_ITEMS, MOST_NAMES, MOST_POINTS
from evener.dashboard.source import ASKS
from evener.versions import EVENER

Schema = dict[str, Any]
_HIGHEST = 2**63 - 1


def _whole(least: int = 0, most: int = _HIGHEST) -> Schema:
    return {"type": "integer", "format": "int64", "minimum": least, "maximum": most}


def _object(*names: str) -> Schema:
    return {"type": "object", "required": list(names)}


def _asked(name: str, schema: Schema, about: str, where: str = "query") -> Schema:
    required = where == "path"
    return {
        "name": name, "in": where, "required": required, "description": about, "schema": schema,
    }  # fmt: skip


def _answer(about: str, schema: Schema, media: str = "application/json") -> Schema:
    return {"description": about, "content": {media: {"schema": schema}}}


_ERROR = _answer("What was wrong, in a sentence.", _object("error"))
_RUN = _asked("name", {"type": "string", "minLength": 1}, "The run's name.", "path")
_POINTS = (
    _asked("first", _whole(), "The first step that is wanted."),
    _asked("last", _whole(), "The last step that is wanted; otherwise the newest."),
    _asked("points", _whole(2, MOST_POINTS), "As many points at most, lows and highs kept."),
)


def _get(about: str, answer: Schema, *asked: Schema, refusals: tuple[int, ...] = ()) -> Schema:
    answers = {"200": answer, "401": _ERROR} | {str(status): _ERROR for status in refusals}
    return {"get": {"summary": about, "parameters": list(asked), "responses": answers}}


def _of_run(about: str, schema: Schema, *asked: Schema) -> Schema:
    return _get(about, _answer(about, schema), _RUN, *asked, refusals=(400, 404, 409))


def _act(ask: str) -> Schema:
    answers = {"202": _answer("It was passed on.", _object("asked"))}
    refused = {str(status): _ERROR for status in (401, 403, 404, 409, 500)}
    return {
        "post": {
            "summary": f"Ask the run: {ask}.",
            "parameters": [_RUN],
            "responses": answers | refused,
        }
    }


_TEXT: Schema = {"type": "string"}
_NAMES: Schema = {"type": "array", "items": _TEXT, "maxItems": MOST_NAMES}
_FILE = _asked("file", {"type": "string", "minLength": 1}, "A log's name.", "path")
_STEP = _asked("step", _whole(), "The checkpoint's step.", "path")

DESCRIPTION: Schema = {
    "openapi": "3.1.0",
    "info": {
        "title": "evener",
        "version": EVENER,
        "description": "What runs do. Read with the page's key as a bearer.",
    },
    "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    "security": [{"key": []}],
    "paths": {
        "/api/runs": _get("All runs.", _answer("All runs.", _object("runs"))),
        "/api/runs/{name}/state": _of_run("The run as it is now.", _object("phase", "step")),
        "/api/runs/{name}/stream": _get(
            "The run as it goes on, as server-sent events: state, news, reload, end.",
            _answer("Events until the run is over.", _object("data"), "text/event-stream"),
            _RUN,
            refusals=(400, 404, 409),
        ),
        "/api/runs/{name}/series": _of_run(
            "Numbers by step.",
            _object("series", "names"),
            _asked("name", _NAMES, "Which of them."),
            *_POINTS,
        ),
        "/api/runs/{name}/timings": _of_run(
            "Where each rank's time went.", _object("fields", "ranks"), *_POINTS
        ),
        "/api/runs/{name}/timeline": _of_run(
            "What happened, in sentences.",
            _object("items"),
            _asked("before", _whole(), "Only what was recorded before this number."),
            _asked("limit", _whole(0, MOST_ITEMS), "As many records at most."),
        ),
        "/api/runs/{name}/job": _of_run("The job and its plan.", _object("job", "plan")),
        "/api/runs/{name}/logs": _of_run("The logs there are.", _object("logs")),
        "/api/runs/{name}/logs/{file}": _of_run(
            "A piece of a log, or the lines that hold a text.",
            _object("to", "size_bytes"),
            _FILE,
            _asked("from", _whole(-_HIGHEST), "The first byte; below 0: from the end."),
            _asked("bytes", _whole(0, logs.MOST_BYTES), "As many of them at most."),
            _asked("find", _TEXT, "Lines with this text, in any case."),
        ),
        "/api/runs/{name}/checkpoints/{step}": _get(
            "A checkpoint as a tar file.",
            _answer("The files of the checkpoint.", _TEXT, "application/x-tar"),
            _RUN,
            _STEP,
            refusals=(400, 404, 409),
        ),
        **{f"/api/runs/{{name}}/{ask}": _act(ask) for ask in ASKS},
        "/metrics": _get(
            "All runs, as Prometheus reads them.", _answer("Samples.", _TEXT, "text/plain")
        ),
    },
}
