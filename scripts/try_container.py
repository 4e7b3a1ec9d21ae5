"""Runs the steps of deploy/Containerfile without a container engine: in folders that debootstrap fills and chroot enters.

    sudo python scripts/try_container.py [--folder container] [--mirror http://deb.debian.org/debian]

Then what was built is started as a container would start it, with a camera that plays the demo's clip; the health check must succeed, and the stop
signal must end it well. Needs root, and debootstrap. Layers are not kept: a base in the folder is used again, the rest is made anew.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_S, STOP_S = 60.0, 15.0
MOUNTS = "mount -t proc proc {0}/proc && mount -t tmpfs tmpfs {0}/dev/shm && exec chroot --userspec {1} {0} /usr/bin/env -i {2} /bin/sh -c {3}"
CONFIG = """\
http: 127.0.0.1:7791
cameras:
  - {{name: demo, source: {clip}, loop: true, models: [figure]}}
"""


@dataclass
class Stage:
    """An image that is being built.

    Attributes:
        folder: Its root.
        settings: The last value of each instruction that is kept for running it.
    """

    folder: Path
    directory: str = "/"
    user: str = "root"
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
    settings: dict[str, str] = field(default_factory=dict)

    def command(self, script: str) -> list[str]:
        """What runs a shell script in it, with /proc and shared memory that go when it ends."""
        variables = shlex.join(f"{name}={value}" for name, value in self.environment.items())
        inside = shlex.quote(f"cd {self.directory} && {script}")
        return ["unshare", "--mount", "sh", "-c", MOUNTS.format(self.folder, self.user, variables, inside)]

    def copy(self, sources: Sequence[str], target: str, origin: Path) -> None:
        place = self.folder / (Path(self.directory) / target).relative_to("/")
        for source in (origin / name.lstrip("/") for name in sources):
            if source.is_dir():
                shutil.copytree(source, place, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy(source, place / source.name if target.endswith("/") else place)


def instructions(file: Path) -> Iterator[tuple[str, str]]:
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name, rest.strip()


def build(folder: Path, mirror: str) -> Stage:
    """Do what the file says.

    Returns:
        The last stage.
    """
    stages: dict[str, Stage] = {}
    stage = Stage(folder)
    for name, rest in instructions(ROOT / "deploy" / "Containerfile"):
        print(f"{name} {rest}", flush=True)
        match name:
            case "FROM":
                image, _, alias = rest.partition(" AS ")
                stage = stages[alias or "last"] = Stage(folder / (alias or "last"))
                shutil.rmtree(stage.folder, ignore_errors=True)
                subprocess.run(["cp", "-a", base(folder, image, mirror), stage.folder], check=True)
                borrow_network(stage)
            case "RUN":
                subprocess.run(stage.command(rest), check=True)
            case "COPY":
                options = [word for word in rest.split() if word.startswith("--from=")]
                *sources, target = [word for word in rest.split() if word not in options]
                stage.copy(sources, target, stages[options[0].removeprefix("--from=")].folder if options else ROOT)
            case "WORKDIR":
                stage.directory = rest
                (stage.folder / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "USER":
                stage.user = rest
            case "ENV":
                stage.environment |= dict(one.split("=", 1) for one in shlex.split(rest))
            case _:
                stage.settings[name] = rest
    return stage


def base(folder: Path, image: str, mirror: str) -> Path:
    """The root of `debian:SUITE-slim`, or nearly: documentation is in it."""
    suite = image.removeprefix("debian:").removesuffix("-slim")
    made = folder / f"base-{suite}"
    if not (made / "usr/bin/apt-get").exists():
        subprocess.run(["debootstrap", "--variant=minbase", suite, made, mirror], check=True)
    return made


def borrow_network(stage: Stage) -> None:
    """Let it reach what this machine reaches."""
    shutil.copy("/etc/resolv.conf", stage.folder / "etc/resolv.conf")
    if certificates := os.environ.get("PIP_CERT"):
        place = stage.folder / "tmp/certificates.pem"
        shutil.copy(certificates, place)
        stage.environment["PIP_CERT"] = "/tmp/certificates.pem"


def run(stage: Stage) -> None:
    """Start it, wait until it is healthy, and stop it.

    Raises:
        SystemExit: It did not become healthy, or did not end well.
    """
    (clip,) = stage.folder.glob("opt/streamvc/lib/python3*/site-packages/streamvc/demo/figure.mp4")
    (stage.folder / "etc/streamvc").mkdir()
    (stage.folder / "etc/streamvc/node.yaml").write_text(CONFIG.format(clip=f"/{clip.relative_to(stage.folder)}"))
    entry = shlex.join(json.loads(stage.settings["ENTRYPOINT"]) + json.loads(stage.settings["CMD"]))
    check = shlex.join(json.loads(stage.settings["HEALTHCHECK"].partition("CMD ")[2]))
    with subprocess.Popen(stage.command(f"exec {entry}")) as node:
        until = time.monotonic() + START_S
        while subprocess.run(stage.command(check), capture_output=True).returncode and node.poll() is None and time.monotonic() < until:
            time.sleep(1)
        healthy = node.poll() is None and time.monotonic() < until
        node.terminate()
        status = node.wait(STOP_S)
    if not healthy or status:
        sys.exit(f"healthy: {healthy}, exit status: {status}")
    print("It became healthy, and ended well.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("container"), help="of 2 GB (default: container)")
    parser.add_argument("--mirror", default="http://deb.debian.org/debian")
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    run(build(arguments.folder.resolve(), arguments.mirror))


if __name__ == "__main__":
    main()
