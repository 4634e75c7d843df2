"""The label page in a real browser: keys, clicks, what is kept, what labels.csv says."""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import Any

import pytest

from foray.plain_text import csv_cell

from .conftest import Open, Visit
from .made_pages import CLASSES, FIRST_WIDTH, counted_verdict, made_page

HOSTILE = (
    "</script><script>alert(1)</script>", '"quotes", \'single\' & <b>', "🦊 red fox", "زهرة الربيع", "x" * 200,
    "many words " * 18, "=cmd|'/c calc'!A1", "two\nlines\tand; more", "\u202egnp.exe", "__proto__", "-1", "ﬁligree",
)  # fmt: skip
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
NO_STORAGE = """Object.defineProperty(window, "localStorage", {
    get() { throw new DOMException("The operation is insecure.", "SecurityError"); } });"""


def rows_of(text: str) -> list[list[str]]:
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert header == ["image", "label", "guess_shown"]
    return rows


def labels(visit: Visit) -> list[str]:
    return [row[1] for row in rows_of(visit.labels_csv())]


def shown_image(visit: Visit) -> int:
    """Which image is on the page, decoded: pictures of `made_page` differ in width."""
    wait = "() => { const one = document.querySelector('#picture img'); return one.complete && one.naturalWidth }"
    return int(visit.page.wait_for_function(wait).json_value()) - FIRST_WIDTH


def class_button(visit: Visit, label: int) -> Any:
    return visit.page.locator(f"#classes button[data-label='{label}']")


def test_keys_label_and_go_on(opened: Open) -> None:
    visit = opened(made_page(6))
    assert visit.text("count") == "Image 1 of 6"
    assert shown_image(visit) == 0
    visit.press("2", "1", "4")
    assert visit.text("count") == "Image 4 of 6"
    assert visit.text("said") == "Image 3: tulip."
    assert shown_image(visit) == 3
    visit.press("s", "Space", "9", "x", "Control+1", "3")
    assert visit.text("count") == "6 of 6 done"
    assert rows_of(visit.labels_csv()) == [
        ["new/0.png", "dandelion", "no"], ["new/1.png", "daisy", "no"], ["new/2.png", "tulip", "no"],
        ["new/3.png", "cannot tell", "no"], ["new/4.png", "cannot tell", "no"], ["new/5.png", "rose", "no"],
    ]  # fmt: skip
    visit.press("1", "s", "g", "ArrowRight")
    assert len(labels(visit)) == 6


def test_lines_of_the_file_end_as_rfc_4180_says(opened: Open) -> None:
    visit = opened(made_page(2, names=('a "b", c.png', "d.png")))
    visit.press("1")
    assert visit.labels_csv() == 'image,label,guess_shown\r\n"a ""b"", c.png",daisy,no\r\n'


def test_a_held_key_labels_one_image(opened: Open) -> None:
    visit = opened(made_page(6))
    for _ in range(4):
        visit.page.keyboard.down("1")
    visit.page.keyboard.up("1")
    assert visit.text("count") == "Image 2 of 6"


def test_keys_of_other_keyboards_count_by_their_place(opened: Open) -> None:
    visit = opened(made_page(6))
    send = "([key, code]) => document.body.dispatchEvent(new KeyboardEvent('keydown', { key, code, bubbles: true }))"
    for key, code in [("é", "Digit2"), ("ы", "KeyS"), ("4", "Numpad4"), ("1", "Numpad1")]:
        visit.page.evaluate(send, [key, code])
    assert labels(visit) == ["dandelion", "cannot tell", "tulip", "daisy"]


def test_clicks_label_and_space_does_not_press_the_button_again(opened: Open) -> None:
    visit = opened(made_page(6))
    class_button(visit, 2).click()
    visit.press("Space")
    visit.page.locator("#skip").click()
    visit.press("Space")
    visit.page.locator("#back").click()
    visit.press("1")
    assert labels(visit) == ["rose", "cannot tell", "cannot tell", "daisy"]


def test_a_button_with_the_focus_is_pressed_by_space_and_enter(opened: Open) -> None:
    visit = opened(made_page(6))
    for key, label in (("Space", 1), ("Enter", 3)):
        class_button(visit, label).focus()
        visit.press(key)
    assert labels(visit) == ["dandelion", "tulip"]


def test_back_changes_an_answer_and_forward_ends_at_the_first_open_image(opened: Open) -> None:
    visit = opened(made_page(6))
    visit.press("1", "2", "3", "ArrowLeft", "Backspace")
    assert visit.text("count") == "Image 2 of 6, 3 done"
    assert shown_image(visit) == 1
    assert class_button(visit, 1).get_attribute("aria-pressed") == "true"
    assert visit.page.locator("#classes [aria-pressed=true]").count() == 1
    visit.press("4", "ArrowRight", "ArrowRight", "ArrowRight")
    assert visit.text("count") == "Image 4 of 6"
    assert visit.page.locator("#forward").is_disabled()
    visit.press(*["ArrowLeft"] * 9)
    assert visit.text("count") == "Image 1 of 6, 3 done"
    assert labels(visit) == ["daisy", "tulip", "rose"]


def test_labels_are_there_after_a_reload_and_after_closing(opened: Open) -> None:
    visit = opened(made_page(6))
    visit.press("2", "g", "3")
    visit.page.reload()
    assert visit.text("count") == "Image 3 of 6"
    assert "2 answers, kept in this browser" in visit.text("kept")
    visit.page.close()
    again = opened(made_page(6), context=visit.context)
    assert rows_of(again.labels_csv()) == [["new/0.png", "dandelion", "no"], ["new/1.png", "rose", "yes"]]
    other = opened(made_page(6, key="b" * 64), context=visit.context)
    assert other.text("count") == "Image 1 of 6"


@pytest.mark.parametrize("kept", ["no JSON", "{}", '{"given": [5, 5]}', '{"given": [{"label": 4}, null]}', "7"])
def test_what_the_browser_kept_and_cannot_be_used_is_left(opened: Open, kept: str) -> None:
    key = f"foray-settle-{'a' * 64}"
    visit = opened(made_page(2), script=f"localStorage.setItem({key!r}, {kept!r})")
    assert visit.text("count") == "Image 1 of 2"
    visit.press("1")
    assert labels(visit) == ["daisy"]


def test_two_tabs_of_one_page_keep_the_labels_of_both(opened: Open) -> None:
    one = opened(made_page(6))
    other = opened(made_page(6), context=one.context)
    one.press("1", "2")
    other.page.wait_for_function("document.getElementById('count').textContent === 'Image 3 of 6'")
    other.press("3")
    one.page.wait_for_function("document.getElementById('count').textContent === 'Image 4 of 6'")
    assert labels(one) == ["daisy", "dandelion", "rose"]


def test_a_browser_that_keeps_nothing_says_so(opened: Open) -> None:
    assert opened(made_page(2)).page.locator("#warning").is_hidden()
    visit = opened(made_page(2), script=NO_STORAGE)
    assert "The download is the only copy" in visit.text("warning")
    visit.press("1", "2")
    assert "kept" not in visit.text("kept")
    assert labels(visit) == ["daisy", "dandelion"]


def test_labels_that_exist_nowhere_else_are_not_closed_away(opened: Open) -> None:
    visit = opened(made_page(3), script=NO_STORAGE)
    asked: list[str] = []
    visit.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    leave = "() => !dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    assert not visit.page.evaluate(leave)
    visit.press("1")
    assert visit.page.evaluate(leave)
    visit.labels_csv()
    assert not visit.page.evaluate(leave)


def test_guesses_are_asked_for_each_time_and_marked(opened: Open) -> None:
    visit = opened(made_page(4, repeats=((3, 0), (4, 1))))
    assert visit.text("guesses") == ""
    visit.press("g")
    assert "ours: daisy" in visit.text("guesses")
    assert "theirs: dandelion" in visit.text("guesses")
    assert "bias" in visit.text("guesses")
    visit.press("g")
    assert visit.text("guesses") == ""
    visit.press("1", "2")
    assert visit.text("guesses") == ""
    visit.press("ArrowLeft", "g", "ArrowRight", "3", "1", "1")  # image 1: looked up after it was labelled; then 2, 0, 1
    assert [row[0][4] + row[2] for row in rows_of(visit.labels_csv())] == ["0yes", "1no", "2no", "0yes", "1yes"]
    visit.press(*["ArrowLeft"] * 4, "4")  # image 1 anew
    assert rows_of(visit.labels_csv())[1] == ["new/1.png", "tulip", "yes"]


def test_images_come_twice_untold_and_agreement_is_said_at_the_end(opened: Open) -> None:
    visit = opened(made_page(4, repeats=((3, 0), (5, 1))))
    seen = []
    for key in ["1", "2", "3", "1", "4", "3"]:
        seen.append(shown_image(visit))
        assert "twice" not in visit.page.locator("body").inner_text()
        visit.press(key)
    assert seen == [0, 1, 2, 0, 3, 1]
    assert "2 images came twice" in visit.text("picture")
    assert "1 of them the same answer" in visit.text("picture")
    rows = rows_of(visit.labels_csv())
    assert [row[:2] for row in rows if row[0] == "new/1.png"] == [["new/1.png", "dandelion"], ["new/1.png", "rose"]]


def test_an_earlier_file_is_taken_up(opened: Open) -> None:
    page = made_page(5, HOSTILE, repeats=((3, 0),), names=("=1.png", 'a "b".png', "c,d;e.png", "f\n.png", "ü.png"))
    first = opened(page)
    first.press("7", "8", "s", "9", "g", "5")
    text = first.labels_csv()
    second = opened(page)
    assert second.load(text, "earlier.csv") == "earlier.csv: 5 answers taken."
    assert second.text("count") == "Image 6 of 6"
    assert second.labels_csv() == text
    second.page.reload()
    assert second.labels_csv() == text


def test_a_spreadsheets_file_is_taken_up_and_other_rows_are_named(opened: Open) -> None:
    visit = opened(made_page(4))
    visit.press("4", "4")
    said = visit.load(
        "\ufeffLabel;Image\r\nrose;new/1.png\r\ncannot tell;new/2.png\r\n;new/3.png\r\nrose;old.png\r\n"
        "orchid;new/3.png\r\nrose;new/1.png\r\n"
    )
    assert said == (
        "labels.csv: 2 answers taken. 3 rows left out: “old.png” is no image of this page; “orchid” is no class; "
        "“new/1.png” has more rows than it was shown."
    )
    assert labels(visit) == ["tulip", "rose", "cannot tell"]
    assert visit.text("count") == "Image 4 of 4"


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\x00\x01PNG", '"image,label'])
def test_another_file_is_refused(opened: Open, text: str) -> None:
    visit = opened(made_page(2))
    visit.press("1")
    assert "is no table with the columns image and label" in visit.load(text)
    assert labels(visit) == ["daisy"]


def test_all_labels_are_removed_only_after_a_question(opened: Open) -> None:
    visit = opened(made_page(3))
    visit.press("g", "1", "2")
    answers = iter([False, True])
    visit.page.on("dialog", lambda dialog: dialog.accept() if next(answers) else dialog.dismiss())
    visit.page.locator("#restart").click()
    assert visit.text("count") == "Image 3 of 3"
    visit.page.locator("#restart").click()
    assert visit.text("count") == "Image 1 of 3"
    assert visit.page.locator("#download").is_disabled()
    visit.page.reload()
    visit.press("1")
    assert rows_of(visit.labels_csv()) == [["new/0.png", "daisy", "no"]]


def test_hostile_class_names_are_text_on_the_page_and_cells_in_the_file(opened: Open) -> None:
    visit = opened(made_page(12, HOSTILE))
    shown = visit.page.locator("#classes bdi").all_text_contents()
    assert shown[:7] == list(HOSTILE[:7])
    assert shown[7:9] == [r"two\u000alines\u0009and; more", r"\u202egnp.exe"]
    visit.press(*"123456789abc")
    assert labels(visit) == [csv_cell(name) for name in HOSTILE]
    assert visit.page.locator("script").count() == 3
    assert visit.page.locator("#classes b").count() == 0


def test_two_hundred_images_are_shown_one_at_a_time_in_their_order(opened: Open) -> None:
    visit = opened(made_page(200, repeats=tuple((100 + 5 * i, i) for i in range(20)), all_images=2400))
    assert visit.text("count") == "Image 1 of 220"
    order = []
    for _ in range(220):
        assert visit.page.locator("img").count() == 1
        order.append(shown_image(visit))
        visit.press("3")
    repeated = [100 + 5 * i for i in range(20)]
    assert [order[at] for at in repeated] == list(range(20))
    assert [image for at, image in enumerate(order) if at not in repeated] == list(range(200))
    assert len(rows_of(visit.labels_csv())) == 220


@pytest.mark.parametrize("classes", [HOSTILE, tuple(f"{i} {'long name ' * 20}" for i in range(300))])
@pytest.mark.parametrize("guessing", [False, True])
def test_a_phone_needs_no_sideways_scrolling(opened: Open, classes: tuple[str, ...], guessing: bool) -> None:
    page = dataclasses.replace(made_page(3, classes), title="Label images: " + "efficientnet_" * 9)
    visit = opened(page, context=PHONE)
    if guessing:
        visit.page.locator("#show-guesses").tap()
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 360
    for button in visit.page.locator("button:visible").all():
        box = button.bounding_box()
        assert box["height"] >= 44
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
    picture = visit.page.locator("#picture img").bounding_box()
    assert 100 < picture["height"] < 400
    class_button(visit, 1).tap()
    assert visit.text("count") == "Image 2 of 3"


def test_the_next_image_is_in_view_after_a_class_far_below(opened: Open) -> None:
    visit = opened(made_page(3, tuple(f"species {i}" for i in range(30))), context=PHONE)
    class_button(visit, 29).tap()
    assert visit.text("count") == "Image 2 of 3"
    top = "() => document.getElementById('picture').getBoundingClientRect().top >= 0"
    visit.page.wait_for_function(top)


def test_a_desk_shows_image_classes_and_verdict_without_scrolling(opened: Open) -> None:
    for classes in (CLASSES, tuple(f"species {i}" for i in range(30)), HOSTILE):
        visit = opened(made_page(3, classes, key=str(len(classes)) * 20))
        for part in ("picture", "skip", "verdict", "download"):
            box = visit.page.locator(f"#{part}").bounding_box()
            assert box["y"] + box["height"] <= 800, (part, len(classes))


def test_the_page_is_dark_in_the_dark(opened: Open) -> None:
    dark = opened(made_page(2), context={"color_scheme": "dark"}).page
    assert dark.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    assert dark.evaluate("getComputedStyle(document.querySelector('#skip')).color") == "rgb(230, 233, 237)"


def test_the_focus_is_seen_and_the_state_is_read_aloud(opened: Open) -> None:
    visit = opened(made_page(3))
    visit.press("Tab")
    focused = "() => [document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"
    assert visit.page.evaluate(focused) == ["BUTTON", "solid"]
    for element in ("said", "verdict", "guesses", "loaded"):
        assert visit.page.locator(f"#{element}").get_attribute("role") == "status"
    assert visit.page.get_by_role("button", name="daisy").is_visible()
    assert visit.page.get_by_role("button", name="Cannot tell").is_visible()
    assert visit.page.get_by_role("progressbar", name="Answers given").is_visible()


def test_many_classes_are_found_by_typing(opened: Open) -> None:
    names = ["cat", "catfish", "Kätzchen", "wildcat", *(f"species {i}" for i in range(40))]
    visit = opened(made_page(8, names))
    box = visit.page.locator("#filter")
    box.fill("species 3")
    assert "Enter" in class_button(visit, 7).inner_text()
    box.fill("cat")
    assert visit.page.locator("#classes bdi").all_text_contents() == ["cat", "catfish", "wildcat"]
    box.press("Enter")
    assert box.input_value() == ""
    for text in ("wild", "KÄTZ", "catf"):
        box.press_sequentially(text)
        box.press("Enter")
    visit.press("Space")  # in the empty box
    box.fill("nothing like this")
    assert visit.text("more") == "No class has this in its name."
    visit.press("Enter")
    assert visit.text("count") == "Image 6 of 8"
    visit.press("Escape", "s")  # outside the box letters have their meaning
    visit.press("ArrowLeft", "ArrowLeft", "ArrowLeft")
    assert visit.page.locator("#classes button").first.inner_text() == "catfish"
    assert labels(visit) == ["cat", "wildcat", "Kätzchen", "catfish", "cannot tell", "cannot tell"]


def test_verdict_follows_the_rule_after_every_label(opened: Open) -> None:
    said = {
        "unresolved": "Not decided yet: is theirs more than 1 point worse than ours?",
        "not_worse": "Decided: theirs is not more than 1 point worse than ours.",
        "worse": "Decided: theirs is more than 1 point worse than ours.",
    }
    key_of = {"losses": "1", "gains": "2", "neither": "3", "skipped": "s"}
    sequence = ["neither", "gains", "skipped", "neither", *["gains"] * 9, *["neither"] * 3, *["losses"] * 4]
    for key, kinds in {"1" * 20: sequence, "2" * 20: ["losses"] * 24}.items():
        page = made_page(24, all_images=900, key=key)
        visit = opened(page)
        verdicts = set()
        for done, kind in enumerate(kinds, start=1):
            visit.press(key_of[kind])
            verdict = counted_verdict(page.pairs[0], page.tolerance, kinds[:done])
            assert visit.text("verdict").split("\n")[0].strip().startswith(said[verdict]), done
            assert visit.page.locator("#stop").is_visible() == (verdict != "unresolved" and done < 24)
            verdicts.add(verdict)
        assert len(verdicts) == 2


def test_a_decided_pair_says_that_one_can_stop(opened: Open) -> None:
    visit = opened(made_page(10, all_images=2400))
    assert "Decided: theirs is not more than 1 point worse than ours." in visit.text("verdict")
    assert "You can stop; more labels do not hurt." in visit.text("verdict")
    visit.press("1", "1")
    assert "You can stop; more labels do not hurt." in visit.text("verdict")


def test_pairs_are_decided_one_by_one(opened: Open) -> None:
    page = made_page(12, all_images=2400)
    pair = page.pairs[0]
    small = dataclasses.replace(
        pair, reference="theirs", candidate="ours", images=60, disagreements=4, needs=(1, 5, 7, 9)
    )
    visit = opened(dataclasses.replace(page, pairs=(pair, small)))
    lines = visit.page.locator("#verdict li")
    assert lines.nth(0).inner_text().startswith("Decided:")
    assert lines.nth(1).inner_text().startswith("Not decided yet: is ours more than 1 point worse than theirs?")
    assert "4 of 60 images" in lines.nth(1).inner_text()
    assert "You can stop" not in visit.text("verdict")
    visit.press(*"3" * 10)
    assert "All images are labelled, and they do not show it." in lines.nth(1).inner_text()


def test_several_seeds_wait_for_all_labels(opened: Open) -> None:
    visit = opened(made_page(3, all_images=2400, early=False))
    assert "The verdict counts when all 3 are labelled." in visit.text("verdict")
    visit.press("1", "1", "1")
    assert visit.text("verdict").startswith("Labelled:")
    assert "Decided" not in visit.text("verdict")


@pytest.mark.parametrize("early", [True, False])
def test_a_page_that_shows_the_first_images_says_how_to_go_on(opened: Open, early: bool) -> None:
    page = made_page(6, all_images=300, early=early)
    pair = dataclasses.replace(page.pairs[0], disagreements=12)
    visit = opened(dataclasses.replace(page, pairs=(pair,)))
    left = "6 more images of labels.csv are not on this page."
    assert left in visit.text("verdict")
    assert ("The verdict counts when all 12 are labelled." in visit.text("verdict")) != early
    visit.press("1", "2", "3", "1", "2", "3")
    said = visit.text("verdict")
    assert said.startswith("Not decided yet: is theirs more than 1 point worse than ours?")
    assert f"All images on this page are labelled. {left}" in said
    assert "do not show it" not in said
    assert "foray answers it" not in said
    assert "Copy its lines that follow “new/5.png” to the end of the file" in visit.text("picture")


def test_a_page_that_shows_the_first_images_and_decides_needs_no_others(opened: Open) -> None:
    page = made_page(30, all_images=900)
    visit = opened(dataclasses.replace(page, pairs=(dataclasses.replace(page.pairs[0], disagreements=40),)))
    visit.press(*"1" * 30)
    assert visit.text("verdict").startswith("Decided: theirs is more than 1 point worse than ours.")
    assert "Download labels.csv now." in visit.text("picture")
    assert "Copy its lines" not in visit.text("picture")


def test_a_long_class_name_breaks_after_an_underscore_or_hyphen(opened: Open) -> None:
    names = ("Common_Chickweed", "Shepherds_Purse-Weed", "Maize")
    visit = opened(made_page(3, names), context=PHONE)
    assert visit.page.locator("#classes bdi").all_text_contents() == list(names)
    lines = """(name) => { const rows = new Map();
        for (const node of name.childNodes) for (let i = 0; i < (node.data || "").length; i++) {
            const range = document.createRange();
            range.setStart(node, i); range.setEnd(node, i + 1);
            const top = Math.round(range.getBoundingClientRect().top);
            rows.set(top, (rows.get(top) || "") + node.data[i]); }
        return [...rows.values()]; }"""
    name = visit.page.locator("#classes bdi").first
    name.evaluate("(name) => { name.style.width = '90px'; }")
    assert name.evaluate(lines) == ["Common_", "Chickweed"]


def test_models_that_agree_on_everything_leave_nothing_to_label(opened: Open) -> None:
    visit = opened(made_page(0, all_images=2400))
    assert "the models agree on all of them" in visit.text("picture")
    assert visit.text("verdict").startswith("Decided: theirs is not more than 1 point worse")
    visit.press("1", "s", "g", "ArrowLeft", "ArrowRight")
    assert visit.page.locator("#download").is_disabled()


def test_without_scripts_the_page_says_what_to_do(opened: Open) -> None:
    visit = opened(made_page(2), context={"java_script_enabled": False})
    assert visit.page.locator("noscript strong").inner_text() == "This page needs JavaScript."
    assert visit.page.locator("main").is_hidden()


def test_nothing_but_the_file_itself_may_be_asked_for(opened: Open) -> None:
    visit = opened(made_page(2))
    blocked = "() => fetch('https://example.org/').then(() => 'sent', () => 'blocked')"
    assert visit.page.evaluate(blocked) == "blocked"
    visit.errors.clear()  # the browser says that it blocked this
    assert [url for url in visit.requests if url.startswith("https:")] == []
