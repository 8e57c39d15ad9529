"""`dlscore certify` on the command line."""

import json

import pytest

from dlscore.cli import commands


@pytest.mark.slow
def test_command_line_table_json_and_figure(command, tmp_path):
    figure = tmp_path / "new" / "certify.png"
    options = ("--policies", "one,banana", "--seeds", 1, "--quality", "draft,standard", "--action_resolution", 25)
    code, out, _ = command(commands, "certify", *options, "--scoring-method", "likelihood,distance", "--figure", figure)
    assert code == 0
    assert [line.split("|")[1].strip() for line in out.splitlines()[2:]] == [
        "likelihood, draft", "likelihood, standard", "distance",
    ]  # fmt: skip
    assert figure.read_bytes()[:4] == b"\x89PNG"
    code, out, _ = command(commands, "certify", *options, "--scoring-method", "likelihood", "--json")
    rows = json.loads(out)["rows"]
    assert [row["evaluations"] for row in rows] == [608, 2496]
    wanted = {"method", "settings", "evaluations", "tv_mean", "tv_max", "kl_mean", "hdr95_iou", "spearman", "modes_found",
              "policies"}  # fmt: skip
    assert wanted <= set(rows[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--policies", "one,five"), "invalid value 'five' for --policies; choose one of 31 names"),
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
