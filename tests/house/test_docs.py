"""The documents say what is: links lead somewhere, decisions are listed, promises have tests, commands exist."""

from __future__ import annotations

import ast
import re
from base64 import b64encode
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import sealwire
import sealwire_sdk
import sealwire_verifier
from sealwire.custody.keys.paths import LeafPath
from sealwire.custody.keys.receipts import paths_root
from sealwire.custody.keys.tree import Tree, index_key, index_token, leaf_keys
from sealwire.custody.keys.vault_format import index_key as vault_key
from sealwire.custody.sealing.envelope import Context, items_root
from sealwire.custody.sealing.sealer import commitment_of
from sealwire.vocabulary import AccountId
from sealwire_verifier.certificate import RECEIPT_MEMBERS, parse_canonical
from sealwire_verifier.leaf import leaf_bytes
from sealwire_verifier.merkle import leaf_hash

ROOT = Path(__file__).parents[2]
PLACES = ("*.md", "docs/**/*.md", "verifier/*.md", "sdk/*.md", "examples/**/*.md")
OURS = sorted(page for place in PLACES for page in ROOT.glob(place))
PAGES = [*OURS, *sorted(ROOT.glob("tests/**/*.md"))]
DECISIONS = sorted(ROOT.glob("docs/adr/[0-9]*.md"))
LINE_MAX = 120
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"(?<![\w/])bin/[a-z]+(?: +(?!DIR)[a-z]+)?")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def page_of(format_name: str) -> str:
    return (ROOT / f"docs/formats/{format_name}.md").read_text()


def links(page: Path) -> list[str]:
    return _LINK.findall(_CODE.sub("", page.read_text()))


def anchors(page: Path) -> set[str]:
    """The headings of a page as the usual renderers name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)} links to {link}, which is not there"
        assert target.is_relative_to(ROOT), f"{name_of(page)} links to {link}, outside the repository"
        assert not anchor or anchor in anchors(target), f"{name_of(page)} links to {link}: no such heading"


@pytest.mark.parametrize("page", OURS, ids=name_of)
def test_lines_are_short_enough_to_read_side_by_side(page: Path) -> None:
    prose = re.sub(r"^\|.*$", "", page.read_text(), flags=re.MULTILINE)  # a table's row cannot be broken
    long = [number for number, line in enumerate(prose.splitlines(), start=1) if len(line) > LINE_MAX]
    assert not long, f"{name_of(page)}: lines {long} are longer than {LINE_MAX} characters"


@pytest.mark.parametrize("page", OURS, ids=name_of)
def test_no_page_names_a_place_on_somebodys_machine(page: Path) -> None:
    found = re.findall(r"(?:/tmp/|/root/|/home/)\S*", page.read_text())
    assert not found, f"{name_of(page)}: {found}"


def test_every_decision_is_listed_and_says_what_is_good_and_bad() -> None:
    listed = re.findall(r"\((\d{4}-[a-z0-9-]+\.md)\)", (ROOT / "docs/adr/README.md").read_text())
    assert listed == [path.name for path in DECISIONS]
    for number, path in enumerate(DECISIONS, start=1):
        text = path.read_text()
        assert path.name.startswith(f"{number:04d}-")
        assert text.startswith(f"# {number:04d} "), f"{path.name}: the heading has another number"
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Good", "Bad")), path.name


def test_each_promise_names_a_test_that_exists_or_says_later() -> None:
    sections = re.split(r"^## ", (ROOT / "docs/promises.md").read_text(), flags=re.MULTILINE)[1:]
    assert [section.split()[0] for section in sections] == [str(number) for number in range(1, 15)]
    for section in sections:
        tests = [link for link in _LINK.findall(section) if re.search(r"tests/.*test_\w+\.py$", link)]
        assert tests or "**Later**" in section, section.splitlines()[0]
        for test in tests:
            assert (ROOT / "docs" / test).is_file(), f"promise {section.splitlines()[0]}: {test} is not there"


def test_the_promise_table_of_the_readme_has_all_fourteen_with_an_honest_mark() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 15))
    assert all(re.match(r"\*\*(yes|partly|later)\*\*", today) for _, today in rows)


def test_every_class_of_the_vocabulary_has_its_line() -> None:
    classes = [
        node.name
        for node in ast.parse((ROOT / "src/sealwire/vocabulary.py").read_text()).body
        if isinstance(node, ast.ClassDef)
    ]
    page = (ROOT / "docs/vocabulary.md").read_text()
    missing = [name for name in classes if f"| `{name}` |" not in page]
    assert classes
    assert not missing, f"docs/vocabulary.md has no line for {missing}"


def test_every_leaf_class_is_on_its_page_with_its_number() -> None:
    page = (ROOT / "docs/formats/leaf.md").read_text()
    tree = ast.parse((ROOT / "src/sealwire/evidence/leaves.py").read_text())
    (leaf_class,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "LeafClass")
    numbered = [node for node in leaf_class.body if isinstance(node, ast.Assign)]
    assert numbered
    for node in numbered:
        name, number = ast.unparse(node.targets[0]).lower().replace("_", ".", 1), ast.unparse(node.value)
        assert f"| {number} | {name} |" in page, f"docs/formats/leaf.md: {number} {name}"


def test_every_package_that_is_shipped_has_its_reason() -> None:
    page = (ROOT / "docs/adr/0010-dependencies.md").read_text()
    wanted = re.findall(r"^([a-z0-9.-]+)", (ROOT / "requirements/run.in").read_text(), re.MULTILINE)
    assert wanted
    assert not [name for name in wanted if f"`{name}`" not in page]


@pytest.mark.parametrize("page", OURS, ids=name_of)
def test_commands_that_are_shown_exist(page: Path) -> None:
    there = {path.stem for path in (ROOT / "src/sealwire/doors/commands").glob("[a-z]*.py")}
    for shown in _COMMAND.findall("\n".join(_CODE.findall(page.read_text()))):
        program, _, command = " ".join(shown.split()).partition(" ")
        assert (ROOT / program).is_file(), f"{name_of(page)}: {program} is not there"
        if program == "bin/sealwire" and command:
            assert command in there, f"{name_of(page)}: bin/sealwire has no command {command}"


def test_the_test_values_of_the_formats_are_those_of_the_code() -> None:
    tree, leaf = Tree.planted(bytes(range(32))), LeafPath(1, 0, 20780, 123456)
    keys, day = leaf_keys(tree.derive(leaf)), tree.derive(leaf.day_path)
    context = Context(AccountId(UUID(bytes=bytes(range(16)))), 1, 0, 20780, 123456)
    fields = msgspec.msgpack.encode(["+441632960123", "+441632960100", "5"])
    token = index_token(index_key(tree, leaf.day_path), "+441632960123")
    payload = re.search(r'^\{"account":"acc_.*?\}$', page_of("leaf"), re.MULTILINE | re.DOTALL)
    assert payload is not None
    entry = leaf_bytes(4, bytes(range(32)), payload[0].replace("\n", "").encode())
    expected = {
        "key-tree": [day.hex(), tree.derive(leaf).hex(), *(key.hex() for key in keys), token.hex()],
        "sealed-record": [context.text.replace("|", "\\|"), commitment_of(keys.commit, context, fields).hex()],
        "leaf": [entry.hex(), leaf_hash(entry).hex(), items_root([]), items_root([context])],
        "vault": [vault_key(bytes(range(32)), bytes(range(32, 64)), 8).hex()],
        "certificate": [paths_root([leaf.text]), paths_root(["1/0/20780", "*-3"])],
    }
    for page, values in expected.items():
        for value in values:
            assert value in page_of(page), f"docs/formats/{page}.md does not hold {value}"


def test_the_receipt_that_is_shown_has_the_signature_that_is_shown() -> None:
    page, key = page_of("certificate"), Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    shown = re.search(r'^\{"count":1.*?"version":1\}$', page, re.MULTILINE | re.DOTALL)
    assert shown is not None
    text = shown[0].replace("\n", "").encode()
    receipt = parse_canonical(text)
    assert {*receipt, "signature"} == RECEIPT_MEMBERS
    signature = b64encode(key.sign(text)).decode()
    assert re.findall(r"signature, \w+ half \| `(.+)`", page) == [signature[:44], signature[44:]]


def test_the_picture_is_well_formed_and_describes_itself() -> None:
    text = (ROOT / "docs/flow.svg").read_text()
    assert "<title" in text
    assert "<desc" in text
    assert "prefers-color-scheme: dark" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", ""), "the picture fetches nothing from elsewhere"


def test_every_page_is_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        inside = [link.partition("#")[0] for link in links(page) if not re.match(r"[a-z]+:", link)]
        waiting += [(page.parent / link).resolve() for link in inside if link]
    lost = [name_of(page) for page in ROOT.glob("docs/**/*.md") if page not in seen]
    assert not lost, f"nothing leads to {lost}"


def test_every_part_has_one_version_and_the_readme_says_it() -> None:
    assert sealwire.__version__ == sealwire_sdk.__version__ == sealwire_verifier.__version__
    assert f"says {sealwire.__version__})" in (ROOT / "README.md").read_text()
