"""Gates: conditions on a run's quantities, such as `nll>7.5`, that make a command fail in continuous integration."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlrender.answers.intervals import Interval
from dlrender.answers.summary import BY_NAME, RATES
from dlrender.errors import RenderError
from dlscore.common.choices import check_known

SIGNS = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}
NAMES = (*BY_NAME, *RATES)


class GateError(RenderError):
    """A condition under which the run is to fail holds."""

    exit_code = 4


@dataclass(frozen=True)
class Gate:
    """Fails a run whose quantity `name` is `sign` (>, <, >= or <=) a number."""

    name: str
    sign: str
    number: float

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{self.number:g}"

    def holds(self, summary: Mapping[str, Interval]) -> bool:
        """Whether the value meets the condition; RenderError for a quantity that the run does not have."""
        if self.name not in summary:
            why = f"the caches have no {self.name}"
            if self.name in ("success", "reward"):
                why += " of the policy itself; let it act (dlscore rollout) and score these episodes"
            raise RenderError(f"--fail-if {self} cannot be checked: {why}")
        return bool(SIGNS[self.sign](summary[self.name].value, self.number))


def parse_gate(text: str) -> Gate:
    """The gate of `nll>7.5`; RenderError for other texts and unknown quantities."""
    match = re.fullmatch(
        r"\s*([a-z_0-9]+)\s*(>=|<=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*", text, re.ASCII
    )
    if match is None:
        raise RenderError(f"--fail-if {text!r} is not understood; write such as 'nll>7.5'")
    check_known("quantity", match[1], NAMES, RenderError, "--fail-if")
    return Gate(match[1], match[2], float(match[3]))


def check_gates(gates: Sequence[Gate], summary: Mapping[str, Interval]) -> None:
    """Raise GateError if a gate holds."""
    failed = [f"{gate} holds: {gate.name} is {summary[gate.name]}" for gate in gates if gate.holds(summary)]
    if failed:
        raise GateError("; ".join(failed))
