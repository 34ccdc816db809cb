"""No file of infra/ holds a secret, a public address or a name of a real place."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import pytest
from support.infra import INFRA, files

SECRET = re.compile(
    r"AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}|-----BEGIN|gh[pousr]_[A-Za-z0-9]{30}|xox[abp]-|eyJ[A-Za-z0-9_-]{20}"
    r"|(?i:(password|secret|token|access_key)[a-z_]*\s*[:=]\s*[\"']?[A-Za-z0-9+/]{16,}[\"']?\s*$)",
    re.M,
)
URL = re.compile(r"https?://([\w.-]+)")
KNOWN = {"127.0.0.1", "s3", "localhost"}
ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(INFRA)))
def test_no_secret(path: Path) -> None:
    assert SECRET.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(INFRA)))
def test_hosts_are_examples(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert {host for host in URL.findall(text) if host not in KNOWN and not host.endswith("example.com")} == set()
    # Of the lists only that of packages has numbers that look like addresses.
    for found in ADDRESS.findall(text) if path.name != "constraints.txt" else ():
        address = ipaddress.ip_address(found)
        assert address.is_private or address.is_unspecified, found


@pytest.mark.parametrize(
    "text",
    ["AKIAABCDEFGHIJKLMNOP", "password: abcdefghij0123456789", 'token = "0123456789abcdef0123"', "-----BEGIN RSA KEY"],
)
def test_the_grep_would_find_one(text: str) -> None:
    assert SECRET.search(text)
