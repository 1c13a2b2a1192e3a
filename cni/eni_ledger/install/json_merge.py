"""Shared JSON configuration files: add keys, and later remove exactly those keys."""

from __future__ import annotations

import json
from typing import Any

from eni_ledger.base.errors import InstallError
from eni_ledger.install.env_file import bytes_of, sha256, text_of


def parse(data: bytes, path: str) -> dict[str, Any]:
    """Return the object in a JSON file. Raises InstallError that names `path` if it holds none."""
    try:
        value = json.loads(data)
    except ValueError as exc:
        raise InstallError("this file is not JSON", f"{path}: {exc}", "repair it or move it away") from exc
    if not isinstance(value, dict):
        raise InstallError("this file holds no JSON object", path, "repair it or move it away")
    return value


def dump(value: dict[str, Any]) -> bytes:
    """Return the object as indented JSON, for a file that people edit."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")


def merge(
    data: bytes | None, path: str, wanted: dict[str, Any], unset: dict[str, Any], record: dict[str, Any] | None
) -> tuple[bytes | None, dict[str, Any] | None]:
    """Return the file with the keys of `wanted` added, None if it needs no change, and the record for `unmerge`.

    A key that the file has keeps its value, unless that is the value in `unset`. `data` is the file, None if there is
    none; `record` is what an earlier merge returned. Raises InstallError for a file that is not JSON.
    """
    present = parse(data, path) if data is not None else {}
    if record is None and data == dump(wanted):  # written by an earlier merge, and the record is lost
        return None, {"before": None, "changed": {key: {"new": wanted[key]} for key in wanted}, "after": sha256(data)}
    changed: dict[str, Any] = {}
    for key, value in wanted.items():
        if key in present and (key not in unset or present[key] != unset[key]):
            continue
        changed[key] = {"new": value, **({"old": present[key]} if key in present else {})}
    if not changed and data is not None:
        return None, record
    after = dump({**present, **{key: change["new"] for key, change in changed.items()}})
    if record is None:
        return after, {"before": _text(data), "changed": changed, "after": sha256(after)}
    # If the file has changed since the earlier merge, the state to restore is the present one.
    untouched = data is not None and sha256(data) == record["after"]
    return after, {
        "before": record["before"] if untouched else _text(data),
        "changed": {**changed, **record["changed"]} if untouched else changed,
        "after": sha256(after),
    }


def unmerge(data: bytes | None, record: dict[str, Any]) -> bytes | None:
    """Return the file without the change of `merge`, None for no file; other changes made since are kept."""
    if data is None:
        return None
    before = record["before"]
    original = None if before is None else bytes_of(before)
    if sha256(data) == record["after"]:
        return original
    try:
        settings = json.loads(data)
    except ValueError:
        return data
    if not isinstance(settings, dict):
        return data
    touched = False
    for key, change in record["changed"].items():
        if key in settings and settings[key] == change["new"]:
            touched = True
            if "old" in change:
                settings[key] = change["old"]
            else:
                del settings[key]
    if not touched:
        return data
    return None if not settings and original is None else dump(settings)


def _text(data: bytes | None) -> str | None:
    return None if data is None else text_of(data)
