"""infra/terraform: its own formatter and, where its provider can be had, its own validation; and what it must hold."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.infra import INFRA

FOLDER = INFRA / "terraform"


def terraform(*words: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    found = shutil.which("terraform") or shutil.which("tofu")
    if found is None:
        pytest.skip("neither terraform nor tofu is installed")
    return subprocess.run([found, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_it_is_formatted() -> None:
    done = terraform("fmt", "-check", "-diff", "-no-color")
    assert done.returncode == 0, done.stdout


def test_the_formatter_reads_it(tmp_path: Path) -> None:
    """fmt parses: a file that is no HCL fails it."""
    (tmp_path / "main.tf").write_text('resource "a" {{\n')
    assert terraform("fmt", "-check", folder=tmp_path).returncode not in (0, 3)


def test_it_is_valid_for_its_provider(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(FOLDER, tmp_path / "terraform"))
    made = terraform("init", "-backend=false", "-input=false", "-no-color", folder=copy)
    if made.returncode != 0:
        pytest.skip("terraform init cannot fetch the provider hashicorp/aws here (no network to its registry?)")
    done = terraform("validate", "-no-color", folder=copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    """Every resource and data source as "type.name" to its content."""
    hcl2 = pytest.importorskip("hcl2", reason="python-hcl2 is not installed: pip install python-hcl2")
    found: dict[str, Any] = {}
    for path in sorted(FOLDER.glob("*.tf")):
        with path.open(encoding="utf-8") as file:
            document = plain(hcl2.load(file))
        for block in (*document.get("resource", []), *document.get("data", [])):
            for kind, named in block.items():
                found |= {f"{kind}.{name}": content for name, content in named.items() if not name.startswith("__")}
    return found


def plain(value: Any) -> Any:
    """What hcl2 returns without the quotes that it keeps around strings."""
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items() if k != "__is_block__"}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value[1:-1] if isinstance(value, str) and value[:1] == value[-1:] == '"' and len(value) > 1 else value


def test_the_bucket_is_private_encrypted_and_versioned(parts: dict[str, Any]) -> None:
    block = parts["aws_s3_bucket_public_access_block.irnas"]
    for field in ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"):
        assert block[field] is True
    (rule,) = parts["aws_s3_bucket_server_side_encryption_configuration.irnas"]["rule"]
    assert rule["apply_server_side_encryption_by_default"][0]["sse_algorithm"] == "aws:kms"
    assert parts["aws_s3_bucket_versioning.irnas"]["versioning_configuration"][0]["status"] == "Enabled"
    assert parts["aws_s3_bucket.irnas"]["lifecycle"][0]["prevent_destroy"] is True
    assert parts["aws_s3_bucket_ownership_controls.irnas"]["rule"][0]["object_ownership"] == "BucketOwnerEnforced"
    (deny,) = parts["aws_iam_policy_document.tls_only"]["statement"]
    assert (deny["effect"], deny["condition"][0]["variable"]) == ("Deny", "aws:SecureTransport")


def test_a_policy_names_its_actions_and_its_resources(parts: dict[str, Any]) -> None:
    documents = {k: v for k, v in parts.items() if k.startswith("aws_iam_policy_document.") and "assume" not in k}
    statements = [s for d in documents.values() for s in d["statement"] if s.get("effect") != "Deny"]
    assert len(statements) >= 10
    for statement in statements:
        assert not any("*" in action for action in statement["actions"]), statement["sid"]
        if "*" in statement["resources"]:
            # What Amazon cannot narrow to a resource: looking, and only in one region.
            assert all(action.split(":")[1].startswith("Describe") for action in statement["actions"])
            assert statement["condition"][0]["variable"] == "aws:RequestedRegion"
    everything = [action for statement in statements for action in statement["actions"]]
    assert not {"s3:PutBucketPolicy", "iam:CreateUser", "iam:CreateAccessKey", "sts:AssumeRole"} & set(everything)
    (passed,) = [s for s in statements if "iam:PassRole" in s["actions"]]
    assert passed["resources"] == ['${aws_iam_role.node["worker"].arn}'] and passed["condition"]


def test_a_published_run_cannot_be_deleted_by_a_node(parts: dict[str, Any]) -> None:
    statements = {s["sid"]: s for s in parts["aws_iam_policy_document.runs"]["statement"]}
    assert "s3:DeleteObject" not in statements["Publish"]["actions"]
    assert statements["ReadData"]["actions"] == ["s3:GetObject"]
    # What `irnas publish` and `irnas fetch` ask for; a HEAD of a missing object is forbidden without the listing.
    assert {"s3:GetObject", "s3:PutObject"} <= set(statements["Publish"]["actions"])
    assert "published/*" in statements["ListRunsAndData"]["condition"][0]["values"]


def test_nothing_comes_in_from_outside(parts: dict[str, Any]) -> None:
    entrances = {k: v for k, v in parts.items() if k.startswith("aws_vpc_security_group_ingress_rule.")}
    assert len(entrances) == 1
    assert all("cidr_ipv4" not in rule and "cidr_ipv6" not in rule for rule in entrances.values())
    assert not any(kind.startswith(("aws_iam_access_key", "aws_iam_user")) for kind in parts)
