"""Damaged caches by number: `damaged(intact, seed, path)` is the same file each time."""

from pathlib import Path

import h5py
import numpy as np

Random = np.random.Generator


def _flip(blob: bytearray, rng: Random) -> None:
    for position in rng.integers(0, len(blob), rng.integers(1, 21)):
        blob[position] ^= 1 << int(rng.integers(8))


def _flip_header(blob: bytearray, rng: Random) -> None:
    for position in rng.integers(0, min(len(blob), 4096), rng.integers(1, 4)):
        blob[position] = int(rng.integers(256))


def _truncate(blob: bytearray, rng: Random) -> None:
    del blob[int(rng.integers(0, len(blob))) :]


def _zero(blob: bytearray, rng: Random) -> None:
    start, length = int(rng.integers(0, len(blob))), int(rng.integers(1, 5000))
    blob[start : start + length] = bytes(len(blob[start : start + length]))


def _cut_out(blob: bytearray, rng: Random) -> None:
    start = int(rng.integers(0, len(blob)))
    del blob[start : start + int(rng.integers(1, 600))]


def _noise(blob: bytearray, rng: Random) -> None:
    blob[:] = rng.bytes(int(rng.integers(0, 4000)))


def _empty(blob: bytearray, rng: Random) -> None:
    blob.clear()


def _append(blob: bytearray, rng: Random) -> None:
    blob.extend(rng.bytes(int(rng.integers(1, 200))))


def _datasets(file: h5py.File) -> list[str]:
    found: list[str] = []
    file.visititems(lambda name, item: found.append(name) if (isinstance(item, h5py.Dataset) and "/" in name) or
                    name in ("time", "state", "drift", "done", "expert_action", "predicted_chunks", "x") else None)  # fmt: skip
    return sorted(found)


def _pick(file: h5py.File, rng: Random) -> str:
    return str(rng.choice(_datasets(file)))


def _rename(file: h5py.File, rng: Random) -> None:
    name = _pick(file, rng)
    file.move(name, name + "_renamed")


def _remake(file: h5py.File, name: str, shape: tuple[int, ...], dtype: object, **options: object) -> None:
    attrs = {key: value for key, value in file[name].attrs.items() if key.islower()}
    del file[name]
    made = file.create_dataset(name, shape, dtype=dtype, **options)
    made.attrs.update(attrs)


def _retype(file: h5py.File, rng: Random) -> None:
    name = _pick(file, rng)
    kinds = ["f2", "f4", "f8", "i1", "i8", "u1", "S4", h5py.string_dtype(), h5py.vlen_dtype("f4"), "c8", [("a", "f4")]]
    _remake(file, name, file[name].shape, kinds[int(rng.integers(len(kinds)))])


def _reshape(file: h5py.File, rng: Random) -> None:
    name = _pick(file, rng)
    shape = list(file[name].shape)
    axis, size = int(rng.integers(len(shape))), int(rng.choice([0, 1, 2, 7, 5000, 10**6, 10**9]))
    shape[axis] = size
    shape = shape[1:] if rng.random() < 0.2 else shape
    _remake(
        file,
        name,
        tuple(shape),
        file[name].dtype,
        chunks=tuple(min(n, 64) for n in shape) if shape and all(shape) else None,
    )


def _drop_attribute(file: h5py.File, rng: Random) -> None:
    items = [file, *(file[name] for name in _datasets(file))]
    item = items[int(rng.integers(len(items)))] if rng.random() < 0.5 else file
    known = sorted(item.attrs)
    if known:
        del item.attrs[str(rng.choice(known))]


def _change_attribute(file: h5py.File, rng: Random) -> None:
    item = file if rng.random() < 0.6 else file[f"scores/{rng.choice(sorted(file['scores']))}"]
    values = [
        np.nan,
        -1,
        10**18,
        "",
        "{",
        "[" * 5000,
        "null",
        "[1, 2]",
        np.zeros(3),
        b"\xff\xfe",
        "x\ny",
        np.inf,
        "2.0",
    ]
    item.attrs[str(rng.choice(sorted(key for key in item.attrs if key.islower())))] = values[
        int(rng.integers(len(values)))
    ]


def _group_for_dataset(file: h5py.File, rng: Random) -> None:
    name = _pick(file, rng)
    del file[name]
    file.create_group(name)


def _broken_link(file: h5py.File, rng: Random) -> None:
    name = _pick(file, rng)
    del file[name]
    links = [h5py.SoftLink("/nowhere"), h5py.ExternalLink("gone.h5", "/x"), h5py.SoftLink(f"/{name}")]
    file[name] = links[int(rng.integers(len(links)))]


def _nonsense(file: h5py.File, rng: Random) -> None:
    name = _pick(file, rng)
    if file[name].dtype.kind == "f":
        file[name][...] = float(rng.choice([np.nan, np.inf, 1e30, -1e30]))


def _foreign(file: h5py.File, rng: Random) -> None:
    for name in list(file):
        del file[name]
    if rng.random() < 0.5:
        for name in list(file.attrs):
            del file.attrs[name]
    file["data"] = rng.normal(size=(20, 3))


BYTES = (_flip, _flip, _flip, _flip_header, _truncate, _truncate, _zero, _cut_out, _append, _noise, _empty)
CONTENT = (_rename, _retype, _reshape, _reshape, _drop_attribute, _change_attribute, _change_attribute, _group_for_dataset,
           _broken_link, _nonsense, _foreign)  # fmt: skip


def damaged(intact: bytes, seed: int, path: Path) -> str:
    """Write the damaged file number `seed` to `path`; what was done to it."""
    rng = np.random.default_rng(seed)
    blob = bytearray(intact)
    if rng.random() < 0.6:
        change = BYTES[int(rng.integers(len(BYTES)))]
        change(blob, rng)
        path.write_bytes(bytes(blob))
    else:
        path.write_bytes(intact)
        change = CONTENT[int(rng.integers(len(CONTENT)))]
        with h5py.File(path, "r+", locking=False) as file:
            change(file, rng)
    return change.__name__.strip("_")
