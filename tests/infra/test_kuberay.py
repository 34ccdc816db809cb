"""The manifests for KubeRay. Kubernetes' own parts are checked by its schemas; Ray's by what KubeRay 1.6 documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from support.infra import load_all, pins

MANIFESTS = ("namespace", "cluster", "job")

# Fields of KubeRay's API reference, version 1.6, of those kinds that the manifests use: (required, allowed).
CLUSTER = (
    {"headGroupSpec"},
    {"rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions", "workerGroupSpecs", "suspend"},
)
HEAD = ({"template"}, {"rayStartParams", "serviceType", "enableIngress", "labels", "resources", "headService"})
WORKER = (
    {"groupName", "template"},
    {"replicas", "minReplicas", "maxReplicas", "rayStartParams", "labels", "resources", "numOfHosts", "suspend"},
)
JOB = (
    {"rayClusterSpec", "entrypoint"},
    {"runtimeEnvYAML", "backoffLimit", "activeDeadlineSeconds", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished"}
    | {"submissionMode", "entrypointNumCpus", "entrypointResources", "metadata", "suspend"},
)
AUTOSCALER = (set[str](), {"idleTimeoutSeconds", "upscalingMode", "securityContext", "resources", "env", "version"})


def manifests(kind: str) -> list[Any]:
    return [d for name in MANIFESTS for d in load_all(f"ray/kuberay/{name}.yaml") if d["kind"] == kind]


def clusters() -> list[Any]:
    return [m["spec"] for m in manifests("RayCluster")] + [m["spec"]["rayClusterSpec"] for m in manifests("RayJob")]


def groups() -> list[Any]:
    return [g for c in clusters() for g in (c["headGroupSpec"], *c["workerGroupSpecs"])]


def has(found: Mapping[str, Any], fields: tuple[set[str], set[str]]) -> None:
    required, allowed = fields
    assert required <= set(found) <= required | allowed


def test_the_core_parts_keep_kubernetes_schemas() -> None:
    kube = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed: pip install it")
    version = kube.latest_version()
    core = [d for name in MANIFESTS for d in load_all(f"ray/kuberay/{name}.yaml") if d["apiVersion"] != "ray.io/v1"]
    assert {d["kind"] for d in core} == {"Namespace", "ServiceAccount", "NetworkPolicy", "ConfigMap"}
    templates = [
        {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": g["template"]}
        for g in groups()
    ]
    assert len(templates) >= 7
    for document in core + templates:
        kube.validate(document, version, strict=True)
    templates[0]["template"]["spec"]["containers"][0]["imaje"] = "x"
    with pytest.raises(kube.ValidationError):
        kube.validate(templates[0], version, strict=True)


def test_ray_s_parts_use_documented_fields() -> None:
    for cluster in clusters():
        has(cluster, CLUSTER)
        has(cluster["autoscalerOptions"], AUTOSCALER)
        has(cluster["headGroupSpec"], HEAD)
        for worker in cluster["workerGroupSpecs"]:
            has(worker, WORKER)
            assert 0 <= worker["minReplicas"] <= worker["replicas"] <= worker["maxReplicas"]
    for job in manifests("RayJob"):
        has(job["spec"], JOB)
        assert job["spec"]["submissionMode"] in ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
        assert isinstance(yaml.safe_load(job["spec"]["runtimeEnvYAML"])["env_vars"], dict)
    for group in groups():
        # KubeRay takes maps of strings only.
        for field in ("rayStartParams", "labels", "resources"):
            assert all(isinstance(v, str) for v in group.get(field, {}).values())


def test_the_token_is_on_and_comes_from_a_secret() -> None:
    for cluster in clusters():
        assert cluster["authOptions"] == {"mode": "token", "secretName": "irnas-ray-token"}
        assert cluster["rayVersion"] == pins()["ray"] == "2.60.0"
    assert not manifests("Secret")


def test_pods_have_no_rights_and_fit_the_restricted_level() -> None:
    assert manifests("Namespace")[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for group in groups():
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 1000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert all(set(volume) == {"name", "emptyDir"} for volume in pod["volumes"])
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"] == container["resources"]["limits"]
            assert "env" not in container and not container["image"].endswith(":latest")
        assert pod["serviceAccountName"] == ("irnas-worker" if "groupName" in group else "irnas-head")
    for worker in (g for g in groups() if "groupName" in g):
        assert worker["template"]["spec"]["automountServiceAccountToken"] is False


def test_nothing_comes_in_that_is_not_of_the_cluster() -> None:
    everybody, ray = manifests("NetworkPolicy")
    assert everybody["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    label = ray["spec"]["podSelector"]["matchLabels"]
    assert all(label.items() <= g["template"]["metadata"]["labels"].items() for g in groups())
    sources = [source for rule in ray["spec"]["ingress"] for source in rule["from"]]
    assert all("ipBlock" not in source and source != {} for source in sources)
    for cluster in clusters():
        assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"
        assert cluster["headGroupSpec"]["enableIngress"] is False


def test_the_head_trains_nothing_and_workers_say_what_they_are() -> None:
    for cluster in clusters():
        assert cluster["headGroupSpec"]["resources"] == {"CPU": "0"}
        for worker in cluster["workerGroupSpecs"]:
            is_spot = worker["groupName"].endswith("-spot")
            assert worker["labels"]["ray.io/market-type"] == ("spot" if is_spot else "on-demand")
        devices = [w for w in cluster["workerGroupSpecs"] if "device" in w.get("resources", {})]
        assert [(w["groupName"], w["maxReplicas"]) for w in devices] == [("device", 1)]


def test_a_job_goes_on_where_a_lost_one_stopped() -> None:
    (job,) = manifests("RayJob")
    words = job["spec"]["entrypoint"]
    assert words.index("search --resume") < words.index("|| irnas search --run") and job["spec"]["backoffLimit"] > 0
    assert yaml.safe_load(job["spec"]["runtimeEnvYAML"])["env_vars"]["IRNAS_RUN"].startswith("s3://")
