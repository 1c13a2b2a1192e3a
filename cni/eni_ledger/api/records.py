"""Models of what the ledger has, made without validation.

A chain of CRCs proves that the lines are what a writer wrote, and validation would take three times as long as reading
them. What still has the wrong type is met here only where it is converted, in the times.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from eni_ledger.base.errors import LedgerError
from eni_ledger.ledger.format.live import CONTAINERS
from eni_ledger.ledger.format.schema import Association, Container, Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

Record = TypeVar("Record", Association, Event)

_TIMES = ("ts", "since", "until", "spooled_ts", "occurred_ts", "log_ends")
_DEFAULTS: dict[type[Any], dict[str, Any]] = {
    model: dict.fromkeys(model.model_fields) for model in (Association, Event)
}


def association(fields: Fields) -> Association:
    """Return the model of an association. Raises LedgerError for a value of the wrong type."""
    return _made(Association, fields)


def event(fields: Fields) -> Event:
    """Return the model of an event. Raises LedgerError for a value of the wrong type."""
    made = _made(Event, fields)
    if made.live:
        vars(made)["live"] = [association(each) for each in fields["live"]]
    return made


def _made(model: type[Record], fields: Fields) -> Record:
    defaults = _DEFAULTS[model]
    values = {**defaults, **fields}
    extra = {}
    if len(values) > len(defaults):  # keys of a later version
        extra = {key: values.pop(key) for key in fields if key not in defaults}
    try:
        for key in _TIMES:
            if values.get(key) is not None:
                values[key] = datetime.fromisoformat(values[key])
        if values.get(CONTAINERS):
            values[CONTAINERS] = [Container.model_construct(None, **each) for each in values[CONTAINERS]]
    except (TypeError, ValueError):
        raise _wrong(model, fields) from None
    # What `model_construct` does, without a loop in Python over all fields.
    made = model.__new__(model)
    put = object.__setattr__
    put(made, "__dict__", values)
    put(made, "__pydantic_fields_set__", set(fields))
    put(made, "__pydantic_extra__", extra)
    put(made, "__pydantic_private__", None)
    return made


def _wrong(model: type[Record], fields: Fields) -> LedgerError:
    """Return the error for a record that has a value of the wrong type."""
    what = "the ledger holds what no eni-ledger writes"
    try:
        model.model_validate(fields)
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(map(str, first["loc"]))
        return LedgerError(what, f"{place}: {first['msg']}", "eni-ledger fsck")
    return LedgerError(what, str(fields.get("ts", "")), "eni-ledger fsck")
