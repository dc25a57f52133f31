"""A file that vouches for itself: what is read is what was written, or a typed error."""

import json

import pytest

from throughtime.errors import StorageError
from throughtime.storage import seal, unseal


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n" * 3, bytes(range(256))])
@pytest.mark.parametrize("facts", [{}, {"epoch": 3, "name": "0" * 64, "text": 'a\n"sha256": "' + "0" * 64}])
def test_facts_and_content_come_back(content, facts):
    found, rest = unseal(seal(facts, content), "f")
    assert found == facts
    assert bytes(rest) == content


def test_every_flipped_bit_and_every_cut_is_found():
    whole = seal({"epoch": 1}, b"some bytes\n\0")
    for place in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            with pytest.raises(StorageError, match=r"^(the first line of )?f (needs|is damaged)"):
                unseal(bytes(flipped), "f")
        with pytest.raises(StorageError, match=r"^(the first line of )?f (needs|is damaged)"):
            unseal(whole[:place], "f")
    with pytest.raises(StorageError, match="f is damaged"):
        unseal(whole + b"\0", "f")


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b"null",
        b'{"sha256": 1}',
        b'{"sha256": "x"}',
        b"\xff",
        b"",
        b'{"sha256": "%s"}' % (b"\\ud800" * 64),
    ],
)
def test_something_else_is_refused(line):
    with pytest.raises(StorageError):
        unseal(line + b"\ncontent", "f")


def test_what_has_a_hash_but_no_facts_is_refused():
    whole = seal({"a": 1}, b"")
    import hashlib

    line = json.dumps({"sha256": "0" * 64}).encode()
    total = hashlib.sha256(line + b"\n").hexdigest()
    assert len(whole) > 64
    with pytest.raises(StorageError, match="f needs facts in its first line, got None"):
        unseal(line.replace(b"0" * 64, total.encode()) + b"\n", "f")
