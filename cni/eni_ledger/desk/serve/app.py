"""The routes, and how errors are answered: in EC2's XML, or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import bottle

from eni_ledger.base.errors import EniLedgerError, NotFound
from eni_ledger.desk.ec2 import query_protocol
from eni_ledger.desk.ec2.refusals import Refused
from eni_ledger.desk.serve import api, openapi, parameters
from eni_ledger.desk.serve.gate import Gate
from eni_ledger.desk.serve.refused import NotServed
from eni_ledger.desk.serve.stream import CONTENT_TYPE, Streams
from eni_ledger.desk.serve.view import View
from eni_ledger.desk.serve.watch import Mark, mark_at_end
from eni_ledger.render.text import safe

LARGEST_BODY = 65536
_JSON, _XML = "application/json", "text/xml;charset=UTF-8"
_FORM = "application/x-www-form-urlencoded"
_GONE = "waitress.client_disconnected"
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Accept",
}
_HTTP_STATUS = {"DryRunOperation": 412, "InternalError": 500}  # of EC2's errors; every other one is a 400
_EC2_CODES = {401: "AuthFailure", 403: "UnauthorizedOperation", 415: "MalformedQueryString"}

Answered = tuple[bytes, str, dict[str, str]]
"""A body, its content type, further headers."""


def application(view: View, gate: Gate, streams: Streams, page: Callable[[str], Answered]) -> bottle.Bottle:
    """Return the WSGI application; `page` makes the page of `/` from the query string."""
    app = bottle.Bottle()
    app.default_error_handler = _error_of_bottle
    app.add_hook("before_request", lambda: _admit(gate))
    app.install(_answering)

    def query() -> str:
        return str(bottle.request.environ.get("QUERY_STRING", ""))

    def events() -> Any:
        if CONTENT_TYPE not in bottle.request.get_header("Accept", ""):
            return _json(api.events(view, query()))
        stream = _stream(view, streams)
        _prepare(200, f"{CONTENT_TYPE};charset=UTF-8")
        return stream

    app.get("/", callback=lambda: page(query()))
    app.post("/", callback=lambda: _ec2(view))
    app.get("/v1/associations", callback=lambda: _json(api.associations(view, query())))
    app.get("/v1/who", callback=lambda: _json(api.who(view, query())))
    app.get("/v1/events", callback=events)
    app.get("/openapi.json", callback=lambda: _json(openapi.document()))
    return app


def _json(body: bytes) -> Answered:
    return body, _JSON, {}


def _prepare(status: int, content_type: str, **headers: str) -> None:
    """Set status and headers of the answer."""
    response = bottle.response
    response.status = status
    response.content_type = content_type
    for name, value in {**_HEADERS, **headers}.items():
        response.set_header(name, value)


def _admit(gate: Gate) -> None:
    """Refuse a request that may not be answered; a hook of bottle's, which HTTPResponse ends."""
    try:
        gate.check(bottle.request.environ)
    except NotServed as exc:
        raise _refusal(exc) from exc


def _answering(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Give answers their headers, and errors the form of the route; a plugin of bottle's."""

    def answer(**arguments: str) -> Any:
        try:
            made = callback(**arguments)
        except (EniLedgerError, OSError) as exc:
            raise _refusal(exc) from exc
        if isinstance(made, tuple):
            body, content_type, headers = made
            _prepare(200, content_type, **headers)
            return body
        return made

    return answer


def _refusal(exc: EniLedgerError | OSError) -> bottle.HTTPResponse:
    """Return the answer for an error: 404 for NotFound, 503 when the ledger cannot be read."""
    headers = {}
    if isinstance(exc, NotServed):
        status, headers = exc.http_status, exc.headers
    elif isinstance(exc, Refused):
        status = _HTTP_STATUS.get(exc.ec2_code, 400)
    else:
        status = 404 if isinstance(exc, NotFound) else 503
    error = exc if isinstance(exc, EniLedgerError) else EniLedgerError(exc.strerror or "the system refused")
    if bottle.request.method == "POST" and bottle.request.path == "/":
        code = exc.ec2_code if isinstance(exc, Refused) else _EC2_CODES.get(status, "InternalError")
        body, content_type = query_protocol.error(code, safe(str(error))).encode(), _XML
    else:
        body, content_type = api.json_body({"error": _told(error)}), _JSON
    return bottle.HTTPResponse(body, status, {**_HEADERS, **headers, "Content-Type": content_type})


def _told(error: EniLedgerError) -> dict[str, str]:
    told = {"message": error.msg, "details": error.details, "hint": error.hint}
    return {key: safe(value) for key, value in told.items() if value}


def _error_of_bottle(error: bottle.HTTPError) -> bytes:
    """Return the body for a path or method that there is not, and for a fault of ours."""
    words = {404: "there is nothing at this path", 405: "the server is read-only, and this path has other methods"}
    bottle.response.content_type = _JSON
    for name, value in _HEADERS.items():
        bottle.response.set_header(name, value)
    return api.json_body({"error": {"message": words.get(error.status_code, "this is a fault of eni-ledger")}})


def _stream(view: View, streams: Streams) -> Iterable[bytes]:
    """Return the events behind `Last-Event-ID`, from `since`, or from now on."""
    request = bottle.request
    given = parameters.parsed(request.environ.get("QUERY_STRING", ""), api.STREAM)
    last = request.get_header("Last-Event-ID")
    if last:
        mark = api.mark_of(last)
    elif period := parameters.period(given, datetime.now(UTC)):
        mark = Mark(str(period[0]))
    else:
        mark = mark_at_end(view.history, view.places)
    is_gone = request.environ.get(_GONE, lambda: False)
    return streams.open(view, mark, parameters.filters(given), is_gone)


def _ec2(view: View) -> Answered:
    """Answer a request of EC2's Query protocol about what is live."""
    request = bottle.request
    if request.get_header("Content-Type", "").partition(";")[0].strip().lower() != _FORM:
        raise NotServed(415, f"the body of a request is {_FORM}")
    try:
        form = request.body.read(LARGEST_BODY + 1).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise Refused("MalformedQueryString", "The query string contains a syntax error") from exc
    given = query_protocol.parameters(form)
    query_protocol.operation_of(given)
    found = view.live()
    if found.damage:
        raise Refused("InternalError", safe(str(found.damage)))
    return query_protocol.answer(given, found.associations).encode(), _XML, {}
