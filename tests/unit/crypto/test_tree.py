"""The tree hashes as RFC 6962 has it; whatever is proven holds, and nothing else is proven."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.crypto import tree
from fhir_server.crypto.proving import continues, includes
from fhir_server.crypto.tree import EMPTY_ROOT, TileId, leaf_hash, node_hash

ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        *("", "00", "10", "2021", "3031", "40414243"),
        *("5051525354555657", "606162636465666768696a6b6c6d6e6f"),
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Those of the implementation of RFC 6962 in https://github.com/google/certificate-transparency."""

LEAVES = [leaf_hash(b"%d" % number) for number in range(256 * 256 + 700)]
SIZES = (0, 1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, 767, 768, 65_535, 65_536, 65_537, 66_100)


def slow_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(slow_root(leaves[:k]), slow_root(leaves[k:]))


def grown(*sizes: int) -> dict[TileId, bytes]:
    """A tree that grew from one of these sizes to the next."""
    tiles: dict[TileId, bytes] = {}
    size = 0
    for after in sizes:
        tiles |= tree.appended(size, tiles, LEAVES[size:after])
        size = after
    return tiles


WHOLE = grown(len(LEAVES))


def proof(spans: Sequence[tree.Span]) -> list[bytes]:
    """Made of the tiles that it says it needs, and of no other."""
    tiles = {id: WHOLE[id] for id in tree.needed(spans)}
    return [tree.hash_of(span, tiles) for span in spans]


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_are_those_of_the_published_vectors(size: int) -> None:
    tiles = tree.appended(0, {}, [leaf_hash(entry) for entry in ENTRIES[:size]])

    assert tree.root(size, tiles).hex() == ROOTS[size - 1]


@pytest.mark.parametrize("size", SIZES)
def test_a_root_takes_the_edge_alone_and_is_that_of_the_slow_way(size: int) -> None:
    edge = {id: WHOLE[id] for id in tree.edge(size)}

    assert tree.root(size, edge) == slow_root(LEAVES[:size])
    assert len(edge) <= 3


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 1500), min_size=1, max_size=5).map(sorted))
def test_it_does_not_matter_in_how_many_steps_a_tree_grew(sizes: list[int]) -> None:
    in_steps, at_once = grown(*sizes), grown(sizes[-1])

    assert {id: tile for id, tile in in_steps.items() if tile} == at_once


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_an_inclusion_proof_holds_for_its_leaf_and_place_alone(data: st.DataObject) -> None:
    size = data.draw(st.one_of(st.integers(1, 600), st.sampled_from([n for n in SIZES if n])))
    index = data.draw(st.integers(0, size - 1))
    path = proof(tree.inclusion(index, size))
    root = tree.root(size, WHOLE)

    assert includes(LEAVES[index], index, size, path, root)
    assert not includes(leaf_hash(b"another"), index, size, path, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index) if size > 1 else st.just(-1))
    assert not includes(LEAVES[index], other, size, path, root)
    assert not includes(LEAVES[index], index, size, [*path, EMPTY_ROOT], root)
    if path:
        cut = data.draw(st.integers(0, len(path) - 1))
        assert not includes(LEAVES[index], index, size, path[:cut] + path[cut + 1 :], root)
        flipped = [*path[:cut], bytes([path[cut][0] ^ 1]) + path[cut][1:], *path[cut + 1 :]]
        assert not includes(LEAVES[index], index, size, flipped, root)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_consistency_proof_holds_for_its_two_trees_alone(data: st.DataObject) -> None:
    new = data.draw(st.one_of(st.integers(1, 600), st.sampled_from([n for n in SIZES if n])))
    old = data.draw(st.integers(0, new))
    path = proof(tree.consistency(old, new))
    before, after = tree.root(old, WHOLE), tree.root(new, WHOLE)

    assert continues(old, new, before, after, path)
    if 0 < old < new:
        assert not continues(old, new, EMPTY_ROOT, after, path)
        assert not continues(old, new, before, EMPTY_ROOT, path)
        assert not continues(old, new, before, after, path[:-1])
        assert not continues(old, new, before, after, [*path, EMPTY_ROOT])
    if old != new:
        assert not continues(new, old, after, before, path)


def test_nothing_is_proven_of_a_leaf_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no such leaf"):
        tree.inclusion(5, 5)
    with pytest.raises(ValueError, match="does not shrink"):
        tree.consistency(6, 5)
    assert not includes(LEAVES[0], 3, 3, [], LEAVES[0])


def test_nothing_is_proven_by_no_steps() -> None:
    assert not continues(3, 5, bytes(32), bytes(32), [])


def test_a_tile_that_was_cut_short_is_noticed() -> None:
    with pytest.raises(ValueError, match="shorter"):
        tree.root(300, {TileId(0, 1): WHOLE[TileId(0, 1)][:64], TileId(1, 0): WHOLE[TileId(1, 0)]})


def test_tiles_lie_where_c2sp_says() -> None:
    assert tree.path_of(TileId(0, 0)) == "0/000"
    assert tree.path_of(TileId(0, 1_234_067)) == "0/x001/x234/067"
    assert tree.path_of(TileId(2, 1_000), 5) == "2/x001/000.p/5"
