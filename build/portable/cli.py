"""The script of the command line's executable in the bundle."""

import gc
import sys

# The libraries are loaded to stay, and what a question makes is little and has few cycles: a tenth of what it takes.
gc.disable()

from eni_ledger.cli.main import main  # noqa: E402 - see above

gc.freeze()
gc.set_threshold(50_000, 20, 20)
gc.enable()
sys.exit(main())
