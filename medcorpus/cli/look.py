"""`status`, `verify`, `versions`: look at a run."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer

from medcorpus.cli.show import print_json, table
from medcorpus.core.errors import RecipeError
from medcorpus.core.manifest import Account, Manifest, read_manifest, read_versions
from medcorpus.core.store import LocalStore, Store, open_store

RunArgument = Annotated[str, typer.Argument(help="A run folder such as runs/quickstart, or its name.")]


def open_existing(run: str) -> Store:
    """The store of a run that exists. Raises RecipeError naming the runs that do."""
    if "://" in run:
        return open_store(run)
    for path in (Path(run), Path("runs") / run):
        if (path / "plan.json").exists():
            return LocalStore(path)
    known = sorted(str(path.parent) for path in Path("runs").glob("*/plan.json"))
    raise RecipeError(f"{run} is no run folder" + (f" (here: {', '.join(known)})" if known else "; build one first"))


def read_plan(store: Store) -> dict[str, Any]:
    """Steps of the newest run, finished or not (`plan.json`)."""
    import json

    with store.open("plan.json") as stream:
        return json.loads(stream.read())


def manifests(store: Store) -> dict[str, Manifest]:
    """Step id -> manifest, for the steps of the plan whose parts are committed."""
    found = {}
    for step in read_plan(store)["steps"]:
        manifest = read_manifest(store, step["folder"])
        if manifest is not None:
            found[step["id"]] = manifest
    return found


def accounts(store: Store) -> dict[str, Account]:
    """Step id -> account, for every committed step."""
    return {step: account for manifest in manifests(store).values() for step, account in manifest.accounts.items()}


def status(
    run: RunArgument,
    by_language: Annotated[bool, typer.Option("--by-language", help="A line a step and language.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """What a run did, step by step, and whether it is running now. What came in is what went out plus the reasons."""
    store = open_existing(run)
    plan, done, versions = read_plan(store), accounts(store), read_versions(store)
    newest = versions[max(versions)] if versions else {}
    timing = newest.get("timing", {})
    running = _running(store)
    parts = {
        step["id"]: sum(n.endswith(".arrow") and "-" not in n for n in store.list(step["folder"]))
        for step in plan["steps"]
    }
    if json:
        steps = [
            {"id": s["id"], "stage": s["stage"], "done": s["id"] in done, "parts": parts[s["id"]]}
            | ({"account": done[s["id"]].to_json()} if s["id"] in done else {})
            for s in plan["steps"]
        ]
        body = {"run": store.root, "running": running, "version": max(versions, default=None), "steps": steps}
        print_json(body | {"timing": timing})
        return
    if by_language:
        _by_language(plan, done)
    else:
        title = f"{store.root}   version {max(versions)}, {newest['finished']}" if versions else store.root
        _by_step(title, plan, done, parts, timing)
    quarantined = sum(account.quarantined for account in done.values())
    if quarantined:
        print(f"{quarantined:,} rows in quarantine: medcorpus explain {store.root} quarantine")
    print(f"running: {running}" if running else "not running")


def _by_step(
    title: str, plan: dict[str, Any], done: dict[str, Account], parts: dict[str, int], timing: dict[str, Any]
) -> None:
    rows = []
    for step in plan["steps"]:
        account = done.get(step["id"], Account())
        spent = timing.get(step["id"], {})
        begun = f"{parts[step['id']]} parts" if parts[step["id"]] else "to do"
        state = "done" if step["id"] in done or spent else begun
        sides = [sum(side.values()) or None for side in (account.rows_in, account.created, account.rows_out)]
        rows.append([step["id"], state, *sides, spent.get("seconds"), spent.get("peak_mb"), _why(account)])
    columns = ["step", "state", "rows in", "made", "rows out", "seconds", "MiB", "left for"]
    table(title, columns, rows, right=columns[2:7])


def _why(account: Account) -> str:
    """Reasons and how many rows left for each, the largest first."""
    reasons = {reason: sum(counts.values()) for reason, counts in account.reasons.items()}
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items(), key=lambda kv: -kv[1]))


def _by_language(plan: dict[str, Any], done: dict[str, Account]) -> None:
    rows = []
    for step in plan["steps"]:
        account = done.get(step["id"])
        if account is None:
            continue
        sides = [account.rows_in, account.created, account.moved_in, account.moved_out, account.rows_out]
        names = sorted({name for counts in [*sides, *account.reasons.values()] for name in counts})
        for name in names:
            why = ", ".join(
                f"{reason} {counts[name]:,}" for reason, counts in sorted(account.reasons.items()) if counts[name]
            )
            rows.append([step["id"], name, *(counts[name] or None for counts in sides), why])
    columns = ["step", "language", "rows in", "made", "moved in", "moved out", "rows out", "left for"]
    table("", columns, rows, right=columns[2:7])


def _running(store: Store) -> str | None:
    """Who holds the lock now, if anybody."""
    import fcntl
    import json

    if not isinstance(store, LocalStore):
        return None
    try:
        with store.path(".lock").open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                who = json.loads(lock.read() or "{}")
                return f"process {who.get('pid')} on {who.get('host')} since {who.get('started')}"
    except (OSError, ValueError):
        return None
    return None


def verify(run: RunArgument, json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Read everything again: parts there and whole, numbers adding up, checksums right. Exit code 3 when not."""
    store = open_existing(run)
    problems: list[str] = []
    parts = 0
    for step, manifest in manifests(store).items():
        folder = next(s["folder"] for s in read_plan(store)["steps"] if s["id"] == step)
        parts += len(manifest.parts)
        problems += _verify_parts(store, folder, manifest)
        for name, account in manifest.accounts.items():
            if gaps := account.gaps():
                problems.append(f"step {name}: rows do not add up: {gaps}")
    checked = _verify_sums(store, problems)
    if json:
        print_json({"run": store.root, "parts": parts, "files_checked": checked, "problems": problems})
    else:
        for problem in problems:
            print(problem)
        print(f"{parts} parts and {checked} files of the dataset: " + ("all right" if not problems else f"{len(problems)} problems"))  # fmt: skip # noqa: E501
    if problems:
        raise SystemExit(3)


def _verify_parts(store: Store, folder: str, manifest: Manifest) -> list[str]:
    import pyarrow as pa

    from medcorpus.core.errors import Fatal
    from medcorpus.engine.parts import read_part

    problems = []
    for part in manifest.parts:
        try:
            rows = 0
            for batch in read_part(store, f"{folder}/{part.key}.arrow"):
                batch.validate(full=True)
                rows += batch.num_rows
            if rows != part.rows:
                problems.append(f"{folder}/{part.key}.arrow: {rows} rows, the manifest says {part.rows}")
        except (Fatal, OSError, pa.ArrowException) as error:
            problems.append(f"{folder}/{part.key}.arrow: {error}")
    return problems


def _verify_sums(store: Store, problems: list[str]) -> int:
    if not isinstance(store, LocalStore) or not (sums := store.path("dataset") / "SHA256SUMS").exists():
        return 0
    lines = sums.read_text().splitlines()
    for line in lines:
        wanted, _, name = line.partition("  ")
        path = sums.parent / name
        if not path.exists():
            problems.append(f"dataset/{name} is missing")
            continue
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != wanted:
                problems.append(f"dataset/{name} has changed since it was written")
    return len(lines)


def versions(run: RunArgument, json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Finished versions of a run, with what changed from one to the next."""
    found = read_versions(open_existing(run))
    rows: list[dict[str, Any]] = []
    before: dict[str, str] = {}
    for number, body in found.items():
        now = {step["id"]: f"{step['key']} {' '.join(step['parts'])}" for step in body["steps"]}
        changed = [step for step, what in now.items() if before.get(step) != what]
        info = next((step["info"] for step in reversed(body["steps"]) if step["info"]), {})
        rows.append({"version": number, "finished": body["finished"], "rows": info.get("rows"), "changed": changed})
        before = now
    if json:
        print_json({"versions": rows})
        return
    shown = [[r["version"], r["finished"], r["rows"], ", ".join(r["changed"])] for r in rows]
    table("", ["version", "finished", "rows", "changed steps"], shown, right=["version", "rows"])
