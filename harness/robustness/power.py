"""What a file system may leave when the power fails: every state that it may, of all moments of a recorded program.

A kill leaves what the program has written; a power cut leaves what has reached the disk. `recorded_calls` has strace
record what a program does to the files of a folder, and `Crashes` builds, after each of these calls, every state of the
folder that the calls so far allow, as ALICE (Pillai et al., OSDI 2014) and CrashMonkey (Mohan et al., OSDI 2018) do:

- What was written to a file before the last fsync of it is there. What was written since may be missing, whole or in
  part, be there in another order, or have left zeros behind.
- A name that was made, moved or removed is on the disk if its folder was synced since; if not, it may have got there or
  not, independently of all others. A move is done or not done, and nothing between.

A sync brings what it names and no more, which is less than most file systems do. What can't be seen in a state by those
who read it is not varied.
"""

import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_TRACED = (
    "open,openat,creat,close,lseek,write,pwrite64,writev,pwritev,ftruncate,truncate,fallocate,fsync,fdatasync,"
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,copy_file_range,sendfile"
)
_LONGEST = 10**9  # bytes of a write that strace shows
_MOST = 6  # unsynced writes of one file whose subsets are all built; of more only some are
_MARK = "/power-mark/"  # a folder that there is not

_LINE = re.compile(r"(?P<pid>\d+) (?P<call>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)(?:<.*>)?(?: .*)?", re.DOTALL)
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_OPEN_FILE = re.compile(r"(?:\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>")


class PowerError(RuntimeError):
    """Something that was recorded is not understood: no state would be certain."""


def mark(name: str) -> None:
    """Note in what strace records that something is done and can no longer be lost."""
    try:
        Path(f"{_MARK}{name}").mkdir()
    except FileNotFoundError:
        return


@dataclass(frozen=True)
class Call:
    """What was done to the files of the folder, or a mark.

    `what` is "make", "move", "remove", "write", "size", "sync" or "mark"; `place` and `target` are (folder's number,
    name) of a name, `node` the number of a file or folder, `start` and `content` what was written where;
    `folder` says whether a folder was made.
    """

    what: str
    node: int = 0
    place: tuple[int, str] = (0, "")
    target: tuple[int, str] = (0, "")
    start: int = 0
    content: bytes = b""
    folder: bool = False
    name: str = ""


def recorded_calls(
    command: Sequence[str], root: Path, log: Path, *, left_out: Sequence[str] = (), **options: object
) -> list[Call]:
    """Run a command and return what it did to the files below `root`, an empty folder; not below names `left_out`.

    Raises subprocess.CalledProcessError if it fails, and PowerError for what is not understood.
    """
    strace = shutil.which("strace")
    if strace is None:
        raise PowerError("strace is missing: `make system` installs it")
    tracing = [strace, "-f", "-qq", "-y", "-xx", "-s", str(_LONGEST), "--seccomp-bpf", "-e", f"trace={_TRACED}"]
    subprocess.run([*tracing, "-o", str(log), "--", *command], check=True, **options)  # noqa: S603 - our own command
    with log.open(encoding="ascii") as lines:
        return _Reading(root, left_out).calls(lines)


class _Reading:
    """From strace's lines to calls on numbered files and folders; 0 is the root."""

    def __init__(self, root: Path, left_out: Sequence[str]) -> None:
        self._root = os.fsencode(root.resolve())
        self._left_out = {os.fsencode(name) for name in left_out}
        self._nodes = {b"": 0}  # by path below the root
        self._sizes: dict[int, int] = {}
        self._positions: dict[str, int] = {}  # of open files, by number
        self._calls: list[Call] = []

    def calls(self, lines: Iterator[str]) -> list[Call]:
        begun: dict[str, str] = {}
        for line in lines:
            pid, _, rest = line.rstrip("\n").partition(" ")
            rest = rest.lstrip()
            if rest.endswith("<unfinished ...>"):
                begun[pid] = rest.removesuffix("<unfinished ...>").rstrip()
                continue
            if rest.startswith("<... "):
                rest = begun.pop(pid) + re.sub(r"^<\.\.\. \w+ resumed>", "", rest)
            if (found := _LINE.fullmatch(f"{pid} {rest}")) is not None:
                self._one(found["call"], found["arguments"], int(found["result"]))
        return self._calls

    def _below(self, path: bytes) -> bytes | None:
        """The path below the root; None for one that lies elsewhere, or is of no interest."""
        if path == self._root:
            return b""
        if not path.startswith(self._root + b"/"):
            return None
        below = os.path.normpath(path[len(self._root) + 1 :])
        return None if self._left_out.intersection(below.split(b"/")) else below

    def _one(self, call: str, arguments: str, result: int) -> None:
        texts = [bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(arguments)]
        if call == "mkdir" and texts[0].startswith(_MARK.encode()):
            self._calls.append(Call("mark", name=texts[0][len(_MARK) :].decode()))
            return
        if result < 0:
            return
        opened = [bytes.fromhex(text.replace("\\x", "")) for text in _OPEN_FILE.findall(arguments)]
        number = arguments.partition("<")[0]
        if call in ("open", "openat", "creat"):
            folder = opened[0] if call == "openat" else b""
            self._opened(_joined(folder, texts[0]), arguments, str(result))
        elif call == "lseek":
            self._positions[number] = result
        elif call in ("write", "writev", "pwrite64", "pwritev", "copy_file_range", "sendfile"):
            self._written(call, arguments, number, opened[0], b"".join(texts)[:result], result)
        elif call in ("fsync", "fdatasync"):
            if (path := self._below(opened[0])) is not None and path in self._nodes:
                self._calls.append(Call("sync", node=self._nodes[path]))
        elif call in ("ftruncate", "truncate", "fallocate"):
            path = self._below(opened[0] if opened else texts[0])
            if path is not None:
                if call == "fallocate":
                    raise PowerError(f"{call} of {os.fsdecode(path)}")
                self._size(self._nodes[path], int(arguments.rpartition(",")[2]))
        elif call in ("rename", "renameat", "renameat2"):
            folders = [b"", b""] if call == "rename" else opened
            self._moved(*(self._below(_joined(*both)) for both in zip(folders, texts, strict=True)))
        elif call in ("mkdir", "mkdirat"):
            self._made(self._below(_joined(opened[0] if opened else b"", texts[0])), folder=True)
        elif call in ("unlink", "unlinkat", "rmdir"):
            self._removed(self._below(_joined(opened[0] if opened else b"", texts[0])))
        elif call != "close" and any(self._below(text) is not None for text in texts):
            raise PowerError(f"{call}({arguments[:200]})")

    def _place(self, path: bytes) -> tuple[int, str]:
        folder, name = os.path.split(path)
        return self._nodes[folder], os.fsdecode(name)

    def _made(self, path: bytes | None, *, folder: bool = False) -> None:
        if path is None:
            return
        self._nodes[path] = node = len(self._sizes) + 1
        self._sizes[node] = 0
        self._calls.append(Call("make", node=node, place=self._place(path), folder=folder))

    def _opened(self, path: bytes, arguments: str, number: str) -> None:
        below = self._below(path)
        self._positions[number] = 0
        if below is None:
            return
        if below not in self._nodes:
            if "O_TMPFILE" in arguments:
                return
            self._made(below)
        elif "O_TRUNC" in arguments and self._sizes[self._nodes[below]]:
            self._size(self._nodes[below], 0)
        if "O_APPEND" in arguments:
            self._positions[number] = self._sizes[self._nodes[below]]

    def _written(self, call: str, arguments: str, number: str, path: bytes, content: bytes, result: int) -> None:
        below = self._below(path.removesuffix(b" (deleted)"))
        if below is None or below not in self._nodes:
            return
        if call in ("copy_file_range", "sendfile", "pwritev") or len(content) != result:
            raise PowerError(f"{call} to {os.fsdecode(path)}")
        node = self._nodes[below]
        if call == "pwrite64":
            start = int(arguments.rpartition(",")[2])
        else:
            start = self._positions.get(number, 0)
            self._positions[number] = start + result
        self._calls.append(Call("write", node=node, start=start, content=content))
        self._sizes[node] = max(self._sizes[node], start + result)

    def _size(self, node: int, size: int) -> None:
        self._calls.append(Call("size", node=node, start=size))
        self._sizes[node] = size

    def _moved(self, source: bytes | None, target: bytes | None) -> None:
        if source is None and target is None:
            return
        if source is None or target is None:
            raise PowerError(f"a move over the border of the folder: {source} to {target}")
        place, node = self._place(source), self._nodes[source]
        for path in [path for path in self._nodes if path == source or path.startswith(source + b"/")]:
            self._nodes[target + path[len(source) :]] = self._nodes.pop(path)
        self._calls.append(Call("move", node=node, place=place, target=self._place(target)))

    def _removed(self, path: bytes | None) -> None:
        if path is not None and path in self._nodes:
            place = self._place(path)
            self._calls.append(Call("remove", node=self._nodes.pop(path), place=place))


type State = dict[str, bytes]
"""The files that are looked at, by their path below the folder, and the folders, whose path ends with /."""


@dataclass
class Crashes:
    """All states of the files that `seen` takes (by their path), after each of the calls from number `since` on.

    `states` counts them.
    """

    calls: Sequence[Call]
    seen: Callable[[str], bool]
    since: int = 0
    states: int = field(default=0, init=False)

    def all(self) -> Iterator[tuple[tuple[str, ...], State]]:
        """The marks that were set by then, and a state: each pair once."""
        known: set[tuple[tuple[str, ...], frozenset]] = set()
        before: tuple = ()
        for end in range(len(self.calls) + 1):
            done = self.calls[:end]
            if done and done[-1].what == "mark":
                before = (*before, done[-1].name)
            elif done and done[-1].what == "sync":
                continue  # it only takes states away
            for state in self._after(done) if end >= self.since else ():
                key = (before, frozenset(state.items()))
                if key not in known:
                    known.add(key)
                    self.states += 1
                    yield before, state

    def last(self) -> State:
        """What is there in the end, as long as the power stays."""
        tree = _tree([call for call in self.calls if call.what in ("make", "move", "remove")])
        return {
            path: b"" if path.endswith("/") else _content([call for call in self.calls if call.node == node])
            for path, node in tree.items()
        }

    def _after(self, done: Sequence[Call]) -> Iterator[State]:
        synced = {call.node: place for place, call in enumerate(done) if call.what == "sync"}
        names = [(place, call) for place, call in enumerate(done) if call.what in ("make", "move", "remove")]
        loose = [place for place, call in names if _folder(call) not in synced or synced[_folder(call)] < place]
        trees = set()
        for missing in itertools.chain.from_iterable(itertools.combinations(loose, n) for n in range(len(loose) + 1)):
            tree = _tree([call for place, call in names if place not in missing])
            trees.add(frozenset((path, node) for path, node in tree.items() if self.seen(path)))
        for tree in trees:
            paths = [path for path, _ in sorted(tree)]
            contents = [
                [b""] if path.endswith("/") else _contents(done, node, synced.get(node, -1))
                for path, node in sorted(tree)
            ]
            for chosen in itertools.product(*contents):
                yield dict(zip(paths, chosen, strict=True))


def _joined(folder: bytes, path: bytes) -> bytes:
    return path if path.startswith(b"/") else folder + b"/" + path


def _folder(call: Call) -> int:
    """Whose sync brings the name to the disk."""
    return (call.target if call.what == "move" else call.place)[0]


def _tree(names: Sequence[Call]) -> dict[str, int]:
    """The files and folders by their paths, from the names that are on the disk."""
    within: dict[int, dict[str, int]] = {}
    folders = {call.node for call in names if call.folder}
    for call in names:
        folder, name = call.place
        if call.what == "make":
            within.setdefault(folder, {})[name] = call.node
            continue
        if within.get(folder, {}).get(name) == call.node:
            del within[folder][name]
        if call.what == "move":
            folder, name = call.target
            within.setdefault(folder, {})[name] = call.node
    found: dict[str, int] = {}
    left = [("", 0)]
    while left:
        path, node = left.pop()
        for name, below in within.get(node, {}).items():
            slash = "/" if below in folders or below in within else ""
            found[f"{path}{name}{slash}"] = below
            left.append((f"{path}{name}/", below))
    return found


def _contents(done: Sequence[Call], node: int, synced: int) -> set[bytes]:
    """What a file may hold."""
    changes = [(place, call) for place, call in enumerate(done) if call.node == node and call.what in ("write", "size")]
    fixed = [call for place, call in changes if place < synced]
    loose = [call for place, call in changes if place > synced]
    numbers = range(len(loose))
    if len(loose) <= _MOST:
        chosen = itertools.chain.from_iterable(itertools.combinations(numbers, n) for n in range(len(loose) + 1))
    else:
        but_one = [[other for other in numbers if other != one] for one in numbers]
        chosen = itertools.chain((list(range(n)) for n in range(len(loose) + 1)), but_one, ([one] for one in numbers))
    found = {_content(fixed)}
    for some in chosen:
        these = [loose[one] for one in some]
        found.add(_content(fixed + these))
        if these and these[-1].what == "write":
            *others, last = these
            half = last.content[: len(last.content) // 2]
            found.add(_content([*fixed, *others, Call("write", start=last.start, content=half)]))
            found.add(_content([*fixed, *others, Call("write", start=last.start, content=bytes(len(last.content)))]))
    return found


def _content(changes: Sequence[Call]) -> bytes:
    content = bytearray()
    for call in changes:
        if call.what not in ("write", "size"):
            continue
        if call.what == "size":
            del content[call.start :]
            content.extend(bytes(call.start - len(content)))
        else:
            end = call.start + len(call.content)
            content.extend(bytes(max(0, end - len(content))))
            content[call.start : end] = call.content
    return bytes(content)
