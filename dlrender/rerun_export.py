"""Caches of one episode as a recording of Rerun (.rrd): frames, landscapes, plans, actions and curves, side by side.

Entities and the timeline that LeRobot's own viewer logs have its names: `action`, `state`, `next.reward`, `frame_index`. Ours
are under `dlscore/`. Our time is a duration since the start, so it is called `time`; LeRobot's `timestamp` is absolute.
Each array goes as one column, which is smaller and faster than a message a step.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dlrender.answers.distinct import key_of, letter
from dlrender.answers.table import step_table
from dlrender.colors import make_norm
from dlrender.errors import RenderError
from dlrender.output import densities_first
from dlrender.style.style import Style
from dlrender.window import make_windows
from dlscore.cache import EpisodeCache, open_cache
from dlscore.common.arrays import Array
from dlscore.common.files import atomic_path
from dlscore.common.progress import Report, no_report
from dlscore.common.world import WORLD_SIZE

SUFFIX = ".rrd"
APPLICATION = "dlscore"  # without a slash, which some versions refuse
CURVES = {"surprise": ("surprise", "entropy"), "rank": ("rank",), "modes": ("modes",), "chunks": ("chunk_distance",)}
POLICY, RECORD, DRAWN = (255, 255, 255), (133, 0, 20), (125, 249, 255)  # as in dlrender's pictures
RIMS: dict[tuple[int, ...], tuple[int, ...]] = {POLICY: (0, 0, 0), RECORD: (255, 255, 255)}
RADIUS = 3.0  # px of a mark in the environment


def write_rerun(files: Sequence[Path | str], out: Path | str, *, report: Report = no_report) -> Path:
    """Write the caches of one episode as a recording; the path written.

    report: called with (methods done, methods). RenderError without rerun-sdk, and for caches of several episodes or lengths.
    """
    path, rr = Path(out), _rerun()
    check_rerun_name(path)
    caches = [open_cache(file) for file in files]
    try:
        _check_same(caches)
        with atomic_path(path, RenderError) as part:
            stream = rr.RecordingStream(APPLICATION, recording_id=f"episode_{caches[0].episode}")
            stream.save(str(part), default_blueprint=_blueprint(caches))
            _send_episode(rr, stream, caches[0])
            jobs = [(name, cache, method) for name, cache in _names(caches) for method in cache.methods]
            for done, (name, cache, method) in enumerate(jobs):
                report(done, len(jobs))
                _send_method(rr, stream, f"dlscore/{name}{method}", cache, method)
            for name, cache in _names(caches):
                _send_plans(rr, stream, f"dlscore/{name}", cache)
            report(len(jobs), len(jobs))
            stream.disconnect()
    finally:
        for cache in caches:
            cache.close()
    return path


def check_rerun_name(path: Path) -> None:
    """Raise RenderError for a name that is no recording's."""
    if path.suffix != SUFFIX:
        raise RenderError(f"recording {path} has no known format; end its name in {SUFFIX}")


def _rerun() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise RenderError(
            "a recording needs rerun-sdk, which is not installed; pip install '.[rerun]' in the source"
        ) from error
    return rerun


def _check_same(caches: Sequence[EpisodeCache]) -> None:
    if not caches:
        raise RenderError("no caches were given; name one or more, such as data/cache/episode_000.h5")
    first = caches[0]
    for other in caches[1:]:
        if key_of(other) != key_of(first) or (other.steps, other.every) != (first.steps, first.every):
            raise RenderError(f"{first.path} and {other.path} are of other episodes or steps; make a recording of each")


def _names(caches: Sequence[EpisodeCache]) -> list[tuple[str, EpisodeCache]]:
    # What comes before a method: nothing for one cache, else a letter for each.
    letters = [f"{letter(k)}/" for k in range(len(caches))] if len(caches) > 1 else [""]
    return list(zip(letters, caches, strict=True))


def _indexes(rr: Any, cache: EpisodeCache) -> list[Any]:
    steps = np.arange(cache.steps) * cache.every
    return [rr.TimeColumn("frame_index", sequence=steps), rr.TimeColumn("time", duration=cache.time)]


def _send_episode(rr: Any, stream: Any, cache: EpisodeCache) -> None:
    # What is the same for all caches: the environment, the recorded actions and outcomes.
    indexes = _indexes(rr, cache)
    frames = rr.EncodedImage.columns(blob=[_png(cache, step) for step in range(cache.steps)],
                                     media_type=["image/png"] * cache.steps)  # fmt: skip
    stream.send_columns("dlscore/environment", indexes=indexes, columns=frames)
    values = {"action": cache.expert_action, "state": cache.state[:, :2]}
    values |= {f"next.{name}": cache.array(name)[:, None] for name in ("reward", "success") if cache.has(name)}
    for entity, each in values.items():
        flat, width = each.astype(float), each.shape[1]
        columns = rr.Scalars.columns(scalars=flat.ravel()).partition([width] * cache.steps)
        stream.send_columns(entity, indexes=indexes, columns=columns)
    _send_points(rr, stream, "dlscore/environment/recorded", indexes, cache.expert_action, RECORD)


def _send_plans(rr: Any, stream: Any, entity: str, cache: EpisodeCache) -> None:
    # The drawn chunks from the current action on, over the environment, and the prediction.
    indexes, chunks = _indexes(rr, cache), cache.predicted_chunks[:, :, cache.current :]
    entity = entity.replace("dlscore/", "dlscore/environment/")
    strips = chunks.reshape(-1, *chunks.shape[2:]).astype(np.float32)
    columns = rr.LineStrips2D.columns(strips=list(strips)).partition([chunks.shape[1]] * cache.steps)
    stream.log(f"{entity}plans", rr.LineStrips2D.from_fields(colors=[DRAWN], radii=[0.6]), static=True)
    stream.send_columns(f"{entity}plans", indexes=indexes, columns=columns)
    _send_points(rr, stream, f"{entity}prediction", indexes, cache.predicted_action, POLICY)


def _send_method(rr: Any, stream: Any, entity: str, cache: EpisodeCache, method: str) -> None:
    # The landscape as nats (or px) above the lower end of dlrender's colour scale, which is 0 where it is lower.
    indexes, cells = _indexes(rr, cache), cache.grid.resolution
    if cache.is_density(method) and cache.has_mixture(method):  # first: it reads mixtures together, and they are kept
        _send_curves(rr, stream, entity, indexes, cache, method)
    norm = make_norm("episode", [cache], method, None)
    span = max(norm.high - norm.low, 1e-6)
    raised = np.stack([np.clip(cache.score(method, step) - norm.low, 0, span) for step in range(cache.steps)]).astype(
        np.float16
    )
    about = rr.components.ImageFormat(width=cells, height=cells, channel_datatype="f16")
    look = rr.DepthImage.from_fields(meter=1.0, colormap="viridis", depth_range=[0.0, span])
    stream.log(f"{entity}/scores", look, static=True)
    columns = rr.DepthImage.columns(buffer=raised.reshape(cache.steps, -1).view(np.uint8), format=[about] * cache.steps)
    stream.send_columns(f"{entity}/scores", indexes=indexes, columns=columns)
    note = f"{cache.score_attrs(method)['definition']}; {cache.score_attrs(method)['units']} above {norm.low:.2f}"
    stream.log(f"{entity}/about", rr.TextDocument(note), static=True)
    scale = cells / WORLD_SIZE
    _send_points(rr, stream, f"{entity}/scores/recorded", indexes, cache.expert_action * scale, RECORD, scale)
    _send_points(rr, stream, f"{entity}/scores/prediction", indexes, cache.predicted_action * scale, POLICY, scale)


def _send_curves(rr: Any, stream: Any, entity: str, indexes: list[Any], cache: EpisodeCache, method: str) -> None:
    table = step_table(cache, method=method, columns=[name for names in CURVES.values() for name in names])
    for chart, names in CURVES.items():
        for name in names:
            columns = rr.Scalars.columns(scalars=table[name].astype(float))
            stream.send_columns(f"{entity}/{chart}/{name}", indexes=indexes, columns=columns)


def _send_points(
    rr: Any, stream: Any, entity: str, indexes: list[Any], points: Array, color: tuple[int, ...], scale: float = 1.0
) -> None:
    # Each with a rim, so that it is seen on any ground.
    look = rr.Points2D.from_fields(colors=[RIMS[color], color], radii=[1.4 * RADIUS * scale, RADIUS * scale])
    stream.log(entity, look, static=True)
    columns = rr.Points2D.columns(positions=np.repeat(points.astype(np.float32), 2, axis=0))
    stream.send_columns(entity, indexes=indexes, columns=columns.partition([2] * len(points)))


def _png(cache: EpisodeCache, step: int) -> bytes:
    # Few colours make a picture of 4 bits a pixel, a third of the bytes and of the time of RGB; most are runs of one.
    index, palette = cache.frame_index(step), cache.palette
    image = Image.fromarray(index)
    image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "png", bits=4 if index.max() < 16 else 8, compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def _blueprint(caches: Sequence[EpisodeCache]) -> Any:
    import rerun.blueprint as rrb

    landscapes: list[Any] = []
    charts: dict[str, list[str]] = {chart: [] for chart in CURVES}
    for name, cache in _names(caches):
        bounds = _bounds(rrb, cache)
        for method in densities_first(cache):
            entity = f"dlscore/{name}{method}"
            view = {"origin": f"{entity}/scores", "name": f"{name}{method}", "visual_bounds": bounds}
            landscapes.append(rrb.Spatial2DView(**view))
            if cache.has_mixture(method):
                for chart, shown in charts.items():
                    shown.append(f"{entity}/{chart}/**")
    views = [rrb.TimeSeriesView(origin="/", contents=shown, name=chart) for chart, shown in charts.items() if shown]
    views += [] if views else [rrb.TimeSeriesView(origin="/action", name="action")]
    environment = rrb.Spatial2DView(origin="dlscore/environment", name="environment")
    rows = rrb.Vertical(rrb.Horizontal(environment, *landscapes), rrb.Horizontal(*views), row_shares=[3, 2])
    return rrb.Blueprint(rows, collapse_panels=True)


def _bounds(rrb: Any, cache: EpisodeCache) -> Any:
    # What a landscape shows at first, in cells: where the density is over the episode.
    window = make_windows(cache, densities_first(cache), "fit", Style.window_size, [0])[0]
    scale = cache.grid.resolution / WORLD_SIZE
    x, y = ([scale * start, scale * (start + window.side)] for start in (window.left, window.top))
    return rrb.VisualBounds2D(x_range=x, y_range=y)
