"""The workflows of GitHub."""

import re

from tools.contract import ROOT


def test_every_action_is_pinned_by_its_commit_and_names_its_version() -> None:
    workflows = (ROOT / ".github/workflows").glob("*.yml")
    used = [line for path in workflows for line in path.read_text("utf-8").splitlines()]
    used = [line.strip() for line in used if "uses:" in line]
    assert used
    pinned = re.compile(r"- uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [line for line in used if not pinned.fullmatch(line)] == []
