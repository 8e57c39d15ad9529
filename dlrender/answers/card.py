"""The dataset card of an export: a README whose head tells the hub which tables there are, and whose text tells people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dlrender.answers.columns import Column
from dlrender.answers.intervals import Interval

__all__ = ["dataset_card"]

TEXT = """
# {title}

What a diffusion policy thinks of the actions that were recorded in PushT: one row for each step, from the policy's own density
of the next action. dlscore made the tables from score caches; they hold no picture and no recorded observation.

```python
from datasets import load_dataset

steps = load_dataset("{name}", "steps", split="train")
episodes = load_dataset("{name}", "episodes", split="train")
```

## How it was made

| | |
|---|---|
{origin}

`dlscore.json` has the settings and the versions of each cache.

## In all

| policy | quantity | value [95 % interval over episodes] |
|---|---|---|
{summary}

## Columns of `steps`

Positions are px of the 512 × 512 world, y down. Densities are per px². What a step does not have is null.

| column | unit | meaning |
|---|---|---|
{columns}

`episodes` has a row for each episode: means over its scored steps, and of the whole episode the best reward, and 1 where it
succeeded.
"""


def dataset_card(
    title: str,
    licence: str,
    columns: Sequence[Column],
    summaries: Mapping[str, Mapping[str, Interval]],
    made: Sequence[Mapping[str, Any]],
    tables: Mapping[str, str],
    name: str,
) -> str:
    """The card as Markdown: `tables` are the hub's configs, name to file; the first one is the default.

    summaries: of each policy. made: for each cache, what is known of how it was made. name: what `load_dataset` takes. https://huggingface.co/docs/hub/datasets-manual-configuration
    """
    configs = [{"config_name": config, "data_files": file} for config, file in tables.items()]
    head = {
        "license": licence,
        "pretty_name": title,
        "task_categories": ["robotics"],
        "tags": ["pusht", "diffusion-policy", "dlscore"],
        "configs": [{**config, "default": k == 0} for k, config in enumerate(configs)],
    }
    # JSON is YAML, and needs no escaping of its own.
    front = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items())
    text = TEXT.format(
        title=_plain(title),
        name=name,
        origin="\n".join(f"| {what} | {_plain(', '.join(values))} |" for what, values in _origin(made).items()),
        summary="\n".join(
            f"| {_plain(policy)} | `{each}` | {value} |"
            for policy, summary in summaries.items()
            for each, value in summary.items()
        ),
        columns="\n".join(f"| `{each.name}` | {each.units} | {_plain(each.meaning)} |" for each in columns),
    )
    return f"---\n{front}\n---\n{text}"


def _origin(made: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    # What the caches say of their making, each value once.
    def once(values: Sequence[str]) -> list[str]:
        return sorted({value for value in values if value})

    versions = [f"{package} {version}" for each in made for package, version in each.get("versions", {}).items()]
    scores = [
        f"{name} {json.dumps(settings, sort_keys=True)}" for each in made for name, settings in each["methods"].items()
    ]
    found = {
        "caches": [str(len(made))],
        "policies": once([_with(each, "policy") for each in made]),
        "data sets": once([_with(each, "dataset") for each in made]),
        "recorded actions": once([_whose(str(each.get("executed_by", ""))) for each in made]),
        "scored steps": once(["each" if each.get("every", 1) == 1 else f"1 in {each['every']}" for each in made]),
        "scores": once(scores),
        "versions": once(versions),
    }
    return {what: values for what, values in found.items() if values}


def _with(each: Mapping[str, Any], what: str) -> str:
    revision = str(each.get(f"{what}_revision", ""))
    return f"{each.get(what, 'unknown')}" + (f" ({revision})" if revision else "")


def _whose(policy: str) -> str:
    return f"executed by {policy}" if policy else "an expert's"


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
