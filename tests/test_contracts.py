"""What every stage and job promises, checked by walking the registry: nobody has to remember a new one."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medcorpus.cli.check import describe
from medcorpus.cli.readme import parts
from medcorpus.core.keys import digest
from medcorpus.core.params import Params
from medcorpus.core.schema import LARGE, RECORD
from medcorpus.core.stage import Context, Map, Stage, load, verb
from medcorpus.jobs import JOBS, TRAINING
from medcorpus.stages import STAGES
from tests.records import records

ALL = STAGES | JOBS | TRAINING
MAPS = [name for name in STAGES if verb(load(STAGES[name][0])) == "map"]
ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden"
REQUIRED = {"ingest": {"path": "x"}, "select": {"drop": ["too_short"]}}

TEXTS = [
    "Take 500 mg of metformin twice a day with food. Do not take it if your kidneys have failed.",
    "每次服用500毫克，每日两次。肾功能衰竭者禁用。",
    "รับประทานยาครั้งละ 500 มิลลิกรัม วันละสองครั้งหลังอาหาร ห้ามใช้ในผู้ป่วยไตวาย",
    "تناول 500 ملغ مرتين يوميًا مع الطعام. لا تستخدمه إذا كنت تعاني من فشل كلوي.",
    "दिन में दो बार भोजन के साथ ५०० मिलीग्राम लें। गुर्दे की विफलता में न लें।",
    "በቀን ሁለት ጊዜ ከምግብ ጋር 500 ሚ.ግ. ይውሰዱ። ኩላሊትዎ ከታመመ አይውሰዱ።",
    "A sha 500 mg sau biyu a rana tare da abinci. Kada a sha idan koda ta lalace.",
    "Home | About | Contact | Login | Home | About | Contact | Login",
    "12345 67890 +++ === ###",
    "",
    None,
]


@pytest.mark.parametrize("name", ALL)
def test_one_name_everywhere(name):
    path = ALL[name][0]
    module, _, cls = path.partition(":")
    folder = "stages" if name in STAGES else "jobs"
    assert module == f"medcorpus.{folder}.{name}" and load(path).name == name and cls.lower() == name.replace("_", "")
    assert (ROOT / "tests" / folder / f"test_{name}.py").exists(), "a stage has a test file of its name"
    assert load(path).__mro__[1].__module__ == "medcorpus.core.stage", "no stage inherits a stage"


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_is_documented_and_checked(name):
    cls = load(ALL[name][0])
    described = describe(name)
    assert cls.__doc__ and described["doc"] and described["summary"]
    for param in described["params"]:
        assert len(param["meaning"]) > 10, f"{name}.{param['name']} needs a description"
    assert not set(cls.Params.model_fields) & set(dir(Params)), "a parameter must not hide a method of Params"
    if cls.Params is not Params:
        assert cls.Params.model_config["frozen"] and cls.Params.model_config["extra"] == "forbid"


@pytest.mark.parametrize("name", ALL)
def test_reasons_stand_on_their_own_decision_parameters(name):
    cls = load(ALL[name][0])
    decisions = set(cls.Params.fields_with("decision"))
    used = {param for reason in cls.reasons.values() for param in reason.params}
    assert used == decisions, "a reason looks at decision parameters, all of them are looked at"
    for reason in cls.reasons.values():
        assert len(reason.description) > 10


def test_no_reason_has_two_owners():
    owners: dict[str, str] = {}
    for name in ALL:
        for reason in load(ALL[name][0]).reasons:
            assert reason not in owners, f"{reason}: {owners.get(reason)} and {name}"
            owners[reason] = name


@pytest.mark.parametrize("name", ALL)
def test_columns_are_declared_and_named_after_their_stage(name):
    cls = load(ALL[name][0])
    for field in cls.writes:
        assert field.name in RECORD.names or field.name.startswith(f"{name}_"), field.name


@pytest.mark.parametrize("name", ALL)
def test_reasons_look_at_small_columns_and_at_their_stage_s_own(name):
    """`select` is given no others."""
    cls = load(ALL[name][0])
    if not cls.reasons:
        return
    params = cls.Params.model_validate({**REQUIRED, "balance": {"by": ["language"], "cap": 1}}.get(name, {}))
    fields = {field.name: field for field in [*RECORD, *cls.writes]}
    seen = [field for field in fields.values() if field.name not in LARGE or field in cls.writes]
    batch = pa.RecordBatch.from_arrays([pa.nulls(2, field.type) for field in seen], names=[f.name for f in seen])
    for reason in cls.reasons.values():
        assert len(reason.drops(batch, params, ("eng",))) == 2


def opened(name: str) -> Stage:
    cls = load(ALL[name][0])
    stage = cls(cls.Params.model_validate(REQUIRED.get(name, {})), Context(step=name))
    stage.open()
    return stage


@pytest.mark.parametrize("name", MAPS)
def test_a_map_keeps_its_rows_and_writes_what_it_says(name):
    stage = opened(name)
    batch = records(TEXTS, language="eng")
    made = stage.apply(batch)
    assert made["id"].equals(batch["id"])
    added = [field for field in made.schema if field.name not in RECORD.names]
    assert added == [field for field in stage.writes if field.name not in RECORD.names]
    for column in RECORD.names:
        if column not in {field.name for field in stage.writes}:
            assert made[column].equals(batch[column]), f"{name} changed {column} without saying so"
    assert stage.apply(batch.slice(0, 0)).schema == made.schema


OPENED: dict[str, Map] = {}


@pytest.mark.parametrize("name", MAPS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(st.one_of(st.none(), st.text(), st.sampled_from(TEXTS)), min_size=1, max_size=6))
def test_batch_size_changes_nothing(name, texts):
    stage = OPENED.setdefault(name, opened(name))
    batch = records([text and text.encode("utf-8", "ignore").decode() for text in texts], language="eng")
    whole = stage.apply(batch).to_pylist()
    single = [stage.apply(batch.slice(row, 1)).to_pylist()[0] for row in range(batch.num_rows)]
    assert json.dumps(whole, default=str) == json.dumps(single, default=str)


@pytest.mark.parametrize("name", MAPS)
def test_golden_output_changes_only_with_the_version(name):
    """Changed rows under an unchanged version would be served from old caches. `MEDCORPUS_GOLDEN=1` writes anew."""
    import os

    stage = opened(name)
    rows = stage.apply(records(TEXTS, language="eng")).to_pylist()
    shown = [{k: round(v, 3) if isinstance(v, float) else v for k, v in row.items() if v is not None} for row in rows]
    now = {
        "version": stage.version,
        "resources": stage.resource_digests(),
        "digest": digest(json.loads(json.dumps(shown))),
    }
    path = GOLDEN / f"{name}.json"
    if os.environ.get("MEDCORPUS_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(json.dumps(now, indent=1) + "\n")
    then = json.loads(path.read_text())
    if (then["version"], then["resources"]) == (now["version"], now["resources"]):
        assert then["digest"] == now["digest"], f"{name} writes other rows: raise its version, then MEDCORPUS_GOLDEN=1"
    else:
        assert then == now, "run once with MEDCORPUS_GOLDEN=1 and look at the change"


def test_every_stage_has_its_rows_in_the_readme():
    text = (ROOT / "README.md").read_text()
    for name in ALL:
        assert f"| `{name}` |" in text and f"**`{name}`**" in parts()["parameters"]


def test_no_map_types_in_any_column():
    for name in ALL:
        for field in load(ALL[name][0]).writes:
            assert not pa.types.is_map(field.type)
