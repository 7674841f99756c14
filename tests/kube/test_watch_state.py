"""What a watch knows follows from what it is told: no loss, no doubling, no confusion of namesakes. No network."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube.errors import ApiError, Expired, Garbled
from kube.watchstate import Delete, Event, Key, Rejected, Synced, Upsert, WatchState

State = WatchState[dict[str, Any]]


def thing(name: str, *, uid: str = "u", version: str = "1", **fields: object) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns", "uid": uid, "resourceVersion": version}, **fields}


def told(state: State, kind: str, obj: object) -> list[Event[dict[str, Any]]]:
    return list(state.apply({"type": kind, "object": obj}))


def listed(state: State, items: Iterable[object], version: str = "9") -> list[Event[dict[str, Any]]]:
    state.start_list()
    return [*state.page(items), *state.finish_list(version)]


def key(name: str) -> Key:
    return Key("ns", name)


@pytest.fixture
def state() -> State:
    return WatchState(lambda obj: obj)


def test_a_first_list_reports_everything_and_then_that_it_is_complete(state: State) -> None:
    a, b = thing("a"), thing("b")
    assert listed(state, [a, b]) == [Upsert(key("a"), a), Upsert(key("b"), b), Synced()]
    assert state.version == "9"


def test_a_list_again_reports_only_what_changed(state: State) -> None:
    listed(state, [thing("a"), thing("b"), thing("c")])
    changed = thing("b", version="5")
    assert listed(state, [thing("a"), changed]) == [
        Upsert(key("b"), changed),
        Delete(key("c"), thing("c")),
        Synced(),
    ]


def test_a9_a_namesake_with_another_uid_is_a_delete_and_then_a_new_object(state: State) -> None:
    old, new = thing("a", uid="1"), thing("a", uid="2")
    listed(state, [old])
    assert listed(state, [new]) == [Delete(key("a"), old), Upsert(key("a"), new), Synced()]
    newer = thing("a", uid="3", version="7")
    assert told(state, "ADDED", newer) == [Delete(key("a"), new), Upsert(key("a"), newer)]


def test_a1_a_delete_missed_during_a_410_is_noticed_by_the_next_list(state: State) -> None:
    listed(state, [thing("a")])
    with pytest.raises(Expired):
        told(state, "ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})
    state.expire()
    assert state.version is None
    assert listed(state, []) == [Delete(key("a"), thing("a")), Synced()]


def test_a_list_that_broke_off_deletes_nothing(state: State) -> None:
    listed(state, [thing("a"), thing("b")])
    state.start_list()
    assert list(state.page([thing("a", version="2")])) == [Upsert(key("a"), thing("a", version="2"))]
    assert listed(state, [thing("a", version="2"), thing("b")]) == [Synced()]


def test_a_bookmark_moves_the_version_and_reports_nothing(state: State) -> None:
    listed(state, [])
    assert told(state, "BOOKMARK", {"metadata": {"resourceVersion": "77"}}) == []
    assert state.version == "77"


def test_a_deletion_reports_the_last_known_form_once(state: State) -> None:
    listed(state, [thing("a", n=1)])
    assert told(state, "DELETED", thing("a", version="10")) == [Delete(key("a"), thing("a", n=1))]
    assert told(state, "DELETED", thing("a", version="10")) == []
    assert state.version == "10"


def test_the_same_version_twice_is_reported_once(state: State) -> None:
    listed(state, [thing("a")])
    assert told(state, "MODIFIED", thing("a")) == []


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "text",
        [],
        {},
        {"type": "ADDED"},
        {"type": "ADDED", "object": "text"},
        {"type": "ADDED", "object": {}},
        {"type": "ADDED", "object": {"metadata": {"name": 3}}},
        {"type": "ADDED", "object": {"metadata": ["name"]}},
        {"type": "REPLACED", "object": {"metadata": {"name": "a"}}},
        {"type": ["ADDED"], "object": {}},
    ],
)
def test_a2_what_is_no_watch_event_is_garbled_and_never_an_event(state: State, raw: object) -> None:
    listed(state, [thing("a")])
    with pytest.raises(Garbled):
        list(state.apply(raw))
    assert listed(state, [thing("a")]) == [Synced()]


def test_an_error_event_is_the_error_that_it_names(state: State) -> None:
    with pytest.raises(ApiError) as caught:
        told(state, "ERROR", {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no"})
    assert (caught.value.status, caught.value.message) == (403, "no")


def test_a12_one_undecodable_object_is_flagged_alone_and_its_last_good_form_stays() -> None:
    state: WatchState[int] = WatchState(lambda obj: int(obj["n"]))
    state.start_list()
    events = [*state.page([thing("a", n=1), thing("b", n="x"), thing("c"), 7, thing("d", n=4)])]
    assert [type(event) for event in events] == [Upsert, Rejected, Rejected, Upsert]
    list(state.finish_list("5"))
    [flagged] = state.apply({"type": "MODIFIED", "object": thing("a", version="6", n=None)})
    assert isinstance(flagged, Rejected)
    assert (flagged.key, flagged.uid, type(flagged.error)) == (key("a"), "u", TypeError)
    assert list(state.apply({"type": "DELETED", "object": thing("a", version="7")})) == [Delete(key("a"), 1)]
    assert list(state.apply({"type": "DELETED", "object": thing("b", version="8")})) == []


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_whoever_follows_the_events_knows_what_exists(data: st.DataObject) -> None:
    """Property: after each list the replayed events equal the true content, whatever was missed in between."""
    state: State = WatchState(lambda obj: obj)
    truth: dict[str, dict[str, Any]] = {}
    replica: dict[Key, dict[str, Any]] = {}
    version = 0
    for _ in range(data.draw(st.integers(1, 25))):
        version += 1
        name = data.draw(st.sampled_from("abc"))
        old = truth.pop(name, None)
        if data.draw(st.booleans()):
            truth[name] = thing(name, uid=data.draw(st.sampled_from("uv")), version=str(version))
        heard = state.version is not None and data.draw(st.booleans())
        if heard:
            kind = "MODIFIED" if name in truth else "DELETED"
            _replay(replica, told(state, kind, truth.get(name) or thing(name, version=str(version))) if old else [])
            if not old and name in truth:
                _replay(replica, told(state, "ADDED", truth[name]))
        elif data.draw(st.booleans()):
            _replay(replica, listed(state, truth.values(), str(version)))
            assert replica == {key(name): obj for name, obj in truth.items()}
    _replay(replica, listed(state, truth.values(), str(version)))
    assert replica == {key(name): obj for name, obj in truth.items()}


def _replay(replica: dict[Key, dict[str, Any]], events: list[Event[dict[str, Any]]]) -> None:
    for event in events:
        match event:
            case Upsert(where, obj):
                replica[where] = obj
            case Delete(where, obj):
                assert replica.pop(where) == obj
            case _:
                assert isinstance(event, Synced)
