# SPDX-License-Identifier: Apache-2.0
"""The forged bundles on disk: recipes over one good bundle (see bundles/README.md).

`python generator/tests/forgeries.py FOLDER` writes each of them out as a folder.
"""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tampering import (
    Files,
    edited,
    flipped,
    opened,
    rechained,
    replaced,
    resealed,
    retagged,
    unpacked,
    without,
)

from controlbook.digest import leaf_hash, sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FOLDER = Path(__file__).parent / "bundles"
SUFFIX = "_fail"

SEALS: Mapping[str, Callable[[Files], Files]] = {
    "nothing": dict,
    "lists": resealed,
    "tag": retagged,
}


@dataclass(frozen=True)
class Forgery:
    """One recipe, and what both verifiers must say of its bundle."""

    id: str
    threat: str
    does: str
    exit: int
    main: Mapping[str, str]
    own: Mapping[str, str]
    seal: str
    change: tuple[Mapping[str, Any], ...]
    base: str = "good"
    """The bundle that is forged: good.zip or signed.zip."""

    def apply(self, good: Files, other: Files, seal: str = "") -> Files:
        """Forge the good bundle; links are the folder's matter."""
        files = dict(good)
        for step in self.change:
            files = _changed(files, other, step)
        return SEALS[seal or self.seal](files)

    def write(self, good: Files, other: Files, folder: Path) -> Path:
        """Write the forged bundle out below a folder."""
        unpacked(self.apply(good, other), folder)
        for step in self.change:
            if "link" in step:
                place = folder / step["link"]
                place.unlink(missing_ok=True)
                place.symlink_to(step["to"])
        return folder


def forgeries() -> list[Forgery]:
    """Read every recipe, by name."""
    return [_read(path) for path in sorted(FOLDER.glob(f"*{SUFFIX}.toml"))]


@cache
def good() -> Files:
    """Give the files of the good bundle."""
    return opened(FOLDER / "good.zip")


@cache
def signed() -> Files:
    """Give those of a good one whose policy asks for signatures and time stamps."""
    return opened(FOLDER / "signed.zip")


def base_of(forgery: Forgery) -> Files:
    """Give the bundle that a recipe forges."""
    return signed() if forgery.base == "signed" else good()


@cache
def other() -> Files:
    """Give those of another programme's."""
    return opened(FOLDER / "other.zip")


def _read(path: Path) -> Forgery:
    tree = tomllib.loads(path.read_text())
    return Forgery(
        id=path.stem.removesuffix(SUFFIX),
        threat=tree["threat"],
        does=tree["does"],
        exit=tree["exit"],
        main=tree["main"],
        own=tree.get("own", tree["main"]),
        seal=tree["seal"],
        change=tuple(tree["change"]),
        base=tree.get("base", "good"),
    )


FORGERIES = forgeries()


# --- operations ----------------------------------------------------------------------


def named(files: Files, path: str) -> str:
    """Give the path that a name such as `@states` stands for."""
    if not path.startswith("@"):
        return path
    packs = [name for name in sorted(files) if name.startswith("packs/")]
    states = [name for name in packs if b'"states"' in files[name]]
    closing = json.loads(files["ledger/config/000006.json"])["objects"]
    last = {f"packs/{stored['content_sha256']}.leaves" for stored in closing}
    found = {
        "@states": [name for name in states if name not in last],
        "@closing": [name for name in states if name in last],
        "@records": [
            name
            for name in packs
            if b"2028-02-14T03:12" in files[name] and name not in states
        ],
        "@reviews": [
            name for name in packs if b'"request":"GET /repos/' in files[name]
        ],
        "@annotation": [
            name
            for name in sorted(files)
            if name.startswith("sources/annotations/dev") or "/dev-" in name
        ],
    }
    return found[path][0]


def _changed(  # noqa: C901, PLR0912 - one case an operation
    files: Files, other: Files, step: Mapping[str, Any]
) -> Files:
    operation = next(iter(step))
    path = step[operation]
    path = named(files, path) if isinstance(path, str) else path
    match operation:
        case "remove":
            gone = [p for p in files if p == path or p.startswith(f"{path}/")]
            return without(files, *gone)
        case "rename":
            return {**without(files, path), step["to"]: files[path]}
        case "copy":
            return {**files, step["to"]: files[path]}
        case "splice":
            return {**files, step.get("to", path): other[named(other, path)]}
        case "swap":
            one, two = (named(files, each) for each in path)
            return {**files, one: files[two], two: files[one]}
        case "flip":
            return flipped(files, path, step.get("at", -1))
        case "cut":
            kept = {"nothing": 0, "one": 1, "half": len(files[path]) // 2}
            keep = kept.get(step["keep"], len(files[path]) - 1)
            return {**files, path: files[path][:keep]}
        case "append":
            return {**files, path: files[path] + _bytes(step)}
        case "write":
            return {**files, path: _bytes(step)}
        case "replace":
            return replaced(files, path, step["old"], step["new"])
        case "set" | "drop":
            return edited(files, path, lambda tree: _edit(tree, step))
        case "reverse":
            lines = files[path].splitlines(keepends=True)
            return {**files, path: b"".join(reversed(lines))}
        case "hide":
            first, _, rest = files[path].partition(b"\n")
            hidden = b"#" + leaf_hash(first).hex().encode() + b"\n" + rest
            return {**files, path: hidden}
        case "refer":
            return edited(files, "facts.json", lambda tree: _refer(tree, files, path))
        case "rechain":
            return rechained(files)
        case "move":
            return {**files, path: _moved(files, step)}
        case "link":
            return files
        case _:
            raise ValueError(operation)


def _bytes(step: Mapping[str, Any]) -> bytes:
    if "hex" in step:
        return bytes.fromhex(step["hex"])
    return str(step["text"]).encode() * int(step.get("times", 1))


def _moved(files: Files, step: Mapping[str, Any]) -> bytes:
    """Let a git bundle's refs stand elsewhere; its pack stays."""
    head, _, pack = files["repo.bundle"].partition(b"\n\n")
    kind, _, *branch, tag = head.decode().splitlines()
    tip = branch[0].split(" ")[0]
    reviewed = json.loads(files["ledger/reviews/000001.json"])["pulls"][0]["head"]
    if step.get("more"):
        branch.append(f"{tip} refs/heads/other")
    elif step["heads"]:
        branch, tip = [f"{reviewed} {branch[0].split(' ')[1]}"], reviewed
    else:
        tag = f"{tip} {tag.split(' ')[1]}"
    lines = [kind, f"{tip} HEAD", *branch, tag]
    return "\n".join(lines).encode() + b"\n\n" + pack


def _edit(tree: Any, step: Mapping[str, Any]) -> None:  # noqa: ANN401 - a parsed document
    *way, last = step["at"]
    for key in way:
        tree = tree[key]
    if "drop" in step:
        del tree[last]
    else:
        tree[last] = step["value"]


def _refer(tree: dict[str, Any], files: Files, path: str) -> None:
    for table in ("controls", "annotations"):
        for row in tree[table]:
            if f"sources/{row['path']}" == path:
                row["sha256"] = sha256(files[path])


def main(folder: str) -> None:
    """Write every forgery out as a folder."""
    for forgery in FORGERIES:
        forgery.write(base_of(forgery), other(), Path(folder) / f"{forgery.id}{SUFFIX}")


if __name__ == "__main__":
    main(sys.argv[1])
