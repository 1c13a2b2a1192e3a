"""Record an event for a chained or interposed call. Failures of ours never fail the call.

Every failure, a bug included, ends in `failed`: it goes to stderr, the journal and failures.jsonl, and is raised only
if `onError` is `fail`.

Imports inside functions stand where a module that cannot be loaded is caught, and load only what the call needs.
"""

from __future__ import annotations

from time import monotonic_ns

from eni_ledger.base import errors
from eni_ledger.base.config import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.config import Settings
    from eni_ledger.base.events import Draft, Event, Fields
    from eni_ledger.plugin.protocol import Call


_BEGUN = 3
"""Seq of the second event of a ledger: the first comes after the checkpoint, 1."""


def settings_of(call: Call, beside: str | None = None) -> Settings:
    """Return the effective settings; a configuration file at `beside` goes before the host's.

    Raises InvalidNetworkConfig for a fault in the network configuration. A fault in the host's own configuration file
    does not fail the call: it goes into `call.problems`, and the valid keys apply.
    """
    return load(call.conf, call.env, beside=beside, problems=call.problems)


def refuse_problems(call: Call, settings: Settings) -> None:
    """Raise the first fault of the host's configuration if `onError` is `fail`."""
    if call.problems and settings.on_error == "fail":
        raise call.problems[0]


def record(call: Call, settings: Settings, event: Draft) -> Event | None:
    """Append the event, `took_ms` filled in unless it is known, and return it as written. Raises LedgerError."""
    from eni_ledger.ledger.write.writer import record

    refuse_problems(call, settings)
    event.setdefault("took_ms", round((monotonic_ns() - call.started) / 1e6, 3))
    return record(settings, event)


def report_text(call: Call, settings: Settings, event: Fields, text: str) -> None:
    """Write `text` to stderr; if that would hide why the delegate failed, to the journal and failures.jsonl.

    Never raises.
    """
    if not call.quiet:
        call.complain(text)
        return
    try:
        from eni_ledger.ledger.write.probe import note_failure

        note_failure(settings, event, errors.LedgerError(text))
        if settings.journald:
            from eni_ledger.journald import send_failure

            send_failure(text, event)
    except Exception:  # a broken installation; there is nowhere left to say so
        return


def report(call: Call, settings: Settings, written: Event, *, quiet: bool = False) -> None:
    """Send the event to the journal and report on stderr what the operator should know. Never raises.

    With `quiet` the error in the event is not reported: the delegate has already reported it.
    """
    try:
        if written["event"] == "add" and "error_msg" in written and not quiet:
            seen = written.get("error_code") != errors.ObserveError.code
            how = "recorded, but not in full" if seen else "recorded without what the kernel shows"
            call.complain(f"{how}: {written['error_msg']}")
        report_problems(call, settings, written, f"recorded in {settings.state_dir}, though ")
        if written.get("spooled"):
            report_text(call, settings, written, f"the event waits in the spool: {written.get('spooled_because')}")
        if written.get("seq", _BEGUN) < _BEGUN:
            _report_unfit(call, settings, written)
        if settings.journald:
            from eni_ledger.journald import send

            if not send(written):
                report_text(call, settings, written, "recorded, but journald did not take the entry")
    except Exception as exc:  # the event is recorded; nothing after that may harm the task
        report_text(call, settings, written, f"recorded, but not announced: {type(exc).__name__}: {exc}")


def _report_unfit(call: Call, settings: Settings, written: Event) -> None:
    """Report an unsuitable file system of the state directory, once, with a ledger's first event."""
    from eni_ledger.ledger.write.probe import unsuitable_filesystem

    why = unsuitable_filesystem(settings.state_dir)
    if why:
        report_text(call, settings, written, f"recorded, but {why}")
        if settings.journald and not call.quiet:
            from eni_ledger.journald import send_failure

            send_failure(f"recorded, but {why}", written)


def report_problems(call: Call, settings: Settings, event: Fields, prefix: str = "") -> None:
    """Report each fault of the host's configuration once, whether or not there is an event. Never raises.

    For an event that is recorded, `prefix` says where: it may be another place than meant.
    """
    problems, call.problems = call.problems, []
    try:
        for problem in problems:
            _report_problem(call, settings, event, problem, prefix)
    except Exception as exc:  # a broken installation; standard error is left
        call.complain(f"{problems[0]}, which could not be noted: {type(exc).__name__}: {exc}")


def _report_problem(call: Call, settings: Settings, event: Fields, problem: errors.ConfigError, prefix: str) -> None:
    from eni_ledger.ledger.write.probe import note_failure

    message = f"{prefix}the configuration is at fault: {problem}"
    call.complain(message)
    note_failure(settings, event, problem)
    if settings.journald:
        from eni_ledger.journald import send_failure

        send_failure(message, {**event, "error_code": problem.code, "error_msg": str(problem)})


def failed(call: Call, settings: Settings, event: Fields, exc: Exception) -> None:
    """Report everywhere that the event was not recorded; raise if `onError` is `fail` or nothing can be reported.

    A fault of the host's configuration, which may be the cause, is reported too.
    """
    why = str(exc) if isinstance(exc, errors.EniLedgerError) else f"{type(exc).__name__}: {exc}"
    message = f"{call.command} not recorded: {why}"
    try:
        if settings.journald:
            from eni_ledger.journald import send_failure

            code = getattr(exc, "code", errors.EniLedgerError.code)
            if not send_failure(message, {**event, "error_code": code, "error_msg": why}):
                call.complain("journald did not take the entry about the failure")
        from eni_ledger.ledger.write.probe import note_failure

        note_failure(settings, event, exc)
    except Exception as second:  # a broken installation, perhaps; the task comes first
        if call.quiet:  # nor can it be said; only the supervisor of an interposed call is left to do so
            raise
        call.complain(f"and the failure could not be noted: {type(second).__name__}: {second}")
    call.problems = [problem for problem in call.problems if problem is not exc]
    report_problems(call, settings, event)
    if settings.on_error == "fail":
        raise exc
    call.complain(message)
