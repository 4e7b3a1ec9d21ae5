"""A window that shows the picture."""

import ctypes
import os
import sys
from contextlib import suppress
from typing import Self

import cv2

from streamvc.errors import ViewError
from streamvc.view.canvas import Image

ESCAPE = 27
CLOSING_KEYS = {ESCAPE, ord("q"), ord("Q")}
OPENED_PX = (1280, 720)  # a window is opened as large as fits this; the user can make it larger

# OpenCV's wheels carry Qt with its X11 plugin alone, also where the desktop is Wayland; with another one asked for, Qt ends the process. The warnings
# are about fonts, which a window without text does not need.
QT_SETTINGS = {"QT_QPA_PLATFORM": "xcb", "QT_LOGGING_RULES": "default.warning=false"}


def share_xcb() -> None:
    """Let all libraries use this machine's libxcb. To be called before PyAV is imported, where a window is to be opened later.

    The wheels of PyAV and OpenCV carry parts of it by the same names. Where PyAV's are loaded first, OpenCV's Qt takes them, and opening a window
    never returns (PyAV issue 978).
    """
    if sys.platform.startswith("linux"):
        with suppress(OSError):
            ctypes.CDLL("libxcb.so.1", ctypes.RTLD_GLOBAL)


def display_available() -> bool:
    """Whether a window can be opened: this OpenCV has windows, and (on Linux) an X server, or XWayland, lets us in.

    To be asked first: without a display OpenCV does not raise an error, it ends the process.
    """
    if not cv2.currentUIFramework():
        return False
    return not sys.platform.startswith("linux") or _x_server_answers()


def _x_server_answers() -> bool:
    """Connect as Qt will, by the same library: DISPLAY may be missing, stale, or another user's."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return False
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    error: int = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    return error == 0


class Window:
    """A window; to be made, used and closed in the main thread.

    It ends when the user closes it or types `q` or Escape.
    """

    def __init__(self, title: str = "streamvc") -> None:
        """Get ready; the window opens with its first picture.

        Raises:
            ViewError: There is no display.
        """
        if not display_available():
            raise ViewError("no window can be opened: there is no display, or this OpenCV is a headless build; go on without a window")
        self._title = title
        self._opened = False
        self._ended = False

    @staticmethod
    def enlargement(shape: tuple[int, ...]) -> float:
        """By how much to enlarge pictures of this shape before something is drawn on them, so that it is as sharp as the window is large."""
        return max(1.0, _scale(shape[1], shape[0]))

    def show(self, image: Image, timestamp: float = 0.0) -> bool:
        """Show a picture; False once the user has ended it.

        Args:
            image: (H, W, 3) uint8, BGR. One that is smaller than the window is enlarged: OpenCV before 4.12 would show it small in the middle.
            timestamp: Is not used; a window shows pictures as they come.

        Raises:
            ViewError: OpenCV cannot show it.
        """
        if self._ended:
            return False
        try:
            if not self._opened:
                self._open(image)
            scale = self.enlargement(image.shape)
            cv2.imshow(self._title, image if scale == 1.0 else cv2.resize(image, None, fx=scale, fy=scale))
            self._ended = cv2.waitKey(1) in CLOSING_KEYS or self._is_gone()
        except cv2.error as error:
            raise ViewError(f"the picture cannot be shown: {error.err}") from error
        return not self._ended

    def close(self) -> None:
        """Take the window away."""
        if self._opened:
            self._opened = False
            with suppress(cv2.error):  # the user has closed it
                cv2.destroyWindow(self._title)
                cv2.waitKey(1)  # windows only go when events are handled

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_gone(self) -> bool:
        try:
            return bool(cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1)
        except cv2.error:  # it was the last window, and its Qt application went with it
            return True

    def _open(self, image: Image) -> None:
        if sys.platform.startswith("linux"):
            os.environ.update(QT_SETTINGS)
        cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        height, width = image.shape[:2]
        scale = _scale(width, height)
        cv2.resizeWindow(self._title, round(scale * width), round(scale * height))
        self._opened = True


def _scale(width: int, height: int) -> float:
    """By how much a picture of this size is larger in a window."""
    return min(OPENED_PX[0] / width, OPENED_PX[1] / height)
