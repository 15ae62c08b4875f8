"""Screenshots and long pastes: taken out of the clipboard or a drop, shown as thumbnails."""

from __future__ import annotations

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QMimeData, QSize, Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication, QIcon, QImage, QImageReader, QPixmap, QPixmapCache
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from flowpilot_desktop.core.attachment import PICTURE_LIMIT
from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.ui.controls import Button
from flowpilot_desktop.ui.text import ElidedText, tip
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.viewmodels.evidence import Exhibit

_LONGEST_SIDE = 1568
"""Pixels; a model sees no more of a larger picture."""
_MOST_DROPPED = 4
_WIDTH, _HEIGHT = 112, 64
_ROOM = 150
"""Design pixels of a thumbnail, and of it with its name."""
_GAP = 12
_COLUMNS = 4
_KILO = 1024


def pictures_of(source: QMimeData) -> list[bytes]:
    """Return the pictures of a paste or a drop, each small enough to be kept.

    Only files of this computer are read; an address is never fetched.
    """
    if source.hasImage():
        image = source.imageData()
        image = image.toImage() if isinstance(image, QPixmap) else image
        return [content] if isinstance(image, QImage) and (content := small_enough(image)) else []
    found = []
    for url in source.urls()[:_MOST_DROPPED]:
        if url.isLocalFile():
            reader = QImageReader(url.toLocalFile())
            reader.setDecideFormatFromContent(True)
            reader.setAutoTransform(True)
            content = small_enough(reader.read())
            if content:
                found.append(content)
    return found


def small_enough(image: QImage) -> bytes:
    """Return the picture as PNG, as JPEG where that would be too large; nothing for no picture."""
    if image.isNull():
        return b""
    if max(image.width(), image.height()) > _LONGEST_SIDE:
        image = image.scaled(
            _LONGEST_SIDE,
            _LONGEST_SIDE,
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
    content = _written(image, "PNG")
    return content if len(content) <= PICTURE_LIMIT else _written(image, "JPEG")


def _written(image: QImage, kind: str) -> bytes:
    content = QByteArray()
    buffer = QBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, kind)  # type: ignore[call-overload]  # the stubs want bytes, Qt takes a name
    buffer.close()
    return bytes(content.data())


class Thumbnail(QWidget):
    """One exhibit: a small picture, or the name of a long paste; a click opens it larger."""

    opened = Signal(str)
    removed = Signal(str)

    def __init__(
        self, exhibit: Exhibit, parent: QWidget | None = None, *, can_remove: bool = False
    ) -> None:
        super().__init__(parent)
        self.exhibit = exhibit
        self.can_remove = can_remove
        px = theme().px
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(px(2))
        if exhibit.is_picture:
            show = Button(variant="thumbnail", parent=self)
            size = QSize(px(_WIDTH), px(_HEIGHT))
            show.setIcon(QIcon(_small(exhibit, size)))
            show.setIconSize(size)
            words = exhibit.name
        else:
            show = Button(icon="note", variant="thumbnail", parent=self)
            words = f"{exhibit.name} · {size_words(exhibit.size)}"
        show.setAccessibleName(f"Open {exhibit.name}")
        show.setToolTip(tip(f"Open {exhibit.name}"))
        show.setFixedSize(px(_WIDTH) + px(8), px(_HEIGHT) + px(8))
        show.clicked.connect(self._open)
        rows.addWidget(show, 0, Qt.AlignmentFlag.AlignLeft)
        line = QHBoxLayout()
        line.addWidget(ElidedText(words, self, role="small", tone="muted"), 1)
        if can_remove and exhibit.is_picture:
            remove = Button(icon="close", variant="icon", hint="Remove", parent=self)
            remove.setAccessibleName(f"Remove {exhibit.name}")
            remove.clicked.connect(self._remove)
            line.addWidget(remove)
        rows.addLayout(line)
        self.setFixedWidth(px(_ROOM))

    @Slot()
    def _open(self) -> None:
        self.opened.emit(self.exhibit.id)

    @Slot()
    def _remove(self) -> None:
        self.removed.emit(self.exhibit.id)


class Thumbnails(QWidget):
    """Exhibits in rows; hidden without any."""

    opened = Signal(str)
    removed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, theme().px(4), 0, 0)
        self._grid.setSpacing(theme().px(_GAP))
        self._columns = _COLUMNS
        self._shown: dict[str, Thumbnail] = {}
        self.hide()

    @property
    def names(self) -> tuple[str, ...]:
        """What is shown."""
        return tuple(one.exhibit.name for one in self._shown.values())

    def show_exhibits(self, exhibits: tuple[Exhibit, ...], *, can_remove: bool) -> None:
        """Show these; what is shown already stays."""
        wanted = {exhibit.id: exhibit for exhibit in exhibits}
        for gone, thumbnail in list(self._shown.items()):
            if wanted.get(gone) != thumbnail.exhibit or thumbnail.can_remove != can_remove:
                del self._shown[gone]
                self._grid.removeWidget(thumbnail)
                thumbnail.hide()
                thumbnail.deleteLater()
        for exhibit_id, exhibit in wanted.items():
            if exhibit_id not in self._shown:
                thumbnail = Thumbnail(exhibit, self, can_remove=can_remove)
                thumbnail.opened.connect(self.opened)
                thumbnail.removed.connect(self.removed)
                self._shown[exhibit_id] = thumbnail
        self._shown = {exhibit_id: self._shown[exhibit_id] for exhibit_id in wanted}
        self._place()
        self.setVisible(bool(exhibits))

    def fit(self, width: int) -> None:
        """Take as many columns as there is room for."""
        columns = max(1, (width + theme().px(_GAP)) // theme().px(_ROOM + _GAP))
        if columns != self._columns:
            self._columns = columns
            self._place()

    def _place(self) -> None:
        for column in range(self._grid.columnCount()):
            self._grid.setColumnStretch(column, 0)
        for place, thumbnail in enumerate(self._shown.values()):
            self._grid.addWidget(thumbnail, place // self._columns, place % self._columns)
        self._grid.setColumnStretch(self._columns, 1)


def size_words(size: int) -> str:
    """Return a number of bytes as people read it."""
    if size < _KILO:
        return counted(size, "byte")
    return f"{size / _KILO:,.0f} KB" if size < _KILO**2 else f"{size / _KILO**2:,.1f} MB"


def _small(exhibit: Exhibit, size: QSize) -> QPixmap:
    """Return a picture at the size of a thumbnail; each is read and scaled once."""
    scale = QGuiApplication.primaryScreen().devicePixelRatio()
    key = f"exhibit {exhibit.id} {size.width()}x{size.height()} {scale}"
    pixmap = QPixmap()
    if QPixmapCache.find(key, pixmap):
        return pixmap
    content = QBuffer()
    content.setData(exhibit.content)
    reader = QImageReader(content)
    reader.setAutoTransform(True)
    whole = reader.size()
    if whole.isValid():
        reader.setScaledSize(
            whole.scaled(size * scale, Qt.AspectRatioMode.KeepAspectRatio).expandedTo(QSize(1, 1))
        )
    pixmap = QPixmap.fromImage(reader.read())
    pixmap.setDevicePixelRatio(scale)
    QPixmapCache.insert(key, pixmap)
    return pixmap
