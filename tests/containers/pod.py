"""Pods of the chart as containers of a Docker engine: security contexts, probes, and how a kubelet ends them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import requests

from deploy.kubernetes.rendering import Object, template

NETWORK = "bundle-pods"
SERVERS = "torchserve-servers"


def docker(*arguments: str, timeout: float = 300, check: bool = True) -> str:
    done = subprocess.run(
        ["/usr/bin/docker", *arguments],
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert not check or done.returncode == 0, (
        f"docker {' '.join(arguments)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    )
    return done.stdout.strip()


def pod(component: str, **values: Any) -> Object:
    """The spec of a component's pods. values: of the chart, beside its defaults."""
    [deployment] = [
        item
        for item in template({"startupSeconds": 240, **values})
        if item["kind"] == "Deployment" and item["metadata"]["name"] == f"torchserve-{component}"
    ]
    found: Object = deployment["spec"]["template"]["spec"]
    return found


def security(spec: Object, container: Object) -> list[str]:
    """Docker's options for a container's security context; its default profile of seccomp stands for RuntimeDefault."""
    whole, own = spec["securityContext"], container["securityContext"]
    assert own["readOnlyRootFilesystem"]
    assert not own["allowPrivilegeEscalation"]
    dropped = [option for name in own["capabilities"]["drop"] for option in ("--cap-drop", name)]
    user = f"{whole['runAsUser']}:{whole['runAsGroup']}"
    return [
        "--user",
        user,
        "--group-add",
        str(whole["fsGroup"]),
        "--read-only",
        *dropped,
        "--security-opt",
        "no-new-privileges",
    ]


def empty_dirs(spec: Object, container: Object, volumes: dict[str, str]) -> list[str]:
    """Mounts. volumes: name → what is mounted; any other is an emptyDir of this container's own, open to its group."""
    found = []
    for mount in container["volumeMounts"]:
        mode = ":ro" if mount.get("readOnly") else ""
        if mount["name"] in volumes:
            found += ["-v", f"{volumes[mount['name']]}:{mount['mountPath']}{mode}"]
        else:
            # A volume, because Docker gives a --tmpfs the owner and mode of the image's folder.
            options = f"mode=2777,uid=0,gid={spec['securityContext']['fsGroup']}"
            kind = "volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs"
            found += ["--mount", f'type=volume,dst={mount["mountPath"]},volume-nocopy,{kind},"volume-opt=o={options}"']
    return found


class ServerPod:
    """One server. store: archives. image: instead of the chart's."""

    def __init__(self, store: Path, image: str) -> None:
        self.spec = pod("server")
        [self.container] = self.spec["containers"]
        mounts = empty_dirs(self.spec, self.container, {"models": str(store)})
        limits = ["--memory", "4g", "--cpus", "1"]
        options = [*security(self.spec, self.container), *mounts, *limits, "--no-healthcheck"]
        alias = ["--network", NETWORK, "--network-alias", SERVERS]
        self.id = docker("run", "-d", *options, *alias, image, *self.container["args"])
        self.address = docker(
            "inspect", "-f", f'{{{{(index .NetworkSettings.Networks "{NETWORK}").IPAddress}}}}', self.id
        )

    def probe(self, kind: str) -> bool:
        """One probe, as the kubelet asks it."""
        asked = self.container[kind]["httpGet"]
        try:
            url = f"http://{self.address}:{asked['port']}{asked['path']}"
            return requests.get(url, timeout=self.container[kind]["timeoutSeconds"]).status_code < 400
        except requests.RequestException:
            return False

    def wait_started(self) -> None:
        probe = self.container["startupProbe"]
        for _ in range(probe["failureThreshold"]):
            if self.probe("startupProbe"):
                return
            time.sleep(probe["periodSeconds"])
        raise AssertionError(docker("logs", "--tail", "40", self.id))

    def end(self) -> int:
        """preStop, SIGTERM, and what is left of the grace period until SIGKILL; the exit status."""
        grace, pause = (
            self.spec["terminationGracePeriodSeconds"],
            self.container["lifecycle"]["preStop"]["sleep"]["seconds"],
        )
        time.sleep(pause)
        docker("stop", "-t", str(grace - pause), self.id)
        return int(docker("inspect", "-f", "{{.State.ExitCode}}", self.id))

    def remove(self) -> None:
        docker("rm", "-fv", self.id, check=False)


class EdgePod:
    """Envoy and the container beside it. settings: a Secret's folder."""

    def __init__(self, settings: Path, image: str) -> None:
        self.spec = pod("edge")
        [configure], [self.envoy] = self.spec["initContainers"], self.spec["containers"]
        self.volume = "bundle-pods-edge"
        options = "mode=2770,uid=0,gid=10001,size=16m"
        docker("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", f"o={options}", self.volume)
        volumes = {"edge": self.volume, "settings": str(settings)}
        self.ids = []
        for container, name in ((configure, image), (self.envoy, self.envoy["image"])):
            mounts = empty_dirs(self.spec, container, volumes)
            entry = ["--entrypoint", container["command"][0]] if "command" in container else []
            network = ["--network", NETWORK, "--no-healthcheck", "--dns-search", "."]
            made = docker(
                "run", "-d", *security(self.spec, container), *mounts, *network, *entry, name, *container["args"]
            )
            self.ids.append(made)
            if "startupProbe" in container and "exec" in container["startupProbe"]:
                self.wait_exec(made, container["startupProbe"])
        self.address = docker(
            "inspect", "-f", f'{{{{(index .NetworkSettings.Networks "{NETWORK}").IPAddress}}}}', self.ids[1]
        )

    def wait_exec(self, made: str, probe: dict[str, Any]) -> None:
        for _ in range(probe["failureThreshold"]):
            command = ["/usr/bin/docker", "exec", made, *probe["exec"]["command"]]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return
            time.sleep(probe["periodSeconds"])
        raise AssertionError(docker("logs", made))

    def pre_stop(self) -> subprocess.Popen[bytes]:
        command = self.envoy["lifecycle"]["preStop"]["exec"]["command"]
        return subprocess.Popen(["/usr/bin/docker", "exec", self.ids[1], *command])

    def remove(self) -> None:
        docker("rm", "-fv", *self.ids, check=False)
        docker("volume", "rm", self.volume, check=False)


def uid_of(container: str) -> dict[str, Any]:
    """As the kernel describes a container's first process."""
    pid = json.loads(docker("inspect", container))[0]["State"]["Pid"]
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
