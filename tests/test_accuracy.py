"""How right rules are: the estate's own truth, its evidence with slips, and the report of both."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import accuracy, rules
from lineal.enrich.rules import builtin_rules
from lineal.testing.estate.conclusions import conclusions
from lineal.testing.estate.evidence import Evidence
from lineal.testing.estate.server import Estate
from lineal.testing.estate.traps import TRAPS
from lineal.testing.estate.world import World


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return accuracy.measure(scale=0.1)


def tables(lines: list[str]) -> list[dict[str, list[str]]]:
    """Return the figures of each table, by rule."""
    found: list[dict[str, list[str]]] = []
    for line in lines:
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if cells[0] == "rule":
            found.append({})
        elif line.startswith("| ") and "---" not in line:
            found[-1][cells[0]] = cells[1:]
    return found


def test_every_built_in_rule_is_held_against_a_truth(lines: list[str]) -> None:
    right, slipped = tables(lines)

    assert list(right) == list(slipped) == [rule.name for rule in builtin_rules()]
    assert all(int(figures[0].replace(",", "")) > 0 for figures in right.values())
    for rule in ("owner_of_code", "evaluated_state", "trained_for", "trained_unserved",
                 "served_untrained"):  # fmt: skip
        assert right[rule][3:] == ["1.000", "1.000"], rule
    assert right["domain_of_owner"][3] == "1.000"
    assert float(right["relies_on"][3]) > 0.8
    assert float(slipped["owner_of_code"][4]) < 1 > float(slipped["evaluated_state"][4])


def test_models_alike_are_held_against_the_truth(lines: list[str]) -> None:
    (told,) = (line for line in lines if line.startswith("Models with the same features"))

    pairs = int(told.split(": ", 1)[1].split()[0].replace(",", ""))
    assert pairs > 20
    assert "precision 1.000, recall 1.000" in told
    assert f"For {pairs:,} just those features" in told


def test_hidden_features_are_suggested_more_often_than_by_lot(lines: list[str]) -> None:
    words = lines[-1].replace(",", "").split()
    recall = float(words[words.index("Recall@10") + 2])
    by_lot = float(lines[-1].rstrip(".").split()[-1])

    assert recall > 2 * by_lot > 0


def test_the_truth_is_what_happened_and_not_what_was_said() -> None:
    right, wrong = (World(7, 0.1, slips=slips) for slips in (0.0, 0.5))
    true = conclusions(right)

    assert true == conclusions(wrong)
    traps = TRAPS["trained_never_served"]
    assert (traps["instance"], traps["test"]) in true["trained_unserved"]
    traps = TRAPS["served_never_trained"]
    assert (traps["instance"], traps["cell"]) in true["served_untrained"]
    canary = TRAPS["canary"]
    assert {(canary["deployment"], canary[one]) for one in ("live", "canary")} <= true[
        "deployed_artifact"
    ]
    pipeline = TRAPS["worked_example"]["pipeline"]
    assert {(pipeline, ("user", "alice")), (pipeline, ("team", "rank"))} <= true["owner_of_code"]
    assert (pipeline, ("domain", "personalization")) in true["domain_of_owner"]
    assert (("team", "rank"), ("pipeline", "ranking-labels-build")) in true["relies_on"]


def test_slips_change_what_tools_say_and_nothing_else() -> None:
    plain, right, wrong = World(7, 0.1), World(7, 0.1, slips=0.0), World(7, 0.1, slips=0.5)

    for kind in ("run", "model", "instance", "deployment", "evaluation", "pipeline"):
        assert plain.shelf(kind) == right.shelf(kind) == wrong.shelf(kind)
    told = {}
    for world in (right, wrong):
        with Estate(world=world) as opened:
            said: list[object] = []
            for tool in opened.tools.values():
                for one in tool.collections.values():
                    said += [one.document(ident) for ident in sorted(world.shelf(one.kind))]
            told[world] = [json.dumps(document) for document in said]
    differ = sum(one != other for one, other in zip(*told.values(), strict=True))
    assert 0.1 < differ / len(told[right]) < 0.9
    assert right.evidence is not None
    assert wrong.evidence is not None
    assert right.evidence.code_owners().count("\n") == len(right.pipelines) + 1
    assert wrong.evidence.code_owners().count("\n") < len(right.pipelines)


def test_no_slips_means_that_every_digest_is_that_of_what_happened() -> None:
    world = World(7, 0.1, slips=0.0)
    evidence = world.evidence
    assert isinstance(evidence, Evidence)

    assert evidence.measured
    for evaluation, state in evidence.measured.items():
        assert evidence.measured_content(evaluation) == evidence.content(state)
    for deployment in world.deployments.values():
        most = max(deployment.targets, key=lambda target: target.weight)
        assert evidence.running(deployment.id) == evidence.image(most.instance)


def test_the_truth_file_tells_of_rules_too(tmp_path: Path) -> None:
    file = tmp_path / "truth.json"
    words = ["--scale", "0.1", "--slips", "0.1", "--truth", str(file)]
    with subprocess.Popen(
        [sys.executable, "-m", "lineal.testing.estate", *words], stdout=subprocess.PIPE, text=True
    ) as estate:
        assert estate.stdout is not None
        address = estate.stdout.readline()
        estate.terminate()

    told = json.loads(file.read_text(encoding="utf-8"))
    assert address.startswith("http://127.0.0.1:")
    assert told["rules"].keys() == {rule.name for rule in builtin_rules()}
    assert told["Q1"]


def test_only_the_part_of_the_truth_is_written_anew(tmp_path: Path) -> None:
    path = rules.write(tmp_path, [rules.Measured("S", 10)], ["| old |"], 7)
    before = path.read_text(encoding="utf-8")

    assert rules.write_truth(tmp_path, ["| new |"]) == path
    assert rules.write_truth(tmp_path, ["| newer |"]) == path

    after = path.read_text(encoding="utf-8")
    assert "| newer |" in after
    assert "old" not in after
    assert after.split("## Against")[0] == before.split("## Against")[0]
    assert after.count("Datalog") == 1
    assert rules.write_truth(tmp_path / "none", []) is None
