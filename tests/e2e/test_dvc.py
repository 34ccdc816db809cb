"""docs/data.md, every command of it, with the real DVC; then the same through an S3 server."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import s3
from support.command import environment, events

from irnas.data import lock, open_dataset

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "data.md"
SET = "synthetic-stats@tiny"

pytestmark = pytest.mark.service


def surroundings(folder: Path) -> dict[str, str]:
    """What a shell in an environment with irnas has, and nothing of the user's own git and DVC."""
    names = {"NAME": "A Tester", "EMAIL": "tester@example.com"}
    people = {f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER") for what, text in names.items()}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {
        **environment(folder),
        **people,
        "PATH": path,
        "DVC_SITE_CACHE_DIR": str(folder / "site"),
        "DVC_NO_ANALYTICS": "1",
        "IRNAS_CACHE": str(folder / "cache"),
    }


def shell(where: Path, script: str, env: dict[str, str], code: int = 0) -> str:
    """What a script prints."""
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=where,
        env=env,
        timeout=400,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == code, f"{script}\n{done.stdout}"
    return done.stdout


def clone(folder: Path, env: dict[str, str]) -> Path:
    """What git has of this repository, as far as data sets go, in a repository of its own."""
    target = folder / "clone"
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "dvc.yaml", "params.yaml"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)
    for name in ("pipelines", "irnas"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    shell(target, "git init --quiet && git add --all && git commit --quiet --message all", env)
    return target


def files(folder: Path) -> dict[str, str]:
    """Path to SHA-256 of all that ``tiny`` consists of."""
    paths = [*folder.glob("data/tiny/*"), *folder.glob("data/tiny.*")]
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


@dataclass(frozen=True)
class Walk:
    """The page at work: each block with what it printed, and what was there before the parameter changed."""

    folder: Path
    env: dict[str, str]
    blocks: list[tuple[str, str]]
    pulled: dict[str, str]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """All blocks of the page, run one after the other, each in the folder where the last one ended."""
    folder = tmp_path_factory.mktemp("dvc")
    env = surroundings(folder)
    where, blocks, pulled = clone(folder, env), list[tuple[str, str]](), dict[str, str]()
    for block in re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S):
        pulled = pulled or ("sed -i" in block and files(where)) or {}
        *lines, last = shell(where, f"{block}pwd", env).splitlines()
        where = Path(last)
        blocks.append((block, "\n".join(lines)))
    return Walk(folder=folder, env=env, blocks=blocks, pulled=pulled)


def ran(printed: str) -> list[str]:
    return re.findall(r"^Running stage '(.*?)'", printed, re.M)


def test_repro_makes_a_set_once(walk: Walk) -> None:
    made, again = re.split(r"(?<=remote storage\.\n)", walk.blocks[0][1], maxsplit=1)
    assert ran(made) == ["synthesize@tiny", "synthetic-check@tiny", SET]
    assert not ran(again) and again.count("didn't change, skipping") == 3
    assert "area_median" in again and (walk.folder / "clone" / "data" / "plots" / "index.html").is_file()


def test_a_clone_pulls_the_same_bytes_and_has_nothing_to_do(walk: Walk) -> None:
    block, printed = walk.blocks[2]
    assert "dvc pull" in block and not ran(printed) and "are up to date" in printed
    assert walk.pulled == files(walk.folder / "clone") and len(walk.pulled) == 5


def test_one_changed_parameter_runs_its_own_stages_only(walk: Walk) -> None:
    _, printed = walk.blocks[3]
    assert ran(printed) == ["synthesize@tiny", "synthetic-check@tiny", SET]
    assert re.search(r"revision +[0-9a-f]{16} +[0-9a-f]{16}", printed)
    assert "scenes-256" not in printed
    assert open_dataset(str(walk.folder / "elsewhere" / "data" / "tiny")).manifest.parameters["seed"] == 1


def test_a_changed_check_runs_only_itself(walk: Walk) -> None:
    where = walk.folder / "clone"
    with (where / "pipelines" / "check_dataset.py").open("a") as script:
        script.write("# A remark.\n")
    assert ran(shell(where, f"dvc repro {SET}", walk.env)) == ["synthetic-check@tiny"]


def test_a_stage_runs_the_code_that_its_lock_names(walk: Walk) -> None:
    """That of the checkout, wherever the irnas of the command line is installed."""
    where = walk.folder / "clone"
    with (where / "irnas" / "data" / "check.py").open("a") as module:
        module.write("print('of this checkout')\n")
    printed = shell(where, f"dvc repro {SET}", walk.env)
    assert ran(printed) == ["synthetic-check@tiny"] and "of this checkout" in printed


def test_the_lock_is_read_as_dvc_wrote_it(walk: Walk) -> None:
    for where in ("clone", "elsewhere"):
        folder = walk.folder / where / "data" / "tiny"
        assert f"md5: {lock.dvc_digest_or_raise(folder)}" in (walk.folder / where / "dvc.lock").read_text()


def test_a_search_records_dvc_s_hash_and_refuses_other_files(walk: Walk, tmp_path: Path) -> None:
    where = walk.folder / "elsewhere"
    (opened,) = events(where / "runs" / "tiny", "opened")
    assert opened["data"]["dvc"] == lock.dvc_digest_or_raise(where / "data" / "tiny")
    assert opened["data"]["revision"] == open_dataset(str(where / "data" / "tiny")).revision
    finished = events(where / "runs" / "tiny", "finished")
    assert [e["result"]["data_rev"] for e in finished] == [opened["data"]["revision"]] * 2
    shutil.copytree(where, tmp_path / "changed", symlinks=True)
    with (tmp_path / "changed" / "data" / "tiny" / "manifest.json").open("a") as manifest:
        manifest.write("\n")
    search = "irnas search --dataset data/tiny --trials 1 --epochs 1 --executor loop --run runs/again"
    printed = shell(tmp_path / "changed", search, walk.env, code=2)
    assert "as dvc.lock says" in printed and not (tmp_path / "changed" / "runs" / "again").exists()


def test_a_broken_folder_stops_before_its_figures(walk: Walk, tmp_path: Path) -> None:
    where = tmp_path / "broken"
    shutil.copytree(walk.folder / "elsewhere", where, symlinks=True)
    manifest = where / "data" / "tiny" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"images": 24', '"images": 25', 1))
    printed = shell(where, f"dvc commit --force synthesize@tiny && dvc repro {SET}", walk.env, code=255)
    assert ran(printed) == ["synthetic-check@tiny"] and "must be 25, as the manifest says" in printed


def test_an_imported_set_needs_its_source_only_to_be_made_again(walk: Walk, tmp_path: Path) -> None:
    from support import layouts

    where = clone(tmp_path, walk.env)
    layouts.nudt(where / "raw")
    line = "imported:\n  real: {source: raw, format: generic, val_fraction: 0.4, val_seed: 1}\n"
    small = "synthetic:\n  small: {images: 4, sequences: 0, frames: 0, size: 32, seed: 0, level: normal}\n"
    (where / "params.yaml").write_text(small + line)
    of_real = ["import@real", "imported-check@real", "imported-stats@real"]
    of_small = ["synthesize@small", "synthetic-check@small", "synthetic-stats@small"]
    assert sorted(ran(shell(where, "dvc repro", walk.env))) == sorted(of_real + of_small)
    before = lock.digest(where / "data" / "small")
    # Of two sets only the one whose line changed is made again, and each stage of it once.
    (where / "params.yaml").write_text(small + line.replace("val_seed: 1", "val_seed: 2"))
    assert ran(shell(where, "dvc repro", walk.env)) == of_real
    assert lock.digest(where / "data" / "small") == before
    shutil.rmtree(where / "raw")
    assert not ran(shell(where, "dvc repro --allow-missing", walk.env))


def test_an_s3_server_as_the_store(walk: Walk, tmp_path: Path) -> None:
    env = {**walk.env, **s3.KEYS}
    with s3.server() as address:
        here, elsewhere = walk.folder / "clone", tmp_path / "elsewhere"
        remote = f"dvc remote modify --local storage url s3://{s3.BUCKET}/dvc; "
        remote += f"dvc remote modify --local storage endpointurl {address}; "
        printed = shell(here, f"git checkout --quiet dvc.lock; {remote} dvc checkout {SET} --with-deps; dvc push", env)
        assert re.search(r"\d files pushed", printed)
        shell(tmp_path, f"git clone --quiet {here} elsewhere", env)
        printed += shell(elsewhere, f"{remote} dvc pull --with-deps {SET}; dvc repro {SET}", env)
        assert not ran(printed) and files(elsewhere) == walk.pulled
        kept = s3.objects(address)
        assert not [name for name, content in kept.items() for p in s3.PLANTED if p.encode() in content]
    configured = "".join(p.read_text() for p in elsewhere.glob(".dvc/config*"))
    assert not [planted for planted in s3.PLANTED if planted in printed + configured]
