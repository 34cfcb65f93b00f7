"""A job that was killed goes on from what it had, and a stream that breaks is taken up again: with the same bytes."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
from helpers.clone import ENVIRONMENT, ROOT
from helpers.corpora import files_in, read, write

from shiftscope.corpora import _text
from shiftscope.corpora.docstrings import Docstrings
from shiftscope.corpora.text import TextFiles
from shiftscope.files import canonical_json


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(_text, "DOCUMENTS", 10)


@pytest.fixture
def texts(tmp_path):
    """Two files with faults and duplicates in them."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in "ab":
        rows = [
            json.dumps({"text": f"document {number % 30} of {name if number % 7 else 'both'}"}) for number in range(57)
        ]
        rows[20] = "{"
        (folder / f"{name}.jsonl").write_text("\n".join(rows))
    (folder / "c.pdf").write_text("")
    return folder


class Killed(BaseException):
    """What ends a job without its leave."""


@pytest.mark.parametrize("limits", [{}, {"documents": 45}, {"characters": 900}])
@pytest.mark.parametrize("after", [0, 1, 4, 6, 9])
def test_a_killed_job_ends_with_the_same_bytes(texts, tmp_path, monkeypatch, limits, after):
    corpus = TextFiles(path=texts, **limits)
    whole = write(corpus, tmp_path / "whole")
    assert whole.facts["documents"] < whole.facts["documents_in"]
    written = _text._write_chunk

    def killed(path, *given):
        if int(path.stem) > after:
            raise Killed
        written(path, *given)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(_text, "_write_chunk", killed if after < 9 else written)
        if after == 9:
            patch.setattr(_text, "_write_documents", lambda *_: (_ for _ in ()).throw(Killed))
        write(corpus, tmp_path / "out", state=tmp_path / "state")
        raise Killed  # it was done before it could be killed
    read_again = []
    batches = TextFiles.batches
    monkeypatch.setattr(TextFiles, "batches", lambda self, place: (read_again.append(place), batches(self, place))[1])
    again = write(corpus, tmp_path / "out", state=tmp_path / "state")
    assert again.bytes == whole.bytes
    assert not (tmp_path / "state").exists()
    assert (read_again == [None]) == (after == 0) or not read_again


def test_docstrings_go_on_where_they_were(tmp_path):
    corpus = Docstrings(packages=("click",), least=500)
    whole = write(corpus, tmp_path / "whole", "docstrings")
    batches = list(corpus.batches(None))
    assert len(batches) > 3
    for number, (_, place) in enumerate(batches, start=1):
        assert list(corpus.batches(place)) == batches[number:]
    assert [item.text for batch, _ in batches for item in batch][:5] == whole.texts[:5]


def test_a_job_that_is_killed_from_outside_goes_on(tmp_path):
    """The script itself, as Snakemake runs it."""
    text = "all work and no play " * 200
    lines = "".join(json.dumps({"text": f"{number} {text}"}) + "\n" for number in range(20_000))
    (tmp_path / "big.jsonl").write_text(lines)
    params = canonical_json({"corpus": "big", "kind": "text", "params": {}, "files_sha256": "0", "versions": {}})

    def command(folder):
        files = files_in(folder)
        return [sys.executable, str(ROOT / "scripts/make_corpus.py"), "--documents", str(files.documents), "--rejected", str(files.rejected),
                "--manifest", str(files.manifest), "--path", str(tmp_path / "big.jsonl"), "--words", "--params", params,
                "--log", str(folder / "log")]  # fmt: skip

    environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT / "src")}
    subprocess.run(command(tmp_path / "whole"), cwd=tmp_path, env=environment, check=True)
    assert not list((tmp_path / "work/state").iterdir())
    job = subprocess.Popen(command(tmp_path / "out"), cwd=tmp_path, env=environment)
    while len(list((tmp_path / "work/state").glob("*/*.parquet"))) < 1:
        assert job.poll() is None
        time.sleep(0.01)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert not files_in(tmp_path / "out").manifest.exists()
    subprocess.run(command(tmp_path / "out"), cwd=tmp_path, env=environment, check=True)
    assert read(tmp_path / "out").bytes == read(tmp_path / "whole").bytes
    log = (tmp_path / "out/log").read_text()
    assert "going on behind" in log and "20000 documents in, 20000 out" in log
    shutil.rmtree(tmp_path / "out")
