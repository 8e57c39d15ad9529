import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from support.known import gaussian, write_known


@pytest.fixture
def axes():
    """Axes of one's own."""
    figure = Figure()
    FigureCanvasAgg(figure)
    return figure.subplots()


@pytest.fixture(scope="session")
def policies(tmp_path_factory):
    """Folders of caches of policies a, a with another seed, and b: six episodes of four steps of the same recorded actions.

    a's density is N((256, 256), 25² I), from which the actions are drawn; b's is 40 px to the right.
    """
    folder = tmp_path_factory.mktemp("policies")
    rng = np.random.default_rng(7)
    actions = 256 + 25 * rng.standard_normal((6, 4, 2))
    kinds = {"a": ("runs/a", 0, 256.0), "again": ("runs/a", 1, 256.5), "b": ("runs/b", 0, 296.0)}
    for name, (policy, seed, x) in kinds.items():
        for episode in range(6):
            write_known(folder / name / f"episode_{episode:03}.h5", [gaussian([x, 256], 25)] * 4, episode=episode,
                        policy=policy, seed=seed, actions=actions[episode])  # fmt: skip
    return {name: folder / name for name in kinds}
