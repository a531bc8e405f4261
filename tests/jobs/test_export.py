import pytest
from pydantic import ValidationError

from medcorpus.core.stage import Context
from medcorpus.jobs.export import Export, ExportParams
from tests.training.helpers import Given


def test_nothing_to_prepare(tmp_path):
    assert Export(ExportParams(), Context("export")).run(Given([]), tmp_path) == {}
    assert not list(tmp_path.iterdir())


def test_bad_parameters():
    with pytest.raises(ValidationError, match="transformers"):
        ExportParams(format="gguf")
