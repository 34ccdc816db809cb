"""infra/ray/aws.yaml against Ray's own schema and launcher, and against Amazon's own model of its requests."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from support.infra import INFRA, load, pins

autoscaler = pytest.importorskip("ray.autoscaler._private.util", reason="ray is not installed")


@pytest.fixture
def config() -> Any:
    return load("ray/aws.yaml")


def test_ray_accepts_it_by_its_own_schema(config: Any) -> None:
    prepared = autoscaler.prepare_config(copy.deepcopy(config))
    autoscaler.validate_config(prepared)
    broken = copy.deepcopy(prepared)
    broken["head_note_type"] = "head"
    with pytest.raises(Exception, match="head_note_type"):
        autoscaler.validate_config(broken)


def test_amazon_knows_every_field_of_a_node(config: Any) -> None:
    """The model of RunInstances inside botocore: names and types, not whether an image or a subnet exists."""
    from botocore.validate import ParamValidator

    client = boto3.client("ec2", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    shape = client.meta.service_model.operation_model("RunInstances").input_shape
    for name, kind in config["available_node_types"].items():
        # Ray takes the list and gives Amazon one of it.
        node = {k: v for k, v in kind["node_config"].items() if k != "SubnetIds"}
        node |= {"SubnetId": kind["node_config"]["SubnetIds"][0], "MinCount": 1, "MaxCount": 1}
        report = ParamValidator().validate(node, shape)
        assert not report.has_errors(), f"{name}: {report.generate_report()}"
    assert ParamValidator().validate({**node, "InstanceTipe": "x"}, shape).has_errors()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A mock of an AWS account with what Terraform makes; what the file's placeholders stand for in it."""
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "mocked")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        ec2, iam = boto3.client("ec2", region_name="eu-central-1"), boto3.client("iam", region_name="eu-central-1")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        group = ec2.create_security_group(GroupName="irnas-cluster", Description="nodes", VpcId=vpc)["GroupId"]
        ec2.create_key_pair(KeyName="irnas")
        for name in ("irnas-head", "irnas-worker"):
            iam.create_instance_profile(InstanceProfileName=name)
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        yield {"subnet-": subnet, "sg-": group, "ami-": image}


def test_ray_s_launcher_starts_each_kind_of_node_in_a_mocked_account(
    config: Any, account: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.autoscaler._private.aws import config as aws
    from ray.autoscaler._private.aws import node_provider
    from ray.autoscaler.tags import TAG_RAY_NODE_KIND, TAG_RAY_NODE_NAME, TAG_RAY_NODE_STATUS, TAG_RAY_USER_NODE_TYPE

    (tmp_path / "irnas.pem").write_text("not read here")
    config["auth"]["ssh_private_key"] = str(tmp_path / "irnas.pem")
    for kind in config["available_node_types"].values():
        node = kind["node_config"]
        node["SubnetIds"], node["SecurityGroupIds"] = [account["subnet-"]], [account["sg-"]]
        node["ImageId"] = account["ami-"]
    ready = aws.bootstrap_aws(autoscaler.prepare_config(copy.deepcopy(config)))
    provider = node_provider.AWSNodeProvider(ready["provider"], ready["cluster_name"])
    ec2 = boto3.client("ec2", region_name="eu-central-1")
    for name, kind in ready["available_node_types"].items():
        # Ray's launcher opens no group of its own where one is given: that of its own would let SSH in from anywhere.
        assert kind["node_config"]["SecurityGroupIds"] == [account["sg-"]]
        tags = {
            TAG_RAY_NODE_KIND: "worker",
            TAG_RAY_USER_NODE_TYPE: name,
            TAG_RAY_NODE_NAME: name,
            TAG_RAY_NODE_STATUS: "up",
        }
        made = provider.create_node(copy.deepcopy(kind["node_config"]), tags, 1)
        found = ec2.describe_instances(InstanceIds=list(made))["Reservations"][0]["Instances"][0]
        assert found["InstanceType"] == kind["node_config"]["InstanceType"]
        assert {t["Key"]: t["Value"] for t in found["Tags"]}["ray-cluster-name"] == "irnas"
        assert found.get("InstanceLifecycle") == ("spot" if name.endswith("_spot") else None)
        role = "irnas-head" if name == "head" else "irnas-worker"
        assert found["IamInstanceProfile"]["Arn"].endswith(f"instance-profile/{role}")


def test_nothing_is_reachable_from_outside(config: Any) -> None:
    assert config["provider"]["use_internal_ips"] is True
    assert "security_group" not in config["provider"]
    for kind in config["available_node_types"].values():
        node = kind["node_config"]
        assert node["SecurityGroupIds"] and node["SubnetIds"] and "NetworkInterfaces" not in node
        assert node["MetadataOptions"]["HttpTokens"] == "required"
        assert all(disk["Ebs"]["Encrypted"] for disk in node["BlockDeviceMappings"])
    head = " ".join(config["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in head and "0.0.0.0" not in (INFRA / "ray" / "aws.yaml").read_text()
    assert config["auth"]["ssh_proxy_command"].startswith("aws ssm start-session")


def test_every_node_demands_the_token(config: Any) -> None:
    assert "--env RAY_AUTH_MODE=token" in config["docker"]["run_options"]
    path = "/home/irnas/.ray/auth_token"
    assert f"--env RAY_AUTH_TOKEN_PATH={path}" in config["docker"]["run_options"]
    assert config["file_mounts"] == {path: "~/.ray/auth_token"}


def test_workers_are_spot_and_say_so_and_the_measuring_node_is_not(config: Any) -> None:
    kinds = config["available_node_types"]
    for name, kind in kinds.items():
        is_spot = kind["node_config"].get("InstanceMarketOptions", {}).get("MarketType") == "spot"
        assert is_spot == name.endswith("_spot")
        assert kind["labels"]["ray.io/market-type"] == ("spot" if is_spot else "on-demand")
    assert kinds["head"]["resources"] == {"CPU": 0}
    assert [name for name, kind in kinds.items() if "device" in kind["resources"]] == ["device"]
    assert kinds["device"]["max_workers"] == 1


def test_nothing_is_installed_on_a_node_and_images_are_pinned(config: Any) -> None:
    assert not config["setup_commands"] + config["head_setup_commands"] + config["worker_setup_commands"]
    images = [config["docker"]["image"]]
    images += [k["docker"]["worker_image"] for k in config["available_node_types"].values() if "docker" in k]
    assert all(":" in image and not image.endswith(":latest") for image in images)
    assert pins()["ray"] == "2.60.0"
