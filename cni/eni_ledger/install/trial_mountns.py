"""Proves a bundle in a private mount namespace that has the file systems of the agent's container and no others.

All mounts are below a tmpfs that no other process sees; they go away with the last process in the namespace.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir

from eni_ledger.base.errors import InstallError
from eni_ledger.install import trial
from eni_ledger.install.bundle import loader_of
from eni_ledger.install.layout import FRONT, IN_CONTAINER
from eni_ledger.install.tree import Tree
from eni_ledger.install.trial import Unprovable

_CLONE_NEWNS = 0x00020000  # linux/sched.h
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18  # linux/mount.h
_TIMEOUT_S = 30.0  # for one call
_DEVICES = ("null", "zero", "random", "urandom")


def prove_in_namespace(bundle: str, library_root: str = "/") -> str:
    """Call the bundle with the libraries below `library_root`; return the proof in one sentence.

    Raises InstallError when the bundle fails, Unprovable when the mount namespace cannot be made.
    """
    libraries = Tree(library_root)
    if not os.path.isdir(libraries.real("/usr/lib")):
        raise Unprovable(f"{library_root} has no /usr/lib to run it with")
    loader = loader_of(os.path.join(bundle, FRONT))
    # An image may lack the C library; on this host, where this program runs, a missing loader is the bundle's fault.
    if loader is not None and not libraries.is_host and not os.path.exists(libraries.real(loader)):
        raise InstallError(
            "this tree lacks the C library that the agent's container takes from its host; nothing was changed",
            f"there is no {os.path.join(library_root, loader[1:])}",
            "mount all of the image (glibc), or skip the proof: --no-proof",
        )
    answer = _apart(lambda: _inside(bundle, library_root))
    if "error" in answer:
        raise InstallError(answer["error"], answer["details"], answer["hint"])
    if "unprovable" in answer:
        raise Unprovable(answer["unprovable"])
    return "in a mount namespace like the agent's: VERSION answered, an ADD passed on and recorded"


def _apart(work: Callable[[], None]) -> dict[str, str]:
    """Run `work` in a child with a private mount namespace; return {} or the error."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        outcome: dict[str, str] = {}
        try:
            os.close(reader)
            _own_mounts()
            work()
        except InstallError as exc:
            outcome = {"error": exc.msg, "details": exc.details, "hint": exc.hint}
        except Exception as exc:  # any failure must reach the parent, and the child must not return
            outcome = {"unprovable": str(exc) or type(exc).__name__}
        finally:
            os.write(writer, json.dumps(outcome).encode())
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(pid, 0)
    return dict(json.loads(data)) if data else {"unprovable": "the process of the trial was killed"}


def _own_mounts() -> None:
    if _libc().unshare(_CLONE_NEWNS) != 0:
        raise Unprovable(f"no private mount namespace: {os.strerror(ctypes.get_errno())}")
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)


def _inside(bundle: str, library_root: str) -> None:
    """Mount the environment and call the bundle in it. Raises InstallError, Unprovable, OSError."""
    libraries = Tree(library_root)
    sources = {inside: libraries.real(host) for host, inside in trial.LIBRARIES}
    sources |= {f"{IN_CONTAINER}/bundle": bundle, "/proc": "/proc", trial.PROC[1]: trial.PROC[0]}
    sources |= {f"/dev/{name}": f"/dev/{name}" for name in _DEVICES}
    # By descriptor: the mounts that follow may hide the paths.
    held = {inside: os.open(real, os.O_PATH) for inside, real in sources.items() if os.path.exists(real)}
    world = gettempdir()
    _mount("tmpfs", world, "tmpfs", 0, "mode=0755")
    for inside, fd in held.items():
        place = Path(world + inside)
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
    for inside, fd in held.items():
        _mount(f"/proc/self/fd/{fd}", world + inside, None, _MS_BIND)
        if not inside.startswith("/dev/"):
            _mount(None, world + inside, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY)
    _furnish(Path(world))
    trial.judge_version(*_call(world, trial.version_call()))
    status, stdout, stderr = _call(world, trial.add_call())
    ledger = Path(world + trial.LEDGER)
    trial.judge_add(status, stdout, stderr, ledger.read_bytes() if ledger.exists() else None)


def _furnish(world: Path) -> None:
    """Lay out the files as `install ecs` does, with a stand-in for the delegate."""
    (world / "tmp").mkdir()
    for link, target in (
        (trial.AS_PLUGIN, f"../bundle/{FRONT}"),
        (f"{trial.DELEGATES}/vpc-branch-eni", trial.STAND_IN),
    ):
        place = Path(str(world) + link)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
    Path(f"{world}{IN_CONTAINER}/config.json").write_text(json.dumps(trial.SETTINGS))


def _call(world: str, call: trial.TrialCall) -> tuple[int, bytes, bytes]:
    def enter() -> None:
        os.chroot(world)
        os.chdir("/")
        # Python ignores SIGPIPE; the agent starts a plugin with the default action.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)

    try:
        done = subprocess.run(
            [call.path],
            env=call.env,
            input=call.stdin,
            capture_output=True,
            preexec_fn=enter,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise trial.failed("it does not end", -signal.SIGKILL, exc.stderr or b"") from exc
    except FileNotFoundError as exc:  # most often its loader: a bundle for another machine or libc
        raise trial.failed("it cannot be started", 127, str(exc).encode()) from exc
    except OSError as exc:
        raise trial.failed("it cannot be started", 126, str(exc).encode()) from exc
    return done.returncode, done.stdout, done.stderr


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Call mount(2). Raises OSError."""
    args = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    if _libc().mount(*args, ctypes.c_ulong(flags), None if data is None else os.fsencode(data)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)
