"""Train a small keypoint DiffusionPolicy with LeRobot's own model, loss, data windows and processors.

Batches come from a LeRobotDataset through LeRobot's windows (`delta_timestamps`, padding, `EpisodeAwareSampler`); they
are read once and kept in memory, since reading them again each epoch would cost more than the network does.
"""

import argparse
import copy
import json
import shutil
from pathlib import Path

import torch
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.datasets import EpisodeAwareSampler, LeRobotDataset, LeRobotDatasetMetadata
from lerobot.datasets.factory import resolve_delta_timestamps
from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
from lerobot.policies.factory import make_pre_post_processors
from rich.progress import track
from torch.utils.data import DataLoader

from dlscore.common import progress
from dlscore.episodes.episode import ACTION, ENVIRONMENT, STATE
from dlscore.policy.load import load_policy
from dlscore.rollout.act import roll_out
from dlscore.rollout.settings import RolloutSettings

EVALUATION_SEEDS = range(100_000, 100_050)  # never used to train, to choose or to make the demo episodes


def make_config(down_dims: list[int], prediction_type: str) -> DiffusionConfig:
    return DiffusionConfig(
        n_obs_steps=2,
        horizon=16,
        n_action_steps=8,
        drop_n_last_frames=7,
        input_features={
            STATE: PolicyFeature(type=FeatureType.STATE, shape=(2,)),
            ENVIRONMENT: PolicyFeature(type=FeatureType.ENV, shape=(16,)),
        },
        output_features={ACTION: PolicyFeature(type=FeatureType.ACTION, shape=(2,))},
        normalization_mapping=dict.fromkeys(("STATE", "ENV", "ACTION"), "MIN_MAX"),
        pretrained_backbone_weights=None,
        down_dims=tuple(down_dims),
        noise_scheduler_type="DDPM",
        num_train_timesteps=100,
        beta_schedule="squaredcos_cap_v2",
        prediction_type=prediction_type,
        device="cuda" if torch.cuda.is_available() else "cpu",
        push_to_hub=False,
    )


def load_windows(root: Path, config: DiffusionConfig, preprocess) -> dict[str, torch.Tensor]:
    """Every training window, normalised, as LeRobot's trainer would see them."""
    meta = LeRobotDatasetMetadata("local/human", root=root)
    windows = resolve_delta_timestamps(config, meta)
    dataset = LeRobotDataset("local/human", root=root, delta_timestamps=windows, video_backend="pyav")
    sampler = EpisodeAwareSampler(
        meta.episodes["dataset_from_index"],
        meta.episodes["dataset_to_index"],
        drop_n_last_frames=config.drop_n_last_frames,
    )
    loader = DataLoader(dataset, batch_size=256, sampler=sampler)
    keys = (STATE, ENVIRONMENT, ACTION, "action_is_pad")
    batches = [{key: preprocess(batch)[key] for key in keys} for batch in track(loader, "read windows")]
    return {key: torch.cat([batch[key] for batch in batches]) for key in keys}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--down-dims", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--prediction-type", choices=("epsilon", "sample"), default="epsilon")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--checkpoints",
        type=int,
        nargs="*",
        default=[],
        help="save the average after these steps, and no policy at the end",
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    config = make_config(options.down_dims, options.prediction_type)
    stats = LeRobotDatasetMetadata("local/human", root=options.dataset).stats
    preprocess, _ = make_pre_post_processors(config, dataset_stats=stats)
    windows = load_windows(options.dataset, config, preprocess)
    policy = DiffusionPolicy(config).to(config.device)

    optimizer = torch.optim.AdamW(
        policy.parameters(), lr=options.learning_rate, betas=config.optimizer_betas, weight_decay=1e-6
    )
    schedule = get_scheduler("cosine", optimizer, num_warmup_steps=100, num_training_steps=options.steps)
    average = EMAModel(policy.parameters(), decay=0.9999, use_ema_warmup=True, power=0.75)
    policy.train()
    running = None
    for step in range(1, options.steps + 1):
        rows = torch.randint(len(windows[ACTION]), (options.batch_size,))
        loss, _ = policy.forward({key: values[rows] for key, values in windows.items()})
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        average.step(policy.parameters())
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0:
            print(f"step {step}/{options.steps}  loss {running:.4f}", flush=True)
        if step in options.checkpoints:
            averaged = copy.deepcopy(policy)
            average.copy_to(averaged.parameters())
            save(averaged, stats, options.output / "checkpoints" / f"{step:06d}" / "pretrained_model")
    if options.checkpoints:
        return
    average.copy_to(policy.parameters())

    part = options.output.with_name(options.output.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    save(policy, stats, part)
    report = evaluate(part) | {
        "final_loss": round(running, 5),
        "parameters": sum(p.numel() for p in policy.parameters()),
        **{k: v for k, v in vars(options).items() if k in ("steps", "batch_size", "learning_rate", "seed")},
    }
    print(json.dumps(report))
    (part / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n")
    shutil.rmtree(options.output, ignore_errors=True)
    part.rename(options.output)


def save(policy: DiffusionPolicy, stats, folder: Path) -> None:
    """The policy with its processors, as LeRobot's trainer saves them; it is left on the CPU, in half precision."""
    policy.config.device = "cpu"
    policy.to("cpu").half().save_pretrained(folder)  # half precision halves the file
    for processor in make_pre_post_processors(policy.config, dataset_stats=stats):
        processor.save_pretrained(folder)


def evaluate(folder: Path) -> dict[str, object]:
    """Rewards and successes of the policy as it is saved, over EVALUATION_SEEDS."""
    settings = RolloutSettings(EVALUATION_SEEDS, environments=len(EVALUATION_SEEDS))
    with progress.steps("evaluate") as report:
        runs = roll_out(load_policy(str(folder)), EVALUATION_SEEDS, settings, report)
    return {
        "environment_seeds": [EVALUATION_SEEDS.start, EVALUATION_SEEDS.stop - 1],
        "mean_max_reward": round(sum(float(run.reward.max()) for run in runs) / len(runs), 4),
        "success_rate": round(sum(run.succeeded for run in runs) / len(runs), 3),
    }


if __name__ == "__main__":
    main()
