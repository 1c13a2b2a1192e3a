"""`conf/ecs`: every file is what its reader takes it for; tests/linux/test_install.py runs the scripts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from eni_ledger.install import layout
from eni_ledger.install.env_file import effective
from helpers.prereq import need

CONF = Path(__file__).parents[2] / "conf"
ECS = CONF / "ecs"


def document() -> dict[str, Any]:
    """Return the Systems Manager document, read by the distribution's YAML library."""
    code = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"
    with (ECS / "ssm-document.yaml").open() as file:
        done = subprocess.run(["/usr/bin/python3", "-c", code], stdin=file, capture_output=True, text=True, check=False)
    need(done.returncode == 0 or "No module named" not in done.stderr, "python3-yaml")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def script() -> str:
    """Return the shell script in the document."""
    (step,) = document()["mainSteps"]
    (text,) = step["inputs"]["runCommand"]
    return str(text)


def lint(text: str) -> None:
    need(shutil.which("shellcheck"), "shellcheck")
    done = subprocess.run(["shellcheck", "-s", "bash", "-"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_user_data_is_a_sound_script() -> None:
    text = (ECS / "user-data.sh").read_text()
    assert text.startswith("#!/bin/bash\n")  # cloud-init runs what starts so
    assert len(text) < 16 * 1024  # all that EC2 takes
    lint(text)


class TestDocument:
    def test_it_is_one_of_systems_manager(self) -> None:
        found = document()
        assert found["schemaVersion"] == "2.2"
        assert set(found) == {"schemaVersion", "description", "parameters", "mainSteps"}
        (step,) = found["mainSteps"]
        assert step["action"] == "aws:runShellScript"
        assert re.fullmatch("[a-zA-Z0-9_]+", step["name"])

    def test_its_script_is_sound_and_uses_every_parameter_and_no_other(self) -> None:
        text = script()
        lint(re.sub(r"'\{\{ (\w+) \}\}'", lambda match: f'"$PARAMETER_{match[1].upper()}"', text))
        assert set(re.findall(r"\{\{ (\w+) \}\}", text)) == set(document()["parameters"])

    def test_no_parameter_can_leave_its_quotes(self) -> None:
        text = script()
        for name, about in document()["parameters"].items():
            assert all(f"'{{{{ {name} }}}}'" in line for line in text.splitlines() if f"{{{{ {name} }}}}" in line)
            assert "allowedValues" in about or about["allowedPattern"].startswith("^")
            if "allowedPattern" in about:
                assert re.match(about["allowedPattern"], about["default"])
                for bad in ("x'; reboot; '", "s3://b/$(reboot)", "/a b", "s3://b/`x`", "", "none none", "0" * 63):
                    assert not re.match(about["allowedPattern"], bad)
            else:
                assert about["default"] in about["allowedValues"]


def test_the_lines_of_ecs_config_are_those_that_install_writes() -> None:
    data = (ECS / "ecs.config").read_bytes()
    assert effective(data, layout.KEY) == layout.PLUGIN_PATH
    assert effective(data, "ECS_ENABLE_TASK_ENI") == "true"


class TestImage:
    TEXT = (ECS / "image.pkr.hcl").read_text()

    def test_brackets_match(self) -> None:
        open_ones: list[str] = []
        for c in re.sub(r"#.*", "", self.TEXT):
            if c in "{[(":
                open_ones.append("}])"["{[(".index(c)])
            elif c in "}])":
                assert open_ones.pop() == c
        assert not open_ones

    def test_its_commands_are_sound(self) -> None:
        (block,) = re.findall(r"inline = \[(.*?)\]", self.TEXT, re.S)
        commands = [re.sub(r"\$\{var\.\w+\}", "0", one) for one in re.findall(r'"(.*?)"', block)]
        lint("#!/bin/sh\n" + "\n".join(commands) + "\n")
        empties = next(at for at, one in enumerate(commands) if "rm -rf" in one)
        assert commands.index("eni-ledger install ecs") > empties

    def test_nothing_is_installed_before_its_checksum(self) -> None:
        (block,) = re.findall(r"inline = \[(.*?)\]", self.TEXT, re.S)
        commands = re.findall(r'"(.*?)"', block)
        check = "echo '${var.sha256}  /tmp/eni-ledger.rpm' | sha256sum --check --strict --quiet"
        assert commands.index(check) < next(at for at, one in enumerate(commands) if one.startswith("rpm "))
        (about,) = re.findall(r'^variable "sha256" \{(.*?)^\}', self.TEXT, re.M | re.S)
        assert "default" not in about

    def test_its_timers_are_all_that_there_are(self) -> None:
        (line,) = re.findall(r"systemctl enable (.*\.timer)", self.TEXT)
        assert set(line.split()) == {path.name for path in (CONF / "systemd").glob("*.timer")}

    def test_variables_are_declared(self) -> None:
        assert set(re.findall(r"\bvar\.(\w+)", self.TEXT)) == set(re.findall(r'^variable "(\w+)"', self.TEXT, re.M))

    def test_a_parser_of_its_language_takes_it(self) -> None:
        """Packer's own, or Terraform's, which reads the same language; one of them may be at hand."""
        program = shutil.which("packer") or shutil.which("terraform")
        if program is None:
            pytest.skip("neither packer nor terraform")
        done = subprocess.run([program, "fmt", "-"], input=self.TEXT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout == self.TEXT


def test_the_unit_comes_between_user_data_and_the_agent() -> None:
    text = (CONF / "systemd/eni-ledger-ecs.service").read_text()
    assert "\nAfter=cloud-final.service\n" in text
    assert "\nBefore=ecs.service\n" in text
    # multi-user.target would wait for it, and cloud-init for multi-user.target.
    assert re.findall(r"^WantedBy=(.*)$", text, re.M) == ["ecs.service"]
