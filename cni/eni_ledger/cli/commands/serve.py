"""`eni-ledger serve`: the ledger by HTTP, read-only."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from eni_ledger import timespec
from eni_ledger.base.errors import UsageError
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.cli.session import Session
from eni_ledger.desk.serve import gate, listening
from eni_ledger.desk.serve.watch import Mark
from eni_ledger.desk.topology.limits import instance_type
from eni_ledger.render.text import safe

DEFAULT = "127.0.0.1:8080"
EXAMPLES = [
    ("eni-ledger serve", "on 127.0.0.1, port 8080: the page, /v1/who?what=10.0.32.4, /openapi.json"),
    ("eni-ledger serve --listen unix:/run/eni-ledger.sock", "for root and its group: curl --unix-socket ..."),
    ("eni-ledger serve --listen 10.0.0.5:8080 --token-file /etc/eni-ledger/token", "for others; in clear"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="The ledger by HTTP: EC2's API, JSON, events, a page.")
@click.option(
    "--listen",
    metavar="PLACE",
    help=f"ADDRESS:PORT, or unix:/PATH for a Unix socket. Default: the sockets of systemd, else {DEFAULT}.",
)
@click.option(
    "--token-file", metavar="FILE", help="A file with the token that each request must have. Needed beyond loopback."
)
@click.option(
    "--host", "hosts", metavar="NAME", multiple=True, help="A further name by which clients may call this server."
)
@click.option("--json", "as_json", is_flag=True, help="Say as JSON where it listens.")
@reading
@click.pass_context
def command(
    ctx: click.Context,
    listen: str | None,
    token_file: str | None,
    hosts: tuple[str, ...],
    as_json: bool,
    state_dir: str | None,
    no_color: bool,
) -> None:
    """Answer questions about the ledger by HTTP until it is stopped; nothing can be changed by it.

    POST / speaks EC2's Query protocol: with --endpoint-url http://127.0.0.1:8080, or a profile's services section,
    describe-trunk-interface-associations and describe-network-interfaces of `aws ec2` show the branches that are live;
    any region and keys will do. GET /v1/associations, /v1/who and /v1/events answer in JSON, also of the past;
    /v1/events with Accept: text/event-stream sends events as they are recorded. /openapi.json describes them. / is the
    page of report about the last day.

    It answers this host only, by loopback or a Unix socket, which permissions protect. There is no TLS: beyond loopback
    each request needs the token, as Authorization: Bearer TOKEN, as the password in a browser, or as the access key ID
    of AWS clients, and the token travels in clear. Pages of other sites in a browser are refused.

    Exit status 0 when it is stopped; 2 for a place that is none; 3 when there is no ledger, or the port is in use.
    """
    session = session_of(ctx, state_dir, no_color)
    sockets = [] if listen else listening.handed_over(os.environ)
    places = [listening.place_of(each) for each in sockets] or [listening.place(listen or DEFAULT)]
    token = gate.read_token(token_file) if token_file else None
    if token is None and not all(place.local for place in places):
        raise UsageError(
            "beyond loopback each request needs a token",
            str(places[0]),
            "--token-file FILE, or --listen unix:/run/eni-ledger.sock",
        )
    history = session.history()
    sockets = sockets or [listening.listen(places[0])]
    admits = _gate(places, hosts, token)
    _serve(session, history, sockets, admits, lambda: _say(session, places, token is not None, as_json=as_json))


def _gate(places: list[listening.Place], hosts: tuple[str, ...], token: str | None) -> gate.Gate:
    """Return who may ask: beyond loopback, where the token protects, also by any address and by this host's name."""
    beyond = not all(place.local for place in places)
    names = {name.lower() for name in hosts} | ({socket.gethostname().lower()} if beyond else set())
    return gate.Gate(frozenset(names), token, open_hosts=beyond)


def _say(session: Session, places: list[listening.Place], with_token: bool, *, as_json: bool) -> None:
    session.introduce(as_json=True)
    if as_json:
        session.screen.json_document({"listening": [str(place) for place in places], "token": with_token})
    for place in () if as_json else places:
        session.screen.line(f"listening on {safe(str(place))}")
    if with_token and not all(place.local for place in places):
        session.screen.note("note: there is no TLS: the token and all answers travel in clear")
    session.screen.flush()


def _serve(
    session: Session, history: Any, sockets: list[socket.socket], admits: gate.Gate, ready: Callable[[], None]
) -> None:
    from eni_ledger.desk.serve.app import application  # bottle
    from eni_ledger.desk.serve.page import LivePage
    from eni_ledger.desk.serve.server import serve  # waitress
    from eni_ledger.desk.serve.stream import Streams
    from eni_ledger.desk.serve.view import View

    view, streams = View(history, session.paths()), Streams()

    def collected(first: str | None, last: str | None, now: datetime, mark: Mark) -> dict[str, Any]:
        from eni_ledger.desk.report.collect import collect  # pydantic, by way of fsck

        copy = session.copy()
        return collect(
            history,
            first,
            last,
            now=timespec.to_ledger(now),
            as_of=max(copy.ts, mark.ts) if copy else None,  # a copy may grow, too
            instance_type=None if copy else instance_type(),
            check=False,
        )

    def rendered(document: dict[str, Any], mark: Mark | None) -> str:
        from eni_ledger.desk.report.page import NewEvents, render  # jinja2

        return render(document, session.zone, NewEvents(mark.ts, mark.count) if mark else None)

    serve(application(view, admits, streams, LivePage(view, collected, rendered)), sockets, streams, ready)
