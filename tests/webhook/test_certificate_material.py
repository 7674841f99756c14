"""What the Secret should hold next: always a leaf that verifies, replaced in an order that nobody notices."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given, settings
from hypothesis import strategies as st

from webhook.authority import Names, names_of, new_authority, new_leaf
from webhook.certificates import (
    AUTHORITY_KEY,
    BUNDLE_KEY,
    EMPTY,
    LEAF_CERTIFICATE,
    LEAF_KEY,
    Lifetimes,
    Material,
    next_material,
    read_material,
    write_material,
)

DNS = "nos-mig-webhook.nos.svc"
NAMES = Names(frozenset({DNS}), frozenset({"127.0.0.1"}))
START = datetime(2030, 1, 1, tzinfo=UTC)
LIFETIMES = Lifetimes()
KEYS = (BUNDLE_KEY, AUTHORITY_KEY, LEAF_CERTIFICATE, LEAF_KEY)


def following(
    held: Material = EMPTY,
    *,
    remembered: Material = EMPTY,
    names: Names = NAMES,
    trusted: bool = True,
    now: datetime = START,
) -> Material | None:
    return next_material(held, remembered=remembered, names=names, trusted=trusted, now=now, lifetimes=LIFETIMES)


def first() -> Material:
    made = following()
    assert made is not None
    return made


FIRST = first()
DATA = write_material(FIRST)
SETTLED = START + LIFETIMES.settle


def verifies(material: Material, *, bundle: tuple[x509.Certificate, ...] | None = None, now: datetime = START) -> bool:
    """Whether a strict verifier that trusts the bundle accepts the leaf for our name."""
    assert material.leaf is not None
    verifier = (
        PolicyBuilder().store(Store(list(bundle or material.bundle))).time(now).build_server_verifier(x509.DNSName(DNS))
    )
    try:
        verifier.verify(material.leaf.certificate, [])
    except VerificationError:
        return False
    return True


def test_from_nothing_comes_a_sound_set_that_is_left_alone() -> None:
    assert verifies(FIRST)
    assert len(FIRST.bundle) == 1
    assert names_of(FIRST.leaf.certificate if FIRST.leaf else FIRST.bundle[0]) == NAMES
    assert following(FIRST) is None
    assert following(FIRST, now=START + timedelta(days=59)) is None


def test_what_is_written_is_read_back() -> None:
    read = read_material(DATA)
    assert read.faults == ()
    assert write_material(read) == DATA
    assert following(read) is None


def test_an_api_server_whose_clock_is_behind_accepts_the_leaf() -> None:
    assert verifies(FIRST, now=START - timedelta(minutes=59))


def key_pem(key: Any) -> str:
    return base64.b64encode(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    ).decode()


GARBAGE: list[object] = ["", "!", base64.b64encode(b"garbage").decode(), base64.b64encode(b"").decode(), None, 7]
ODD: list[object] = [
    key_pem(rsa.generate_private_key(65537, 2048)),
    DATA[LEAF_CERTIFICATE],
    DATA[LEAF_KEY],
    write_material(first())[BUNDLE_KEY],
]


DAMAGES = [(key, value) for key in KEYS for value in GARBAGE + ODD if DATA[key] != value]


@pytest.mark.parametrize(("key", "value"), DAMAGES, ids=[f"{key}-{n}" for n, (key, _) in enumerate(DAMAGES)])
def test_one_broken_or_torn_key_is_told_and_mended_without_changing_what_is_served(key: str, value: object) -> None:
    """T2: the leaf that API servers trust stays; only what is broken is replaced."""
    read = read_material({**DATA, key: value})
    mended = following(read, remembered=FIRST)
    assert any(key in fault for fault in read.faults)
    assert mended is not None
    assert verifies(mended)
    assert verifies(mended, bundle=FIRST.bundle)
    assert following(read_material(write_material(mended)), remembered=mended, trusted=False) is None


@given(
    st.dictionaries(
        st.sampled_from(KEYS),
        st.sampled_from(GARBAGE + ODD) | st.binary(max_size=40).map(lambda raw: base64.b64encode(raw).decode()),
    )
)
@settings(max_examples=200, deadline=None)
def test_any_damage_is_mended_with_a_leaf_that_is_trusted_before_and_after(damage: dict[str, object]) -> None:
    """T2, T6: whatever became of the Secret while we serve."""
    read = read_material({**DATA, **damage})
    mended = following(read, remembered=FIRST) or read
    assert verifies(mended)
    assert verifies(mended, bundle=FIRST.bundle)


def test_a_lost_secret_gets_a_new_authority_beside_the_one_in_use() -> None:
    """T6: replicas that still serve the old leaf stay trusted; a minute later the old authority is history."""
    renewed = following(EMPTY, remembered=FIRST, now=START)
    assert renewed is not None
    assert renewed.leaf == FIRST.leaf
    assert renewed.bundle[1:] == FIRST.bundle
    assert renewed.bundle[0] not in FIRST.bundle
    moved = following(renewed, remembered=renewed, now=SETTLED)
    assert moved is not None
    assert verifies(moved, bundle=renewed.bundle[:1], now=SETTLED)
    ended = following(moved, remembered=moved, now=SETTLED + LIFETIMES.settle)
    assert ended is not None
    assert ended.bundle == renewed.bundle[:1]


def test_the_leaf_waits_until_api_servers_know_the_new_authority() -> None:
    """T4: neither before the caBundle carries it, nor before they had time to see it."""
    due = START + timedelta(days=244)
    held = (
        Material(FIRST.bundle, FIRST.authority, new_leaf(FIRST.authority, NAMES, now=due, life=LIFETIMES.leaf))
        if FIRST.authority
        else EMPTY
    )
    rotated = following(held, now=due)
    assert rotated is not None
    assert rotated.leaf is held.leaf
    assert rotated.bundle[1:] == held.bundle
    assert following(rotated, trusted=False, now=due + timedelta(days=1)) is None
    assert following(rotated, trusted=True, now=due + LIFETIMES.settle / 2) is None
    moved = following(rotated, trusted=True, now=due + LIFETIMES.settle)
    assert moved is not None
    assert moved.leaf is not held.leaf


def test_the_leaf_is_renewed_after_two_thirds_of_its_life_by_the_same_authority() -> None:
    due = START + timedelta(days=60)
    renewed = following(FIRST, now=due)
    assert renewed is not None
    assert renewed.bundle == FIRST.bundle
    assert verifies(renewed, bundle=FIRST.bundle, now=due + timedelta(days=89))


def test_a_leaf_that_lacks_a_name_is_replaced_by_one_with_the_names_of_both() -> None:
    """So that two replicas with different names settle on one leaf instead of fighting."""
    other = Names(frozenset({"other.example"}))
    widened = following(FIRST, names=other)
    assert widened is not None
    assert widened.leaf is not None
    assert names_of(widened.leaf.certificate) == NAMES | other
    assert following(widened, names=other) is None
    assert following(widened, names=NAMES) is None


def test_400_days_later_everything_is_new() -> None:
    """T7: nothing expired is kept or trusted."""
    now = START + timedelta(days=400)
    assert not verifies(FIRST, now=now)
    renewed = following(FIRST, remembered=FIRST, now=now)
    assert renewed is not None
    assert verifies(renewed, now=now)
    assert set(renewed.bundle).isdisjoint(FIRST.bundle)


def test_a_clock_that_jumps_back_a_year_gets_certificates_that_are_valid_then() -> None:
    """T7, the other way."""
    now = START - timedelta(days=365)
    renewed = following(FIRST, remembered=FIRST, now=now)
    assert renewed is not None
    assert verifies(renewed, now=now)


def test_an_authority_that_may_not_sign_is_replaced() -> None:
    """T2: a leaf in the authority's place."""
    other = new_authority(now=START, life=timedelta(days=1))
    leaf = new_leaf(other, NAMES, now=START, life=timedelta(days=1))
    read = read_material(write_material(Material((leaf.certificate,), leaf, leaf)))
    assert read.faults == ("ca.crt begins with a certificate that may not sign others",)
    mended = following(read)
    assert mended is not None
    assert verifies(mended)


@given(st.lists(st.floats(0.0001, 29), min_size=20, max_size=60), st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_over_the_years_every_leaf_is_trusted_by_api_servers_that_lag_one_step(days: list[float], forget: int) -> None:
    """T4: steps of seconds to a month, restarts included (a replica that forgets what it served)."""
    now, held, served = START, EMPTY, EMPTY
    known: tuple[x509.Certificate, ...] = ()
    for number, step in enumerate(days):
        remembered = EMPTY if forget and number % (forget + 1) == 0 else served
        held = following(held, remembered=remembered, trusted=held.bundle == known, now=now) or held
        assert verifies(held, now=now)
        assert verifies(held, bundle=known or held.bundle, now=now)
        known, served = held.bundle, held
        now += timedelta(days=step)
