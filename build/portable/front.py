"""The script of the front door's executable where the one in C cannot be built (build/front)."""

import sys

from eni_ledger.entry import main

sys.exit(main())
