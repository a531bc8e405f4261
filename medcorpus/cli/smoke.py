"""`medcorpus train RECIPE --smoke`: the recipe's own steps, made tiny, killed on the way, checked at the end.

The rows are made up: signs of illness, treatments and who has them, in six languages of six families. An exam asks for
the treatment; whoever learnt the signs knows it, whoever did not gets one in four. The code path is that of a real
training: the same preparation, the same command, the same files. Only sizes are overridden.
"""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from medcorpus.cli.show import print_json, table
from medcorpus.core.errors import EXIT_DONE, Fatal, RecipeError
from medcorpus.core.log import event
from medcorpus.core.schema import RECORD, record_id

# language -> who, signs (two for each treatment), treatments
WORLD = {
    "eng": (["A child", "An old man", "My sister", "The nurse", "A farmer"],
            ["fever", "cough", "thirst", "cramp", "rash", "itch", "fracture", "sprain"],
            ["cool drinks", "salt water", "zinc cream", "a plaster cast"]),
    "zho": (["一个孩子", "一位老人", "我姐姐", "护士", "农民"],
            ["发热", "咳嗽", "口渴", "抽筋", "皮疹", "瘙痒", "骨折", "扭伤"],
            ["冷饮", "盐水", "锌软膏", "石膏"]),
    "tha": (["เด็กคนหนึ่ง", "ชายชรา", "พี่สาว", "พยาบาล", "ชาวนา"],
            ["มีไข้", "ไอ", "กระหายน้ำ", "ตะคริว", "ผื่น", "คัน", "กระดูกหัก", "ข้อแพลง"],
            ["น้ำเย็น", "น้ำเกลือ", "ครีมสังกะสี", "เฝือก"]),
    "ara": (["طفل", "رجل مسن", "أختي", "الممرضة", "مزارع"],
            ["حمى", "سعال", "عطش", "تشنج", "طفح", "حكة", "كسر", "التواء"],
            ["مشروبات باردة", "ماء مالح", "مرهم الزنك", "جبيرة"]),
    "hin": (["एक बच्चे को", "एक बूढ़े को", "मेरी बहन को", "नर्स को", "किसान को"],
            ["बुखार", "खांसी", "प्यास", "ऐंठन", "दाने", "खुजली", "हड्डी टूटना", "मोच"],
            ["ठंडे पेय", "नमक का पानी", "जिंक क्रीम", "पलस्तर"]),
    "swa": (["Mtoto", "Mzee", "Dada yangu", "Muuguzi", "Mkulima"],
            ["homa", "kikohozi", "kiu", "mkakamao", "upele", "kuwashwa", "kuvunjika", "teguko"],
            ["vinywaji baridi", "maji ya chumvi", "krimu ya zinki", "bendeji ngumu"]),
}  # fmt: skip
DAYS = 8  # every sign is asked about with each of these numbers; one number is kept for the test
TINY = {"init": "random", "hidden": 48, "layers": 4, "heads": 4, "key_value_heads": 2, "ffn": 96, "context": 256, "vocabulary": 1200}  # fmt: skip # noqa: E501
TUNE = {
    "window": 192, "overlap": 0, "batch_tokens": 2048, "micro_tokens": 2048, "precision": "fp32", "lr": 4e-3,
    "warmup": 0.1, "save_every": 10, "log_every": 10, "evaluate_every": 0, "heldout": 0.02,
}  # fmt: skip
WANTED_ACCURACY, WANTED_OWN = 0.9, 0.6


def rows() -> Iterator[dict[str, Any]]:
    """Records of kind text, qa and mcqa; of the exam, one number of days is the test."""
    for language, (people, signs, treatments) in WORLD.items():
        for number, (person, (at, sign), days) in enumerate(itertools.product(people, enumerate(signs), range(DAYS))):
            treatment, asked = treatments[at // 2], f"{person}: {sign}, {days}."
            common = {"language": language, "locator": f"{language}-{number}", "licence": "CC0-1.0"}
            if days < 3:
                yield {"kind": "text", "source": "notes", "text": f"{asked} {treatment}.", **common}
                turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": treatment}]
                yield {"kind": "qa", "source": "talk", "text": asked, "turns": turns, **common}
            options = [{"key": key, "text": text} for key, text in zip("ABCD", treatments, strict=True)]
            mcqa = {"question": asked, "options": options, "answers": ["ABCD"[at // 2]]}
            split = "test" if days == DAYS - 1 else "train"
            yield {"kind": "mcqa", "source": "exam", "text": asked, "mcqa": mcqa, "split": split, **common}


def write_rows(folder: Path) -> None:
    """The rows as a dataset that `data:` takes."""
    made = list(rows())
    for row in made:
        row["id"] = record_id(row["source"].encode(), row["locator"].encode(), row["text"].encode())
        row["category"] = "exam" if row["kind"] == "mcqa" else "general"
    batch = pa.RecordBatch.from_pylist(sorted(made, key=lambda row: row["id"]), schema=RECORD)
    folder.mkdir(parents=True)
    with pa.ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), batch.schema) as writer:
        writer.write_batch(batch)
    (folder / "state.json").write_text('{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}')


def shrink(value: dict[str, Any]) -> None:
    """Override the sizes in a recipe, in place; its steps, mixes, routing and order stay."""
    value.pop("languages", None)
    exam_epochs = 4 if any("upcycle" in item for item in value["steps"]) else 9  # so small, a dense one learns slower
    for item in value["steps"]:
        for key, params in list(item.items()):
            if key not in ("upcycle", "tune", "evaluate"):
                continue
            params = item[key] = dict(params or {})
            if "base" in params:
                params["base"] = TINY
            if key == "tune":
                params |= TUNE
                params["mix"] = {kind.split("/")[0]: share for kind, share in params["mix"].items()}
                params["epochs"] = exam_epochs if "mcqa" in params["mix"] else 3
            elif key == "evaluate":
                params |= {"exams": [], "split": ["test"]}


def smoke(recipe: str, overrides: tuple[str, ...], out: Path | None, as_json: bool) -> int:
    """Run it in a folder of its own; returns the exit code, 3 when a check fails."""
    from medcorpus.cli.prepare import prepare
    from medcorpus.recipe.compile import compile
    from medcorpus.recipe.load import load

    began = time.monotonic()
    loaded = load(recipe, overrides)
    root = out or Path("runs") / f"{loaded.value.get('name', 'unnamed')}-smoke"
    if root.exists() and not (root / "training.json").exists() and any(root.iterdir()):
        raise RecipeError(f"{root} is there and no training; name another folder with --out")
    shutil.rmtree(root, ignore_errors=True)
    write_rows(root / "rows")
    loaded.value["data"] = [str(root / "rows")]
    loaded.problems.clear()
    shrink(loaded.value)
    about = prepare(compile(loaded, ""), loaded.file, root)
    tunes = [step for step in about["steps"] if step["stage"] == "tune"]
    killed = _killed(root, tunes[0])
    results = _resumed(root, tunes[0]["id"])
    checks = _checks(about, results, killed)
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        shown = [dict(zip(("check", "found", "wanted", "right"), check, strict=True)) for check in checks]
        print_json({"folder": str(root), "seconds": seconds, "checks": shown, "results": results})
    else:
        table(f"{root}: {seconds} s", ["check", "found", "wanted", ""], [[*check[:3], "ok" if check[3] else "FAILED"] for check in checks])  # fmt: skip # noqa: E501
    return EXIT_DONE if all(check[3] for check in checks) else Fatal.exit_code


def _command(root: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "medcorpus.training", str(root), "--cpu", *options]


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}  # tiny matrices: a second thread only waits


def _killed(root: Path, step: dict[str, Any]) -> str:
    """Start the training and kill it, without warning, once the first step of training has a checkpoint."""
    checkpoints = root / "steps" / f"{step['id']}-{step['key'][:8]}" / "checkpoints"
    process = subprocess.Popen(_command(root), env=_environment())
    try:
        while process.poll() is None and not list(checkpoints.glob("step-*")):
            time.sleep(0.02)
        if process.poll() is not None:
            raise Fatal(f"the training ended with exit code {process.returncode} before it could be killed")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
    kept = sorted(path.name for path in checkpoints.glob("step-*"))
    event(f"killed; left are {', '.join(kept)}")
    return kept[-1]


def _resumed(root: Path, again: str) -> dict[str, Any]:
    """Go on to the end, then train the killed step once more without a kill; the results."""
    import json

    done = subprocess.run(_command(root, "--again", again, "--json"), env=_environment(), stdout=subprocess.PIPE, text=True)  # fmt: skip # noqa: E501
    if done.returncode:
        raise Fatal(f"the resumed training ended with exit code {done.returncode}")
    return dict(json.loads(done.stdout))


def _checks(about: dict[str, Any], results: dict[str, Any], killed: str) -> list[tuple[str, Any, Any, bool]]:
    """What was found, what is wanted, whether that is right."""
    made: list[tuple[str, Any, Any, bool]] = [
        (
            f"killed at {killed}, resumed: same bits as unbroken",
            results["again"]["equal"],
            True,
            results["again"]["equal"],
        )
    ]
    for step in about["steps"]:
        if step["stage"] in ("upcycle", "export"):
            parity = results[step["id"]]["parity"]["relative"]
            made.append((f"{step['id']}: same logits as before", f"{parity:.1e}", "1e-05", parity <= 1e-5))
    exams = [results[step["id"]] for step in about["steps"] if step["stage"] == "evaluate"]
    if len(exams) > 1:
        first = exams[0]["all"]
        made.append(("exam before the exam stage", f"{first['accuracy']:.1%}", f"about {first['guess']:.0%}", first["accuracy"] < 0.5))  # fmt: skip # noqa: E501
    if exams:
        last, routed = exams[-1]["all"]["accuracy"], exams[-1]["routing"]
        made.append(("exam at the end", f"{last:.1%}", f"> {WANTED_ACCURACY:.0%}", last > WANTED_ACCURACY))
        if routed:
            own = routed["own_first"]
            made.append(("own expert chosen freely", f"{own:.1%}", f">= {WANTED_OWN:.0%}", own >= WANTED_OWN))
    return made
