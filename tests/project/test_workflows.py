"""The workflows of GitHub."""

import re

import yaml

from tools.contract import ROOT


def test_every_action_is_pinned_by_its_commit_and_names_its_version() -> None:
    workflows = (ROOT / ".github/workflows").glob("*.yml")
    used = [line for path in workflows for line in path.read_text("utf-8").splitlines()]
    used = [line.strip() for line in used if "uses:" in line]
    assert used
    pinned = re.compile(r"- uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [line for line in used if not pinned.fullmatch(line)] == []


def test_the_release_is_built_with_the_tested_build_tools_alone() -> None:
    release = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text("utf-8"))
    install, *others = [step["run"] for step in release["jobs"]["build"]["steps"] if "run" in step]
    assert "--no-deps --only-binary :all: --require-hashes --requirement " in install
    assert not any(re.search("make|pip|uv |npm", other) for other in others)
    tools, tested = (
        set(re.findall(r"^\w.*==.*|--hash=.*", (ROOT / name).read_text("utf-8"), re.MULTILINE))
        for name in (install.split()[-1], "requirements.txt")
    )
    assert tools <= tested
    assert 1 <= sum("==" in line for line in tools) <= 6


def test_only_the_jobs_that_publish_or_propose_may_write() -> None:
    writing = {}
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        workflow = yaml.safe_load(path.read_text("utf-8"))
        assert workflow["permissions"] == {"contents": "read"}
        for name, job in workflow["jobs"].items():
            if "write" in (given := job.get("permissions", {})).values():
                writing[path.stem, name] = sorted(each for each in given if given[each] == "write")
    assert writing == {
        ("api-watch", "propose"): ["contents", "pull-requests"],
        ("release", "publish"): ["attestations", "id-token"],
    }
