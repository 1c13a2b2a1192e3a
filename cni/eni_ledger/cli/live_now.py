"""The answer of `list` without anything else, in the front door: asked most, it loads nothing that other answers need.

It is that of `answers.live`, byte for byte.
"""

from __future__ import annotations

from eni_ledger.ledger.format.directory import open_state_dir
from eni_ledger.ledger.format.source import Directory
from eni_ledger.ledger.read.live_now import live_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.cli.session import Session


def print_live_now(session: Session, *, as_json: bool) -> bool:
    """Print what is live now; return False, and print nothing, if there is more to say than that.

    That is so if nothing is live, if there is damage, and for all but one state directory. Raises as `History.live`.
    """
    source = Directory(open_state_dir(session.state_dir(), reading=True))
    try:
        associations, damage = live_now(source)
    finally:
        source.close()
    if damage or not associations:
        return False
    session.introduce(as_json=as_json)
    if as_json:
        from eni_ledger.cli.keys import KEYS  # start-up: only for JSON

        session.screen.json_document({"associations": associations}, {"associations": KEYS})
    else:
        from eni_ledger.render.associations import print_live  # start-up: not for JSON

        print_live(associations, session.screen, session.as_of())
    return True
