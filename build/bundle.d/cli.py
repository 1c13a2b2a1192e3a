"""The script of the command line's executable in the bundle."""

import sys

from eni_ledger.cli.main import main

sys.exit(main())
