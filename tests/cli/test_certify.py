"""`dlscore certify` on the command line."""

import json

import pytest

from dlscore.cli import commands


@pytest.mark.slow
def test_command_line_table_json_and_figure(command, tmp_path):
    figure = tmp_path / "new" / "certify.png"
    options = ("--policies", "one,two", "--seeds", 1, "--quality", "draft,standard", "--action_resolution", 25,
               "--schedule", "cosine-50-steps", "--draws-dir", tmp_path / "draws")  # fmt: skip
    methods = ("--scoring-method", "likelihood,distance", "--density", "model", "--schedule", "cosine")
    code, out, _ = command(commands, "certify", *options, *methods, "--figure", figure)
    assert code == 0
    assert [line.split("|")[1].strip() for line in out.splitlines()[2:]] == [
        "likelihood, draft", "likelihood, standard", "distance",
    ]  # fmt: skip
    assert figure.read_bytes()[:4] == b"\x89PNG"
    assert not (tmp_path / "draws").exists()
    code, out, _ = command(commands, "certify", *options, "--scoring-method", "likelihood,distance", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["refused"] == []
    assert {(row["method"], row["density"]) for row in found["rows"]} == {
        (method, density)
        for method in ("likelihood, draft", "likelihood, standard", "distance")
        for density in ("executed", "model")
    }
    wanted = {"method", "density", "schedule", "set", "settings", "evaluations", "tv_mean", "tv_max", "noise_mean",
              "kl_mean", "hdr95_iou", "spearman", "modes_found", "policies", "checks"}  # fmt: skip
    assert wanted <= set(found["rows"][0])
    assert len(list((tmp_path / "draws").iterdir())) == 1  # of the two; the one is exact


def test_fresh_policies_stand_beside_the_fixed_ones(command, dataset_folder, tmp_path):
    options = ("--scoring-method", "distance", "--density", "model", "--seeds", 1, "--action-resolution", 25,
               "--schedule", "ddim-10-steps")  # fmt: skip
    fresh = ("--random", 7, 3, "--dataset-root", dataset_folder)
    code, out, _ = command(commands, "certify", *options, "--policies", "one", *fresh, "--json")
    assert code == 0
    assert [(row["set"], row["policies"]) for row in json.loads(out)["rows"]] == [("fixed", 1), ("fresh", 3)]
    code, out, _ = command(commands, "certify", *options, "--policies", "none", "--random", 7, 2)
    assert code == 0
    assert "fresh" not in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--policies", "one,five"), "invalid value 'five' for --policies; choose one of 31 names"),
        (("--policies", "none"), "--policies none leaves nothing to certify; add --random SEED N"),
        (("--random", "-1", "3"), "the seed of --random -1 is not allowed"),
        (("--policies", "one", "--dataset-root", "x"), "for the chunks of fresh policies; add --random SEED N"),
        (("--dataset-root", "nowhere"), "--dataset-root nowhere does not exist"),
        (("--density", "real"), "invalid value 'real' for --density; choose from both, executed, model"),
        (("--schedule", "cosin"), "invalid value 'cosin' for --schedule; did you mean cosine"),
        (("--quality", "best"), "invalid value 'best' for --quality"),
        (("--scoring-method", "vibes"), "invalid value 'vibes' for --scoring-method"),
        (("--figure", "x.bmp"), "--figure x.bmp is not understood"),
        (("--action-resolution", "0"), "action-resolution 0"),
    ],
)
def test_bad_input_is_one_line(command, options, message):
    code, _, err = command(commands, "certify", *options)
    assert (code, err.count("\n")) == (1, 1)
    assert message in err
