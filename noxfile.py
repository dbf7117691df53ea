# /// script
# dependencies = ["nox[uv]>=2026.8.17"]
# ///
"""Every gate and every chore is a session. `nox -l` is the menu; `nox -s gates` is the main job."""

import hashlib
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2026.8.17"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "layers", "tests", "gates"]

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml("pyproject.toml")
PACKAGES = tuple(sorted(path.parent.name for path in (ROOT / "packages").glob("*/pyproject.toml")))
GATES = ("security", "realtime", "build", "data", "docs")

DIGEST = """
from pathlib import Path
from voxgate_gates.coverage import SOURCES, sources_digest
SOURCES.write_text(sources_digest(Path()))
"""


def install(session: nox.Session, *packages: str, groups: tuple[str, ...] = ()) -> None:
    """Install packages of the workspace, editable, and tool groups, all at the pinned versions."""
    editable = [f"--editable=packages/{package}" for package in packages]
    tools = nox.project.dependency_groups(PYPROJECT, *groups)
    session.install("--constraint=constraints.txt", *editable, *tools)
    session.env["PYTHONDONTWRITEBYTECODE"] = ""  # sessions start many processes: let them share what was compiled


def needs_of(package: str) -> tuple[str, ...]:
    """A package and the workspace packages it depends on, transitively: what a lone install pulls in."""
    found: list[str] = []
    queue = [package]
    while queue:
        name = queue.pop()
        if name in found:
            continue
        found.append(name)
        project = nox.project.load_toml(f"packages/{name}/pyproject.toml")["project"]
        needs = [need.partition("==")[0] for need in project["dependencies"]]
        queue += [need.removeprefix("voxgate-") for need in needs if need.startswith("voxgate-")]
    return tuple(found)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff; `-- --fix` repairs what it can."""
    install(session, groups=("lint",))
    fix = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []), ".")
    session.run("ruff", "format", *([] if fix else ["--check", "--diff"]), ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types: mypy --strict over packages, tests, benchmarks, the examples and this file."""
    install(session, *PACKAGES, groups=("types", "test", "site"))
    sources = [f"packages/{package}/src/voxgate_{package}" for package in PACKAGES]
    session.run("mypy", *sources, "tests", "benchmarks", "docs/tools", "docs/examples/python", "noxfile.py")


@nox.session
def layers(session: nox.Session) -> None:
    """Check who imports whom with import-linter."""
    install(session, *PACKAGES, groups=("layers",))
    session.run("lint-imports", "--no-cache")


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test with coverage; words after `--` go to pytest."""
    install(session, *PACKAGES, groups=("test", "site"))
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    whole_run = not session.posargs
    if whole_run:  # the Build gate judges it, for as long as the sources stay as they are
        session.run("coverage", "json", "--quiet", "--fail-under=0", "-o", "build/coverage.json")
        session.run("python", "-c", DIGEST, silent=True)
    session.run("coverage", "report", *([] if whole_run else ["--fail-under=0"]))


@nox.session
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def isolated(session: nox.Session, package: str) -> None:
    """Install one package alone and run its tests, so that an undeclared dependency shows."""
    install(session, *needs_of(package), groups=("test",))
    session.run("pytest", f"tests/{package}", *session.posargs)


@nox.session(venv_backend="none")
def dev(session: nox.Session) -> None:
    """Make .venv with every package, every tool and the `voxgate` command."""
    groups = tuple(group for group in PYPROJECT["dependency-groups"] if group != "bench")
    uv = (sys.executable, "-m", "uv")
    session.run(*uv, "venv", "--allow-existing", "--quiet", ".venv", external=True)
    editable = [f"--editable=packages/{package}" for package in PACKAGES]
    tools = nox.project.dependency_groups(PYPROJECT, *groups)
    target = ("--python=.venv", "--constraint=constraints.txt")
    session.run(*uv, "pip", "install", "--quiet", *target, *editable, *tools, external=True)
    session.log("ready: .venv/bin/voxgate --help")


@nox.session(venv_backend="none")
def lock(session: nox.Session) -> None:
    """Pin every dependency anew into constraints.txt; uv.lock is not committed."""
    uv = (sys.executable, "-m", "uv")
    session.run(*uv, "lock", "--upgrade", external=True)
    session.run(
        *uv, "export", "--all-packages", "--all-groups", "--no-emit-workspace", "--no-hashes", "--no-annotate",
        "--no-header", "--quiet", "-o", "constraints.txt", external=True,
    )  # fmt: skip


def run_gates(session: nox.Session, *arguments: str) -> None:
    """Install what a deployment would, beside the gates, and let the gates judge it."""
    install(session, *PACKAGES, groups=("site",))
    session.run("voxgate", "gates", *arguments, *session.posargs)


@nox.session
def gates(session: nox.Session) -> None:
    """Start the real stack and prove its promises; `-- --target URL` judges a running one."""
    run_gates(session)


@nox.session
def gates_selftest(session: nox.Session) -> None:
    """Prove that every check can fail: a saboteur for each, and 50 clean runs without an alarm."""
    install(session, *PACKAGES, groups=("site",))
    session.run("voxgate", "gates-selftest", *session.posargs)


@nox.session
def gate_security(session: nox.Session) -> None:
    """Run the Security gate alone."""
    run_gates(session, "--only", "security")


@nox.session
def gate_realtime(session: nox.Session) -> None:
    """Run the Realtime gate alone."""
    run_gates(session, "--only", "realtime")


@nox.session
def gate_build(session: nox.Session) -> None:
    """Run the Build gate alone."""
    run_gates(session, "--only", "build")


@nox.session(venv_backend="none")
def php(session: nox.Session) -> None:
    """Check the PHP shim: syntax, PHPUnit, and PSR-12 where php_codesniffer is installed."""
    scripts = sorted(Path("php_shim").rglob("*.php")) + sorted(Path("tests/php").rglob("*.php"))
    for script in scripts:
        session.run("php", "-l", str(script), external=True, silent=True)
    session.run("phpunit", "-c", "php_shim/phpunit.xml", external=True)
    if shutil.which("phpcs"):
        session.run("phpcs", "--standard=PSR12", "--extensions=php", "php_shim", "tests/php", external=True)
    else:
        session.warn("SKIPPED: PSR-12 was not checked; phpcs is in Debian's package php-codesniffer")


@nox.session
def gate_data(session: nox.Session) -> None:
    """Run the Data gate alone."""
    run_gates(session, "--only", "data")


@nox.session
def gate_docs(session: nox.Session) -> None:
    """Run the Docs gate alone."""
    run_gates(session, "--only", "docs")


@nox.session
def site(session: nox.Session) -> None:
    """Build the documentation site, strictly, into build/site."""
    install(session, groups=("site",))
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def release(session: nox.Session) -> None:
    """Build every wheel and sdist, check them, install them bare, and run the gates from there.

    The gates judge the version, its changelog entry and its documents too. What to publish lies in build/release/.
    """
    install(session, groups=("release",))
    folder = ROOT / "build" / "release"
    shutil.rmtree(folder, ignore_errors=True)
    for package in PACKAGES:
        session.run(
            "python", "-m", "build", "--installer=uv", f"--outdir={folder / 'dist'}", f"packages/{package}", silent=True
        )
    files = sorted((folder / "dist").iterdir())
    if len(files) != 2 * len(PACKAGES):
        session.error(
            f"{len(files)} files were built from {len(PACKAGES)} packages: a wheel and an sdist of each were wanted"
        )
    session.run("twine", "check", "--strict", *map(str, files))
    bare = folder / "venv"
    uv = (sys.executable, "-m", "uv")
    session.run(*uv, "venv", "--quiet", str(bare), external=True)
    wheels = [str(file) for file in files if file.suffix == ".whl"]
    session.run(
        *uv, "pip", "install", "--quiet", f"--python={bare}", "--constraint=constraints.txt", *wheels, external=True
    )
    voxgate = str(bare / "bin" / "voxgate")
    with session.chdir(session.create_tmp()):  # nothing of the repository is found by being here
        session.run(voxgate, "--version", external=True)
        places = (f"--php-shim={ROOT / 'php_shim'}", f"--project={ROOT}", f"--report-dir={folder / 'gates'}")
        session.run(voxgate, "gates", *places, *session.posargs, external=True)
    for file in files:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        session.log(f"{digest}  {file.stat().st_size:8d}  {file.name}")


@nox.session
def reference(session: nox.Session) -> None:
    """Write the reference pages anew from the code."""
    install(session, *PACKAGES)
    session.run("python", "docs/tools/reference.py")


@nox.session
def bench_relay(session: nox.Session) -> None:
    """Measure the relay beside nginx and a Starlette relay in one run."""
    install(session, *PACKAGES)
    session.run("python", "benchmarks/relay.py", *session.posargs)


@nox.session
def bench_verifier(session: nox.Session) -> None:
    """Measure token verification and the Origin verdict beside their peers in one run."""
    install(session, *PACKAGES)
    session.run("python", "benchmarks/verifier.py", *session.posargs)


@nox.session
def bench_retention(session: nox.Session) -> None:
    """Measure the removal of a million files beside find in one run."""
    install(session, *PACKAGES)
    session.run("python", "benchmarks/retention.py", *session.posargs)


@nox.session
def bench_fanout(session: nox.Session) -> None:
    """Measure fan-out beside Celery with Redis and a bare aiohttp loop in one run."""
    install(session, *PACKAGES, groups=("bench",))
    session.run("python", "benchmarks/fanout.py", *session.posargs)


@nox.session
def bench_envelope(session: nox.Session) -> None:
    """Measure the envelope beside a bare FastAPI route in one run."""
    install(session, *PACKAGES)
    session.run("python", "benchmarks/envelope.py", *session.posargs)
