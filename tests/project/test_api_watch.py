"""The shell steps of the workflow api-watch, run in a copy of this project.

Pages come from a local server. `make`, `gh` and the check of the contract are replaced: they need a
release, GitHub and Prism. Other tests run them.
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
from tests.wire import Request, WireServer, response, serving
from tools.contract import ROOT, today
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
git add .
git -c user.name=A -c user.email=a@example.org commit --quiet --message=A
"""
# What they replace: make setup, generate and contract; the check of the contract, which must get
# the new contract while the old one is in its place; gh pr list, which lists what was created.
# CODE is the exit code of the comparison.
MAKE = '[ "$1" != generate ] || echo generated > generated/new.py'
PYTHON = f"""
case "$2$CODE" in
  tools.check_spec*)
    diff openapi.yaml "$3" >&2
    exec {sys.executable} -m tools.check_spec no.yaml ;;
  tools.check_page?*) echo "code $CODE"; exit "$CODE" ;;
  *) exec {sys.executable} "$@" ;;
esac
"""
GH = """
if [ "$2$DENIED" = create1 ]; then sed -i s/create/denied/ "$LOG"; echo denied >&2; exit 1; fi
[ "$2" != list ] || grep --only-matching create "$LOG" || true
"""


class Copy:
    """A copy of this project in a repository, and a remote."""

    def __init__(self, folder: Path, certificate: str) -> None:
        self.folder, self.temp, self.log = folder / "copy", folder / "temp", folder / "log"
        self.output = folder / "output"
        for name in ("generated", "tools"):
            shutil.copytree(ROOT / name, self.folder / name)
        for name in (".gitignore", "openapi.yaml"):
            shutil.copy(ROOT / name, self.folder)
        programs = self.folder / ".venv/bin"
        programs.mkdir(parents=True)
        for name, script in (("make", MAKE), ("gh", GH), ("python", PYTHON)):
            (programs / name).write_text(f'#!/bin/bash\necho {name} "$@" >> "$LOG"\n{script}\n')
            (programs / name).chmod(0o755)
        packages = [str(self.folder / "generated"), str(ROOT / "wrapper")]
        self.environment = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
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

    def compare(self, server: WireServer, **environment: str) -> str:
        """Runs the first job with the server's pages."""
        shutil.rmtree(self.temp, ignore_errors=True)
        self.temp.mkdir()
        return self.run("compare", PAGES=server.url, **environment)


def test_a_changed_page_becomes_one_pull_request(
    tmp_path: Path, tls_server: ssl.SSLContext
) -> None:
    copy = Copy(tmp_path, os.environ["SSL_CERT_FILE"])
    old, new = f"{WEIGHT}({LIMITER})", f"{OTHER}({LIMITER})"

    def answer(sent: Request) -> bytes:
        return response(PAGES[sent.path].replace(old, new).encode(), content_type="text/plain")

    with serving(answer, tls_server) as server:
        assert copy.compare(server, CODE="0") == "differs=false\n"
        # A page that cannot be read fails the job.
        assert copy.compare(server, CODE="2") == "code 2\n"
        assert copy.compare(server) == "differs=true\n"
    body = (copy.temp / "proposal/body.md").read_text("utf-8")
    # No text of the page is Markdown.
    assert [line for line in body.splitlines() if new in line and line[:4] != "    "] == []
    assert f"\n    +      x-request-weight: {OTHER}\n" in body
    assert f"\n    >       x-request-weight: {OTHER}\n" in body
    assert "\n    no.yaml" in body
    assert "denied" in copy.run("propose", DENIED="1")
    for _ in range(2):
        assert copy.run("propose", DENIED="") == ""
    calls = copy.log.read_text("utf-8").splitlines()
    asked = [call.split()[2] for call in calls if call.startswith("gh")]
    assert asked == ["list", "denied", "list", "list", "create", "list"]
    changed = copy.shell("git diff --name-only main api-watch").stdout.split()
    assert changed == ["generated/new.py", "openapi.yaml"]
    # A branch that a person edited stays.
    edit = "echo '#' >> openapi.yaml; git commit --quiet --all --amend --message=B"
    copy.shell(f"{edit} --author='A <a@example.org>'; git push --quiet --force origin api-watch")
    assert copy.run("propose") == ""
    assert copy.shell("git --git-dir=../remote log -1 --format=%s api-watch").stdout == "B\n"
