"""Pages of an answer and their tokens, the service's and the AWS CLI's.

The service's token is opaque to clients: where in the order of associations the page ended. It stays right while others
begin and end. The CLI puts it, with the number of items of a page that it has printed, into a token of its own: JSON in
base64, as botocore's `paginate.py` writes it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence

from eni_ledger.base.errors import EniLedgerError
from eni_ledger.desk.ec2.refusals import Refused, invalid_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

    Page = tuple[list[Fields], str | None]

SMALLEST, LARGEST = 5, 255
"""MaxResults of the service model."""
UNASKED = 1000
"""Items of a page whose size the client does not say."""
_TRUNCATED = "boto_truncate_amount"
_LONGEST_TOKEN = 512

Position = tuple[str, int, str]


class BadToken(EniLedgerError):
    """A value of `--starting-token` that no AWS CLI printed."""


def position(association: Fields) -> Position:
    """Return what associations are sorted by: since, add_seq, association_id."""
    return str(association["since"]), int(association["add_seq"]), str(association["association_id"])


def page_of(associations: Sequence[Fields], token: str | None, size: int | None, largest: int = LARGEST) -> Page:
    """Return the page behind `token` and the token of the next one, None for the last.

    Raises Refused for a token of another making and for a size out of range; one above `largest` counts as it.
    """
    if size is not None and size < SMALLEST:
        raise invalid_value(f"MaxResults {size} is below {SMALLEST}")
    return items_behind(associations, token, UNASKED if size is None else min(size, largest))


def items_behind(associations: Sequence[Fields], token: str | None, most: int) -> Page:
    """Return the first `most` associations behind `token`, by age, and the token of the rest, None without one.

    Raises Refused for a token of another making.
    """
    start = _decoded(token) if token else None
    rest = sorted((one for one in associations if start is None or position(one) > start), key=position)
    return rest[:most], _encoded(position(rest[most - 1])) if len(rest) > most else None


def _encoded(where: Position) -> str:
    return base64.urlsafe_b64encode(json.dumps(where, separators=(",", ":")).encode()).decode().rstrip("=")


def _decoded(token: str) -> Position:
    try:
        if len(token) > _LONGEST_TOKEN:
            raise ValueError(token)
        since, seq, one = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if not (isinstance(since, str) and type(seq) is int and isinstance(one, str)):
            raise TypeError(token)
    except (ValueError, TypeError, RecursionError) as exc:
        raise Refused("InvalidNextToken", "The specified NextToken is not valid") from exc
    return since, seq, one


class Pages:
    """The pages that the AWS CLI makes of an answer; `resume_token` says, after the last one, how to go on.

    `fetch` returns the service's page for a token and a size. With `max_items` the last page is cut. Raises BadToken
    for a `starting_token` that cannot be used.
    """

    def __init__(
        self,
        fetch: Callable[[str | None, int | None], Page],
        *,
        max_items: int | None = None,
        starting_token: str | None = None,
        page_size: int | None = None,
    ) -> None:
        self._fetch = fetch
        self._left = max_items
        self._size = page_size
        self._token, self._skip = _starting(starting_token)
        self.resume_token: str | None = None

    def __iter__(self) -> Iterator[list[Fields]]:
        token, skip = self._token, self._skip
        while True:
            found, following = self._fetch(token, self._size)
            found = found[skip:]
            if self._left is not None and len(found) > self._left:
                self.resume_token = _resume({"NextToken": token, _TRUNCATED: self._left + skip})
                yield found[: self._left]
                return
            yield found
            if following is None:
                return
            if self._left is not None:
                self._left -= len(found)
                if self._left == 0:
                    self.resume_token = _resume({"NextToken": following})
                    return
            token, skip = following, 0


def _resume(content: dict[str, object]) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()


def _starting(text: str | None) -> tuple[str | None, int]:
    """Return the service's token in the CLI's `text`, and how many items of its page to leave out."""
    if text is None:
        return None, 0
    try:
        content = json.loads(base64.b64decode(text))
    except (ValueError, RecursionError):
        return _old_form(text)
    if not isinstance(content, dict) or set(content) - {"NextToken", _TRUNCATED}:
        raise BadToken(f"Bad starting token: {text[:_LONGEST_TOKEN]!a}")
    token, skip = content.get("NextToken"), content.get(_TRUNCATED, 0)
    if not (token is None or isinstance(token, str)) or type(skip) is not int or skip < 0:
        raise BadToken(f"Bad starting token: {text[:_LONGEST_TOKEN]!a}")
    return token, skip


def _old_form(text: str) -> tuple[str | None, int]:
    """Read a token as early versions of the AWS CLI wrote it, ``TOKEN___NUMBER``, or the service's own."""
    token, separator, number = text.partition("___")
    if separator and number.isdecimal():
        return (None if token == "None" else token), int(number)  # noqa: S105 - how Python prints no token
    return text, 0
