"""The front door's script in the bundle: it stands in for PyInstaller's own bootstrap.

That bootstrap (an importer for archives, patches for ctypes and zipimport, a look for .egg directories) costs 2.5 ms
of every ADD and serves nothing here: all that the front door imports is C code of the interpreter or lies in
`front_modules`, which closure.py made.
"""

import gc
import sys
from _frozen_importlib import ModuleSpec
from marshal import loads

from front_modules import MODULES


class FrontModules:
    """A meta path finder and loader (PEP 451) of the modules in MODULES."""

    @staticmethod
    def find_spec(name, path=None, target=None):  # noqa: ARG004 - the protocol's arguments
        """The spec of one of ours; None for any other module."""
        if name in MODULES:
            return ModuleSpec(name, FrontModules, origin="front door", is_package=MODULES[name][0])
        return None

    @staticmethod
    def create_module(spec):
        """None: a plain module will do."""

    @staticmethod
    def exec_module(module):
        """Run the module's code."""
        exec(loads(MODULES[module.__name__][1]), module.__dict__)  # noqa: S102, S302 - part of this executable


# A process that lives for milliseconds has no cyclic garbage worth looking for: 0.4 ms of an ADD.
gc.disable()
sys.frozen = True
sys.meta_path.insert(0, FrontModules)
# C modules only: the CLI's libraries lie in the directory above and shall stay out of reach.
sys.path[:] = [entry for entry in sys.path if entry.endswith("lib-dynload")]

from eni_ledger.plugin.front import main  # noqa: E402

sys.exit(main())
