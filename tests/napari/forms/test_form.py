"""Forms as a user meets them: mouse, keys and wheel on every kind of control, and values that come from elsewhere."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QKeySequence, QShortcut, QWheelEvent
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from genesis_core.settings import Settings, setting
from napari_genesis.forms.control import SmallLabel
from napari_genesis.forms.form import SettingsForm
from napari_genesis.forms.scale import TOP

LEFT = Qt.MouseButton.LeftButton


class Toy(Settings):
    windows: int = setting(10_000, "Number of windows.", unit="windows", ge=0, le=1_000_000)
    edge: float = setting(0.1, "Largest edge.", unit="of the axis", gt=0.0, le=1.0)
    margin: int = setting(3, "Voxels next to each face.", unit="voxels", ge=0, le=20)
    rate: float = setting(1e-3, "Learning rate.", gt=0.0)
    mirrored: bool = setting(False, "Whether to mirror.")
    fill: Literal["noise", "one_constant"] = setting("noise", "What to fill with.")
    sizes: tuple[int, int] = setting((8, 16), "Two sizes.")
    name: str = setting("toy", "Its name.")
    fixed: Literal["toy"] = "toy"
    needed: int = Field(ge=1, le=9, title="how many needed")


def toy(**values):
    return Toy(**{"needed": 2, **values})


@pytest.fixture
def form(qtbot):
    host = QWidget()
    host.setFixedWidth(330)
    made = SettingsForm(Toy, parent=host)
    layout = QVBoxLayout(host)
    layout.addWidget(made)
    qtbot.addWidget(host)
    made.show_values(toy())
    host.show()
    qtbot.waitExposed(host)
    host.activateWindow()
    qtbot.waitUntil(host.isActiveWindow)
    made.heard = []
    made.changed.connect(lambda *heard: made.heard.append(heard))
    yield made
    host.close()


def handle(slider):
    """The middle of a slider's handle."""
    return slider.handle().center()


def wheel(widget):
    """Turn the wheel over a widget; return whether the widget took it."""
    middle = QPointF(widget.rect().center())
    event = QWheelEvent(
        middle,
        QPointF(widget.mapToGlobal(middle.toPoint())),
        QPoint(0, 120),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    # Ignored, the event would go up to the parents, and the last of them says whether it was taken.
    event.ignore()
    widget.wheelEvent(event)
    return event.isAccepted()


def type_into(qtbot, box, text):
    box.setFocus()
    box.selectAll()
    qtbot.keyClicks(box, text)
    qtbot.keyClick(box, Qt.Key.Key_Return)


def test_every_field_a_user_can_change_has_one_control_in_the_declared_order(form):
    assert list(form.controls) == [name for name in Toy.model_fields if name != "fixed"]
    assert form.controls["needed"].label.text() == "how many needed"
    assert form.controls["edge"].label.text() == "edge"


def test_shown_values_are_not_handed_out_again(form):
    for values in (toy(windows=7, edge=0.5, margin=1, rate=0.1), toy(mirrored=True, fill="one_constant", sizes=(1, 2))):
        form.show_values(values)
        for name, control in form.controls.items():
            assert control.value == getattr(values, name)
    assert form.heard == []


def test_a_drag_is_unsettled_until_the_button_is_let_go(form, qtbot):
    slider = form.controls["edge"].editor.slider
    start = handle(slider)
    qtbot.mousePress(slider, LEFT, pos=start)
    for step in range(1, 6):
        qtbot.mouseMove(slider, start + QPoint(6 * step, 0))
    qtbot.mouseRelease(slider, LEFT, pos=start + QPoint(30, 0))
    names, values, settled = zip(*form.heard, strict=True)
    assert set(names) == {"edge"}
    assert list(values) == sorted(values)
    assert values[0] > 0.1
    assert settled == (*[False] * (len(settled) - 1), True)
    assert values[-1] == values[-2] == form.controls["edge"].value
    assert all(round(value, 2) == value for value in values)


def test_a_drag_to_either_side_ends_at_the_very_ends(form, qtbot):
    slider = form.controls["windows"].editor.slider
    for x, end in ((-500, 0), (500, 1_000_000)):
        qtbot.mousePress(slider, LEFT, pos=handle(slider))
        qtbot.mouseMove(slider, QPoint(slider.width() // 2, 8))
        qtbot.mouseMove(slider, QPoint(x, 8))
        qtbot.mouseRelease(slider, LEFT, pos=QPoint(x, 8))
        assert form.heard[-1] == ("windows", end, True)


def test_a_click_beside_the_handle_brings_it_there(form, qtbot):
    slider = form.controls["margin"].editor.slider
    qtbot.mouseClick(slider, LEFT, pos=QPoint(slider.width() // 2, slider.height() // 2))
    assert form.heard == [("margin", 10, False), ("margin", 10, True)]


def test_touching_a_handle_without_moving_it_changes_nothing(form, qtbot):
    form.show_values(toy(edge=1 / 6))
    slider = form.controls["edge"].editor.slider
    qtbot.mouseClick(slider, LEFT, pos=handle(slider))
    assert form.heard == []
    assert form.controls["edge"].value == 1 / 6


def test_a_handle_in_the_hand_is_not_moved_from_outside(form, qtbot):
    slider = form.controls["edge"].editor.slider
    start = handle(slider)
    qtbot.mousePress(slider, LEFT, pos=start)
    qtbot.mouseMove(slider, start + QPoint(20, 0))
    held = slider.sliderPosition()
    form.show_values(toy(edge=0.9))
    assert slider.sliderPosition() == held
    qtbot.mouseRelease(slider, LEFT, pos=start + QPoint(20, 0))
    assert form.heard[-1][2] is True
    assert form.controls["edge"].value == form.heard[-1][1] != 0.9


def test_what_came_from_outside_during_a_touch_is_shown_when_the_handle_is_let_go(form, qtbot):
    slider = form.controls["edge"].editor.slider
    qtbot.mousePress(slider, LEFT, pos=handle(slider))
    form.show_values(toy(edge=0.9))
    qtbot.mouseRelease(slider, LEFT, pos=handle(slider))
    assert form.controls["edge"].value == 0.9
    assert form.heard == []


@pytest.mark.parametrize("part", ["slider", "label"])
def test_a_double_click_returns_to_the_default(form, qtbot, part):
    form.show_values(toy(edge=0.5))
    control = form.controls["edge"]
    widget = control.label if part == "label" else control.editor.slider
    position = widget.rect().center() if part == "label" else handle(widget)
    qtbot.mouseDClick(widget, LEFT, pos=position)
    assert form.heard == [("edge", 0.1, True)]
    assert control.editor.slider.value() == control.field.quantity.scale.place_of(0.1)


def test_what_differs_from_the_default_is_marked_and_its_button_returns(form, qtbot):
    control = form.controls["fill"]
    assert not control.reset_button.isVisible()
    form.show_values(toy(fill="one_constant"))
    assert control.reset_button.isVisible()
    assert control.label.font().bold()
    assert form.modified == ("fill",)
    width = control.editor.width()
    qtbot.mouseClick(control.reset_button, LEFT)
    assert form.heard == [("fill", "noise", True)]
    assert not control.reset_button.isVisible()
    assert not control.label.font().bold()
    assert control.editor.width() == width


def test_a_required_field_has_no_default_to_return_to(form, qtbot):
    control = form.controls["needed"]
    assert not control.modified
    qtbot.mouseDClick(control.label, LEFT)
    assert form.heard == []


@pytest.mark.parametrize("name", ["windows", "edge", "margin", "fill", "rate"])
def test_the_wheel_scrolls_the_panel_and_changes_nothing(form, qtbot, name):
    editor = form.controls[name].editor
    for part in getattr(editor, "parts", (editor,)):
        if QApplication.focusWidget() is not None:
            QApplication.focusWidget().clearFocus()
        assert not wheel(part)
        assert not part.hasFocus()
    assert form.heard == []


def test_the_wheel_never_moves_a_slider_or_a_choice_but_steps_a_box_that_is_being_edited(form, qtbot):
    number, choice = form.controls["margin"].editor, form.controls["fill"].editor
    for part in (number.slider, choice):
        qtbot.mouseClick(part, LEFT, pos=handle(part)) if part is number.slider else part.setFocus()
        assert part.hasFocus()
        assert not wheel(part)
    assert form.heard == []
    number.box.setFocus()
    assert wheel(number.box)
    assert form.heard == [("margin", 4, True)]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (Qt.Key.Key_Right, 11_000),
        (Qt.Key.Key_Up, 11_000),
        (Qt.Key.Key_Left, 9_900),
        (Qt.Key.Key_Down, 9_900),
        (Qt.Key.Key_PageUp, 20_000),
        (Qt.Key.Key_PageDown, 9_000),
        (Qt.Key.Key_Home, 0),
        (Qt.Key.Key_End, 1_000_000),
    ],
)
def test_keys_move_a_slider_by_sensible_steps(form, qtbot, key, value):
    slider = form.controls["windows"].editor.slider
    slider.setFocus()
    qtbot.keyClick(slider, key)
    assert form.heard == [("windows", value, True)]
    assert 0 <= slider.value() <= TOP


def test_keys_step_a_box_as_they_do_its_slider(form, qtbot):
    box = form.controls["edge"].editor.box
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Up)
    qtbot.keyClick(box, Qt.Key.Key_PageUp)
    qtbot.keyClick(box, Qt.Key.Key_Down)
    assert [value for _, value, _ in form.heard] == [0.11, 0.21, 0.2]


def test_a_number_without_bounds_has_a_box_alone_and_steps_in_its_second_digit(form, qtbot):
    editor = form.controls["rate"].editor
    assert editor.slider is None
    editor.box.setFocus()
    qtbot.keyClick(editor.box, Qt.Key.Key_Up)
    qtbot.keyClick(editor.box, Qt.Key.Key_Down)
    qtbot.keyClick(editor.box, Qt.Key.Key_Down)
    assert [value for _, value, _ in form.heard] == [0.0011, 0.001, 0.0009]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("edge", "1/6", 1 / 6), ("edge", "12.34", 0.1234), ("windows", "12,345", 12_345), ("rate", "3e-4", 3e-4)],
)
def test_typed_numbers_are_taken_exactly(form, qtbot, name, text, value):
    type_into(qtbot, form.controls[name].editor.box, text)
    assert form.heard == [(name, value, True)]


def test_passing_through_a_box_keeps_every_bit_of_its_value(form, qtbot):
    form.show_values(toy(edge=1 / 3))
    box = form.controls["edge"].editor.box
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Return)
    qtbot.keyClick(box, Qt.Key.Key_Tab)
    assert form.heard == []
    assert form.controls["edge"].value == 1 / 3


def test_a_number_out_of_bounds_says_what_is_allowed_and_escape_takes_it_back(form, qtbot):
    control = form.controls["edge"]
    type_into(qtbot, control.editor.box, "150")
    assert form.heard == []
    assert control.problem.isVisible()
    assert control.problem.shown == "150 % is not allowed: above 0 % up to 100 %"
    assert control.editor.box.text() == "150"
    qtbot.keyClick(control.editor.box, Qt.Key.Key_Escape)
    assert not control.problem.isVisible()
    assert control.editor.box.text() == "10 %"


def test_a_value_from_outside_takes_the_place_of_what_was_refused(form, qtbot):
    control = form.controls["edge"]
    type_into(qtbot, control.editor.box, "150")
    form.show_values(toy(edge=0.3))
    assert control.editor.box.text() == "30 %"
    assert not control.problem.isVisible()


def test_showing_the_same_values_again_leaves_alone_what_is_being_typed(form, qtbot):
    box, line = form.controls["edge"].editor.box, form.controls["sizes"].editor
    for widget in (box, line):
        widget.setFocus()
        widget.selectAll()
        qtbot.keyClicks(widget, "2")
        form.show_values(toy())
        assert widget.hasFocus()
        assert widget.text() == "2"


def test_values_beyond_the_slider_are_kept_and_shown(form):
    form.show_values(toy(edge=0.0005))
    control = form.controls["edge"]
    assert control.value == 0.0005
    assert control.editor.box.text() == "0.05 %"
    assert control.editor.slider.value() == 0


def test_a_check_box_and_a_choice_are_settled_at_once(form, qtbot):
    switch, choice = form.controls["mirrored"].editor, form.controls["fill"].editor
    switch.setFocus()
    qtbot.keyClick(switch, Qt.Key.Key_Space)
    choice.setFocus()
    qtbot.keyClick(choice, Qt.Key.Key_Down)
    qtbot.keyClick(choice, Qt.Key.Key_Down)
    assert form.heard == [("mirrored", True, True), ("fill", "one_constant", True)]
    assert choice.currentText() == "one constant"


def test_an_unusual_field_is_a_line_of_yaml(form, qtbot):
    control = form.controls["sizes"]
    assert control.editor.text() == "[8, 16]"
    type_into(qtbot, control.editor, "[1, 2]")
    assert form.heard == [("sizes", (1, 2), True)]
    assert control.modified


@pytest.mark.parametrize(
    ("text", "reason"),
    [("[1, two]", "1: should be a valid integer"), ("[1, 2", "not valid YAML"), ("[1]", "1: Field required")],
)
def test_yaml_that_is_not_valid_says_so_in_place_and_stays_to_be_mended(form, qtbot, text, reason):
    control = form.controls["sizes"]
    type_into(qtbot, control.editor, text)
    assert form.heard == []
    assert control.problem.isVisible()
    assert reason in control.problem.shown
    assert control.editor.text() == text
    qtbot.keyClick(control.editor, Qt.Key.Key_Escape)
    assert control.editor.text() == "[8, 16]"
    assert not control.problem.isVisible()


def test_text_is_text_whatever_it_looks_like_in_yaml(form, qtbot):
    type_into(qtbot, form.controls["name"].editor, "no: [1")
    assert form.heard == [("name", "no: [1", True)]


def test_tab_goes_through_every_editor_in_order_and_nothing_else(form, qtbot):
    expected = [part for part in form.parts if part.isVisible()]
    expected[0].setFocus()
    seen = [QApplication.focusWidget()]
    for _ in expected[1:]:
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        seen.append(QApplication.focusWidget())
    assert seen == expected


def test_the_focus_stays_in_its_row_when_the_button_to_the_default_goes(form, qtbot):
    form.show_values(toy(margin=5))
    control = form.controls["margin"]
    control.reset_button.setFocus()
    qtbot.keyClick(control.reset_button, Qt.Key.Key_Space)
    assert form.heard == [("margin", 3, True)]
    assert QApplication.focusWidget() is control.editor.slider


def test_everything_has_a_name_and_a_tooltip_with_bounds_and_default(form):
    for part in form.parts:
        assert part.accessibleName()
    tip = form.controls["edge"].editor.toolTip()
    for words in ("Largest edge.", "above 0 % up to 100 % of the axis", "Default: 10 %", "In files: edge"):
        assert words in tip
    assert form.controls["edge"].editor.slider.accessibleName() == "edge, of the axis"
    assert "from 0 up to 1,000,000" in form.controls["windows"].label.toolTip()


@pytest.mark.parametrize("name", ["edge", "sizes"])
def test_undo_belongs_to_the_settings_unless_something_was_typed(form, qtbot, name):
    undone = []
    shortcut = QShortcut(QKeySequence("Ctrl+Z"), form.window())
    shortcut.activated.connect(lambda: undone.append(True))
    editor = form.controls[name].editor
    line = getattr(editor, "box", editor)
    line.setFocus()
    qtbot.keyClick(line, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert undone == [True]
    qtbot.keyClicks(line, "5")
    qtbot.keyClick(line, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert undone == [True]


def test_a_form_fits_into_a_dock(form):
    assert form.minimumSizeHint().width() <= 310


def test_a_small_line_keeps_its_line_breaks_and_shows_marks_as_they_are(qtbot):
    label = SmallLabel()
    qtbot.addWidget(label)
    label.show_text("a < b\nand 3 mm")
    assert label.text() == "<small>a &lt; b<br>and 3\u00a0mm</small>"
    assert label.shown == "a < b\nand 3 mm"
