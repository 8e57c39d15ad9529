"""The SLURM template: what is submitted, and what each task runs, shown by a fake sbatch on PATH."""

import os
import signal
import subprocess
from pathlib import Path

from support import ROOT

TEMPLATE = ROOT / "dlscore" / "compute" / "slurm" / "array.sbatch"

SBATCH = """#!/bin/bash
# As sbatch does: its own options, the script, the script's arguments; then each task of the array, here and now.
echo "$@" > "$SUBMITTED"
for option in "$@"; do
    shift
    case $option in --array=*) range=${option#--array=};; *.sbatch) script=$option; break;; esac
done
range=${range%\\%*}
for task in $(seq "${range%-*}" "${range#*-}"); do
    SLURM_ARRAY_TASK_ID=$task SLURM_CPUS_PER_TASK=3 bash "$script" "$@"
done
"""
DLSCORE = '#!/bin/bash\necho "$OMP_NUM_THREADS: $@" >> "$RAN"\n'


def submit(tmp_path: Path, *argv: str, **environment: str) -> tuple[str, list[str]]:
    for name, text in (("sbatch", SBATCH), ("dlscore", DLSCORE)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    paths = {"SUBMITTED": str(tmp_path / "submitted"), "RAN": str(tmp_path / "ran")}
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", **paths, **environment}
    subprocess.run(["sbatch", *argv], check=True, env=environment)
    return (tmp_path / "submitted").read_text().strip(), (tmp_path / "ran").read_text().splitlines()


def test_each_task_has_its_block_of_episodes(tmp_path):
    argv = ("--array=0-2%2", str(TEMPLATE), "--policy-path", "a policy", "--output-dir", "cache")
    submitted, ran = submit(tmp_path, *argv, BLOCK="4", EPISODES="11")
    assert submitted == " ".join(argv)
    assert ran == [
        f"3: compute --episodes {first}-{last} --wait 180 --policy-path a policy --output-dir cache"
        for first, last in ((0, 3), (4, 7), (8, 10))
    ]


def test_a_task_has_one_episode_unless_told_otherwise(tmp_path):
    _, ran = submit(tmp_path, "--array=7-8", str(TEMPLATE), "--policy-path", "p")
    assert [line.split()[3] for line in ran] == ["7-7", "8-8"]


def test_a_task_past_the_last_episode_has_nothing_to_do(tmp_path):
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": "4", "EPISODES": "4", "DLSCORE": "false"}
    done = subprocess.run(["bash", TEMPLATE], check=False, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "task 4: nothing to do, there are 4 episodes\n")


def test_a_task_near_its_time_limit_stops_and_is_queued_again(tmp_path):
    (tmp_path / "dlscore").write_text(
        "#!/bin/bash\ntrap 'echo stopped; exit 130' TERM\necho working\nsleep 60 >/dev/null & wait\n"
    )
    (tmp_path / "scontrol").write_text('#!/bin/bash\necho "scontrol $@"\n')
    for name in ("dlscore", "scontrol"):
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": "3",
                   "SLURM_ARRAY_JOB_ID": "17", "SLURM_JOB_ID": "20"}  # fmt: skip
    with subprocess.Popen(["bash", TEMPLATE], env=environment, stdout=subprocess.PIPE, text=True) as task:
        assert task.stdout.readline() == "working\n"
        task.send_signal(signal.SIGUSR1)
        lines = task.stdout.read().splitlines()
    assert task.returncode == 0
    assert lines == ["task 3: near its time limit; queued again", "stopped", "scontrol requeue 17_3"]


def test_the_command_prints_the_template(dlscore):
    code, out, _ = dlscore("slurm-template")
    assert (code, out) == (0, TEMPLATE.read_text())


def test_a_failing_task_says_so_to_slurm(tmp_path):
    (tmp_path / "fails").write_text("#!/bin/bash\nexit 3\n")
    (tmp_path / "fails").chmod(0o755)
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": "0", "DLSCORE": str(tmp_path / "fails")}
    assert subprocess.run(["bash", TEMPLATE], check=False, env=environment).returncode == 3


def test_the_template_is_installed_with_the_package():
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert "compute/slurm/*.sbatch" in pyproject
    assert subprocess.run(["bash", "-n", TEMPLATE], check=False).returncode == 0
