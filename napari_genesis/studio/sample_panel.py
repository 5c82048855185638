"""Which sample and which place: seed, next and previous, lock; the box's size, following the slice, slab, swipe."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QSlider, QSpinBox, QToolButton, QWidget

from napari_genesis.forms.number import NumberEditor
from napari_genesis.forms.quantity import Quantity
from napari_genesis.forms.wheel import pass_wheel_on
from napari_genesis.studio.scan import Index

# A pass of published training sees a few thousand samples; any number may be typed.
_MOST_SEED = 2**31 - 1
# No upper bound: what does not fit into the memory is refused then.
_EDGE = Quantity(whole=True, low=1)


class SamplePanel(QWidget):
    """seed_chosen(int), locked(bool), size_chosen((z, y, x)), slab_chosen(bool), swiped(share of the width)."""

    seed_chosen = Signal(int)
    locked = Signal(bool)
    size_chosen = Signal(tuple)
    slab_chosen = Signal(bool)
    swiped = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.seed = QSpinBox()
        self.seed.setRange(0, _MOST_SEED)
        self.seed.setAccessibleName("sample")
        self.seed.setToolTip("Number (seed) of the sample: the same number draws the same, here and in training.")
        self.seed.setKeyboardTracking(False)
        self.seed.setMinimumWidth(92)
        self.previous, self.next = QToolButton(), QToolButton()
        self.previous.setArrowType(Qt.ArrowType.LeftArrow)
        self.next.setArrowType(Qt.ArrowType.RightArrow)
        self.previous.setToolTip("Previous sample (P)")
        self.next.setToolTip("Next sample (N)")
        self.previous.setAccessibleName("previous sample")
        self.next.setAccessibleName("next sample")
        self.lock = QCheckBox("lock")
        self.lock.setToolTip(
            "Keep the sample while the box moves (L).\n"
            "Unlocked, every new place is a sample of its own, as in training."
        )
        self.edges = [NumberEditor(_EDGE, widest="128") for _ in range(3)]
        for box, axis in zip(self.edges, "zyx", strict=True):
            about = f"Voxels along {axis} of the sub-volume; published: 32, 64, 64."
            box.name_for_screen_readers(f"box size {axis}", about)
            box.box.setToolTip(about)
            box.moved.connect(lambda value, settled: self._size_edited())
        self.extent = QLabel()
        self.follow = QCheckBox("follow the slice")
        self.follow.setToolTip("The box comes along when another slice is shown (F). Drag it in the canvas to move it.")
        self.slab = QCheckBox("slab")
        self.slab.setToolTip("Show the whole layer of boxes around the slice, as training cuts the scan (B).")
        self.swipe = QSlider(Qt.Orientation.Horizontal)
        pass_wheel_on(self.swipe)
        self.swipe.setRange(0, 100)
        self.swipe.setAccessibleName("swipe")
        self.swipe_label = QLabel("swipe")
        self.show_compared(None)
        self._arrange()
        self.seed.valueChanged.connect(self.seed_chosen)
        self.previous.clicked.connect(lambda: self.seed.setValue(self.seed.value() - 1))
        self.next.clicked.connect(lambda: self.seed.setValue(self.seed.value() + 1))
        self.lock.toggled.connect(self.locked)
        self.slab.toggled.connect(self.slab_chosen)
        self.swipe.valueChanged.connect(lambda value: self.swiped.emit(value / 100))

    def show_sample(self, seed: int, locked: bool) -> None:
        """Show seed and lock."""
        with QSignalBlocker(self.seed), QSignalBlocker(self.lock):
            self.seed.setValue(seed)
            self.lock.setChecked(locked)

    def show_size(self, size: Index, spacing: tuple[float, float, float] | None) -> None:
        """Show the box's size (z, y, x) in voxels, and in mm by spacing (x, y, z) where that is known."""
        for box, length in zip(self.edges, size, strict=True):
            box.show_value(length)
        if spacing is None:
            self.extent.setText("")
        else:
            lengths = (f"{n * mm:.0f}" for n, mm in zip(size, reversed(spacing), strict=True))
            self.extent.setText(" x ".join(lengths) + " mm")

    def show_compared(self, name: str | None) -> None:
        """Say what the swipe uncovers: the second recipe, or the original."""
        behind = "the original" if name is None else f"recipe B ({name})"
        self.swipe.setToolTip(f"Draw the curtain in the canvas: left of it {behind} is shown (S).")
        self.swipe_label.setToolTip(self.swipe.toolTip())

    def _arrange(self) -> None:
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setVerticalSpacing(3)
        sample = QHBoxLayout()
        sample.setSpacing(3)
        for widget in (self.seed, self.previous, self.next, self.lock):
            sample.addWidget(widget)
        sample.addStretch(1)
        sample.addWidget(self.slab)
        size = QHBoxLayout()
        size.setSpacing(3)
        for box in self.edges:
            size.addWidget(box)
        size.addWidget(self.extent, 1)
        curtain = QHBoxLayout()
        curtain.setSpacing(14)
        curtain.addWidget(self.swipe, 1)
        curtain.addWidget(self.follow)
        layout.addWidget(QLabel("sample"), 0, 0)
        layout.addLayout(sample, 0, 1)
        layout.addWidget(QLabel("box z y x"), 1, 0)
        layout.addLayout(size, 1, 1)
        layout.addWidget(self.swipe_label, 2, 0)
        layout.addLayout(curtain, 2, 1)
        layout.setColumnStretch(1, 1)

    def _size_edited(self) -> None:
        z, y, x = (box.value for box in self.edges)
        self.size_chosen.emit((z, y, x))
