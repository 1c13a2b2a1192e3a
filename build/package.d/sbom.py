"""Write the software bill of materials of a bundle: CycloneDX 1.6, JSON.

usage: sbom.py BUNDLE VERSION ARCH FILE

The parts are those that `licences.py` finds in the bundle. Dated by SOURCE_DATE_EPOCH, and with a serial number made of
its content, so that the same bundle gives the same bytes.
"""

from __future__ import annotations

import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from licences import Part, collect
from packageurl import PackageURL

DEBIAN = "https://sources.debian.org/"


def component(part: Part) -> Component:
    """Return the component of a part, a Debian package or a distribution of PyPI."""
    kind = ("deb", "debian") if part.source.startswith(DEBIAN) else ("pypi", None)
    name = part.name if kind[0] == "deb" else part.name.lower().replace("_", "-")
    made = Component(
        name=part.name,
        version=part.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{kind[0]}:{name}@{part.version}",
        purl=PackageURL(kind[0], kind[1], name, part.version),
        licenses=[] if part.licence.startswith("see its") else [LicenseFactory().make_from_string(part.licence)],
    )
    if part.source.startswith("https://"):
        reference = ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(part.source))
        made.external_references.add(reference)
    for line in part.crates:  # linked into its library: name, version and licence
        crate, _, version = line.partition(":")[0].partition(" ")
        made.components.add(
            Component(
                name=crate,
                version=version,
                type=ComponentType.LIBRARY,
                bom_ref=f"{made.bom_ref}:{crate}@{version}",
                purl=PackageURL("cargo", None, crate, version),
            )
        )
    return made


def bom(parts: list[Part], version: str, arch: str) -> Bom:
    """Return the bill of materials of `parts`."""
    made = Bom()
    made.metadata.component = Component(
        name="eni-ledger",
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=f"eni-ledger@{version}",
        purl=PackageURL("generic", None, "eni-ledger", version, {"arch": arch}),
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
    )
    made.metadata.timestamp = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    for part in parts:
        made.components.add(component(part))
    made.register_dependency(made.metadata.component, list(made.components))
    names = "\n".join(sorted(str(each.purl) for each in made.components))
    made.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"eni-ledger {version} {arch}\n{names}")
    return made


def main() -> None:
    """Write the file named on the command line."""
    bundle, version, arch, target = sys.argv[1:]
    parts, _ = collect(Path(bundle))
    JsonV1Dot6(bom(parts, version, arch)).output_to_file(target, allow_overwrite=True, indent=2)


if __name__ == "__main__":
    main()
