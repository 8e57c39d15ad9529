"""Ray's actors give the local engine's rollouts; one that dies is replaced, one that cannot act ends the run in a line."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from dlscore.compute.ray_cluster import EngineError
from dlscore.compute.ray_engine import Workers
from dlscore.rollout import ray_engine
from dlscore.rollout.ray_engine import act_with_ray
from dlscore.rollout.run import run_rollouts


@pytest.mark.slow
def test_rollouts_are_those_of_the_local_engine(request_of, rollouts_folder):
    pytest.importorskip("ray")
    request = request_of((16, 0))
    assert run_rollouts(request, Workers(1)).state == "made"
    for file in rollouts_folder.rglob("*"):
        if file.is_file():
            assert (request.folder / file.relative_to(rollouts_folder)).read_bytes() == file.read_bytes(), file


class Died(Exception):
    pass


class Other(Exception):
    pass


@pytest.fixture
def answers(monkeypatch):
    """What the actors of a stand-in for Ray answer, in order; an exception is one that dies."""
    answers = []

    class Actor:
        act = SimpleNamespace(remote=lambda batch: object())

        @classmethod
        def remote(cls, *_):
            return cls

    def get(_):
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    ray = SimpleNamespace(
        remote=lambda **_: lambda _: Actor, wait=lambda at_work, num_returns: (at_work[:1], at_work[1:]), get=get,
        exceptions=SimpleNamespace(RayTaskError=Other, RayActorError=Died, OutOfMemoryError=MemoryError),
    )  # fmt: skip

    @contextmanager
    def connected(workers):
        yield ray

    monkeypatch.setattr(ray_engine, "connected", connected)
    return answers


def test_an_actor_that_dies_is_replaced_and_notes_are_told_once(answers, request_of):
    answers += [Died(), ("", ("left out",)), ("", ("left out",))]
    notes, reports = [], []
    act_with_ray(request_of((1, 2)), {}, [(1,), (2,)], Workers(1), lambda *report: reports.append(report), notes.append)
    assert notes == ["the worker of seed 1 died; another one acts it again", "left out"]
    assert reports == [(0, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([Died()] * 3, r"the workers of seed 1 died 3 times"),
        ([("no space left", ())], r"seed 1 failed \(no space left\)"),
    ],
)
def test_what_no_actor_can_do_ends_the_run(answers, request_of, found, told):
    answers += found
    with pytest.raises(EngineError, match=told):
        act_with_ray(request_of((1,)), {}, [(1,)], Workers(1), lambda *_: None, lambda _: None)


def test_workers_without_ray_are_an_error(dlscore, tmp_path):
    code, _, err = dlscore("rollout", "--policy-path", "p", "--seeds", "0", "-o", tmp_path / "r", "--workers", "3")
    assert (code, "are of --engine ray; add it" in err) == (2, True)
