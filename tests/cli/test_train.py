"""`medcorpus train` as a user runs it: the smoke, a prepared folder on a bare machine, plans, refusals."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medcorpus.cli import prepare as cli_prepare
from medcorpus.cli import smoke
from medcorpus.core.errors import MedcorpusError
from medcorpus.recipe.compile import compile
from medcorpus.recipe.load import load
from medcorpus.training import run
from medcorpus.training.__main__ import main
from medcorpus.training.devices import Devices
from medcorpus.training.log import read_log
from medcorpus.training.prepared import Prepared
from tests.cli.helpers import environment, inside, medcorpus, start

RECIPE = """
name: little
data: [rows]
steps:
  - upcycle: {base: {init: random, hidden: 32, layers: 2, heads: 2, key_value_heads: 1, ffn: 64, context: 256, vocabulary: 700}, experts: families, layers: 1}
  - tune: {mix: {instruction: 1.0, text: 0.5}, window: 192, batch_tokens: 1536, lr: 1.0e-3, precision: fp32, save_every: 4, log_every: 1, heldout: 0.05}
    id: stage1
  - tune: {mix: {mcqa: 0.1}, replay: 0.2, window: 192, batch_tokens: 3072, lr: 1.0e-3, precision: fp32, log_every: 1}
    id: stage2
  - evaluate: {most: 3}
  - export:
"""  # noqa: E501


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("train")
    with pytest.MonkeyPatch.context() as fewer:
        fewer.setattr(smoke, "DAYS", 3)
        smoke.write_rows(made / "rows")
    (made / "little.yaml").write_text(RECIPE)
    return made


@pytest.fixture(scope="module")
def prepared(folder):
    medcorpus("train", "little.yaml", "--prepare", "prepared", cwd=folder)
    return folder / "prepared"


def copied(prepared: Path, to: Path) -> Path:
    return Path(shutil.copytree(prepared, to, symlinks=True))


BLOCK = """
import importlib.abc, runpy, sys
def theirs():  # huggingface_hub cannot be imported without yaml: what libraries need themselves is theirs
    frame = sys._getframe(2)
    while frame and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return frame.f_globals.get("__name__", "").split(".")[0] not in ("medcorpus", "__main__")
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r} and not theirs():
            raise ModuleNotFoundError("blocked: " + name, name=name)
sys.meta_path.insert(0, Block())
sys.argv = ["medcorpus.training", *sys.argv[1:]]
runpy.run_module("medcorpus.training", run_name="__main__")
"""
BARE = [
    "pydantic",
    "typer",
    "yaml",
    "pyarrow",
    "datasets",
    "trl",
    "rich",
    "numba",
    "orjson",
    "tensorboard",
    "matplotlib",
]


def training(folder: Path, *options: str, blocked: list[str] | None = None, code: int = 0):
    """`python -m medcorpus.training`, without the modules `blocked`."""
    module = ["-c", BLOCK.format(blocked=set(blocked))] if blocked else ["-m", "medcorpus.training"]
    done = subprocess.run(
        [sys.executable, *module, str(folder), "--cpu", *options],
        env=environment() | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def here(folder: Path, *options: str, code: int = 0):
    """The same in this process: most of a start is the import of torch and transformers."""
    import torch

    torch.set_num_threads(1)  # as OMP_NUM_THREADS says to the others: sums are added up in another order by two
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as given, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        given.setattr(sys, "argv", ["medcorpus.training", str(folder), "--cpu", *options])
        ended = main()
    done = subprocess.CompletedProcess(options, ended, out.getvalue(), err.getvalue())
    assert ended == code, f"exit {ended}\n{done.stdout}\n{done.stderr}"
    return done


def test_the_smoke(tmp_path):
    """Both stages, kill -9 and exact resume, export, stock reload, evaluation: every check of the command itself."""
    done = medcorpus("train", "post_moe", "--smoke", "--json", cwd=tmp_path)
    shown = json.loads(done.stdout)
    assert all(check["right"] for check in shown["checks"]), shown["checks"]
    said = " ".join(check["check"] for check in shown["checks"])
    for part in (
        "same bits as unbroken",
        "upcycle: same logits",
        "export: same logits",
        "exam at the end",
        "chosen freely",
    ):
        assert part in said
    results = shown["results"]
    assert results["after_stage1"]["all"]["accuracy"] < 0.5 < 0.9 < results["after_stage2"]["all"]["accuracy"]
    assert results["after_stage2"]["routing"]["own_first"] >= 0.6
    assert set(results["after_stage2"]["by_language"]) == set(smoke.WORLD)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    exported = tmp_path / "runs" / "post_moe-smoke" / "export"
    model, words = AutoModelForCausalLM.from_pretrained(exported), AutoTokenizer.from_pretrained(exported)
    assert model.config.model_type == "qwen3_moe" and type(model).__module__.startswith("transformers.")
    question = [
        {
            "role": "user",
            "content": "A child: fever, 7.\n"
            + "\n".join(f"{k}. {t}" for k, t in zip("ABCD", smoke.WORLD["eng"][2], strict=True)),
        }
    ]
    asked = words.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**asked, max_new_tokens=4, do_sample=False)[0, asked["input_ids"].shape[1] :]
    assert words.decode(answer) == "A<|im_end|>", "it answers, and stops"


def test_a_bare_machine_runs_what_was_prepared(prepared, folder, tmp_path):
    done = training(copied(prepared, tmp_path / "bare"), "--json", blocked=BARE)
    bare = json.loads(done.stdout)
    full = json.loads(here(copied(prepared, tmp_path / "full"), "--json").stdout)
    assert bare["stage2"]["digest"] == full["stage2"]["digest"], "from .npy and from Arrow, the same training"
    assert bare["evaluate"]["by_language"] == full["evaluate"]["by_language"]
    assert (tmp_path / "full" / "steps").exists() and list((tmp_path / "full").glob("steps/*/routing.png"))
    assert not list((tmp_path / "bare").glob("steps/*/routing.png")) and "needs matplotlib" in done.stderr
    assert here(tmp_path / "full").stderr == "", "run again: nothing to do"


def test_sigterm_saves_what_changed_is_named_and_the_same_command_goes_on(prepared, tmp_path):
    root = copied(prepared, tmp_path / "stopped")
    process = subprocess.Popen(
        [sys.executable, "-m", "medcorpus.training", str(root), "--cpu", "--until", "stage1"],
        env=environment() | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step 1/"):
            process.send_signal(signal.SIGTERM)
            break
    rest = process.stderr.read()
    assert process.wait() == 143 and "the same command goes on from there" in rest
    (plan,) = root.glob("data/stage1-*/plan.json")
    written = plan.read_text()
    plan.write_text(written.replace(json.loads(written)["shards"], "f" * 32))
    refused = here(root, code=3)
    assert "made with another shards" in refused.stderr and "--accept shards" in refused.stderr
    plan.write_text(written)
    again = here(root, "--until", "stage1", "--again", "stage1", "--json")
    assert "going on after step" in again.stderr and json.loads(again.stdout)["again"]["equal"]


def test_plan_tells_what_it_would_cost(folder):
    shown = json.loads(medcorpus("train", "little.yaml", "--plan", "--json", cwd=folder).stdout)
    one, two = shown["steps"]
    assert one["id"] == "stage1" and two["id"] == "stage2" and two["by_kind"].keys() == {"mcqa", "qa", "text"}
    assert sum(row["tokens"] for row in one["by_language"].values()) == one["tokens"]
    assert 0.8 < one["packing"] <= 1 and 0 < two["learnt"] < two["tokens"]
    assert one["parameters"]["active"] < one["parameters"]["total"] == one["trained"]
    assert one["memory"]["total"] == sum(size for name, size in one["memory"].items() if name != "total")
    forced = one["experts"]
    assert forced["tokens"]["Sino-Tibetan"] == one["by_language"]["zho"]["tokens"]
    assert "Austronesian" in forced["starved"] and forced["without_expert"] == []
    text = inside("train", "little.yaml", "--plan", cwd=folder).stdout
    for part in ("packing", "warning: next to no tokens for", "GiB at", "h on one H200"):
        assert part in text
    assert not list((folder / "runs" / "little").glob("steps/*")), "nothing was trained"


def test_explain_says_what_a_step_saw(prepared, folder):
    told = json.loads(inside("explain", "prepared", "stage1 step 2", "--json", cwd=folder).stdout)
    (tune,) = told["tunes"]
    assert {span["step"] for span in tune["spans"]} == {2} and len(tune["spans"]) > 5
    assert {span["kind"] for span in tune["spans"]} <= {"qa", "text"}
    row = tune["spans"][0]["id"]
    seen = json.loads(inside("explain", "prepared", row, "--json", cwd=folder).stdout)
    assert 2 in [span["step"] for one in seen["tunes"] for span in one["spans"] if one["id"] == "stage1"]
    assert "stage1 1 to " in inside("explain", "prepared", "step 100,000", cwd=folder, code=2).stderr
    assert "'step 12'" in inside("explain", "prepared", "nonsense", cwd=folder, code=2).stderr


def prepare(recipe: str, folder: Path, out: Path):
    """Prepare in this process: what the command does before it starts another one."""
    (out.parent / "little.yaml").write_text(recipe.replace("[rows]", f"[{folder}/rows]"))
    loaded = load(str(out.parent / "little.yaml"))
    return cli_prepare.prepare(compile(loaded, ""), loaded.file, out)


def test_a_changed_step_does_not_touch_the_ones_before(tmp_path, folder):
    keys = []
    for lr in ("1.0e-3", "5.0e-4"):
        old, new = RECIPE.rsplit("lr: 1.0e-3", 1)
        about = prepare(f"{old}lr: {lr}{new}", folder, tmp_path / "made")
        keys.append({step["id"]: (step["key"], step["data_key"]) for step in about["steps"]})
    changed = {id for id in keys[0] if keys[0][id][0] != keys[1][id][0]}
    assert changed == {"stage2", "evaluate", "export"}
    assert all(keys[0][id][1] == keys[1][id][1] for id in keys[0]), "the plan of a step does not depend on its lr"


WRONG = {
    "upcycle is the first step with a model and must say `base`": ("base: {init: random", "seed: 1} # {"),
    "goes on with the model of the step above": ("replay: 0.2,", "replay: 0.2, base: x,"),
    "did you mean 'heldout'": ("heldout: 0.05", "helduot: 0.05"),
    "no row is of the mix key 'mcqa/exams'; did you mean 'mcqa/exam'": ("{mcqa: 0.1}", "{mcqa/exams: 0.1}"),
    "a model has no size 'hiden'; did you mean 'hidden'": ("hidden: 32", "hiden: 32"),
    "is a step of `medcorpus build`": ("  - export:", "  - quality:\n    from: data"),
    "windows of 512 tokens, but the model reads at most 256": ("text: 0.5}, window: 192", "text: 0.5}, window: 512"),
    "has no model yet": ("steps:", "steps:\n  - evaluate:\n    id: early"),
    "no finished run": ("/rows]", "/rowz]"),
    "init: random": ("init: random", "init: zero"),
    "has no room for 256 bytes": ("vocabulary: 700", "vocabulary: 7"),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_recipes_say_what_to_do(folder, tmp_path, message):
    recipe = RECIPE.replace("[rows]", f"[{folder}/rows]").replace(*WRONG[message])
    with pytest.raises(MedcorpusError) as wrong:
        prepare(recipe, folder, tmp_path / "made")
        run.run(Prepared(tmp_path / "made"), Devices(cpu=True), until="stage1")
    assert message in str(wrong.value) and wrong.value.exit_code in (2, 3)


def test_build_does_not_train(folder):
    refused = medcorpus("build", "little.yaml", cwd=folder, code=2)
    assert "`medcorpus train little.yaml` runs it" in refused.stderr


def test_the_command_line_stays_light():
    code = "import sys; from medcorpus.cli import run; run(['--help']); assert not {'torch', 'transformers'} & set(sys.modules)"  # noqa: E501
    assert subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True).returncode == 0


@pytest.mark.accept
def test_the_other_recipe_too(tmp_path):
    shown = json.loads(medcorpus("train", "mmed_two_stage", "--smoke", "--json", cwd=tmp_path).stdout)
    assert all(check["right"] for check in shown["checks"]), shown["checks"]


@pytest.mark.accept
def test_two_processes_train_what_one_trains(prepared, tmp_path):
    """FSDP2 under torchrun, on the CPU: the same losses, and a checkpoint of two goes on with one."""
    one, two = copied(prepared, tmp_path / "one"), copied(prepared, tmp_path / "two")
    training(one)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    process = subprocess.Popen(
        [*torchrun, "--rdzv-endpoint", "localhost:0", "-m", "medcorpus.training", str(two), "--cpu"],
        env=environment() | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not list(two.glob("steps/stage1-*/checkpoints/step-00000004")):
        time.sleep(0.02)
    process.terminate()  # torchrun hands it on
    process.wait()
    assert "going on after step" in training(two).stderr
    logs = [
        [line for file in sorted(root.glob("steps/stage*/log.jsonl")) for line in read_log(file)] for root in (one, two)
    ]
    for first, second in zip(*logs, strict=True):
        assert first["step"] == second["step"] and first.get("loss", 0) == pytest.approx(
            second.get("loss", 0), rel=1e-4
        )


@pytest.mark.accept
def test_a_signal_reaches_the_training_through_the_command(folder, tmp_path):
    (tmp_path / "rows").symlink_to(folder / "rows")
    (tmp_path / "little.yaml").write_text(RECIPE)
    process = start("train", "little.yaml", cwd=tmp_path)
    while process.poll() is None and not list(tmp_path.glob("runs/little/steps/stage1-*/log.jsonl")):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 143 and "the same command goes on" in errors
    assert "nothing" not in medcorpus("train", "little.yaml", cwd=tmp_path).stderr
