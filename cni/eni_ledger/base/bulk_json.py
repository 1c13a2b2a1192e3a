"""`loads` for reading the ledger: orjson's; in the front door, which has no orjson, `minijson`'s."""

from __future__ import annotations

try:
    from orjson import loads
except ImportError:  # in the front door
    from eni_ledger.base import minijson

    TYPE_CHECKING = False
    if TYPE_CHECKING:
        from typing import Any

    def loads(data: str | bytes) -> Any:  # type: ignore[misc]  # the same name, in the other place
        """Return the value of a JSON document. Raises ValueError, and for an escaped surrogate, as orjson may do."""
        text = data.decode() if isinstance(data, bytes) else data
        if "\\ud" in text or "\\uD" in text:
            raise ValueError("an escaped surrogate, which is left to orjson")
        return minijson.loads(text)


__all__ = ["loads"]
