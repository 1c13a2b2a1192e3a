"""The front door's first module: complete the interpreter, then call `eni_ledger.entry`."""

import posix
import sys

import front_os

sys.frozen = True
sys.modules["os"] = front_os

from eni_ledger.entry import main  # noqa: E402 - behind `os`

posix._exit(main())
