"""Bars of `domain`: how well it tells medicine from the rest. They may only rise. Run with -s for the tables."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from medcorpus.core.languages import registry
from medcorpus.core.stage import Context
from medcorpus.jobs.fit_domain import from_sib, read
from medcorpus.stages.domain import MMEDC, Domain, keeps_mmedc
from medcorpus.text.ranking import auc, best_recall
from tests import medical_documents
from tests.reading import DATA, real
from tests.records import records

NEWS = Path(__file__).parents[1] / "data" / "domain_hospital_news.tsv"
"""Written for this test, never trained on: in each of 12 languages five sentences of news that touch hospitals,
doctors or injuries (0), and five of medicine (1)."""

SHARED_WORDS = NEWS.with_name("domain_shared_words.tsv")
"""Written for this test, never trained on: 18 sentences in 12 languages of operations, cells, patience and cold that
are nobody's illness."""

LIMIT = 0.5
"""The default of `min_score`."""

CROSS_FLOORS = {
    "cases": 0.99, "clinrec": 0.73, "dialogues": 0.99, "exams fr": 0.87, "exams ja": 0.96, "exams ru": 0.80,
    "exams es": 0.64, "exams xmedbench": 0.70,
}  # fmt: skip
"""Share of records that pass the default limit. Exam questions are short; many name neither patient nor organ."""


@pytest.fixture(scope="module")
def stage():
    made = Domain(Domain.Params(), Context("domain"))
    made.open()
    return made


def scored(stage, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(score, language, whether MMedC's rule keeps it) of each row."""
    made = stage.apply(batch)
    language = np.array(made["language"].fill_null("und").to_pylist())
    return made["domain_score"].to_numpy(), language, keeps_mmedc(made).to_numpy(zero_copy_only=False)


def test_hospital_news_is_not_medicine(stage):
    sentences = read(NEWS)
    batch = records([one.text for one in sentences], language=[one.language for one in sentences])
    score, language, _ = scored(stage, batch)
    medical = np.array([one.medical for one in sentences])
    right = (score >= LIMIT) == medical
    print(f"\nhospital news against medicine: AUC {auc(medical, score):.3f}, right {right.mean():.3f}")
    for code in np.unique(language):
        print(f"  {code}  {right[language == code].mean():.2f}")
    assert (medical.sum(), (~medical).sum(), len(np.unique(language))) == (60, 60, 12)
    assert auc(medical, score) >= 0.96
    assert right.mean() >= 0.88


def test_words_that_medicine_shares_seldom_decide(stage):
    sentences = read(SHARED_WORDS)
    batch = records([one.text for one in sentences], language=[one.language for one in sentences])
    score, language, _ = scored(stage, batch)
    print(f"\nwords that medicine shares: kept {sorted(language[score >= LIMIT])} of {len(score)}")
    assert (score < LIMIT).mean() >= 14 / 18


@real
def test_sentences(stage):
    """SIB-200 dev, topic HEALTH against the other six: area under the ROC curve, and MMedC's rule beside it."""
    sentences = [one for one in from_sib(DATA / "lid" / "sib200", "dev") if one.language in registry().mission]
    batch = records([one.text for one in sentences], language=[one.language for one in sentences])
    score, language, rule = scored(stage, batch)
    medical = np.array([one.medical for one in sentences])
    areas = {code: auc(medical[language == code], score[language == code]) for code in np.unique(language)}
    print(f"\nSIB-200 dev: AUC {auc(medical, score):.4f}")
    for code, area in sorted(areas.items(), key=lambda item: item[1]):
        rows = language == code
        there = f"  MMedC's rule keeps {rule[rows & medical].mean():.2f} of HEALTH" if code in MMEDC else ""
        print(f"  {code}  {area:.3f}{there}")
    assert auc(medical, score) >= 0.93
    assert min(areas.values()) >= 0.84
    limited = np.isin(language, list(MMEDC))
    assert rule[limited & medical].mean() < 0.5, "the published rule was made for documents"


@pytest.fixture(scope="module")
def bar():
    return medical_documents.bar()


@real
@pytest.mark.accept
def test_documents(stage, bar):
    """Precision and recall at the default limit, of rows as they are and of equally many of both classes."""
    score, language, rule = scored(stage, bar.batch)
    medical, kept = bar.medical, score >= LIMIT
    recall, wrong = kept[medical].mean(), kept[~medical].mean()
    best, threshold = best_recall(medical, score, 0.95)
    print(f"\n{medical.sum():,} medical, {(~medical).sum():,} others: precision {medical[kept].mean():.4f}")
    print(f"recall {recall:.4f}, others kept {wrong:.4f}; precision .95 from {threshold:.3f} on, recall {best:.4f}")
    for name in np.unique(bar.source):
        print(f"  {name:10} {kept[bar.source == name].mean():.3f} of {(bar.source == name).sum():,} kept")
    assert medical[kept].mean() >= 0.99
    assert recall >= 0.98
    assert recall / (recall + wrong) >= 0.95
    for name, least in {"medquad": 0.98, "guidelines": 0.98, "leaflets": 0.98, "textbook": 0.95}.items():
        assert kept[bar.source == name].mean() >= least, name
    for code, size in zip(*np.unique(language, return_counts=True), strict=True):
        rows = language == code
        if size >= 50 and medical[rows].any():
            right, found = medical[rows & kept].mean(), kept[rows & medical].mean()
            print(f"  {code}  {size:,} documents, {medical[rows].sum():,} medical: {right:.3f}, {found:.3f}")
            assert found >= 0.90, code
            if medical[rows].sum() >= 10:  # of 66 German pages two are medical
                assert right >= 0.95, code
    limited = np.isin(language, list(MMEDC)) & medical
    assert rule[limited].mean() < kept[limited].mean(), "the published rule keeps less"


@real
@pytest.mark.accept
def test_other_languages(stage, bar):
    """Medical text in many languages at the default limit, against declarations and pages of the same languages."""
    cross = medical_documents.cross()
    score, language, rule = scored(stage, cross.batch)
    other, spoken, _ = scored(stage, bar.batch)
    wrong = (other >= LIMIT) & ~bar.medical
    kept = score >= LIMIT
    print("\nsource, language: records, kept, kept by MMedC's rule")
    for name in np.unique(cross.source):
        for code in np.unique(language[cross.source == name]):
            rows = (cross.source == name) & (language == code)
            there = f"{rule[rows].mean():.2f}" if code in MMEDC else ""
            print(f"  {name:18} {code}  {rows.sum():6,}  {kept[rows].mean():.3f}  {there}")
    for name, least in CROSS_FLOORS.items():
        rows = cross.source == name
        assert kept[rows].mean() >= least, name
    same = ~bar.medical & np.isin(spoken, np.unique(language))
    assert wrong[same].mean() <= 0.03
    covid = np.char.startswith(cross.source, "covid") & np.isin(language, registry().mission)
    assert kept[covid].mean() >= 0.95
