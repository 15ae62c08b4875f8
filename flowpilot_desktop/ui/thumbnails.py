"""Screenshots: taken out of the clipboard or a drop, made small enough, shown as thumbnails."""

from __future__ import annotations

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QMimeData, Qt, Signal, Slot
from PySide6.QtGui import QImage, QImageReader, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from flowpilot_desktop.core.attachment import PICTURE_LIMIT, Attachment
from flowpilot_desktop.ui.controls import Button
from flowpilot_desktop.ui.text import ElidedText
from flowpilot_desktop.ui.theme import theme

_LONGEST_SIDE = 1568
"""Pixels; a model sees no more of a larger picture."""
_MOST_DROPPED = 4


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
    """One picture, small, with a button that removes it."""

    removed = Signal(object)

    def __init__(self, picture: Attachment, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.picture = picture
        px = theme().px
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(px(2))
        view = QLabel(self)
        pixmap = QPixmap()
        pixmap.loadFromData(picture.content)
        view.setPixmap(
            pixmap.scaled(
                px(112),
                px(64),
                Qt.AspectRatioMode.KeepAspectRatio,
                Qt.TransformationMode.SmoothTransformation,
            )
        )
        view.setAccessibleName(picture.name)
        rows.addWidget(view, 0, Qt.AlignmentFlag.AlignLeft)
        line = QHBoxLayout()
        line.addWidget(ElidedText(picture.name, self, role="small", tone="muted"), 1)
        remove = Button(icon="close", variant="icon", hint="Remove", parent=self)
        remove.setAccessibleName(f"Remove {picture.name}")
        remove.clicked.connect(self._remove)
        line.addWidget(remove)
        rows.addLayout(line)
        self.setFixedWidth(px(150))

    @Slot()
    def _remove(self) -> None:
        self.removed.emit(self.picture)


class Thumbnails(QWidget):
    """The pictures in a row; hidden without any."""

    removed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        px = theme().px
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(px(24), px(8), px(20), px(4))
        self._row.setSpacing(px(12))
        self._row.addStretch(1)
        self._shown: dict[str, Thumbnail] = {}
        self.hide()

    @property
    def names(self) -> tuple[str, ...]:
        """What is shown."""
        return tuple(one.picture.name for one in self._shown.values())

    def show_pictures(self, pictures: tuple[Attachment, ...]) -> None:
        """Show these; what is shown already stays."""
        wanted = {picture.id: picture for picture in pictures}
        for gone in [one for one in self._shown if one not in wanted]:
            thumbnail = self._shown.pop(gone)
            self._row.removeWidget(thumbnail)
            thumbnail.hide()
            thumbnail.deleteLater()
        for picture_id, picture in wanted.items():
            if picture_id not in self._shown:
                thumbnail = Thumbnail(picture, self)
                thumbnail.removed.connect(self.removed)
                self._row.insertWidget(self._row.count() - 1, thumbnail)
                self._shown[picture_id] = thumbnail
        self.setVisible(bool(pictures))
