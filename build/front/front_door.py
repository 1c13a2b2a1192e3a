"""The front door's first module: makes up for what front_door.c leaves out of the interpreter, then calls ours.

All that can be imported from here is C code of the interpreter, what it keeps frozen, and what closure.py found: our
modules, frozen too, and C modules that are no part of libpython and lie in `_internal/`.
"""

import gc
import posix
import sys
from _frozen_importlib import BuiltinImporter, ModuleSpec
from _imp import create_dynamic, exec_dynamic, get_frozen_object, is_builtin, is_frozen, is_frozen_package

from front_extensions import EXTENSIONS, PACKAGES, QUESTION, QUESTIONS


class FrontModules:
    """A meta path finder and loader (PEP 451) of our modules."""

    @staticmethod
    def find_spec(name, path=None, target=None):  # noqa: ARG004 - the protocol's arguments
        """The spec of one of ours; None for any other module."""
        if name == "os":
            return ModuleSpec(name, FrontModules, origin="front door")
        if name.partition(".")[0] not in PACKAGES:
            return None
        if is_frozen(name):
            return ModuleSpec(name, FrontModules, origin="front door", is_package=is_frozen_package(name))
        if is_builtin(name):  # inside of a package, where BuiltinImporter does not look for any
            return ModuleSpec(name, BuiltinImporter, origin="front door")
        return None

    @staticmethod
    def create_module(spec):
        """None: a plain module will do."""

    @staticmethod
    def exec_module(module):
        """Run the module's code."""
        name = module.__name__
        if name == QUESTIONS:
            load(QUESTION)
        # "os" stays the interpreter's own one, for front_os.py to take the rest from
        exec(get_frozen_object("front_os" if name == "os" else name), module.__dict__)  # noqa: S102 - part of this executable


def load(names):
    """Import modules of ours, each behind those that it imports: in a third of the time that looking for each takes."""
    for name in names:
        if name not in sys.modules:
            module = sys.modules[name] = type(sys)(name)
            module.__spec__ = ModuleSpec(name, FrontModules, is_package=is_frozen_package(name))
            if module.__spec__.submodule_search_locations is not None:
                module.__path__ = []
            exec(get_frozen_object(name), module.__dict__)  # noqa: S102 - part of this executable
            package, _, own = name.rpartition(".")
            if package:
                setattr(sys.modules[package], own, module)


class FrontExtensions:
    """A meta path finder and loader of the C modules in `_internal/`."""

    @staticmethod
    def find_spec(name, path=None, target=None):  # noqa: ARG004 - the protocol's arguments
        """The spec of one of them; None for any other module."""
        if name in EXTENSIONS:
            if not sys.executable:  # see own_path in front_door.c
                raise ImportError(
                    "eni-ledger cannot tell where it is installed: /proc is not there, or the path has 4096 bytes or more"
                )
            directory = sys.executable.rpartition("/")[0]
            return ModuleSpec(name, FrontExtensions, origin=f"{directory}/_internal/{EXTENSIONS[name]}")
        return None

    @staticmethod
    def create_module(spec):
        """Load the shared object."""
        return create_dynamic(spec)

    @staticmethod
    def exec_module(module):
        """Run its initialisation."""
        exec_dynamic(module)


class Stream:
    """What we use of a standard stream: bytes, unbuffered."""

    def __init__(self, fd):
        self._fd = fd
        self.buffer = self

    def read(self, size=-1):
        """Up to `size` bytes, fewer only at the end; all there are without `size`."""
        chunks = []
        while size:
            chunk = posix.read(self._fd, min(size, 1 << 16) if size > 0 else 1 << 16)
            if not chunk:
                break
            chunks.append(chunk)
            size -= len(chunk) if size > 0 else 0
        return b"".join(chunks)

    def write(self, data):
        """Write all of `data`, bytes or text."""
        data = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
        while data:
            data = data[posix.write(self._fd, data) :]

    def flush(self):
        """Nothing to do."""

    def isatty(self):
        """Whether it is a terminal."""
        return posix.isatty(self._fd)


def stream(fd):
    """The stream of a descriptor; None, as in any Python, when it is closed."""
    try:
        posix.fstat(fd)
    except OSError:
        return None
    return Stream(fd)


# A process that lives for milliseconds has no cyclic garbage worth looking for: 0.4 ms of an ADD.
gc.disable()
sys.frozen = True
sys.stdin, sys.stdout, sys.stderr = stream(0), stream(1), stream(2)
sys.meta_path[:0] = [FrontModules, FrontExtensions]

from eni_ledger.entry import main  # noqa: E402

posix._exit(main())
