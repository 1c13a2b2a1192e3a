"""The front door's `importlib._bootstrap_external`: finds C modules in the directories of `sys.path`.

The real one can load sources, byte code, packages in parts and what stands in zip files, and defines eleven classes for
it: half a millisecond. Everything that is no C module is frozen here.
"""

import posix
import sys

import _imp

SUFFIXES = tuple(_imp.extension_suffixes())


class Extensions:
    """Finder and loader of C modules, for `sys.meta_path` and `ModuleSpec.loader`."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        """Return the specification of a top-level C module, None if there is none of this name."""
        for directory in sys.path:
            for suffix in SUFFIXES:
                origin = f"{directory}/{name}{suffix}"
                try:
                    posix.stat(origin)
                except OSError:
                    continue
                return ModuleSpec(name, Extensions, origin=origin)
        return None

    @staticmethod
    def create_module(spec):
        """Load the shared object. Raises ImportError."""
        return _imp.create_dynamic(spec)

    @staticmethod
    def exec_module(module):
        """Initialise the module."""
        _imp.exec_dynamic(module)


def _install(bootstrap):
    """Called by `importlib._bootstrap` after it has imported this module."""
    global ModuleSpec
    ModuleSpec = bootstrap.ModuleSpec
    sys.meta_path.append(Extensions)
