"""All that a reader needs in one file: what `make archive` calls when the book and its PDFs are built.

The archive is an RO-Crate (Workflow Run Crate 0.5): the files of the commit, the built book, and
`ro-crate-metadata.json`, which says of every figure's data by which notebook, from which records and on which page they
are shown, and of every record which commit trained it. `codecheck.yml` and `codemeta.json` are for those who look
there. Made again of the same commit and the same book it is the same file, byte for byte; its dates are the commit's,
or those of SOURCE_DATE_EPOCH.
"""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from rocrate.model.computerlanguage import ComputerLanguage
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from analysis.runs import records
from analysis.runs.console import complain

ROOT = Path(__file__).resolve().parent.parent
BUILT = Path("book", "_build")
HTML, PDF, FIGURES = BUILT / "html", BUILT / "pdf", BUILT / "figure-data"
METADATA = "ro-crate-metadata.json"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
LICENCES = {"MIT": "MIT License", "CC-BY-4.0": "Creative Commons Attribution 4.0 International"}
QM9 = "https://doi.org/10.1038/sdata.2014.22"
# What is described as a whole.
FOLDERS = {
    "analysis": "The package that prepares, trains, evaluates and draws",
    "fused": "The engine: SchNetPack's networks with compiled layers",
    "harness": "Benchmark, robustness and further measurements",
    "tests": "The tests",
    "results": "The recorded runs",
    HTML.as_posix(): "The book in Catalan and English, readable offline",
}
TYPES = {".md": "text/markdown", ".json": "application/json", ".yml": "application/yaml", ".cff": "application/yaml"}
FILES = {
    "README.md": "What this is and how to use it",
    "LICENSE": "The licences of code and text",
    "CITATION.cff": "How to cite it",
    "constraints.txt": "The versions of all packages",
    "requirements.lock": "The same with the hashes of their files",
    "Dockerfile": "The environment as a container",
    "codecheck.yml": "What to reproduce, for CODECHECK",
    "codemeta.json": "The software's description",
}


class ArchiveError(RuntimeError):
    """Something is missing that belongs to the archive; the message says what makes it."""


def make(root: Path, out: Path, *, epoch: int | None = None) -> Path:
    """Write the archive of the commit that is checked out in `root`, and of the book built there; gives its path.

    `epoch` is the date that everything in it bears, in seconds since 1970; by default the commit's.

    Raises ArchiveError if a tracked file differs from the commit, or if the book or a PDF is not built.
    """
    if _git(root, "status", "--porcelain", "--untracked-files=no"):
        raise ArchiveError("tracked files are not as committed: an archive is of a commit; commit or restore them")
    built = [path for folder in (HTML, PDF, FIGURES) for path in sorted((root / folder).rglob("*")) if path.is_file()]
    places = [path.relative_to(root) for path in built]
    if not any(HTML in place.parents for place in places) or sum(place.suffix == ".pdf" for place in places) < 2:
        raise ArchiveError(f"the book and its two PDFs are not in {BUILT}: `make pdf book` builds them")
    commit, committed = _git(root, "log", "-1", "--format=%H %ct").split()
    date = datetime.fromtimestamp(int(committed) if epoch is None else epoch, UTC)
    about = _About(root, commit, date)
    files = {name: (root / name).read_bytes() for name in _tracked(root)}
    files |= {place.as_posix(): (root / place).read_bytes() for place in places}
    figures = {place.stem: json.loads((root / place).read_bytes()) for place in places if place.suffix == ".json"
               and place.parent == FIGURES}  # fmt: skip
    files["codecheck.yml"] = _codecheck(about, figures).encode()
    files["codemeta.json"] = _json(_codemeta(about))
    files[METADATA] = _json(crate(root, about, files, figures).metadata.generate())
    name = f"{about.project['name']}-{about.project['version']}"
    out.mkdir(parents=True, exist_ok=True)
    _zip(out / f"{name}.zip", name, files, date)
    return out / f"{name}.zip"


class _About:
    """What is known of the whole: pyproject.toml's project and CITATION.cff, commit and date."""

    def __init__(self, root: Path, commit: str, date: datetime) -> None:
        self.project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        self.citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
        self.commit, self.date = commit, date

    @property
    def doi(self) -> str | None:
        """The archive's own DOI as an address, when CITATION.cff has it."""
        return f"https://doi.org/{self.citation['doi']}" if "doi" in self.citation else None

    @property
    def authors(self) -> list[str]:
        """Names of persons or groups."""
        parts = (("name",), ("given-names", "name-particle", "family-names"))
        every = self.citation["authors"]
        return [" ".join(one[part] for part in parts["name" not in one] if part in one) for one in every]

    @property
    def licences(self) -> list[str]:
        """Their addresses."""
        return [f"https://spdx.org/licenses/{name}" for name in self.citation["license"]]


def crate(root: Path, about: _About, files: Iterable[str], figures: Mapping[str, dict[str, Any]]) -> ROCrate:
    """The description of the archive; `figures` has page, caption, notebook and runs of each figure, by its name."""
    made = ROCrate(version="1.1")
    made.metadata.extra_contexts.append("https://w3id.org/ro/terms/workflow-run/context")

    def entity(identifier: str, kind: str, /, **properties: object) -> ContextEntity:
        return made.add(ContextEntity(made, identifier, {"@type": kind, **properties}))

    authors = [entity(f"#author-{place}", "Organization", name=name) for place, name in enumerate(about.authors, 1)]
    made.name, made.description = about.citation["title"], about.project["description"]
    made.datePublished = about.date
    made.license = [
        entity(address, "CreativeWork", name=LICENCES[name], identifier=address)
        for address, name in zip(about.licences, about.citation["license"], strict=True)
    ]
    root_entity = made.root_dataset
    root_entity["author"] = _one(authors)
    root_entity["version"] = about.project["version"]
    root_entity["keywords"] = ", ".join(about.citation["keywords"])
    root_entity["conformsTo"] = [
        entity(address, "CreativeWork", name=name, version=address.rpartition("/")[2])
        for address, name in PROFILES.items()
    ]
    if about.doi:
        root_entity["identifier"] = about.doi
    for name, said in FILES.items():
        kind = TYPES.get(Path(name).suffix, "text/plain")
        made.add_file(root / name, name, properties={"name": said, "encodingFormat": kind})
    made.get("README.md")["about"] = root_entity
    folders = {name: made.add_dataset(root / name, name, properties={"name": said}) for name, said in FOLDERS.items()}
    papers = [
        made.add_file(root / name, name, properties={"name": "The book on paper", "encodingFormat": "application/pdf"})
        for name in files
        if name.startswith(f"{PDF.as_posix()}/")
    ]
    about_make = {"name": "GNU Make", "url": "https://www.gnu.org/software/make/", "version": "3.81 or newer"}
    language = made.add(ComputerLanguage(made, "#gnu-make", about_make))
    workflow = made.add_workflow(
        root / "Makefile",
        "Makefile",
        main=True,
        lang=language,
        properties={
            "name": "From data to the book",
            "version": about.project["version"],
            "encodingFormat": "text/x-makefile",
        },
    )
    workflow["author"] = _one(authors)
    qm9 = entity(
        QM9, "CreativeWork", name="QM9: Quantum chemistry structures and properties of 134 kilo molecules", url=QM9
    )
    recorded: dict[str, list[Any]] = {}
    for folder in records.recorded_folders(root / "results"):
        recorded.setdefault(folder.name, []).append(_run(made, entity, root, folder, qm9))
    shown = [_figure(made, root, name, said, recorded) for name, said in sorted(figures.items())]
    built = made.add_action(
        workflow,
        "#book",
        object=[folders["results"]],
        result=[folders[HTML.as_posix()], *papers, *shown],
        properties={
            "name": "make pdf book",
            "endTime": about.date.isoformat(),
            "description": f"Of commit {about.commit}: pages and notebooks executed with the recorded runs",
        },
    )
    actions = made.get_by_type("CreateAction")
    for action in actions:
        action["agent"] = _one(authors)
    root_entity["mentions"] = [built, *(action for action in actions if action != built)]
    return made


def _one(values: list[Any]) -> Any:
    """A single value as it is, several as a list: RO-Crate's way."""
    return values[0] if len(values) == 1 else values


def _run(made: ROCrate, entity: Any, root: Path, folder: Path, qm9: ContextEntity) -> Any:
    """A record, and the training that made it, by the code of which commit."""
    name = folder.relative_to(root).as_posix()
    run = records.outline(folder)
    git, seed = run.about.get("git") or {}, run.config.seed
    commit = git.get("commit", "unknown")
    code = made.get(f"#code-{commit}") or entity(
        f"#code-{commit}", "SoftwareApplication", name=f"analysis, commit {commit}", version=commit
    )
    said = {"name": f"Run {run.id} of {run.config.experiment}, seed {seed}", "identifier": run.id}
    record = made.add_dataset(folder, name, properties=said)
    changed = "" if git.get("clean", True) else ", with changes that were not committed"
    made.add_action(
        code, f"#training-{run.config.experiment}-{run.id}", object=qm9, result=record,
        properties={
            "name": f"Training of {said['name'][0].lower()}{said['name'][1:]}{changed}",
            "description": f"{', '.join(' '.join(one) for one in run.about['versions'].items())}; "
            f"{run.about['machine'].get('processor') or run.about['machine']['device']}, "
            f"{run.about['machine']['threads']} threads, {run.seconds:.0f} s",
        },
    )  # fmt: skip
    return record


def _figure(made: ROCrate, root: Path, name: str, said: dict[str, Any], recorded: Mapping[str, list[Any]]) -> Any:
    """A figure's data, and what made them: the notebook that its page names, of which records."""
    place = (FIGURES / f"{name}.csv").as_posix()
    page = (HTML / f"{said['page']}.html").as_posix()
    properties = {"name": said["caption"] or name, "encodingFormat": "text/csv", "description": f"Shown in {page}"}
    data = made.add_file(root / place, place, properties=properties)
    if missing := [run for run in said["runs"] if run not in recorded]:
        raise ArchiveError(f"{place} names the run {missing[0]}, not recorded: remove {FIGURES} and build again")
    source = f"{said['notebook']}.ipynb" if said["notebook"] else f"book/{said['page']}.md"
    instrument = made.get(source) or made.add_file(
        root / source,
        source,
        properties={
            "@type": ["File", "SoftwareSourceCode"],
            "name": Path(source).stem,
            "version": made.root_dataset["version"],
            "encodingFormat": TYPES.get(Path(source).suffix, "application/x-ipynb+json"),
        },
    )
    made_of = [one for run in said["runs"] for one in recorded[run]]
    made.add_action(
        instrument, f"#figure-{name}", object=_one(made_of), result=data,
        properties={"name": f"The data of the figure {name}", "description": f"As {page} shows them"},
    )  # fmt: skip
    return data


def _codecheck(about: _About, figures: Mapping[str, dict[str, Any]]) -> str:
    """CODECHECK's file (configuration 2.0) as authors leave it: codechecker, report and summary are added later."""
    manifest = [
        {"file": (FIGURES / f"{name}.csv").as_posix(), "comment": said["caption"] or name}
        for name, said in sorted(figures.items())
    ]
    content = {
        "version": "https://codecheck.org.uk/spec/config/2.0/",
        "paper": {
            "title": about.citation["title"],
            "authors": [{"name": name} for name in about.authors],
            **({"reference": about.doi} if about.doi else {}),
        },
        "manifest": manifest,
    }
    return "---\n" + yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=120)


def _codemeta(about: _About) -> dict[str, Any]:
    """The software in the words of CodeMeta 3.0."""
    project = about.project
    return {
        "@context": "https://w3id.org/codemeta/3.0",
        "@type": "SoftwareSourceCode",
        "name": project["name"],
        "description": project["description"],
        "version": project["version"],
        "dateModified": about.date.date().isoformat(),
        "license": about.licences,
        "author": [{"@type": "Organization", "name": name} for name in about.authors],
        "keywords": about.citation["keywords"],
        "programmingLanguage": {"@type": "ComputerLanguage", "name": "Python"},
        "runtimePlatform": f"Python {project['requires-python']}",
        "softwareRequirements": project["dependencies"],
        **({"identifier": about.doi} if about.doi else {}),
    }


def _tracked(root: Path) -> list[str]:
    """Every file of the commit; a link to another of its files comes as the file."""
    return sorted(name for name in _git(root, "ls-files", "-z").split("\0") if name and (root / name).is_file())


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, encoding="utf-8", check=False)  # noqa: S603, S607
    if done.returncode:
        raise ArchiveError(f"an archive is made from a git checkout: {done.stderr.strip()}")
    return done.stdout.strip("\n")


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _zip(path: Path, folder: str, files: Mapping[str, bytes], date: datetime) -> None:
    """All files below one folder, in order, with one date and the same rights."""
    partial = path.with_name(f".{path.name}.partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{folder}/{name}", max(date.timetuple()[:6], (1980, 1, 1, 0, 0, 0)))
            entry.external_attr = (0o100755 if content.startswith(b"#!") else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    partial.replace(path)


def main() -> int:
    """Write the archive into `reruns/`, which git ignores; gives the exit code."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        path = make(ROOT, ROOT / "reruns", epoch=int(epoch) if epoch else None)
    except (ArchiveError, OSError, records.RecordError) as error:
        complain(f"error: {error}")
        return 1
    complain(f"The archive: {path.relative_to(ROOT)} ({path.stat().st_size / 1e6:.0f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
