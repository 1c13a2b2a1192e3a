"""`loads` for whoever asks the ledger: orjson's, and in the front door, which carries no such library, `fastjson`'s."""

from __future__ import annotations

try:
    from orjson import loads
except ImportError:  # in the front door
    from eni_ledger import fastjson

    TYPE_CHECKING = False
    if TYPE_CHECKING:
        from typing import Any

    def loads(data: str | bytes) -> Any:  # type: ignore[misc]  # the same name, in the other place
        """Return the value of a JSON document. Raises ValueError; for an escape, of which orjson takes fewer."""
        if b"\\" in data if isinstance(data, bytes) else "\\" in data:
            raise ValueError("an escape, which is left to orjson")
        return fastjson.loads(data)


__all__ = ["loads"]
