"""The folder for `docker stack deploy`: its file, held as it is, and what makes it differ."""

from __future__ import annotations

import random
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from tests.launch.test_folder import export
from tests.placement.test_placement import job

from evener import contract
from evener.config.load import load_job
from evener.errors import BadCombination
from evener.image.build import Content
from evener.launch import folder, stack, stack_folder
from evener.launch.compose import Read
from evener.launch.folder import Export
from evener.launch.stack import Stack
from evener.placement import Place, from_dict, plan_swarm
from evener.rundir import layout

GOLDEN = Path(__file__).with_name("stack.yaml")
DATA = Read("EVENER_DATA", "/home/me/text.txt", "/evener/data/text.txt")
STACK = Stack("tiny", "evener:0123", (DATA,))
OAK, ELM = Place("id-oak", "oak", 8), Place("id-elm", "elm", 2)


def test_the_file() -> None:
    assert stack.render(plan_swarm(job(), [OAK, ELM]), STACK) == GOLDEN.read_text("utf-8")


def test_any_number_of_machines_that_are_named_when_it_is_deployed() -> None:
    places = [Place("", f"machine-{n}", 4) for n in range(5)]
    text = stack.render(plan_swarm(job(), places), STACK)
    for number in range(5):
        assert f"\n  machine-{number}:\n    <<: *machine\n" in text
        assert f'"node.hostname == ${{EVENER_NODE_{number}:?' in text
    assert '["${EVENER_HEAD_ON:-node.role == manager}"]' in text
    assert text.count('EVENER_EXPECTED_AGENTS: "5"') == 2  # the head's, and one for all others


def test_data_that_are_shipped_only_the_head_has() -> None:
    text = stack.render(plan_swarm(job(), [OAK, ELM]), Stack("tiny", "evener:0123", (), (DATA,)))
    head, _, machines = text.partition("\n  oak:\n")
    assert head.count(":/evener/data/text.txt:ro") == 1
    assert "/evener/data" not in head.partition("services:")[0] + machines


def test_data_that_are_in_a_volume_of_every_machine() -> None:
    volume = replace(DATA, source="texts")
    text = stack.render(plan_swarm(job(), [OAK, ELM]), replace(STACK, reads=(volume,)))
    assert '    - "data:/evener/data/text.txt:ro"\n' in text
    assert '\n  data: {external: true, name: "${EVENER_DATA:-texts}"}\n' in text


def test_gpus_are_reserved() -> None:
    ash = Place("id-ash", "ash", 16, gpu_kind="NVIDIA-GPU", gpus=("MIG-1", "MIG-2"))
    text = stack.render(plan_swarm(job(), [ash, ELM]), STACK)
    assert text.count('discrete_resource_spec: {kind: "NVIDIA-GPU", value: 2}') == 1
    assert 'NVIDIA_VISIBLE_DEVICES: "MIG-1,MIG-2"' in text


def test_nothing_that_swarm_ignores_or_refuses() -> None:
    text = GOLDEN.read_text("utf-8")
    for key in ("build", "restart", "shm_size", "depends_on", "network_mode", "security_opt"):
        assert f" {key}:" not in text
    assert "EVENER_SECRET:" not in text


def test_all_that_docker_needs(tmp_path: Path) -> None:
    made = export(tmp_path)
    with folder.building(tmp_path / "out", stack_folder.NAMES) as beside:
        stack_folder.fill(beside, made)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {*stack_folder.NAMES} - {contract.CODE_NAME}
    assert "/evener/data/text.txt" in (tmp_path / "out/job.json").read_text()
    assert from_dict(layout.read_json(tmp_path / "out/plan.json")).place == "stack"
    assert (tmp_path / "out/image/code/mine.py").is_file()
    with folder.building(tmp_path / "out", stack_folder.NAMES) as beside:  # and once more
        stack_folder.fill(beside, made)


def test_a_scripts_code_goes_along_as_far_as_docker_takes_it(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import torch.distributed\n")
    job = load_job("train.py", (), tmp_path).job
    made = Export("train", job, plan_swarm(job, [OAK, ELM]), Content(job.image, "cpu", ()))
    target = tmp_path / "out"
    for _ in range(2):  # and once more
        with folder.building(target, stack_folder.NAMES) as beside:
            stack_folder.fill(beside, replace(made, leave_out=(target, beside)))
    with tarfile.open(target / contract.CODE_NAME) as archive:
        assert archive.getnames() == ["train.py"]
    text = (target / "stack.yaml").read_text()
    assert "\n  code: {file: ./code.tar.gz}\n" in text
    assert "{source: code, target: /run/evener/code.tar.gz}" in text
    (tmp_path / "large.bin").write_bytes(random.Random(0).randbytes(stack.CONFIG_BYTES))
    with pytest.raises(BadCombination, match="no more than 500"):
        stack_folder.fill(tmp_path / "other", made)
