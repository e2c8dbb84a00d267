"""kustomize builds the same objects as Helm, of every component alone and of combinations."""

import os
from itertools import combinations
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.configuration import PROJECT
from deploy.kubernetes.kustomization import COMPONENTS
from deploy.kubernetes.rendering import Key, Object, by_key, kustomize, template
from tests.kubernetes.matrix import COMBINED, EITHER, containers, environment, merged, pods, rendered

FOLDER = PROJECT / "kubernetes" / "kustomize"


def sorted_lists(item: Any) -> Any:
    """Volumes, mounts and variables in one order: kubectl puts what it merges first, and Kubernetes does not mind."""
    if isinstance(item, list):
        return [sorted_lists(each) for each in item]
    if not isinstance(item, dict):
        return item
    found = {key: sorted_lists(value) for key, value in item.items()}
    for name, key in (("volumes", "name"), ("volumeMounts", "mountPath"), ("env", "name")):
        if name in found:
            found[name].sort(key=itemgetter(key))
    return found


def canonical(items: list[Object]) -> dict[Key, Object]:
    return {key: sorted_lists(item) for key, item in by_key(items).items()}


def built(components: tuple[str, ...], folder: Path) -> list[Object]:
    overlay = folder / "overlay"
    overlay.mkdir()
    where = os.path.relpath(FOLDER, overlay.resolve())  # kubectl takes no absolute one
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{where}/base"],
        "components": [f"{where}/components/{name}" for name in components],
    }
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return kustomize(overlay)


def test_the_base_is_what_helm_renders_by_default() -> None:
    assert by_key(kustomize(FOLDER / "base")) == by_key(rendered("default"))


@pytest.mark.parametrize("components", [*((name,) for name in COMPONENTS), *COMBINED], ids=" ".join)
def test_components_give_what_helm_gives_for_their_values(components: tuple[str, ...], tmp_path: Path) -> None:
    wanted, found = template(merged(*(COMPONENTS[name] for name in components))), built(components, tmp_path)
    assert canonical(found) == canonical(wanted)
    for container in (each for pod in pods(found) for each in containers(pod)):
        assert "$(" not in str(environment(container)), "a variable comes before one that it names"


def test_the_combinations_have_every_pair_that_goes_together() -> None:
    """Or a pair that is not tried could be one that does not combine."""
    tried = {frozenset(pair) for components in COMBINED for pair in combinations(components, 2)}
    apart = {frozenset(pair) for either in EITHER for pair in combinations(either, 2)}
    # Of those that touch one object: the servers' Deployment.
    touching = [
        name
        for name in COMPONENTS
        if (FOLDER / "components" / name / "patch-torchserve-server-deployment.yaml").exists()
    ]
    assert len(touching) >= 5
    wanted = {frozenset(pair) for pair in combinations(touching, 2)} - apart
    assert wanted <= tried, wanted - tried


def test_the_overlay_to_start_from_builds_and_takes_its_images() -> None:
    found = by_key(kustomize(FOLDER / "overlays" / "gpu"))
    wanted = by_key(template(merged(*(COMPONENTS[name] for name in ("gpu", "queue-scaling", "monitoring")))))
    assert found.keys() == wanted.keys()
    [server] = [item for key, item in found.items() if key[1:] == ("Deployment", "torchserve-server")]
    pod = server["spec"]["template"]["spec"]
    assert {each["image"].partition("/")[0] for each in (*pod["containers"], *pod["initContainers"])} == {
        "registry.example.org"
    }
