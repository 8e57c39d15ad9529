"""Draw the caches that dlscore wrote: videos, figures, or heatmaps in your own axes. Needs neither a GPU nor torch.

plot_step, plot_environment    one step in your own axes, or in a new figure
plot_sheet                     several steps in one figure
log_density                    log p of actions, anywhere and at any resolution
step_table                     statistics of each step
render                         videos, as `dlrender render` makes them
Style, load_style              how everything is drawn
Overlay, StepView              the base of overlays, and what they draw
known_overlays                 all overlays by name
RenderError                    something that cannot be drawn or written as asked
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlrender.answers.table import step_table
    from dlrender.api import log_density, plot_environment, plot_sheet, plot_step, render
    from dlrender.errors import RenderError
    from dlrender.overlays import Overlay, StepView, known_overlays
    from dlrender.style.style import Style
    from dlrender.style.toml import load_style

__all__ = [
    "Overlay",
    "RenderError",
    "StepView",
    "Style",
    "known_overlays",
    "load_style",
    "log_density",
    "plot_environment",
    "plot_sheet",
    "plot_step",
    "render",
    "step_table",
]

# Imported on first use: matplotlib, numpy and h5py take a while.
_MODULES = {
    "Overlay": "overlays",
    "RenderError": "errors",
    "StepView": "overlays",
    "Style": "style.style",
    "known_overlays": "overlays",
    "load_style": "style.toml",
    "log_density": "api",
    "plot_environment": "api",
    "plot_sheet": "api",
    "plot_step": "api",
    "render": "api",
    "step_table": "answers.table",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
