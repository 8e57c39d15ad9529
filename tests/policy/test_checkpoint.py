"""Checkpoints of every era and shape, loaded exactly or refused by name."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support import SHARED, stub

from dlscore.certify import analytic_policy, mixtures
from dlscore.common.errors import UserError
from dlscore.compute.episode import windows
from dlscore.compute.run import Run
from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import ACTION, ENVIRONMENT, IMAGE, STATE
from dlscore.policy.config import read_config
from dlscore.policy.folder import resolve_policy
from dlscore.policy.load import load_policy

LEGACY = SHARED / "legacy_checkpoint"
CAMERAS = ("observation.images.side", "observation.images.top")


@pytest.fixture(scope="module")
def legacy(tmp_path_factory):
    return stub.save_legacy_policy(tmp_path_factory.mktemp("legacy") / "policy", **stub.image_config())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A data set with two cameras of AV1 video and keypoints."""
    return stub.save_dataset(
        tmp_path_factory.mktemp("pictures") / "data", episodes=2, steps=8, cameras=(IMAGE, *CAMERAS)
    )


@pytest.fixture
def copy(legacy, tmp_path):
    return shutil.copytree(legacy, tmp_path / "policy")


def load(folder):
    return load_policy(str(folder), device="cpu")


def edit(folder, **changes):
    file = folder / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value != "<gone>"}))


def edit_weights(folder, change):
    weights = load_file(folder / "model.safetensors")
    save_file(change(weights), folder / "model.safetensors")


def same_policy(one, two):
    windows = {
        name: np.random.default_rng(0).random((2, 2, *shape), dtype=np.float32) for name, shape in one.inputs.items()
    }
    given = one.encode(windows)
    torch.testing.assert_close(given, two.encode(windows), atol=0, rtol=0)
    torch.testing.assert_close(one.sample(given, [[1], [2]]), two.sample(given, [[1], [2]]), atol=0, rtol=0)
    assert (one.to_px(np.eye(2)) == two.to_px(np.eye(2))).all()


@pytest.mark.skipif(not LEGACY.exists(), reason=f"no checkpoint of LeRobot 0.3.3 at {LEGACY}")
def test_a_checkpoint_of_lerobot_0_3_3_gives_the_numbers_that_it_gave():
    policy, reference = load(LEGACY), torch.load(LEGACY / "ref.pt")
    given = policy.encode(reference["batch"])
    torch.testing.assert_close(given, reference["global_cond"], atol=1e-5, rtol=0)
    stream = torch.Generator().manual_seed(123)
    with torch.no_grad():
        chunks = policy.policy.diffusion.conditional_sample(
            3, global_cond=given, noise=reference["noise"], generator=stream
        )
    torch.testing.assert_close(chunks, reference["actions_norm"], atol=1e-5, rtol=0)
    # From the reference's own chunks: float32 kernels differ between CPUs by 6e-7, which the step to px makes 1.5e-4.
    known = reference["actions_norm"]
    torch.testing.assert_close(policy.postprocess(known), reference["actions"], atol=1e-5, rtol=0)
    px = policy.to_px(known.numpy())  # float64; the reference is float32, which has 3e-5 px there
    np.testing.assert_allclose(px, reference["actions"].numpy(), atol=5e-5)


def test_a_legacy_checkpoint_is_the_same_policy_as_a_new_one(legacy, tmp_path):
    same_policy(load(legacy), load(stub.save_policy(tmp_path / "new", **stub.image_config())))


def test_the_schema_of_2024_is_translated(legacy, copy):
    same_policy(load(legacy), load(stub.as_of_2024(copy)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input_shapes": {STATE: [2], IMAGE: [3, 96, 96], "observation.force": [3]}}, "observation.force"),
        ({"input_normalization_modes": {STATE: "min_max"}}, "KeyError: 'observation.image'"),
        ({"input_normalization_modes": {STATE: "rank", IMAGE: "mean_std"}}, "normalises 'observation.state' by 'rank'"),
        ({"output_normalization_modes": "<gone>"}, "of 2024 .* not whole"),
        ({"crop_shape": "<gone>"}, "lacks crop_shape"),
        ({"num_train_timesteps": "<gone>", "chunk_size": 100}, "is of type 'act'"),
    ],
)
def test_what_is_ambiguous_in_the_schema_of_2024_is_refused(copy, change, words):
    stub.as_of_2024(copy)
    edit(copy, **change)
    with pytest.raises(UserError, match=words):
        load(copy)


def test_two_modes_for_one_type_are_refused(copy):
    edit(stub.as_of_2024(copy), input_shapes={STATE: [2], IMAGE: [3, 96, 96], "observation.image.b": [3, 96, 96]},
         input_normalization_modes={STATE: "min_max", IMAGE: "mean_std", "observation.image.b": "min_max"})  # fmt: skip
    with pytest.raises(
        UserError, match=r"normalises 'observation\.image\.b' by 'min_max', other VISUAL features by 'MEAN_STD'"
    ):
        load(copy)


def test_weights_of_a_compiled_model_load(legacy, copy):
    edit_weights(copy, lambda weights: {name.replace("diffusion.unet.", "diffusion.unet._orig_mod."): values
                                        for name, values in weights.items()})  # fmt: skip
    same_policy(load(legacy), load(copy))
    edit_weights(copy, lambda weights: weights | load_file(legacy / "model.safetensors"))
    with pytest.raises(UserError, match="holds weights twice"):
        load(copy)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: {k: v for k, v in w.items() if "buffer_action" not in k}, "lacks normalisation statistics: min of 'action'"),
        (lambda w: {k: v for k, v in w.items() if not k.endswith("state.max")}, "max of 'observation.state'"),
        (lambda w: {k: v for k, v in w.items() if "normalize" not in k}, "min of 'observation.state', max of"),
        (lambda w: w | {"normalize_inputs.buffer_observation_state.min": torch.full((2,), torch.inf)},
         r"min of 'observation\.state' that is not finite"),
        (lambda w: w | {"normalize_inputs.buffer_observation_force.min": torch.zeros(2)},
         r"features that its config does not have: normalize_inputs\.buffer_observation_force\.min"),
        (lambda w: w | {"unnormalize_outputs.buffer_action.max": torch.full((2,), 500.0)}, "two different values of the max"),
        (lambda w: {k: v for k, v in w.items() if "final_conv.1.bias" not in k}, r"diffusion\.unet\.final_conv\.1\.bias"),
    ],
)  # fmt: skip
def test_statistics_that_are_not_whole_are_refused(copy, change, words):
    edit_weights(copy, change)
    with pytest.raises(UserError, match=words):
        load(copy)


def test_one_processor_file_alone_is_refused(copy, policy_folder):
    shutil.copy(policy_folder / "policy_postprocessor.json", copy)
    with pytest.raises(UserError, match=r"has no policy_preprocessor\.json"):
        load(copy)


@pytest.mark.parametrize(
    "field", ["use_separate_rgb_encoder_per_camera", "vision_backbone", "clip_sample_range", "crop_shape"]
)
def test_a_field_of_another_era_is_not_guessed(copy, field):
    edit(copy, **{field: "<gone>"})
    with pytest.raises(UserError, match=f"lacks {field}, and a default of another LeRobot"):
        load(copy)


def test_pretrained_backbone_weights_are_not_fetched(copy, monkeypatch):
    edit(copy, pretrained_backbone_weights="ResNet18_Weights.IMAGENET1K_V1")
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url", lambda *args, **kwargs: pytest.fail("asked")
    )
    load(copy)


def test_processors_saved_on_a_gpu_load_on_a_cpu(policy_folder, tmp_path):
    folder = shutil.copytree(policy_folder, tmp_path / "policy")
    for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
        (folder / name).write_text((folder / name).read_text().replace('"device": "cpu"', '"device": "cuda"'))
    edit(folder, device="cuda")
    same_policy(load(policy_folder), load(folder))


def test_a_checkpoint_is_not_written_to(copy):
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in copy.iterdir()}
    load(copy)
    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in copy.iterdir()} == before


@pytest.mark.parametrize("below", ["checkpoints/000010", "checkpoints/000010/pretrained_model"])
def test_the_folder_of_a_training_run_is_its_last_checkpoint(policy_folder, tmp_path, below):
    for step in ("000002", "000010"):
        shutil.copytree(policy_folder, tmp_path / "run" / "checkpoints" / step / "pretrained_model")
    found, revision = policy_folder_of(tmp_path / "run")
    assert found.parts[-2:] == ("000010", "pretrained_model")
    assert revision == "local checkpoints/000010/pretrained_model"
    (tmp_path / "run" / "checkpoints" / "last").symlink_to("000002")
    assert policy_folder_of(tmp_path / "run")[0].parts[-2:] == ("000002", "pretrained_model")
    assert policy_folder_of(tmp_path / "run" / below)[0].parts[-2:] == ("000010", "pretrained_model")
    load(tmp_path / "run")
    with pytest.raises(UserError, match=r"has no config\.json, nor checkpoints"):
        policy_folder_of(tmp_path)


def policy_folder_of(path):
    return resolve_policy(str(path))


def test_a_policy_that_leaves_keypoints_as_they_are_loads_where_its_config_says_so(tmp_path, source):
    # LeRobot's default mapping has no ENV: such policies were trained on px.
    mapping = {"VISUAL": "MEAN_STD", "STATE": "MIN_MAX", "ACTION": "MIN_MAX"}
    policy = load(stub.save_policy(tmp_path / "policy", normalization_mapping=mapping))
    episode = source.load(0, policy.inputs)
    given = policy.encode(windows(policy, episode, slice(0, 1)))
    assert given.abs().max() > 100


@pytest.mark.parametrize("name", [STATE, ENVIRONMENT])
def test_an_input_that_lacks_its_statistics_is_named(policy_folder, tmp_path, name):
    from lerobot.policies.factory import make_pre_post_processors

    folder = shutil.copytree(policy_folder, tmp_path / "policy")
    known = {key: values for key, values in stub.stats().items() if key != name}
    for processor in make_pre_post_processors(stub.make_config(), dataset_stats=known):
        processor.save_pretrained(folder)
    with pytest.raises(UserError, match=f"does not normalise '{name}'"):
        load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_obs_steps": 1, "horizon": 8, "n_action_steps": 4},
        {"n_obs_steps": 3, "horizon": 32, "prediction_type": "sample"},
        {"noise_scheduler_type": "DDIM", "num_inference_steps": 10},
        {"noise_scheduler_type": "DDIM", "prediction_type": "sample", "clip_sample": False, "num_train_timesteps": 50},
        {**stub.image_config(), "n_obs_steps": 3, "crop_shape": None},
        {**stub.image_config(*CAMERAS)},
        {**stub.image_config(*CAMERAS), "use_separate_rgb_encoder_per_camera": True, "n_obs_steps": 1},
        {**stub.image_config(), "resize_shape": (48, 48), "crop_ratio": 0.9},
        {**stub.image_config(IMAGE), "input_features": {**stub.make_config().input_features,
                                                        **stub.image_config(IMAGE)["input_features"]}},
    ],
    ids=["short", "long sample", "DDIM", "DDIM sample", "3 pictures", "2 cameras", "2 encoders", "resized", "mixed"],
)  # fmt: skip
def test_any_shape_of_policy_sees_what_lerobots_loader_gives_it(changes, pictures, tmp_path):
    """Through LeRobot's DataLoader with delta_timestamps and the policy's preprocessor: equal to 1e-6."""
    from lerobot.datasets import LeRobotDataset, LeRobotDatasetMetadata
    from lerobot.datasets.factory import resolve_delta_timestamps
    from torch.utils.data import DataLoader

    policy, source = load(stub.save_policy(tmp_path / "policy", **changes)), open_dataset(root=pictures)
    Run(policy, source)
    deltas = resolve_delta_timestamps(policy.config, LeRobotDatasetMetadata("tiny", root=pictures))
    dataset = LeRobotDataset("tiny", root=pictures, episodes=[1], delta_timestamps=deltas, video_backend="pyav")
    theirs = policy.preprocess(next(iter(DataLoader(dataset, batch_size=len(dataset)))))
    found = windows(policy, source.load(1, policy.inputs), slice(0, len(dataset)))
    ours = policy.preprocess({name: torch.as_tensor(values) for name, values in found.items()})
    for name in policy.inputs:
        # LeRobot drops the window's dimension where it is 1.
        expected = theirs[name].reshape(ours[name].shape)
        torch.testing.assert_close(
            ours[name], expected, atol=1e-6, rtol=0, msg=lambda text, name=name: f"{name}: {text}"
        )
    given = policy.encode({name: values[:1] for name, values in found.items()})
    chunks = policy.sample(given, [[3]])
    assert chunks.shape == (1, 1, policy.horizon, 2)
    assert policy.current == policy.config.n_obs_steps - 1
    noisy = torch.randn(1, 4, policy.horizon, 2)
    assert torch.isfinite(policy.epsilon(noisy, 10, given)).all()


def test_config_json_is_checked_without_torch(copy):
    assert read_config(copy, "x")["horizon"] == 16
    assert ACTION in read_config(stub.as_of_2024(copy), "x")["output_features"]


def test_a_noise_that_is_predicted_as_a_sample_is_the_same_policy():
    # ε and x₀ are the same prediction: (x_t - α x̂₀)/σ = ε̂ (Ho et al. 2020, eq. 9).
    mixture = mixtures.gaussians("", [[0.3, -0.4]], 0.1)
    policy = analytic_policy.make_policy(mixture)
    x, given = torch.randn(1, 5, policy.horizon, 2), analytic_policy.encode_observation(policy)
    epsilon = policy.epsilon(x, 30, given)
    alpha, sigma = policy.noise_level(30)
    plain = policy.policy.diffusion.unet

    class Sample(torch.nn.Module):
        def forward(self, x, t, global_cond):
            return (x - sigma * plain(x, t, global_cond)) / alpha

    policy.policy.diffusion.unet, policy.config.prediction_type = Sample(), "sample"
    torch.testing.assert_close(policy.epsilon(x, 30, given), epsilon, atol=1e-4, rtol=1e-4)


def test_a_processor_does_not_get_to_run_a_class_of_its_own(policy_folder, tmp_path):
    folder = shutil.copytree(policy_folder, tmp_path / "policy")
    file = folder / "policy_preprocessor.json"
    processor = json.loads(file.read_text())
    processor["steps"].insert(0, {"class": "os.system", "config": {"command": f"touch {tmp_path / 'ran'}"}})
    file.write_text(json.dumps(processor))
    with pytest.raises(UserError, match=r"has a step 'os\.system'; the steps of a diffusion policy are"):
        load(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("statistic", "value", "words"),
    [
        ("max", torch.inf, r"a max of 'observation\.state' that is not finite"),
        ("max", 0.0, r"'observation\.state' without a spread"),
    ],
)
def test_statistics_in_processor_files_are_checked_too(policy_folder, tmp_path, statistic, value, words):
    folder = shutil.copytree(policy_folder, tmp_path / "policy")
    (file,) = folder.glob("policy_preprocessor_step_*_normalizer_processor.safetensors")
    tensors = load_file(file)
    tensors[f"{STATE}.{statistic}"] = torch.full((2,), value)
    save_file(tensors, file)
    with pytest.raises(UserError, match=words):
        load(folder)


def test_a_revision_of_a_folder_and_a_mistyped_path_are_refused(policy_folder):
    with pytest.raises(UserError, match=r"is a hub revision, but policy .* is a local folder"):
        load_policy(str(policy_folder), device="cpu", revision="v9")
    for path in ("./nopolicy", "../nopolicy", "a--b/c", "x" * 5000, str(policy_folder / "config.json")):
        with pytest.raises(UserError, match=r"is neither a folder nor a hub id|cannot be read|is a file"):
            load_policy(path, device="cpu")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"output_features": {"action": {"type": "ACTION", "shape": 5}}}, "has actions of shape 5"),
        ({"num_inference_steps": 200}, "has num_inference_steps 200; it is a whole number from 1 to 100"),
        ({"horizon": 0}, "has horizon 0"),
        ({"n_obs_steps": 20}, "has n_obs_steps 20; it is a whole number from 1 to 16"),
        ({"output_features": {"action": None}}, "has actions of shape None"),
        ({"vision_backbone": "resnet9"}, r"cannot be loaded exactly .*resnet9"),
        ({"brand_new_field": 1}, "has 'brand_new_field', which LeRobot .* does not know"),
        ({"clip_sample_range": None}, "has clip_sample_range None"),
        ({"clip_sample": None}, "has clip_sample None"),
        ({"beta_schedule": "linear", "beta_end": 2.0}, r"has beta_start 0\.0001 and beta_end 2\.0"),
    ],
)
def test_a_config_that_makes_nonsense_is_named(copy, changes, words):
    edit(copy, **changes)
    with pytest.raises(UserError, match=words):
        load(copy)


@pytest.mark.parametrize(
    "text", ["[]", '{"steps": null}', '{"steps": [1]}', '{"steps": [{"registry_name": "none"}]}', "x"]
)
@pytest.mark.parametrize("name", ["policy_preprocessor.json", "policy_postprocessor.json"])
def test_a_damaged_processor_is_one_error(policy_folder, tmp_path, name, text):
    folder = shutil.copytree(policy_folder, tmp_path / "policy")
    (folder / name).write_text(text)
    with pytest.raises(UserError, match=rf"{name} (cannot be read|has a step)"):
        load(folder)
