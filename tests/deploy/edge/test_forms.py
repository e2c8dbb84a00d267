"""Forms through the edge: TorchServe keeps the body of one that it cannot read in memory until it ends."""

import random
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.edge.filters import CHARSETS, FORM
from deploy.run_folder import running
from deploy.supervision.java_memory import JCMD
from tests.deploy.edge.caller import Caller, assert_form

BOUNDARY = "b0undary"
DISPOSITION = 'Content-Disposition: form-data; name="data"'
DATA = "[0.1, 0.2, 0.3, 0.4]"
END = f"--{BOUNDARY}--\r\n"
UNREADABLE = [
    "",
    "Content-Type: text/plain",
    "Content-Disposition: form-data",
    "Content-Disposition:",
    "Content-Disposition: attachment; name=data",
    'Content-Disposition: form-data; name=""',
    'Content-Disposition: form-data; name=" :,;="',
    'Content-Disposition: form-data; name="data',
    'Content-Disposition: form-data; name="data\\"',
    'Content-Disposition: form-data; name="data"; x',
    'Content-Disposition: form-data; name="data";',
    'Content-Disposition: form-data; name="data"; name=""',
    'Content-Disposition: form-data; name="data"; charset=none',
    'Content-Disposition: form-data; name="data"; content-transfer-encoding=none',
    "Content-Disposition: form-data; name=data; filename*=UTF-8''a%2",
    "Content-Disposition: form-data; name=data; filename*=UTF-8''a%zz",
    "Content-Disposition: form-data; name=data; filename*=none''a",
    "Content-Disposition: form-data; name=data; filename*=a",
    'Content-Disposition: form-data;\r\n name="data"',
    "Content-Disposition form-data; name=data",
    f"{DISPOSITION}\r\nContent-Type: text/plain; charset=none",
    f"{DISPOSITION}\r\nContent-Type: text/plain; charset=",
    f"{DISPOSITION}\r\nContent-Type: text/plain; charset",
    f"{DISPOSITION}\r\nContent-Type: text/plain, charset=none",
    f"{DISPOSITION}\r\nContent-Type: text/plain; charsets=none",
    f'{DISPOSITION}\r\nContent-Type: text/plain; name=""',
    f"{DISPOSITION}\r\nContent-Type\x1c: text/plain; charset=none",
    f"{DISPOSITION}\r\nContent-Type\u2003: text/plain; charset=none",
    f"{DISPOSITION}\r\nContent-Type : text/plain; charset=none",
    f"{DISPOSITION}\r\nContent-Type: multipart/mixed; boundary=c",
    f"{DISPOSITION}; filename=a\r\nContent-Transfer-Encoding: base64",
    f"{DISPOSITION}; filename=a\r\nContent-Transfer-Encoding:",
    f"{DISPOSITION}\r\nX: {'x' * 20000}",
]
READABLE = [
    DISPOSITION,
    "content-disposition:form-data;name=data",
    "Content-Disposition: Form-Data; Name=data",
    f'{DISPOSITION}; filename="a b.json"',
    f'{DISPOSITION}; filename="a \\"b\\"; c=d.json"',
    f'{DISPOSITION}; filename=""',
    f"{DISPOSITION}; filename=a.json",
    f"{DISPOSITION}; filename=a.json; filename*=UTF-8''%c3%a4.json",
    f"{DISPOSITION}; filename=a.json\r\nContent-Type: application/json",
    f"{DISPOSITION}; filename=a.json\r\nContent-Type: application/json;",
    f'{DISPOSITION}; filename=a.json\r\nContent-Type: application/json; charset="utf-8"; x="y"',
    f"{DISPOSITION}; filename=a.json\r\nContent-Type: application/json; charset=binary",
    f"{DISPOSITION}; filename=a.json\r\nContent-Transfer-Encoding: 8bit\r\nContent-Length: 20",
    f"{DISPOSITION}; filename=a.json\r\nContent-Transfer-Encoding: BINARY\r\nContent-ID: <a>\r\nMIME-Version: 1.0",
]


def part(head: str, data: str = DATA) -> str:
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n{data}\r\n"


def send(caller: Caller, form: str, type: str = f"multipart/form-data; boundary={BOUNDARY}") -> tuple[int, str]:
    answer = caller.rest(
        "POST", "/predictions/tiny-policy", data=form.encode(errors="surrogateescape"), headers={"Content-Type": type}
    )
    if answer.status_code == 200:
        return 200, ""
    assert_form(answer, answer.status_code, answer.json()["type"])
    return answer.status_code, answer.json()["message"]


def chunks(run: Path) -> int:
    """Pieces of 2 MiB outside the heap in which Netty still keeps something, after a collection."""
    server = running(run)
    assert server is not None
    command = [str(JCMD), str(server.pid), "GC.class_histogram"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    [found] = re.findall(r"\s(\d+)\s+\d+\s+io\.netty\.buffer\.PoolChunk\s", listed)
    return int(found)


@pytest.mark.e2e
@pytest.mark.parametrize("head", UNREADABLE)
@pytest.mark.parametrize("before", [(), (DISPOSITION,)])
def test_a_form_that_cannot_be_read(caller: Caller, before: Sequence[str], head: str) -> None:
    assert send(caller, "".join(part(each) for each in (*before, head)) + END) == (400, FORM)


@pytest.mark.e2e
@pytest.mark.parametrize("head", READABLE)
@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
def test_a_form_that_can_be_read(caller: Caller, head: str, line_end: str) -> None:
    other = 'Content-Disposition: form-data; name="deterministic"'
    form = part(head) + part(other, "true") + END
    assert send(caller, form.replace("\r\n", line_end)) == (200, "")


@pytest.mark.e2e
@pytest.mark.parametrize("charset", sorted(CHARSETS))
def test_java_knows_a_charset(caller: Caller, charset: str) -> None:
    head = f"{DISPOSITION}; filename=a\r\nContent-Type: application/json; charset={charset.upper()}"
    assert send(caller, part(head) + END) == (200, "")


@pytest.mark.e2e
@pytest.mark.parametrize("type", [
    f"Multipart/Form-Data; Boundary={BOUNDARY}",
    f'multipart/form-data;boundary="{BOUNDARY}"',
    f"multipart/form-data; charset=none; boundary = {BOUNDARY} ; x=y",
])  # fmt: skip
def test_where_the_boundary_is_named(caller: Caller, type: str) -> None:
    assert send(caller, part(DISPOSITION) + END, type) == (200, "")


@pytest.mark.e2e
@pytest.mark.parametrize("boundary", ["", '""', "x" * 71, "a b", "a:b@c", '"a;b"'])
@pytest.mark.parametrize("name", ["boundary", "boundaryX"])
def test_a_boundary_that_cannot_be_looked_for(caller: Caller, name: str, boundary: str) -> None:
    type = f"multipart/form-data; {name}={boundary}"
    assert send(caller, part(DISPOSITION).replace(BOUNDARY, boundary.strip('"')), type) == (400, FORM)


@pytest.mark.e2e
@pytest.mark.parametrize("form", ["", "\r\n", "\0", "\x1f\x8b\x08\0", "\t" * 5000, "a", DATA])
def test_a_form_without_its_boundary(caller: Caller, form: str) -> None:
    assert send(caller, form) == (400, FORM)


@pytest.mark.e2e
def test_forms_of_many_parts(caller: Caller) -> None:
    assert send(caller, part(DISPOSITION) * 65 + END) == (400, FORM)
    assert send(caller, part(DISPOSITION, f"--{BOUNDARY}" * 2000) + END) == (400, FORM)


@pytest.mark.e2e
def test_no_form_stays_in_memory(run: Path, caller: Caller) -> None:
    """Forms of 100 kB, valid and changed at random: what each left in Java would make dozens of pieces of 2 MiB."""
    chance = random.Random(0)
    heads = [head for head in (*UNREADABLE, *READABLE) if len(head) < 500]
    letters = ["\r", "\n", '"', ";", "=", ":", "'", "%", ",", " ", "\t", "\\", "\0", "\udcff", "x", f"--{BOUNDARY}"]
    filling = "x" * 100_000
    for _ in range(3):  # so that each thread has its own
        send(caller, part(DISPOSITION, filling) + END)
    before, codes = chunks(run), set()
    for number in range(600):
        form = "".join(part(head) for head in chance.choices(heads, k=chance.randint(1, 2))) + END
        places = [chance.randrange(len(form)) for _ in range(chance.randint(0, 2))]
        for place in places:
            form = form[:place] + chance.choice(letters) + form[place + chance.randint(0, 3) :]
        if number % 2:
            form = form.replace(DATA, filling)
        code, _ = send(caller, form + filling)
        codes.add(code)
    assert {200, 400} <= codes
    assert not {code for code in codes if code >= 500}
    assert chunks(run) <= before + 4
