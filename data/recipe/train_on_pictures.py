"""Train a small multi-task DiT (flow matching) or VQ-BeT on pictures, with LeRobot's own models, losses and processors.

On one core the encoder of pictures would take nearly all of the time. So it is trained first, to tell the block's keypoints
from single pictures; then it is frozen, each picture is encoded once, and LeRobot's loss trains the rest on that.
"""

import argparse
import copy
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.factory import make_pre_post_processors
from rich.progress import track
from torch import nn

from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import ACTION, ENVIRONMENT, IMAGE, STATE

TASK = "Push the T to the goal."
WORDS = {"[PAD]": 0, "[UNK]": 1} | {chr(97 + k): k + 2 for k in range(26)}
FEATURES = {
    "input_features": {
        STATE: PolicyFeature(type=FeatureType.STATE, shape=(2,)),
        IMAGE: PolicyFeature(type=FeatureType.VISUAL, shape=(3, 96, 96)),
    },
    "output_features": {ACTION: PolicyFeature(type=FeatureType.ACTION, shape=(2,))},
    "device": "cpu",
    "push_to_hub": False,
}


def save_clip(folder: Path) -> str:
    """CLIP's architecture at the size of this task, fresh, and a tokenizer of letters: nothing is downloaded."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.set_verbosity_error()  # each encoder lists what it leaves of the whole model
    size = {"num_attention_heads": 4, "projection_dim": 32}
    vision = size | {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 4,
        "image_size": 48,
        "patch_size": 8,
    }
    text = size | {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "vocab_size": len(WORDS),
                   "max_position_embeddings": 32, "eos_token_id": 2}  # fmt: skip
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision)).save_pretrained(folder)
    letters = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    letters.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    PreTrainedTokenizerFast(tokenizer_object=letters, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    return str(folder)


def make_dit(clip: Path) -> nn.Module:
    from lerobot.policies.multi_task_dit.configuration_multi_task_dit import MultiTaskDiTConfig
    from lerobot.policies.multi_task_dit.modeling_multi_task_dit import MultiTaskDiTPolicy

    name = save_clip(clip)
    return MultiTaskDiTPolicy(
        MultiTaskDiTConfig(
            **FEATURES, objective="flow_matching", n_obs_steps=2, horizon=16, n_action_steps=8, hidden_dim=128, num_layers=4,
            num_heads=4, timestep_embed_dim=64, image_resize_shape=(48, 48), image_crop_shape=None, vision_encoder_name=name,
            text_encoder_name=name, tokenizer_max_length=32, dropout=0.0,
        )
    )  # fmt: skip


def make_vqbet(discretize: int) -> nn.Module:
    from lerobot.policies.vqbet.configuration_vqbet import VQBeTConfig
    from lerobot.policies.vqbet.modeling_vqbet import VQBeTPolicy

    return VQBeTPolicy(
        VQBeTConfig(
            **FEATURES, n_obs_steps=2, n_action_pred_token=3, action_chunk_size=8, pretrained_backbone_weights=None,
            use_group_norm=True, crop_is_random=False, n_vqvae_training_steps=discretize, vqvae_embedding_dim=64,
            gpt_block_size=32, gpt_input_dim=128, gpt_output_dim=128, gpt_n_layer=3, gpt_n_head=4, gpt_hidden_dim=128,
        )
    )  # fmt: skip


def read(source: str, count: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """(arrays of all frames, (N, 2) first and last frame of the episode of each)."""
    dataset = open_dataset(root=source)
    parts, spans, begin = [], [], 0
    for index in track(range(min(count, len(dataset))), "read"):
        episode = dataset.load(index, [STATE, ENVIRONMENT, IMAGE])
        parts.append(episode.observations | {ACTION: episode.action})
        spans.append(torch.tensor([[begin, begin + len(episode) - 1]]).expand(len(episode), 2))
        begin += len(episode)
    arrays = {name: torch.from_numpy(np.concatenate([part[name] for part in parts])) for name in parts[0]}
    return {name: each if name == IMAGE else each.float() for name, each in arrays.items()}, torch.cat(spans)


def statistics(frames: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    found = {
        name: {"min": each.amin(0), "max": each.amax(0), "mean": each.mean(0), "std": each.std(0)}
        for name, each in ((name, frames[name]) for name in (STATE, ACTION))
    }
    some = frames[IMAGE][::20].float() / 255
    return found | {
        IMAGE: {"mean": some.mean((0, 2, 3))[:, None, None], "std": some.std((0, 2, 3))[:, None, None]},
    }


def train_eyes(eyes, see, frames: dict[str, torch.Tensor], width: int, steps: int, batch: int) -> None:
    """Train `see`, pictures to (B, width), by what a linear layer on it says of the keypoints. Prints the error [px]."""
    head = nn.Linear(width, frames[ENVIRONMENT].shape[1])
    parameters = [*eyes.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    schedule = get_scheduler("cosine", optimizer, num_warmup_steps=50, num_training_steps=steps)
    running = None
    for step in range(1, steps + 1):
        rows = torch.randint(len(frames[IMAGE]), (batch,))
        error = head(see(frames[IMAGE][rows])) - (frames[ENVIRONMENT][rows] - 256) / 128
        loss = nn.functional.smooth_l1_loss(error, torch.zeros_like(error), beta=0.1)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        px = 128 * error.detach().abs().median().item()
        running = px if running is None else 0.98 * running + 0.02 * px
        if step % 50 == 0:
            print(f"eyes, step {step}/{steps}  median error {running:.1f} px", flush=True)


@contextmanager
def given_features(policy: nn.Module, is_dit: bool):
    """Within it the policy takes features (C, 1, 1) where it would take a picture."""
    owner, name = (policy.observation_encoder, "vision_encoder") if is_dit else (policy.vqbet, "rgb_encoder")
    encoder, resize = getattr(owner, name), getattr(owner, "do_resize", None)
    setattr(owner, name, nn.Flatten())
    if is_dit:
        owner.do_resize = False
    try:
        yield
    finally:
        setattr(owner, name, encoder)
        if is_dit:
            owner.do_resize = resize


def windows(frames, spans: torch.Tensor, config, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    """A batch at frames `rows` as LeRobot gives it: beyond an episode's ends its first or last frame again."""

    def at(offsets) -> torch.Tensor:
        wanted = rows[:, None] + torch.tensor(list(offsets))
        return wanted.clamp(spans[rows, :1], spans[rows, 1:])

    seen, acted = at(config.observation_delta_indices), at(config.action_delta_indices)
    return {STATE: frames[STATE][seen], IMAGE: frames[IMAGE][seen], ACTION: frames[ACTION][acted]}


def train(policy: nn.Module, frames, spans: torch.Tensor, options: argparse.Namespace, extra: dict) -> None:
    """LeRobot's own loss, and an exponential moving average of the weights, which the policy has at the end."""
    rate = 1e-3 if options.family == "vqbet" else 5e-4
    parameters = [each for each in policy.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.95, 0.999), weight_decay=1e-6)
    schedule = get_scheduler("cosine", optimizer, num_warmup_steps=100, num_training_steps=options.steps)
    average = EMAModel(parameters, decay=0.9999, use_ema_warmup=True, power=0.75)
    policy.train()
    running = None
    for step in range(1, options.steps + 1):
        rows = torch.randint(len(spans), (options.batch_size,))
        batch = windows(frames, spans, policy.config, rows)
        loss, _ = policy.forward(batch | {name: each.expand(len(rows), -1) for name, each in extra.items()})
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 10.0)
        optimizer.step()
        schedule.step()
        average.step(parameters)
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0:
            print(f"step {step}/{options.steps}  loss {running:.4f}", flush=True)
    average.copy_to(parameters)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=("multi_task_dit", "vqbet"), required=True)
    parser.add_argument(
        "--source", required=True, help="zarr folder or .zip, or the folder of a LeRobotDataset, with pictures"
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--first", type=int, default=186, help="so many episodes only")
    parser.add_argument(
        "--clip", type=Path, default=Path("data/work/clip"), help="where CLIP's config and tokenizer are kept"
    )
    parser.add_argument("--eye-steps", type=int, default=2500)
    parser.add_argument("--eye-batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--discretize", type=int, default=1500, help="steps that train VQ-BeT's quantiser, of all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    is_dit = options.family == "multi_task_dit"
    frames, spans = read(options.source, options.first)
    policy = make_dit(options.clip) if is_dit else make_vqbet(options.discretize)
    stats = statistics(frames)
    processors = make_pre_post_processors(policy.config, dataset_stats=stats)
    normalise = next(step for step in processors[0].steps if hasattr(step, "norm_map"))._normalize_observation
    encoder = policy.observation_encoder if is_dit else policy.vqbet.rgb_encoder
    eyes = encoder.vision_encoder if is_dit else encoder

    def see(pictures: torch.Tensor) -> torch.Tensor:
        ready = normalise({IMAGE: pictures.float() / 255}, inverse=False)[IMAGE]
        return eyes(encoder._apply_preprocessing(ready)).flatten(1) if is_dit else eyes(ready)

    with torch.no_grad():
        width = see(frames[IMAGE][:1]).shape[1]
    eyes.train()
    train_eyes(eyes, see, frames, width, options.eye_steps, options.eye_batch)
    eyes.eval().requires_grad_(False)
    with torch.no_grad():
        parts = [see(part) for part in track(frames[IMAGE].split(256), "encode")]
    numbers = processors[0]({STATE: frames[STATE], ACTION: frames[ACTION], "task": [TASK] * len(spans)})
    seen = {STATE: numbers[STATE], ACTION: numbers[ACTION], IMAGE: torch.cat(parts)[:, :, None, None]}
    extra = {name: each[:1] for name, each in numbers.items() if name.startswith("observation.language")}
    with given_features(policy, is_dit):
        train(policy, seen, spans, options, extra)

    saved = copy.deepcopy(policy).half()  # half precision halves the file
    saved.save_pretrained(options.output)
    for processor in processors:
        processor.save_pretrained(options.output)
    print(f"{options.output}: {sum(each.numel() for each in policy.parameters()):,} parameters")


if __name__ == "__main__":
    main()
