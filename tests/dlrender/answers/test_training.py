"""Training curves of policies that are known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.known import gaussian, write_known

from dlrender import RenderError
from dlrender.answers import training
from dlrender.answers.table import caches_in, read_tables
from dlrender.answers.training import parse_checkpoints, read_success, read_training, spearman
from dlrender.answers.training_chart import plot_training, training_chart, training_figure
from dlrender.style.style import Style

SIGMAS = {50: 100.0, 400: 50.0, 5000: 25.0}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Three checkpoints of five episodes: their densities narrow to the deviation of the recorded actions, 25 px."""
    folder, rng = tmp_path_factory.mktemp("run"), np.random.default_rng(0)
    actions = 256 + 25 * rng.standard_normal((5, 4, 2))
    for steps, sigma in SIGMAS.items():
        for episode in range(5):
            write_known(folder / f"{steps}" / f"{episode}.h5", [gaussian([256, 256], sigma)] * 4, episode=episode,
                        policy=f"run/{steps}", actions=actions[episode])  # fmt: skip
    return {steps: [folder / f"{steps}"] for steps in SIGMAS}


def test_curves_are_those_of_the_densities(run, axes):
    data = read_training(run)
    assert data.steps == [50, 400, 5000]
    for sigma, entropy in zip(SIGMAS.values(), data.curves["entropy"], strict=True):
        assert entropy.value == pytest.approx(np.log(2 * np.pi * np.e * sigma**2), abs=0.03)
    assert [each.value for each in data.curves["nll"]] == sorted(
        (each.value for each in data.curves["nll"]), reverse=True
    )
    assert (data.spearman["steps, nll"].value, data.spearman["steps, nll"].high) == (-1, -1)
    assert "success" not in data.curves
    assert [[still.key for still in row] for row in data.stills] == [[data.stills[k][0].key] * 3 for k in (0, 1)]
    for panel in training_chart(data).panels:
        assert plot_training(data, axes, panel=panel) is axes
    assert isinstance(plot_training(data), Figure)


def test_the_outcome_of_the_scored_episodes_is_no_success_of_a_checkpoint(tmp_path):
    for steps in (100, 200):
        write_known(tmp_path / f"{steps}.h5", [gaussian([256, 256])] * 3, policy=f"run/{steps}", success=True,
                    actions=np.full((3, 2), 250.0))  # fmt: skip
    assert "success" not in read_training({steps: [tmp_path / f"{steps}.h5"] for steps in (100, 200)}).curves


def test_an_untrained_policy_has_its_place(run, axes):
    data = replace(read_training(run), steps=[0, 400, 5000])
    plot_training(data, axes, panel="nll")
    places = axes.transData.transform([(steps, axes.get_ylim()[0]) for steps in data.steps])[:, 0]
    low, high = axes.transAxes.transform([(0, 0), (1, 0)])[:, 0]
    assert (places[0] - low) / (high - low) == pytest.approx((high - places[2]) / (high - low), abs=1e-6)
    assert low + 0.04 * (high - low) < places[0] < places[1] < places[2]


@pytest.mark.parametrize("count", [2, 3, 4, 8])
def test_stills_fill_the_width(run, count):
    data = read_training({50: run[50], 400: run[400]})
    data = replace(data, steps=range(1, count + 1), stills=[(list(row) * count)[:count] for row in data.stills],
                   curves={name: (list(curve) * count)[:count] for name, curve in data.curves.items()})  # fmt: skip
    figure = training_figure(data, Style())
    stills = figure.axes[0]
    assert stills.get_window_extent().width > 0.75 * figure.bbox.width
    assert figure.get_figheight() <= 1.1 * figure.get_figwidth()


def test_spearman_is_that_of_ranks():
    assert spearman(np.array([1, 2, 3, 4.0]), np.array([1, 10, 100, 1000.0])) == 1
    assert spearman(np.array([1, 2, 3, 4.0]), np.array([2, 1, 4, 3.0])) == pytest.approx(0.6)
    assert spearman(np.array([1, 2, 2, 3.0]), np.array([1, 2, 3, 4.0])) == pytest.approx(0.9487, abs=1e-4)
    assert np.isnan(spearman(np.ones(3), np.arange(3.0)))


@pytest.mark.parametrize("info", [
    {"per_episode": [{"success": k < 3} for k in range(4)]}, {"aggregated": {"pc_success": 75.0, "n_episodes": 4}},
    {"overall": {"pc_success": 75.0, "n_episodes": 4}},
])  # fmt: skip
def test_lerobots_success_rate_is_read(tmp_path, info):
    (tmp_path / "eval_info.json").write_text(json.dumps(info))
    found = read_success(tmp_path / "eval_info.json")
    assert (found.value, found.episodes) == (0.75, 4)


def test_the_command_takes_evaluations(dlrender, run, tmp_path):
    places = [f"{steps}={paths[0]}" for steps, paths in run.items()]
    evals = []
    for steps, share in zip(run, (0, 25, 100), strict=True):
        (tmp_path / f"{steps}.json").write_text(json.dumps({"overall": {"pc_success": share, "n_episodes": 20}}))
        evals += ["--eval", f"{steps}={tmp_path}/{steps}.json"]
    code, out, err = dlrender("training", *places, *evals, "-o", tmp_path / "training.pdf", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [each["value"] for each in found["curves"]["success"]] == [0, 0.25, 1]
    assert found["spearman"]["nll, success"]["value"] == -1
    code, _, err = dlrender("training", *places, *evals[:2], "--json")
    assert (code, "--eval is missing for 400, 5000" in err) == (1, True)
    code, _, err = dlrender("training", places[0], "--json")
    assert (code, "1 checkpoint is no training" in err) == (1, True)


def test_data_sets_are_kept_apart_and_files_may_be_in_any_order(tmp_path):
    # Episode 0 of two data sets; only that of `two` is scored otherwise by the last checkpoint. Files are in another order.
    checkpoints = {}
    for steps, order in ((100, ("one", "two")), (200, ("two", "one"))):
        for k, dataset in enumerate(order):
            x = 256 if dataset == "one" or steps == 100 else 356
            write_known(tmp_path / f"{steps}" / f"{k}.h5", [gaussian([x, 256], 20)] * 2, dataset=dataset,
                        policy=f"run/{steps}", actions=np.full((2, 2), 256.0))  # fmt: skip
        checkpoints[steps] = [tmp_path / f"{steps}"]
    data = read_training(checkpoints)
    (first, last), (same, still_same) = data.stills
    assert last.surprise - first.surprise == pytest.approx(100**2 / (2 * 20**2), abs=0.05)
    assert still_same.surprise == pytest.approx(same.surprise, abs=0.01)
    totals = [training._totals(read_tables(caches_in(places))) for places in checkpoints.values()]
    np.testing.assert_allclose(totals[0][0], totals[1][0], atol=0.02)


@pytest.mark.parametrize(
    ("percent", "count"), [("Infinity", 4), ("150.0", 4), ("-1", 4), ("NaN", 4), ("50", 0), ("50", "Infinity")]
)
def test_a_success_rate_that_is_no_share_is_refused(tmp_path, percent, count):
    (tmp_path / "eval_info.json").write_text(f'{{"overall": {{"pc_success": {percent}, "n_episodes": {count}}}}}')
    with pytest.raises(RenderError, match=r"is no eval_info.json of LeRobot"):
        read_success(tmp_path / "eval_info.json")


def test_several_evaluations_of_a_checkpoint_are_refused(run, tmp_path):
    with pytest.raises(RenderError, match="--eval 50 names 2 files; name one"):
        read_training(run, {50: [tmp_path / "a.json", tmp_path / "missing.json"], 400: [tmp_path], 5000: [tmp_path]})


def test_what_is_no_training_is_refused(run, tmp_path):
    with pytest.raises(RenderError, match="not understood; write training steps and caches"):
        parse_checkpoints(["runs/5000"])
    with pytest.raises(RenderError, match="is given twice"):
        parse_checkpoints(["5000=a", "5000=b"])
    other = write_known(tmp_path / "other.h5", [gaussian([256, 256])] * 4, episode=77)
    with pytest.raises(RenderError, match="not of the same steps"):
        read_training({50: run[50], 400: [other]})
    (tmp_path / "eval_info.json").write_text("[]")
    with pytest.raises(RenderError, match=r"is no eval_info.json of LeRobot"):
        read_success(tmp_path / "eval_info.json")
