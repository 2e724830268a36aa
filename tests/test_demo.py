"""The demonstration runs from a new folder and answers its five questions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "lineal.surfaces.cli"]


def lineal(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if "LINEAL" not in name}
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment,
        check=False,
        timeout=240,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def test_the_demonstration_answers_and_its_commands_work(tmp_path: Path) -> None:
    """Every command that it prints is run, and answers from the database that it left."""
    shown = lineal(tmp_path, "demo", "--no-serve", "--scale", "0.05")

    assert shown.returncode == 0, shown.stderr
    commands = [line.split()[2:] for line in shown.stdout.splitlines() if "> lineal " in line]
    assert len(commands) == 5
    for command in commands:
        answered = lineal(tmp_path, *command)
        assert answered.returncode == 0, answered.stderr
        assert answered.stdout.strip()
    assert "was produced by train-weekly-ranking-20XX0101" in shown.stdout
