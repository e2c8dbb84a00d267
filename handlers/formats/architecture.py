"""`architecture.factory`: the callables that an artifact may name, and the network that one of them builds.

Otherwise a dotted name from a file could be any function of any installed module, such as os.system.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Container, Iterator, Mapping
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from handlers.formats.errors import UnsafeFile

if TYPE_CHECKING:
    from torch import nn

LIBRARIES = ("torchvision", "torchaudio", "timm", "transformers")
OWN = "handlers.networks"
NAME = re.compile(r"(?=.{3,200}$)[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")
MAX_REASON = 200  # characters
# Arguments that make the libraries' builders fetch or unpickle weights.
FETCHING = {"weights", "weights_backbone", "pretrained", "pretrained_backbone", "checkpoint_path"}


def check(architecture: Mapping[str, Any], code: Container[str]) -> None:
    """Raise UnsafeFile if the names alone rule it out. code: the modules and packages packed with it."""
    for part in parts(architecture):
        name, arguments = part["factory"], part.get("arguments") or {}
        root = name.partition(".")[0]
        if not NAME.fullmatch(name):
            raise UnsafeFile(f"factory {name[:80]!r} is not a dotted name")
        if not (root in LIBRARIES or name.startswith(f"{OWN}.") or root in code):
            known = ", ".join((*LIBRARIES, OWN))
            raise UnsafeFile(f"factory {name[:80]!r} is not in {known} or a file named in `code`")
        if not isinstance(arguments, Mapping):
            raise UnsafeFile(f"arguments of {name[:80]!r}: wanted names and values")
        if root == "timm" and ":" in str(arguments.get("model_name", "")):
            raise UnsafeFile("arguments.model_name would be read from a hub or a folder; wanted a name of timm's own")
        for key in sorted(FETCHING & arguments.keys()):
            # An ensemble's `weights` are numbers, its members' shares.
            shares = root == OWN.partition(".")[0] and isinstance(arguments[key], list)
            if root not in code and arguments[key] and not shares:
                raise UnsafeFile(f"arguments.{key} would fetch weights; wanted null or false: the artifact has them")


def parts(value: Any) -> Iterator[Mapping[str, Any]]:
    """The architecture and, for an ensemble, those of its members."""
    todo = [value]
    while todo:
        current = todo.pop()
        if isinstance(current, Mapping):
            if isinstance(current.get("factory"), str):
                yield current
            todo += current.values()
        elif isinstance(current, list):
            todo += current


def resolve(name: str, code: Container[str] = ()) -> Callable[..., Any]:
    """The class or function of a dotted name. code: top-level modules packed with the weights.

    A class has to be a network, and a library's function has to be annotated as returning one. Either has to be defined
    in the named package, because a module's imports are not its own. Raises UnsafeFile.
    """
    import torch

    check({"factory": name}, code)
    module, _, attribute = name.rpartition(".")
    root = module.partition(".")[0]
    home = root if root in LIBRARIES or root in code else OWN
    try:
        factory = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnsafeFile(f"factory {name[:80]!r} is not there: {str(error)[:MAX_REASON]}") from None
    origin = str(getattr(factory, "__module__", ""))
    if not f"{origin}.".startswith(f"{home}."):
        raise UnsafeFile(f"factory {name[:80]!r} is not defined in {home}, but in {origin or 'another module'}")
    if isinstance(factory, type):
        if not issubclass(factory, torch.nn.Module):
            raise UnsafeFile(f"factory {name[:80]!r} is a class, but not a network (torch.nn.Module)")
    elif not isinstance(factory, FunctionType):
        raise UnsafeFile(f"factory {name[:80]!r} is a {type(factory).__name__}; wanted a class or a function")
    elif root not in code and not returns_network(factory):
        raise UnsafeFile(f"factory {name[:80]!r} is not annotated as returning a network (torch.nn.Module)")
    return cast(Callable[..., Any], factory)


def returns_network(function: FunctionType) -> bool:
    import torch

    try:
        returned = get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError, SyntaxError):
        returned = None
    if isinstance(returned, type):
        return issubclass(returned, torch.nn.Module)
    # Some of timm's builders have no annotation; its registry has the names of all of them.
    return function.__module__.partition(".")[0] == "timm" and is_registered(function.__name__)


def fetched_by_default(factory: Callable[..., Any], arguments: Mapping[str, Any]) -> set[str]:
    """The arguments that must be given so that a library's builder fetches nothing."""
    if factory.__module__ == "torchvision.models._api":  # get_model, which passes its arguments on
        from torchvision.models import get_model_builder, list_models

        name = str(arguments.get("name")).lower()
        if name not in list_models():
            return set()
        factory = get_model_builder(name)
    if factory.__module__.partition(".")[0] not in LIBRARIES:
        return set()
    defaults = {name: parameter.default for name, parameter in signature(factory).parameters.items()}
    return {name for name in FETCHING & defaults.keys() if defaults[name] not in (Parameter.empty, None, False)}


def is_registered(name: str) -> bool:
    import timm

    return name == "create_model" or bool(timm.is_model(name))


def build(architecture: Mapping[str, Any], folder: Path | None = None) -> nn.Module:
    """Build the network, without its trained weights. folder: the archive's, whose own modules may be named.

    Raises UnsafeFile, and whatever the factory raises.
    """
    import torch

    roots = {part["factory"].partition(".")[0] for part in parts(architecture)}
    code = {root for root in roots if folder is not None and is_packed(root, folder)}
    check(architecture, code)
    factory = resolve(architecture["factory"], code)
    arguments = architecture.get("arguments") or {}
    for key in sorted(fetched_by_default(factory, arguments) - arguments.keys()):
        raise UnsafeFile(f"arguments.{key}: {architecture['factory']} fetches weights without it; wanted null")
    network = factory(**arguments)
    if not isinstance(network, torch.nn.Module):
        raise UnsafeFile(f"factory {architecture['factory']!r} returned a {type(network).__name__}; wanted a network")
    return network


def is_packed(root: str, folder: Path) -> bool:
    """Whether a top-level module comes from the archive. Python's own modules take precedence."""
    own = root not in sys.stdlib_module_names and root not in (*LIBRARIES, OWN.partition(".")[0])
    return own and ((folder / f"{root}.py").is_file() or (folder / root / "__init__.py").is_file())
