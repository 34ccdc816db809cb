"""The MLflow stack: compose file against the Compose specification, and that nothing of it is open or secret."""

from __future__ import annotations

import configparser
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.infra import INFRA, load, pins


@pytest.fixture
def stack() -> Any:
    return load("mlflow/compose.yaml")


def test_it_keeps_the_compose_specification(stack: Any) -> None:
    check = pytest.importorskip("check_jsonschema", reason="check-jsonschema, which holds the schema, is not installed")
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    path = Path(check.__file__).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    validator = jsonschema.validators.validator_for(schema := json.loads(path.read_text(encoding="utf-8")))(schema)
    assert [f"{list(e.path)}: {e.message}" for e in validator.iter_errors(stack)] == []
    stack["services"]["mlflow"]["prots"] = []
    assert not validator.is_valid(stack)


def test_only_mlflow_is_reached_and_only_from_this_machine(stack: Any) -> None:
    published = {name: s["ports"] for name, s in stack["services"].items() if "ports" in s}
    assert published == {"mlflow": ["127.0.0.1:5000:5000"]}
    assert stack["networks"]["inside"] == {"internal": True}
    assert {n for n, s in stack["services"].items() if "outside" in s["networks"]} == {"mlflow"}
    assert not any({"network_mode", "privileged", "pid", "devices"} & set(s) for s in stack["services"].values())


def test_services_have_no_rights(stack: Any) -> None:
    for name, service in stack["services"].items():
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"], name
    assert "cap_add" not in stack["services"]["mlflow"] and "cap_add" not in stack["services"]["s3"]


def test_images_are_pinned_to_what_is_tested(stack: Any) -> None:
    images = {s["image"] for s in stack["services"].values()}
    assert all(":" in image and not image.endswith(":latest") for image in images)
    version = pins()["mlflow"]
    assert f"irnas-mlflow:{version}" in images
    text = (INFRA / "mlflow" / "Dockerfile").read_text(encoding="utf-8")
    assert f'"mlflow[auth]=={version}"' in text and f'"boto3=={pins()["boto3"]}"' in text


def test_every_secret_is_a_file_outside_the_repository(stack: Any) -> None:
    for name, secret in stack["secrets"].items():
        assert (
            list(secret) == ["file"] and secret["file"].startswith("${IRNAS_SECRETS") and secret["file"].endswith(name)
        )
    used = {name for s in stack["services"].values() for name in s.get("secrets", [])}
    assert used == set(stack["secrets"])
    for service in stack["services"].values():
        for variable in service.get("environment", {}):
            is_secret = any(word in variable for word in ("PASSWORD", "SECRET", "TOKEN", "ACCESS_KEY"))
            assert not is_secret or variable.endswith("_FILE"), variable


def test_every_secret_is_in_the_recipe(stack: Any) -> None:
    page = (INFRA / "README.md").read_text(encoding="utf-8")
    assert [name for name in stack["secrets"] if f"$IRNAS_SECRETS/{name}" not in page] == []


def test_mlflow_asks_for_a_password_and_checks_the_host() -> None:
    start = (INFRA / "mlflow" / "serve.sh").read_text(encoding="utf-8")
    assert "--app-name basic-auth" in start and "--allowed-hosts" in start
    assert "--disable-security-middleware" not in start
    auth = configparser.ConfigParser()
    auth.read(INFRA / "mlflow" / "auth.ini")
    assert auth["mlflow"]["default_permission"] == "NO_PERMISSIONS"
    assert "admin_password" not in auth["mlflow"] and "@postgres/" in auth["mlflow"]["database_uri"]


def test_the_server_s_options_exist() -> None:
    """Those of serve.sh, in the sources of the MLflow that is installed; importing it takes seconds."""
    spec = importlib.util.find_spec("mlflow")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent
    known = "".join((folder / name).read_text(encoding="utf-8") for name in ("cli/__init__.py", "utils/cli_args.py"))
    used = set(re.findall(r" (--[a-z-]+) ", (INFRA / "mlflow" / "serve.sh").read_text(encoding="utf-8")))
    assert len(used) >= 7
    assert [option for option in used if f'"{option}"' not in known] == []
