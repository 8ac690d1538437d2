"""The shell steps of the workflow api-watch, run in a copy of this project.

Pages come from a local server. `make` and `gh` are replaced: one needs a release, one needs GitHub.
"""

import os
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import yaml

from tests.tools import random_pages
from tests.wire import Request, response, serving
from tools.contract import LIST_PATH, ROOT, today
from tools.operations import EXCHANGE, LIST_COINS, LIST_EXCHANGES

JOBS = yaml.safe_load((ROOT / ".github/workflows/api-watch.yml").read_text("utf-8"))["jobs"]
# Pages that say what the contract says.
PAGES = {
    f"/{name}": random_pages.markdown(
        random_pages.said_by(today(), operation.method, operation.path)
    )
    for name, operation in (
        ("Get-Small-Liability-Exchange-Coin-List", LIST_COINS),
        ("Small-Liability-Exchange", EXCHANGE),
        ("Get-Small-Liability-Exchange-History", LIST_EXCHANGES),
    )
}
WEIGHT, LIMITER = LIST_COINS.generated.weight, LIST_COINS.generated.limiter
OTHER = WEIGHT * 2
GIT = """
git init --quiet --bare ../remote
git init --quiet --initial-branch=main
git remote add origin ../remote
printf '/.venv\\n/node_modules\\n' > .git/info/exclude
git add .
git -c user.name=A -c user.email=a@example.org commit --quiet --message=A
"""
# What it replaces: make setup, make contract; gh pr list, which lists what was created.
MAKE = '[ "$1" != generate ] || { python generated/generate.py && python -m tools.guides; }'
GH = """
if [ "$2$DENIED" = create1 ]; then sed -i s/create/denied/ "$LOG"; echo denied >&2; exit 1; fi
[ "$2" != list ] || grep --only-matching create "$LOG" || true
"""


class Copy:
    """A copy of this project in a repository, and a remote."""

    def __init__(self, folder: Path, certificate: str) -> None:
        self.folder, self.temp, self.log = folder / "copy", folder / "temp", folder / "log"
        self.output = folder / "output"
        for name in ("generated", "wrapper", "tools", "docs/pages"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, self.folder / name, ignore=ignored)
        for name in ("README.md", ".gitignore", "openapi.yaml"):
            shutil.copy(ROOT / name, self.folder)
        for name in (".venv", "node_modules"):
            (self.folder / name).symlink_to(ROOT / name)
        programs = folder / "bin"
        programs.mkdir()
        for name, script in (("make", MAKE), ("gh", GH)):
            (programs / name).write_text(f'#!/bin/bash\necho {name} "$@" >> "$LOG"\n{script}\n')
            (programs / name).chmod(0o755)
        packages = [str(self.folder / each) for each in ("generated", "wrapper")]
        path = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
        self.environment = {
            "PATH": os.pathsep.join(path),
            "PYTHONPATH": os.pathsep.join(packages),
            "CURL_CA_BUNDLE": certificate,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GITHUB_OUTPUT": str(self.output),
            "RUNNER_TEMP": str(self.temp),
            "LOG": str(self.log),
        }
        self.shell(GIT).check_returncode()

    def shell(self, script: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-e", "-c", script],
            check=False,
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
        )

    def run(self, job: str, **environment: str) -> str:
        """Runs a job after a checkout; returns its outputs, or what the failed step says."""
        self.shell("git checkout --quiet --force main; git branch -D api-watch; git clean -fdq")
        self.output.write_text("")
        for step in JOBS[job]["steps"]:
            wanted = re.sub(r"steps\.\w+\.outputs\.(\w+) == '(\w+)'", r"\1=\2", step.get("if", ""))
            if "run" in step and wanted in self.output.read_text():
                done = self.shell(step["run"], **{**step.get("env", {}), **environment})
                if done.returncode:
                    return done.stdout + done.stderr
        return self.output.read_text()

    def compare(self, tls: ssl.SSLContext, old: str, new: str) -> str:
        """Runs the first job while the server has changed pages."""

        def answer(sent: Request) -> bytes:
            return response(PAGES[sent.path].replace(old, new).encode(), content_type="text/plain")

        shutil.rmtree(self.temp, ignore_errors=True)
        self.temp.mkdir()
        with serving(answer, tls) as server:
            return self.run("compare", PAGES=server.url)


def test_a_changed_page_becomes_one_pull_request(
    tmp_path: Path, tls_server: ssl.SSLContext
) -> None:
    copy = Copy(tmp_path, os.environ["SSL_CERT_FILE"])
    assert copy.compare(tls_server, "", "") == "differs=false\n"
    assert "no method and path" in copy.compare(tls_server, "GET `", "`")
    weight = f"{WEIGHT}({LIMITER})", f"{OTHER}({LIMITER})"
    assert copy.compare(tls_server, *weight) == "differs=true\n"
    body = (copy.temp / "proposal/body.md").read_text("utf-8")
    # No text of the page is Markdown.
    assert [line for line in body.splitlines() if weight[1] in line and line[:4] != "    "] == []
    assert f"\n    +      x-request-weight: {OTHER}\n" in body
    assert f"\n    BREAKS: {LIST_PATH}: x-request-weight is {OTHER} instead of {WEIGHT}" in body
    assert "denied" in copy.run("propose", DENIED="1")
    for _ in range(2):
        assert copy.run("propose", DENIED="") == ""
    calls = copy.log.read_text("utf-8").splitlines()
    assert [call.split()[2] for call in calls if call.startswith("gh")] == [
        "list",
        "denied",
        "list",
        "list",
        "create",
        "list",
    ]
    changed = copy.shell("git diff --name-only main api-watch").stdout.split()
    operation = "generated/binance_small_liability_api/operations/list_coins.py"
    assert {"openapi.yaml", operation, "docs/pages/limits.md"} <= set(changed)
    # A branch that a person edited stays.
    edit = "echo '#' >> openapi.yaml; git commit --quiet --all --amend --message=B"
    copy.shell(f"{edit} --author='A <a@example.org>'; git push --quiet --force origin api-watch")
    assert copy.run("propose") == ""
    assert copy.shell("git --git-dir=../remote log -1 --format=%s api-watch").stdout == "B\n"
