"""Configuration files that are somebody else's as well: add keys of ours, and take exactly those away again."""

from __future__ import annotations

import json
from typing import Any

from eni_ledger.base.errors import InstallError
from eni_ledger.install.env_file import bytes_of, sha256, text_of


def parse(data: bytes, path: str) -> dict[str, Any]:
    """Return the object in a JSON file. Raises InstallError naming `path` when there is none in it."""
    try:
        found = json.loads(data)
    except ValueError as exc:
        raise InstallError("this file is not JSON", f"{path}: {exc}", "repair it or move it away") from exc
    if not isinstance(found, dict):
        raise InstallError("this file holds no JSON object", path, "repair it or move it away")
    return found


def dump(found: dict[str, Any]) -> bytes:
    """Return an object as a file that people edit."""
    return (json.dumps(found, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")


def merge(
    data: bytes | None, path: str, wanted: dict[str, Any], unset: dict[str, Any], record: dict[str, Any] | None
) -> tuple[bytes | None, dict[str, Any] | None]:
    """Add the keys of `wanted` that the file does not have; what it has stays, unless it is the value in `unset`.

    `data` is the file, None when there is none; `record` what an earlier merge returned. Returns the new file (None: it
    is right as it is) and the record with which `unmerge` undoes all of it. Raises InstallError for a file that is not
    JSON.
    """
    found = parse(data, path) if data is not None else {}
    if record is None and data == dump(wanted):  # ours, and the record of it is lost
        return None, {"before": None, "changed": {key: {"new": wanted[key]} for key in wanted}, "after": sha256(data)}
    changed: dict[str, Any] = {}
    for key, value in wanted.items():
        if key in found and (key not in unset or found[key] != unset[key]):
            continue
        changed[key] = {"new": value, **({"old": found[key]} if key in found else {})}
    if not changed and data is not None:
        return None, record
    after = dump({**found, **{key: one["new"] for key, one in changed.items()}})
    if record is None:
        return after, {"before": _text(data), "changed": changed, "after": sha256(after)}
    # Only as we left it does the file have what was there before us behind it; else that is what is there now.
    untouched = data is not None and sha256(data) == record["after"]
    return after, {
        "before": record["before"] if untouched else _text(data),
        "changed": {**changed, **record["changed"]} if untouched else changed,
        "after": sha256(after),
    }


def unmerge(data: bytes | None, record: dict[str, Any]) -> bytes | None:
    """Return the file as it was before `merge`, None for no file; what was changed since is kept."""
    if data is None:
        return None
    before = record["before"]
    original = None if before is None else bytes_of(before)
    if sha256(data) == record["after"]:
        return original
    try:
        found = json.loads(data)
    except ValueError:
        return data
    if not isinstance(found, dict):
        return data
    touched = False
    for key, change in record["changed"].items():
        if key in found and found[key] == change["new"]:
            touched = True
            if "old" in change:
                found[key] = change["old"]
            else:
                del found[key]
    if not touched:
        return data
    return None if not found and original is None else dump(found)


def _text(data: bytes | None) -> str | None:
    return None if data is None else text_of(data)
