import json

import pytest
import torch

from medcorpus.core.errors import Fatal
from medcorpus.training import checkpoint

LINEAGE = {"plan": "a" * 32, "base": "b" * 32, "code": "c" * 32}


def write(root, step, value=1.0):
    tensors = {"model": {"w": torch.full((3, 2), value)}, "optimizer": {"w/step": torch.tensor(float(step))}}
    return checkpoint.write(root, step, tensors, {"best": 0}, LINEAGE)


def test_newest_whole_checkpoint_is_found(tmp_path):
    assert checkpoint.newest(tmp_path / "none", print) is None
    for step in (10, 20, 30):
        write(tmp_path, step)
    folder, manifest = checkpoint.newest(tmp_path, print)
    assert folder.name == "step-00000030" and manifest["step"] == 30 and manifest["lineage"] == LINEAGE


def cut_short(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def flip_a_bit(folder):
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def other_format(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))


BREAKS = {
    "bytes, not": cut_short,
    "has changed": flip_a_bit,
    "is missing": lambda folder: (folder / "optimizer.safetensors").unlink(),
    "manifest cannot be read": lambda folder: (folder / "manifest.json").unlink(),
    "cannot be read (JSONDecodeError)": lambda folder: (folder / "manifest.json").write_text('{"step": 3'),
    "of format 99": other_format,
}


@pytest.mark.parametrize("why", BREAKS)
def test_broken_checkpoints_are_passed_over_and_named(tmp_path, why):
    write(tmp_path, 10)
    BREAKS[why](write(tmp_path, 20))
    said = []
    folder, _ = checkpoint.newest(tmp_path, said.append)
    assert folder.name == "step-00000010" and "step-00000020" in said[0] and why in said[0]


def test_a_half_written_one_is_not_there(tmp_path, monkeypatch):
    write(tmp_path, 10)

    def fill(folder):
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoint.publish(tmp_path / checkpoint.name_of(20), fill, {"step": 20})
    assert [path.name for path in checkpoint.all_of(tmp_path)] == ["step-00000010"]
    checkpoint.prune(tmp_path, 5, None)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000010"]


def test_the_last_ones_and_the_best_are_kept(tmp_path):
    for step in (10, 20, 30, 40):
        write(tmp_path, step)
    checkpoint.prune(tmp_path, 2, "step-00000010")
    assert [path.name[-2:] for path in checkpoint.all_of(tmp_path)] == ["10", "30", "40"]


def test_another_lineage_is_refused_by_name(tmp_path):
    checkpoint.check_lineage(tmp_path, LINEAGE, dict(LINEAGE))
    now = LINEAGE | {"plan": "d" * 32}
    del now["base"]
    with pytest.raises(Fatal, match=r"another base, plan \(base was bbbbbbbbbbbb, is absent; plan was aaa") as refused:
        checkpoint.check_lineage(tmp_path, LINEAGE, now)
    assert refused.value.exit_code == 3
    checkpoint.check_lineage(tmp_path, LINEAGE, now, ("base", "plan"))
