"""The Hub, spoken to through its own client, on a server of our own that knows the few calls it makes."""

import hashlib
import http.server
import io
import json
import os
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medcorpus.core.errors import Fatal
from medcorpus.formats.containers.hub import find

pytest.importorskip("huggingface_hub")

COMMIT = "a" * 40
REPO = "acme/leaflets"


def parquet(*texts: str) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": list(texts), "lang": ["fr"] * len(texts)}), sink)
    return sink.getvalue()


FILES = {
    "README.md": b"---\nlicense: mit\n---\n",
    "data/train-0.parquet": parquet("un", "deux"),
    "data/test-0.parquet": parquet("trois"),
    "more/extra.jsonl": b'{"text": "quatre"}\n{broken\n',
}


class Hub(http.server.BaseHTTPRequestHandler):
    """`/api/datasets/...` and `/datasets/.../resolve/...` of the real one, for one dataset."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def log_message(self, *_: object) -> None: ...

    def _send(self, code: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), Content_Type="application/json")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            paths = json.loads(body)["paths"]
        except ValueError:
            paths = urllib.parse.parse_qs(body.decode())["paths"]
        paths = [paths] if isinstance(paths, str) else paths
        self._json([
            {"type": "file", "path": p, "size": len(FILES[p]), "oid": hashlib.sha1(FILES[p]).hexdigest()}
            for p in paths if p in FILES
        ])  # fmt: skip

    def do_GET(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlparse(self.path).path)
        self.asked.append(f"{self.command} {path} {self.headers.get('Range', '')}")
        if path in (f"/api/datasets/{REPO}/revision/{name}" for name in ("main", COMMIT)):
            siblings = [
                {"rfilename": n, "size": len(d), "blobId": hashlib.sha1(d).hexdigest()} for n, d in FILES.items()
            ]
            self._json({"id": REPO, "sha": COMMIT, "siblings": siblings, "private": False, "tags": [], "downloads": 0, "likes": 0})  # fmt: skip # noqa: E501
        elif path.startswith(f"/api/datasets/{REPO}/tree/{COMMIT}"):
            folder = path.partition(COMMIT)[2].strip("/")
            found = [n for n in FILES if n.rpartition("/")[0] == folder]
            self._json([{"type": "file", "path": n, "size": len(FILES[n]), "oid": hashlib.sha1(FILES[n]).hexdigest()} for n in found])  # fmt: skip # noqa: E501
        elif path.startswith(f"/api/datasets/{REPO}/"):
            self._send(404, X_Error_Code="RevisionNotFound")
        elif path.startswith(f"/datasets/{REPO}/resolve/{COMMIT}/"):
            data = FILES[path.split(COMMIT + "/", 1)[1]]
            first, last = 0, len(data) - 1
            if (range := self.headers.get("Range", "")).startswith("bytes="):
                low, _, high = range[6:].partition("-")
                first, last = int(low), min(int(high or last), last)
            headers = {"ETag": '"x"', "X_Repo_Commit": COMMIT, "Accept_Ranges": "bytes"}
            if range:
                headers["Content_Range"] = f"bytes {first}-{last}/{len(data)}"
            self._send(206 if range else 200, data[first : last + 1], **headers)
        else:
            self._send(404, X_Error_Code="RepoNotFound")


@pytest.fixture
def hub(tmp_path: Path):  # type: ignore[no-untyped-def]
    Hub.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def run(address: str, out: str, *args: str, code: int = 0) -> tuple[list[dict], str]:
        env = os.environ | {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONPATH": str(Path(__file__).parents[3]), "HF_HUB_OFFLINE": "0",
        }  # fmt: skip
        command = [sys.executable, "-m", "medcorpus", "ingest", address, out, "--max-error-rate", "1", *args]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr
        rows = pq.read_table(tmp_path / out).to_pylist() if code == 0 else []
        return rows, done.stderr

    yield run
    server.shutdown()


def test_parquet_is_taken_first_and_read_at_the_commit(hub) -> None:
    rows, _ = hub(f"hf://datasets/{REPO}@main", "a.parquet", "--columns", "{text: text, language: lang}")
    assert {row["locator"]: (row["text"], row["language"]) for row in rows} == {
        f"{REPO}/data/test-0.parquet#row=0": ("trois", "fra"),
        f"{REPO}/data/train-0.parquet#row=0": ("un", "fra"),
        f"{REPO}/data/train-0.parquet#row=1": ("deux", "fra"),
    }
    read = [asked for asked in Hub.asked if "/resolve/" in asked]
    assert read and all(f"/resolve/{COMMIT}/" in asked for asked in read)
    again, _ = hub(f"hf://datasets/{REPO}@{COMMIT}", "b.parquet", "--columns", "{text: text, language: lang}")
    assert [row["id"] for row in again] == [row["id"] for row in rows], "a branch and its commit give the same rows"


def test_a_pattern_names_files(hub) -> None:
    rows, _ = hub(f"hf://datasets/{REPO}@{COMMIT}/more/*.jsonl", "a.parquet")
    assert [(row["locator"], row["text"]) for row in rows] == [(f"{REPO}/more/extra.jsonl#L1", "quatre")]


def test_what_the_hub_does_not_give(hub) -> None:
    assert "no revision v9" in hub(f"hf://datasets/{REPO}@v9", "a.parquet", code=3)[1]
    assert "HF_TOKEN" in hub("hf://datasets/acme/other@main", "a.parquet", code=5)[1]
    assert "no file matches" in hub(f"hf://datasets/{REPO}@main/*.tsv", "a.parquet", code=3)[1]


@pytest.mark.parametrize(("address", "hint"), [(f"hf://datasets/{REPO}", "name a revision"), ("hf://x", "an address")])
def test_addresses(address: str, hint: str) -> None:
    with pytest.raises(Fatal, match=hint):
        list(find(address))
