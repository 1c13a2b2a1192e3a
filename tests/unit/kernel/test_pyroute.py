"""pyroute2 loads and works without TLS and without the test framework, as in the bundle."""

from __future__ import annotations

import subprocess
import sys

WITHOUT = """
import sys

LEFT_OUT = ("ssl", "_ssl", "unittest", "_hashlib")
real = list(sys.meta_path)

class Only:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in LEFT_OUT:
            return None
        for finder in real:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
        return None

sys.meta_path[:] = [Only]
from eni_ledger.kernel.scan import scan
print("lo" in {link.name for link in scan().own}, "ssl" in sys.modules, "unittest" in sys.modules)
"""


def test_without_what_the_bundle_leaves_out() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True False False\n", "")
