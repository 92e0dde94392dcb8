"""The page of one benchmark item: the question, and what both versions answered."""

from dataclasses import replace

import pytest

from middleware.admin.item_view import item_view
from middleware.records.benchmark import ItemResult
from middleware.records.standing import Standing
from scorer.items import Item, ItemSet

NOW = 1_794_500_000.0
HOSTILE = "<script>alert(1)</script>\"'&"
ITEM = Item(
    "i1", ("Joy", "Fear"), "the prompt", None, (8.0, 2.0), "d1", "perception", (), "Because.", "A: Hi\nB: Yes", "B"
)
SET = ItemSet("small", "v2", "en", (ITEM,), official=False, sha256="0" * 64)


def result(run, at, score=8.0, model="m-1", text="Joy: 8", **changes) -> ItemResult:
    """One answer to the item."""
    answer = {"Joy": 8.0, "Fear": score}
    given = {"answered_model": model, "at": at, "text": text, "answer": answer, "score": score} | changes
    return ItemResult(run.id, "i1", 0, given.pop("outcome", "scored"), **given)


def view_of(answers, standings=()):
    """The view of the item, without a baseline."""
    return item_view("small", "i1", loaded=SET, answers=answers, standings=standings, baselines={})


def test_the_page_of_an_item_that_lost_shows_both_versions(filled):
    """Dialogue, reference, the newest answer of each version, points before and now, which emotion is further off."""
    with filled.client() as client:
        status = client.get("/").text
        path = status.partition('href="/items/tutoring/')[2].partition('"')[0]
        page = client.get(f"/items/tutoring/{path}")
        assert page.status_code == 200
        item = filled.state.items("tutoring").by_id[path]
        for part in (item.subject, "The reference", "Accepted baseline", "example-chat-large-0612", "Before", "Now"):
            assert part in page.text
        assert "further off" in page.text
        assert all(emotion in page.text for emotion in item.emotions)
        assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
        picture = page.text.partition('<img src="/charts/item.svg?')[2].partition('"')[0].replace("&amp;", "&")
        chart = client.get(f"/charts/item.svg?{picture}")
        assert chart.headers["content-type"] == "image/svg+xml"
        assert chart.text.count("<circle") > 10


def test_what_is_not_there_is_404(filled):
    """An unknown set, an unknown item, a chart without answers."""
    with filled.client() as client:
        for path in ("/items/tutoring/nope", "/items/nope/tutoring-001a", "/items/..%2F..%2Fetc/passwd"):
            assert client.get(path).status_code == 404
        asked = {"item_set": "tutoring", "item_id": "tutoring-001a", "deployment": "nobody"}
        assert client.get("/charts/item.svg", params=asked).json()["error"]["code"] == "no_data"


def test_the_text_of_an_official_item_comes_from_the_users_file_only(admin, run_of):
    """Without the file the page shows what was answered, and how to get the text."""
    protocol = replace(run_of(1, NOW).protocol, item_set="eqbench-v2")
    run = run_of(1, NOW, protocol=protocol, deployment="default")
    admin.store.begin_run(run)
    admin.store.save_item(ItemResult(run.id, "17", 0, "scored", score=7.0, text="Hurt: 4", at=NOW))
    with admin.client() as client:
        page = client.get("/items/eqbench-v2/17").text
        assert "eqwatch items fetch eqbench-v2" in page
        assert "Hurt: 4" in page
        assert client.get("/items/eqbench-v1/17").status_code == 404  # the same id in another set is another item


def test_hostile_answers_stay_text(serve, run_of):
    """Whatever a model or an item file says, it never becomes markup."""
    hostile = replace(ITEM, id="i1", dialogue=HOSTILE, subject=HOSTILE, rationale=HOSTILE, emotions=(HOSTILE, "Fear"))
    admin = serve(items={"small": replace(SET, items=(hostile,))}.get)
    run = run_of(1, NOW, protocol=replace(run_of(1, NOW).protocol, item_set="small"), model=HOSTILE)
    admin.store.begin_run(run)
    admin.store.save_item(result(run, NOW, text=HOSTILE, model=HOSTILE))
    with admin.client() as client:
        page = client.get("/items/small/i1").text
        assert "alert(1)" in page
        assert page.count("<script") == 1
        asked = {"item_set": "small", "item_id": "i1", "deployment": run.deployment}
        assert client.get("/charts/item.svg", params=asked).status_code == 200


def test_versions_are_told_apart_by_name_and_fingerprint(run_of):
    """Oldest first; one name with two fingerprints is two versions."""
    run = run_of(1, NOW)
    answers = [
        (run, result(run, NOW + 3, 2.0, "m-1", system_fingerprint="b")),
        (run, result(run, NOW + 2, 9.0, "m-1", system_fingerprint="a")),
        (run, result(run, NOW + 1, 7.0, "m-1", system_fingerprint="a")),
    ]
    (asked,) = view_of(answers).asked
    assert [(version.name, version.points) for version in asked.versions] == [("m-1 (a)", 80.0), ("m-1 (b)", 20.0)]
    fear = asked.emotions[1]
    assert (fear.reference, fear.before, fear.now, fear.worse) == (2.0, 8.0, 2.0, False)


def test_a_silent_change_splits_one_name_in_two(run_of):
    """Where nothing but the time tells versions apart, the time since when it is worse does."""
    run = run_of(1, NOW)
    answers = [(run, result(run, NOW + 9, 9.0)), (run, result(run, NOW + 1, 2.0))]
    standing = Standing("default", "small", "regressed", since=NOW + 5)
    (asked,) = view_of(answers, [standing]).asked
    assert [version.name for version in asked.versions] == ["m-1, before", "m-1, now"]
    assert [row.worse for row in asked.emotions] == [False, True]
    assert len(view_of(answers).asked[0].versions) == 1


@pytest.mark.parametrize("outcome", ["unparseable", "api_error"])
def test_an_answer_that_can_not_be_read_is_no_zero(run_of, outcome):
    """It is counted by its outcome and has no points."""
    run = run_of(1, NOW)
    (asked,) = view_of([(run, result(run, NOW, None, outcome=outcome, answer={}))]).asked
    assert (asked.now.points, asked.history[0].points, dict(asked.outcomes)) == (None, None, {outcome: 1})
    assert [row.now for row in asked.emotions] == [None, None]
