"""The page as a browser sees it, with the tiny models' handlers behind it in this process instead of a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Executor
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Locator, Page, Route

from client.payload import BY_SUFFIX
from deploy.surface import cards
from deploy.surface.openapi.parameters import properties
from deploy.surface.page_files import file_of
from tests.handlers.worker import Worker
from tests.page.browser import Complaints

# Browsers trust this name as they do https, which the microphone needs. Nothing listens: every call is answered here.
ORIGIN = "http://localhost:9"
PATIENCE, STEP = 60_000, 50  # milliseconds


class Site:
    """load, explainer: the workers of a model by its name. sent, answers: of the calls so far, the last at the end.

    thread: of the workers. Playwright answers calls on stacks of its own, on which torch's loops crash.
    """

    def __init__(
        self, page: Page, load: Callable[[str], Worker], explainer: Callable[[str], Worker], thread: Executor
    ) -> None:
        self.page = page
        self.thread = thread
        self.load = load
        self.explainer = explainer
        self.explained = False
        self.sent: list[tuple[dict[str, Any], str]] = []
        self.answers: list[Any] = []
        self.prepared: Any = None
        self.complaints = Complaints(page)
        page.route(f"{ORIGIN}/**", self.serve)

    def open(self, name: str, explained: bool = False) -> None:
        """explained: whether explanations of the model are served."""
        self.explained = explained
        self.page.goto("about:blank")
        self.page.goto(f"{ORIGIN}/page/#/{name}")
        self.page.get_by_role("heading", name=name, level=1).wait_for()

    def use_sample(self) -> None:
        self.page.get_by_role("button", name="Use the sample").click()

    def ask(self) -> Any:
        """The answer to the input in the form, which is then drawn."""
        self.page.get_by_role("button", name="Ask").click()
        self.answer.first.wait_for()
        self.page.locator(".result[aria-busy=true]").first.wait_for(state="detached")
        return self.answers[-1]

    def until(self, condition: Callable[[], bool]) -> None:
        """Waits for it. Playwright's own wait_for_function evaluates text, which the page's policy forbids."""
        for _ in range(PATIENCE // STEP):
            if condition():
                return
            self.page.wait_for_timeout(STEP)
        raise AssertionError("it did not come true in time")

    def answered(self, name: str) -> Any:
        """The answer to the model's sample, which is then drawn."""
        self.open(name)
        self.use_sample()
        return self.ask()

    def worker(self, name: str) -> Worker:
        return self.thread.submit(self.load, name).result()

    @property
    def answer(self) -> Locator:
        return self.page.locator(".answer")

    def serve(self, route: Route) -> None:
        path = urlsplit(route.request.url).path
        file = file_of(path)
        if file:
            media_type, content, headers = file
            route.fulfill(body=content, headers={**headers, "Content-Type": media_type})
        elif path == "/cards":
            route.fulfill(json={"models": [], "grpc": ""})
        elif path.startswith("/cards/"):
            self.serve_card(route, [unquote(part) for part in path.split("/")[2:]])
        elif path.startswith(("/predictions/", "/explanations/")):
            self.serve_answer(route, path.split("/")[1], unquote(path.split("/")[2]))
        else:
            route.fulfill(status=404)

    def serve_card(self, route: Route, parts: list[str]) -> None:
        sample = self.worker(parts[0]).handler.artifact.sample
        if parts[-1] == "sample":
            route.fulfill(body=sample.read_bytes(), content_type=BY_SUFFIX[sample.suffix])
        else:
            route.fulfill(json=self.card(parts[0]))

    def card(self, name: str) -> dict[str, Any]:
        worker = self.worker(name)
        own = json.loads((Path(worker.context.system_properties["model_dir"]) / "card.json").read_bytes())
        sample = worker.handler.artifact.sample
        return {
            **{key: own[key] for key in ("name", "version", "task", "input", *cards.SHOWN)},
            "versions": [own["version"]],
            "ready": True,
            "parameters": properties(own["input"]["parameters"]),
            "explain": cards.explanations(own["explain"]) if self.explained else None,
            "sample": {"name": sample.name, "media_type": BY_SUFFIX[sample.suffix]},
        }

    def serve_answer(self, route: Route, verb: str, name: str) -> None:
        """As TorchServe does, which parses forms; or with the answer that a test has prepared."""
        body, content_type = route.request.post_data_buffer or b"", route.request.headers.get("content-type", "")
        row: dict[str, Any] = {"body": body}
        if content_type.startswith("multipart/form-data"):
            row, content_type = form(body, content_type), ""
        self.sent.append((row, content_type))
        if self.prepared is not None:
            self.answers.append(self.prepared)
            route.fulfill(json=self.prepared)
            return
        headers = {"content-type": content_type, "accept": route.request.headers.get("accept", "")}
        worker = self.worker(name) if verb == "predictions" else self.thread.submit(self.explainer, name).result()
        [(status, media_type, answer)] = self.thread.submit(worker.answer, [row], [headers]).result()
        self.answers.append(json.loads(answer) if media_type == "application/json" else answer)
        route.fulfill(status=status, content_type=media_type, body=answer)


def form(body: bytes, content_type: str) -> dict[str, Any]:
    """The parts of a form by name: files as bytes, texts as they are."""
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    return {name_of(part): content_of(part) for part in message.iter_parts()}


def name_of(part: Message) -> str:
    return str(part.get_param("name", header="content-disposition"))


def content_of(part: Message) -> Any:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content if part.get_filename() else content.decode()
